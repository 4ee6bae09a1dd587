//! Tasks: work items for staff.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{BookingId, BusinessId, ClientId, TaskId};

/// Something a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Whose task.
    pub business_id: BusinessId,
    /// The id.
    pub id: TaskId,
    /// What it is about.
    pub kind: TaskKind,
    /// The booking it is about.
    pub booking_id: BookingId,
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
    /// A message on a paid channel may or may not have left; it is not repeated by itself.
    UnknownMessage,
}
