//! Tasks for staff.

use app::close_task::{CloseFields, close_task};
use app::edit_catalogue::get;
use app::ports::{Key, Kind};
use axum::extract::{Path, State};
use domain::ids::TaskId;
use domain::task::Task;

use super::{Answer, PageOf, PageParameters, Store, id, page, shown};
use crate::call::{Call, Caller, Parameters};
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(target; list_tasks, get_task, close)
}

/// List tasks
///
/// Every task of the business, open and closed, by id.
#[utoipa::path(
    get, path = "/v1/tasks", tag = "tasks", security(("key" = ["tasks:read"])), params(PageParameters),
    responses((status = 200, description = "A page of tasks.", body = PageOf<Task>))
)]
async fn list_tasks(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Tasks, page_of).await
}

/// Get a task
#[utoipa::path(
    get, path = "/v1/tasks/{id}", tag = "tasks", security(("key" = ["tasks:read"])), params(("id" = TaskId, Path)),
    responses((status = 200, description = "The task.", body = Task, headers(("ETag" = String))))
)]
async fn get_task(State(store): Store, caller: Caller, Path(task): Path<String>) -> Answer {
    shown(get(&*store, Key::Task(caller.business_id, id(&task, "task")?), "task").await?)
}

/// Close a task
///
/// With what came of it. Closing it again with the same outcome does nothing.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/close", tag = "tasks", security(("key" = ["tasks:write"])), params(("id" = TaskId, Path)),
    request_body(content = CloseFields, example = json!({ "outcome": "done" })),
    responses((status = 200, description = "The task, closed.", body = Task, headers(("ETag" = String))))
)]
async fn close(State(store): Store, Path(task): Path<String>, call: Call<CloseFields>) -> Answer {
    let task = id(&task, "task")?;
    shown(close_task(&*store, call.edit(), &task, call.body).await?)
}
