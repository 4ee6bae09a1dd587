//! Saying who of the staff looks at a task.

use domain::ids::{StaffId, TaskId};
use domain::task::Task;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::edit_catalogue::{Edit, Need, update};
use crate::error::AppError;
use crate::once::Done;
use crate::ports::{Item, Key, Read, WriteFacts};

/// Who looks at a task, as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignFields {
    /// Which staff member; null takes it from whoever has it.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub staff_id: Option<StaffId>,
}

/// Gives a task to a staff member, or takes it from everybody.
///
/// # Errors
/// [`AppError::NotFound`]; [`AppError::Stale`]; [`AppError::Invalid`] where there is no such staff member; [`AppError::TaskClosed`].
pub async fn assign_task(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    task_id: &TaskId,
    fields: &AssignFields,
) -> Result<Done<Item>, AppError> {
    let key = Key::Task(edit.business_id.clone(), task_id.clone());
    let needs: Vec<Need> = fields
        .staff_id
        .iter()
        .map(|id| Need {
            key: Key::Staff(edit.business_id.clone(), id.clone()),
            field: "staff_id".to_owned(),
            what: "staff member",
        })
        .collect();
    update(ports, edit, key, &needs, |before| match before {
        Some(Item::Task(task)) if task.closed.is_some() => Err(AppError::TaskClosed),
        Some(Item::Task(task)) => Ok(Item::Task(Task { assignee: fields.staff_id.clone(), ..task })),
        _ => Err(AppError::NotFound { what: "task" }),
    })
    .await
}
