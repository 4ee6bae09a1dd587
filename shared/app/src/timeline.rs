//! A booking's timeline: everything sent, planned and withheld, with times and reasons.

use domain::booking::Booking;
use domain::ids::{BookingId, BusinessId};
use domain::message::{CheckRow, Message};
use domain::subject::SubjectId;
use serde::Serialize;

use crate::error::AppError;
use crate::ports::{Item, Key, Read, ReadLedger, first};

/// A booking with all of its messages and checks.
#[derive(Debug, Clone, Serialize)]
pub struct Timeline {
    /// The booking.
    pub booking: Booking,
    /// Its messages by due time, then type, then channel.
    pub messages: Vec<Message>,
    /// Its checks by due time.
    pub checks: Vec<CheckRow>,
}

/// Reads a booking's timeline.
pub async fn timeline<S: Read + ReadLedger>(
    ports: &S,
    business_id: &BusinessId,
    booking_id: &BookingId,
) -> Result<Timeline, AppError> {
    let subject = SubjectId::Booking(booking_id.clone());
    let key = Key::Booking(business_id.clone(), booking_id.clone());
    let (found, rows) = futures::try_join!(ports.read(vec![key]), ports.ledger_of(business_id, &subject))?;
    let booking = first(&found, Item::booking).map(|(booking, _)| booking.clone());
    let booking = booking.ok_or(AppError::NotFound { what: "booking" })?;
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
    Ok(Timeline { booking, messages, checks })
}
