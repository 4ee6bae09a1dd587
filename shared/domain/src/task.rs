//! Tasks: work items for staff.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};

use crate::ids::{BookingId, BusinessId, ClientId, MessageId, OccasionId, StaffId, TaskId};
use crate::subject::SubjectId;

/// Something a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Whose task.
    pub business_id: BusinessId,
    /// The id.
    pub id: TaskId,
    /// What it is about.
    pub kind: TaskKind,
    /// The booking or the occasion it is about, if it is about one.
    #[serde(flatten)]
    #[schema(schema_with = subject_if_any)]
    pub subject: Option<SubjectId>,
    /// The clients it is about.
    pub client_ids: Vec<ClientId>,
    /// Since when (UTC).
    pub since: Timestamp,
    /// Who of the staff looks at it, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<StaffId>,
    /// The message it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// What the client wrote, what is to be sent by hand, or where the webhook is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Links that open the text, addressed, in the app that sends it (S67).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<TaskLink>,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// One of the fields of a [`SubjectId`], or none.
fn subject_if_any() -> RefOr<Schema> {
    ObjectBuilder::new()
        .property("booking_id", Ref::from_schema_name(BookingId::name()))
        .property("occasion_id", Ref::from_schema_name(OccasionId::name()))
        .into()
}

impl Task {
    /// The task without what was written to or by whom it is about, as erased from `at` (UTC) on; closed, where it was there to send or to answer
    /// that. `None` where it holds nothing of the kind.
    pub fn erased(&self, at: Timestamp) -> Option<Task> {
        if self.text.is_none() && self.links.is_empty() {
            return None;
        }
        let closed = self.closed.or(Some(Closed { at, outcome: TaskOutcome::Dismissed }));
        Some(Task { text: None, links: Vec::new(), closed, ..self.clone() })
    }
}

/// What a task is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// The visit has begun and the client is not marked arrived: call, or free the slot (S55).
    RunningLate,
    /// The client has not confirmed by the set time (S53).
    Unconfirmed,
    /// A message that is not repeated by itself may or may not have left.
    UnknownMessage,
    /// A message has failed for good, and no other channel stands in for it.
    FailedMessage,
    /// Of a visit ahead no message can reach the client: there is no address, or none that may be written to. Call, or ask for one.
    UnreachableClient,
    /// A text is ready to be sent by hand (S67).
    AssistedMessage,
    /// A client asks for another time; the text says which.
    RescheduleRequest,
    /// A client has given a visit three stars of five or fewer (S74).
    LowRating,
    /// A client has written something that is not a plain yes or no (S51).
    ClientReply,
    /// Sms wait: what the business allows itself in a month is spent.
    SpendingLimit,
    /// A webhook was switched off, since nothing has arrived there for long, or whoever answers there wants nothing more.
    WebhookSwitchedOff,
}

/// A link of an assisted message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskLink {
    /// The app: `whatsapp`, `telegram`, `sms` or `email`.
    pub app: String,
    /// What to open.
    pub url: String,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Closed {
    /// When (UTC).
    pub at: Timestamp,
    /// With what outcome.
    pub outcome: TaskOutcome,
}

/// The outcome of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskOutcome {
    /// It was dealt with; of an assisted message: it was sent.
    Done,
    /// Nothing was to be done; of an assisted message: it was not sent.
    Dismissed,
    /// A report from the provider settled it.
    Settled,
}
