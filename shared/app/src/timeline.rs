//! The timeline of a booking or an occasion: everything sent, planned and withheld, with times and reasons.

use domain::booking::{Booking, Confirmation};
use domain::facts::{Facts, Subject};
use domain::ids::BusinessId;
use domain::message::{CheckRow, Message, MessageStatus};
use domain::notification_type::NotificationType;
use domain::occasion::Occasion;
use domain::plan::plan;
use domain::reconcile::switched_off;
use domain::subject::SubjectId;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::AppError;
use crate::load_facts::load_facts;
use crate::ports::{Item, Read, ReadLedger, Refs, Stored};

/// A booking or an occasion with all of its messages and checks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Timeline {
    /// What they are planned from.
    #[serde(flatten)]
    pub subject: Planned,
    /// Of a booking: how it stands at a glance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glance: Option<Glance>,
    /// Its messages by due time, then type, then channel.
    pub messages: Vec<Message>,
    /// Its checks by due time.
    pub checks: Vec<CheckRow>,
}

/// What a timeline is of. In JSON one field, `booking` or `occasion`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "there is one of them at a time")]
pub enum Planned {
    /// A booking.
    Booking(Booking),
    /// An occasion.
    Occasion(Occasion),
}

/// How a booking stands at a glance (S50).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Glance {
    /// The reminder that has come farthest; absent where there is none.
    pub reminder: Option<MessageStatus>,
    /// The review request that has come farthest; absent where there is none.
    pub review_request: Option<MessageStatus>,
    /// Whether the client has confirmed.
    pub confirmation: Confirmation,
}

/// Reads a timeline. What is switched off has no row; it is found by planning, and shown as suppressed.
///
/// # Errors
/// [`AppError::NotFound`] when there is no such booking or occasion.
pub async fn timeline<S: Read + ReadLedger>(
    ports: &S,
    business_id: &BusinessId,
    subject: &SubjectId,
    now: Timestamp,
) -> Result<Timeline, AppError> {
    let refs = Refs::of(business_id.clone(), subject.clone());
    let (loaded, rows) =
        futures::try_join!(load_facts(ports, &refs, &[]), ports.ledger_of(business_id, subject))?;
    let what = match subject {
        SubjectId::Booking(_) => "booking",
        SubjectId::Occasion(_) => "occasion",
    };
    let facts = loaded.ok_or(AppError::NotFound { what })?.facts;
    let (mut messages, checks) = split(rows);
    messages.extend(switched_off(&facts, &plan(&facts, now), &messages));
    Ok(Timeline::of(facts, messages, checks))
}

/// The messages and the checks among ledger rows.
pub(crate) fn split(rows: Vec<Stored>) -> (Vec<Message>, Vec<CheckRow>) {
    let (mut messages, mut checks) = (Vec::new(), Vec::new());
    for row in rows {
        match row.item {
            Item::Message(message) => messages.push(message),
            Item::Check(check) => checks.push(check),
            _ => {}
        }
    }
    (messages, checks)
}

impl Timeline {
    pub(crate) fn of(facts: Facts, mut messages: Vec<Message>, mut checks: Vec<CheckRow>) -> Self {
        messages
            .sort_by_key(|message| (message.due, message.kind, message.channel, message.recipient.clone()));
        checks.sort_by_key(|check| check.due);
        let (subject, glance) = match facts.subject {
            Subject::Booking(booking) => {
                let glance = glance(&booking, &messages);
                (Planned::Booking(booking), Some(glance))
            }
            Subject::Occasion(occasion, _) => (Planned::Occasion(occasion), None),
        };
        Self { subject, glance, messages, checks }
    }
}

fn glance(booking: &Booking, messages: &[Message]) -> Glance {
    let farthest = |kind| {
        let of_this_time = |message: &&Message| {
            message.kind == kind
                && message.revision >= booking.time_revision
                && message.status != MessageStatus::Superseded
        };
        messages.iter().filter(of_this_time).map(|message| message.status).max_by_key(|status| reach(*status))
    };
    Glance {
        reminder: farthest(NotificationType::Reminder),
        review_request: farthest(NotificationType::ReviewRequest),
        confirmation: booking.confirmation,
    }
}

/// How far a message has come on its way to the reader: one that arrived stands for all others.
fn reach(status: MessageStatus) -> u8 {
    match status {
        MessageStatus::Superseded => 0,
        MessageStatus::Suppressed => 1,
        MessageStatus::Failed => 2,
        MessageStatus::Planned => 3,
        MessageStatus::Deferred => 4,
        MessageStatus::Queued => 5,
        MessageStatus::Sending => 6,
        MessageStatus::Unknown => 7,
        MessageStatus::Accepted => 8,
        MessageStatus::Delivered => 9,
        MessageStatus::Read => 10,
    }
}
