//! Tasks for staff.

use app::assign_task::{AssignFields, assign_task};
use app::close_task::{CloseFields, close_task};
use app::edit_catalogue::get;
use app::error::AppError;
use app::list_tasks::{TaskFilter, TaskStatus};
use app::ports::Key;
use axum::extract::{Path, State};
use domain::ids::{StaffId, TaskId};
use domain::task::{Task, TaskKind};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, PageOf, Store, id, limited, listed, page_by_id, shown};
use crate::call::{Call, Caller, Parameters};
use crate::examples;
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        TasksRead => list_tasks, get_task;
        TasksWrite => close, assign;
    )
}

/// Which tasks are looked for: all that fit what is given. A page may hold fewer than `limit`, and none, although more follow: one request looks at
/// 1,000 tasks or some more.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TaskParameters {
    /// How they stand.
    #[param(inline, nullable = false)]
    status: Option<TaskStatus>,
    /// What they are about.
    #[param(nullable = false)]
    kind: Option<TaskKind>,
    /// Those that this staff member looks at.
    #[param(nullable = false)]
    assignee: Option<StaffId>,
    /// What the page before gave as `next`.
    #[param(nullable = false, pattern = "^[0-9A-Za-z_-]{1,64}$")]
    cursor: Option<String>,
    /// At most so many; 50 without it.
    #[param(nullable = false, minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List tasks
///
/// Tasks of the business, by id. What was closed is forgotten after the months that the stack's `RetentionMonths` says, 13 without it.
#[utoipa::path(
    get, path = "/v1/tasks", tag = "tasks", params(TaskParameters),
    responses((status = 200, description = "A page of tasks.", body = PageOf<Task>))
)]
async fn list_tasks(
    State(store): Store,
    caller: Caller,
    Parameters(wanted): Parameters<TaskParameters>,
) -> Answer {
    let TaskParameters { status, kind, assignee, cursor, limit } = wanted;
    let page = page_by_id(cursor, limited(limit, 50, 100)?)?;
    let filter = TaskFilter { status, kind, assignee };
    let found = app::list_tasks::list_tasks(&*store, &caller.business_id, &filter, page).await;
    listed(found.map_err(AppError::from)?)
}

/// Get a task
#[utoipa::path(
    get, path = "/v1/tasks/{id}", tag = "tasks", params(("id" = TaskId, Path)),
    responses((status = 200, description = "The task.", body = Task, headers(("ETag" = String))))
)]
async fn get_task(State(store): Store, caller: Caller, Path(task): Path<String>) -> Answer {
    shown(get(&*store, Key::Task(caller.business_id, id(&task, "task")?), "task").await?)
}

/// Close a task
///
/// With what came of it. Closing it again with the same outcome does nothing.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/close", tag = "tasks", params(("id" = TaskId, Path)),
    request_body(content = CloseFields, example = json!({ "outcome": "done" })),
    responses((status = 200, description = "The task, closed.", body = Task, headers(("ETag" = String))))
)]
async fn close(State(store): Store, Path(task): Path<String>, call: Call<CloseFields>) -> Answer {
    let task = id(&task, "task")?;
    shown(close_task(&*store, call.edit(), &task, call.body).await?)
}

/// Assign a task
///
/// Says who of the staff looks at it; null takes it from whoever has it. A closed task is nobody's to look at.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/assign", tag = "tasks", params(("id" = TaskId, Path)),
    request_body(content = AssignFields, example = json!({ "staff_id": examples::STAFF })),
    responses((status = 200, description = "The task, assigned.", body = Task, headers(("ETag" = String))))
)]
async fn assign(State(store): Store, Path(task): Path<String>, call: Call<AssignFields>) -> Answer {
    let task = id(&task, "task")?;
    shown(assign_task(&*store, call.edit(), &task, &call.body).await?)
}
