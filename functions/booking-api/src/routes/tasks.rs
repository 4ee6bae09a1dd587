//! Tasks for staff.

use app::close_task::{CloseFields, close_task};
use app::edit_catalogue::get;
use app::ports::{Key, Kind};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get as reading, post};

use super::{Answer, PageParameters, Routes, Store, id, page, shown};
use crate::call::{Call, Caller, Parameters};

pub fn routes() -> Routes {
    Router::new()
        .route("/v1/tasks", reading(list_tasks))
        .route("/v1/tasks/{id}", reading(get_task))
        .route("/v1/tasks/{id}/close", post(close))
}

async fn list_tasks(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Tasks, page_of).await
}

async fn get_task(State(store): Store, caller: Caller, Path(task): Path<String>) -> Answer {
    shown(get(&*store, Key::Task(caller.business_id, id(&task, "task")?), "task").await?)
}

async fn close(State(store): Store, Path(task): Path<String>, call: Call<CloseFields>) -> Answer {
    let task = id(&task, "task")?;
    shown(close_task(&*store, call.edit(), &task, call.body).await?)
}
