//! The timeline of a booking or an occasion: everything sent, planned and withheld, with times and reasons.

use domain::booking::Booking;
use domain::ids::BusinessId;
use domain::message::{CheckRow, Message};
use domain::occasion::Occasion;
use domain::subject::SubjectId;
use serde::Serialize;

use crate::error::AppError;
use crate::ports::{Item, Key, Read, ReadLedger};

/// A booking or an occasion with all of its messages and checks.
#[derive(Debug, Clone, Serialize)]
pub struct Timeline {
    /// What they are planned from.
    #[serde(flatten)]
    pub subject: Planned,
    /// Its messages by due time, then type, then channel.
    pub messages: Vec<Message>,
    /// Its checks by due time.
    pub checks: Vec<CheckRow>,
}

/// What a timeline is of. In JSON one field, `booking` or `occasion`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "there is one of them at a time")]
pub enum Planned {
    /// A booking.
    Booking(Booking),
    /// An occasion.
    Occasion(Occasion),
}

/// Reads a timeline.
pub async fn timeline<S: Read + ReadLedger>(
    ports: &S,
    business_id: &BusinessId,
    subject: &SubjectId,
) -> Result<Timeline, AppError> {
    let (key, what) = match subject {
        SubjectId::Booking(id) => (Key::Booking(business_id.clone(), id.clone()), "booking"),
        SubjectId::Occasion(id) => (Key::Occasion(business_id.clone(), id.clone()), "occasion"),
    };
    let (found, rows) = futures::try_join!(ports.read(vec![key]), ports.ledger_of(business_id, subject))?;
    let subject = match found.into_iter().next().map(|stored| stored.item) {
        Some(Item::Booking(booking)) => Planned::Booking(booking),
        Some(Item::Occasion(occasion)) => Planned::Occasion(occasion),
        _ => return Err(AppError::NotFound { what }),
    };
    let (mut messages, mut checks) = (Vec::new(), Vec::new());
    for row in rows {
        match row.item {
            Item::Message(message) => messages.push(message),
            Item::Check(check) => checks.push(check),
            _ => {}
        }
    }
    messages.sort_by_key(|message| (message.due, message.kind, message.channel, message.recipient.clone()));
    checks.sort_by_key(|check| check.due);
    Ok(Timeline { subject, messages, checks })
}
