//! Events: what integrations are told of, on the bus and by webhooks. docs/events.md shows one of each.
//!
//! Which events a change makes follows from the thing as it was and as it is, and an event's id from the thing, its version and the type: a change
//! that is looked at twice makes the same events with the same ids.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::booking::{Booking, EventKind};
use crate::ids::{BusinessId, EventId};
use crate::message::{Message, MessageStatus, digest};
use crate::task::Task;
use crate::text::text;

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// What happened, as `<thing>.<what>`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventType {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl EventType {
            /// Every type.
            pub const ALL: &[EventType] = &[$(EventType::$variant),*];

            /// The name in the API, in webhooks and on the bus.
            pub fn name(self) -> &'static str {
                match self {
                    $(EventType::$variant => $name,)*
                }
            }
        }
    };
}

impl PartialSchema for EventType {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("What happened, as `<thing>.<what>`."))
            .enum_values(Some(EventType::ALL.iter().map(|kind| kind.name())))
            .into()
    }
}

impl ToSchema for EventType {}

event_types! {
    /// A booking was made.
    BookingCreated "booking.created";
    /// Staff confirmed it.
    BookingConfirmed "booking.confirmed";
    /// Its start was moved.
    BookingRescheduled "booking.rescheduled";
    /// Something else that callers give was changed: resource, service, clients, end, notes, price, reminders of its own.
    BookingChanged "booking.changed";
    /// The client said that the visit will take place.
    BookingClientConfirmed "booking.client_confirmed";
    /// The client said that it will not. The booking stays until somebody cancels it.
    BookingClientDeclined "booking.client_declined";
    /// It was called off.
    BookingCancelled "booking.cancelled";
    /// The client is there.
    BookingArrived "booking.arrived";
    /// The visit is over.
    BookingCompleted "booking.completed";
    /// The client did not come.
    BookingNoShow "booking.no_show";
    /// The provider took a message.
    MessageAccepted "message.accepted";
    /// It has arrived, as the provider reports.
    MessageDelivered "message.delivered";
    /// It was opened.
    MessageRead "message.read";
    /// It will not arrive; `reason` says why.
    MessageFailed "message.failed";
    /// Nobody knows whether it left.
    MessageUnknown "message.unknown";
    /// It is not sent; `reason` says why. One that is owed again later is told of again.
    MessageSuppressed "message.suppressed";
    /// There is something for staff to look at.
    TaskCreated "task.created";
    /// It was dealt with, one way or the other.
    TaskClosed "task.closed";
    /// Somebody tries out a webhook. On no bus, and sent whatever the webhook wants.
    WebhookTest "webhook.test";
}

impl std::fmt::Display for EventType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that happened, as integrations are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its own for ever: whoever gets the event twice knows it by its id.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When (UTC).
    pub at: Timestamp,
    /// To whose booking, message or task.
    pub business_id: BusinessId,
    /// The thing as it was right after, as the API shows it, but for [`LEFT_OUT`].
    pub data: Value,
}

/// What of a thing stays out of its events: what people wrote and are written to at, which the API tells whoever may read it, and how a message was
/// judged, which is long.
pub const LEFT_OUT: [&str; 7] = ["text", "notes", "address", "links", "traces", "lease", "entity"];

/// The id of an event: the thing is named as its key names it, and its version is that of the change.
pub fn event_id(business_id: &BusinessId, thing: &str, version: u64, kind: EventType) -> EventId {
    digest(format_args!("event|{business_id}|{thing}|{version}|{kind}"))
}

/// What happened to a thing, and when (UTC), where the thing itself says when.
pub type Happened = (EventType, Option<Timestamp>);

