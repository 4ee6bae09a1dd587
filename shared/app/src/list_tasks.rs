//! Listing a business's tasks.

use domain::ids::{BusinessId, StaffId};
use domain::task::TaskKind;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::pages::sift_list;
use crate::ports::{Item, Kind, List, Listed, Page, PortError};

/// Which tasks are looked for: all that fit what is given.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// How they stand.
    pub status: Option<TaskStatus>,
    /// What they are about.
    pub kind: Option<TaskKind>,
    /// Who looks at them.
    pub assignee: Option<StaffId>,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// It waits for somebody.
    Open,
    /// It is done with.
    Closed,
}

/// One page of the tasks that are looked for, by id.
pub async fn list_tasks(
    ports: &impl List,
    business_id: &BusinessId,
    filter: &TaskFilter,
    page: Page,
) -> Result<Listed, PortError> {
    let id_of = |item: &Item| item.task().map(|task| task.id.to_string());
    let wanted = |item: &Item| {
        item.task().is_some_and(|task| {
            let status = if task.closed.is_some() { TaskStatus::Closed } else { TaskStatus::Open };
            filter.status.is_none_or(|wanted| wanted == status)
                && filter.kind.is_none_or(|wanted| wanted == task.kind)
                && (filter.assignee.is_none() || filter.assignee == task.assignee)
        })
    };
    sift_list(ports, business_id, Kind::Tasks, page, id_of, wanted).await
}
