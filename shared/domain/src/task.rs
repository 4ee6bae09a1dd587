//! Tasks: work items for staff.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{BusinessId, ClientId, TaskId};
use crate::subject::SubjectId;

/// Something a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Whose task.
    pub business_id: BusinessId,
    /// The id.
    pub id: TaskId,
    /// What it is about.
    pub kind: TaskKind,
    /// The booking or the occasion it is about.
    #[serde(flatten)]
    pub subject: SubjectId,
    /// The clients it is about.
    pub client_ids: Vec<ClientId>,
    /// Since when (UTC).
    pub since: Timestamp,
}

/// What a task is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// The visit has begun and the client is not marked arrived: call, or free the slot (S55).
    RunningLate,
    /// The client has not confirmed by the set time (S53).
    Unconfirmed,
    /// A message on a paid channel may or may not have left; it is not repeated by itself.
    UnknownMessage,
}