/// What a change of a booking means. Its history says most; an edit that leaves no trace there is seen from what was edited.
pub fn of_booking(before: Option<&Booking>, after: &Booking) -> Vec<Happened> {
    let known = |event| before.is_some_and(|before| before.history.contains(event));
    let mut happened: Vec<Happened> = Vec::new();
    for event in after.history.iter().filter(|event| !known(event)) {
        let kind = match event.kind {
            EventKind::Created => EventType::BookingCreated,
            EventKind::Confirmed => EventType::BookingConfirmed,
            EventKind::Rescheduled => EventType::BookingRescheduled,
            EventKind::Changed | EventKind::Joined(_) | EventKind::Left(_) => EventType::BookingChanged,
            EventKind::ClientConfirmed => EventType::BookingClientConfirmed,
            EventKind::ClientDeclined => EventType::BookingClientDeclined,
            EventKind::Cancelled => EventType::BookingCancelled,
            EventKind::Arrived => EventType::BookingArrived,
            EventKind::Completed => EventType::BookingCompleted,
            EventKind::NoShow => EventType::BookingNoShow,
            // What the checks find is a task's or a message's event.
            EventKind::ConfirmationRequested | EventKind::Unconfirmed | EventKind::RunningLate => continue,
        };
        if !happened.iter().any(|(known, _)| *known == kind) {
            happened.push((kind, Some(event.at)));
        }
    }
    if happened.is_empty() && before.is_some_and(|before| is_edited(before, after)) {
        happened.push((EventType::BookingChanged, None));
    }
    happened
}

/// Whether anything differs that callers give and the history says nothing of: what it takes note of has an event there.
fn is_edited(before: &Booking, after: &Booking) -> bool {
    before.end != after.end
        || before.notes != after.notes
        || before.price != after.price
        || before.reminders != after.reminders
        || before.rebooking_after != after.rebooking_after
}

/// What a change of a message means: how it stands now, where it stood otherwise before. That it is planned, waits or was superseded is no event.
pub fn of_message(before: Option<&Message>, after: &Message) -> Vec<Happened> {
    if before.is_some_and(|before| before.status == after.status) {
        return Vec::new();
    }
    let happened = match after.status {
        MessageStatus::Accepted => (EventType::MessageAccepted, after.sent_at),
        MessageStatus::Delivered => (EventType::MessageDelivered, after.delivered_at),
        MessageStatus::Read => (EventType::MessageRead, after.read_at),
        MessageStatus::Failed => (EventType::MessageFailed, None),
        MessageStatus::Unknown => (EventType::MessageUnknown, None),
        MessageStatus::Suppressed => (EventType::MessageSuppressed, None),
        MessageStatus::Planned
        | MessageStatus::Deferred
        | MessageStatus::Queued
        | MessageStatus::Sending
        | MessageStatus::Superseded => return Vec::new(),
    };
    vec![happened]
}

/// What a change of a task means.
pub fn of_task(before: Option<&Task>, after: &Task) -> Vec<Happened> {
    let mut happened = Vec::new();
    if before.is_none() {
        happened.push((EventType::TaskCreated, Some(after.since)));
    }
    if let Some(closed) = after.closed.filter(|_| before.is_none_or(|before| before.closed.is_none())) {
        happened.push((EventType::TaskClosed, Some(closed.at)));
    }
    happened
}

text!(
    /// Which events a webhook wants: one type, `booking.*` and the like, or `*` for all.
    #[derive(Debug)]
    #[schema(examples("booking.*", "message.failed"))]
    EventFilter, InvalidEventFilter,
    "expected *, booking.*, message.*, task.* or a type of event such as booking.created",
    |text| {
        let whole = text == "*" || text.ends_with(".*");
        // Tests are asked for, not waited for.
        let mut wanted = EventType::ALL.iter().filter(|kind| **kind != EventType::WebhookTest);
        wanted.any(|kind| lets_through(text, *kind)) && (whole || !text.ends_with('*'))
    }
);

impl EventFilter {
    /// Every event there is.
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// Whether it lets events of this type through.
    pub fn takes(&self, kind: EventType) -> bool {
        lets_through(self.as_str(), kind)
    }
}

fn lets_through(filter: &str, kind: EventType) -> bool {
    match filter.strip_suffix('*') {
        Some(prefix) => kind.name().starts_with(prefix),
        None => kind.name() == filter,
    }
}

#[cfg(test)]
mod tests;
