//! What follows from how a message ended, for the booking, the client and the tasks. Written after the row, and again by whoever finds the row so:
//! each step finds out by itself whether it was done.

use domain::booking::{Booking, Failure};
use domain::client::{Cause, Client, Suppression};
use domain::facts::Subject;
use domain::ids::DeviceId;
use domain::message::{CheckKind, Message, MessageStatus, Reason};
use domain::notification_type::NotificationType;
use domain::recipient::Recipient;
use domain::rule::Strategy;
use domain::task::{Closed, TaskKind, TaskOutcome};
use jiff::Timestamp;

use crate::load_facts::Loaded;
use crate::ports::{
    Due, DueWhat, Expect, Item, Refs, SetTimer, Stored, Write, WriteError, WriteFacts, first,
};

/// Makes what follows from a message's status, and from a report that is a `cause` to suppress its address, stand at `now` (UTC):
/// - a client who got a request to confirm was asked;
/// - what failed for certain lets a cascade go on; what may still arrive lets it go on when its time is over;
/// - an address that does not exist, or whose owner has opted out, is suppressed;
/// - a task about a message of which nothing was known is closed once something is.
pub(crate) async fn settle(
    store: &impl WriteFacts,
    timers: &impl SetTimer,
    loaded: &Loaded,
    message: &Message,
    cause: Option<Cause>,
    now: Timestamp,
) -> Result<(), WriteError> {
    if let Some(due) = delivery_check(message, &Refs::from(&loaded.facts)) {
        timers.set_timer(&due).await?;
    }
    let mut writes = Vec::new();
    if let Some(item) = of_subject(loaded, message, now) {
        writes.push(Write { item, expect: Expect::Version(loaded.version) });
    }
    if let Some(cause) = cause.or_else(|| cause_of(message)) {
        writes.extend(suppressed(&loaded.along, message, cause, now));
    }
    if matches!(message.status, MessageStatus::Delivered | MessageStatus::Read | MessageStatus::Failed) {
        writes.extend(task_closed(&loaded.along, message, now));
    }
    if writes.is_empty() { Ok(()) } else { store.write_facts(writes).await }
}

/// The check that looks whether a message was seen to arrive, if one is called for. It has no row of its own, and the message's id.
pub(crate) fn delivery_check(message: &Message, refs: &Refs) -> Option<Due> {
    let at = message.undelivered_at.filter(|_| message.status == MessageStatus::Accepted)?;
    let check_id = message.id.as_str().parse().ok()?;
    Some(Due { what: DueWhat::Check { check_id, kind: CheckKind::Undelivered, refs: refs.clone() }, at })
}

fn of_subject(loaded: &Loaded, message: &Message, now: Timestamp) -> Option<Item> {
    let facts = &loaded.facts;
    match message.status {
        MessageStatus::Accepted | MessageStatus::Delivered | MessageStatus::Read
            if message.kind == NotificationType::ConfirmationRequest =>
        {
            facts.booking().and_then(Booking::asked).map(Item::Booking)
        }
        MessageStatus::Failed if facts.rule(message.kind).strategy == Strategy::Cascade => {
            failed(&facts.subject, message, now)
        }
        _ => None,
    }
}

/// The subject with the failure of a message, unless it knows of it.
pub(crate) fn failed(subject: &Subject, message: &Message, now: Timestamp) -> Option<Item> {
    let failure = Failure { message_id: message.id.clone(), at: now };
    match subject {
        Subject::Booking(booking) => booking.failed(failure).map(Item::Booking),
        Subject::Occasion(occasion, _) => occasion.failed(failure).map(Item::Occasion),
    }
}

/// Why the address must not be written to again after a failure.
fn cause_of(message: &Message) -> Option<Cause> {
    match message.reason.filter(|_| message.status == MessageStatus::Failed)? {
        Reason::InvalidAddress => Some(Cause::HardBounce),
        Reason::AddressSuppressed => Some(Cause::Stop),
        _ => None,
    }
}

/// The client with the address that a message went to suppressed, unless it is. Staff has no suppressions.
fn suppressed(found: &[Stored], message: &Message, cause: Cause, now: Timestamp) -> Option<Write> {
    let address = message.address.clone()?;
    let id = message.recipient.client()?;
    let (client, version) = first(found, |item| item.known_client().filter(|client| client.id == *id))?;
    let client = with_suppression(client, Suppression { address, cause, since: now })?;
    Some(Write { item: Item::Client(client), expect: Expect::Version(version) })
}

/// The most addresses of a client that are remembered as suppressed: of those the client has no more, the oldest are forgotten.
const SUPPRESSIONS: usize = 20;

/// The client with a suppression more, or `None` where the address is suppressed already.
pub(crate) fn with_suppression(client: &Client, suppression: Suppression) -> Option<Client> {
    if client.suppressions.iter().any(|known| known.address == suppression.address) {
        return None;
    }
    let excess = (client.suppressions.len() + 1).saturating_sub(SUPPRESSIONS);
    let suppressions = client.suppressions.iter().skip(excess).cloned().chain([suppression]).collect();
    Some(Client { suppressions, ..client.clone() })
}

/// The person's card without devices that are gone.
pub(crate) fn without_devices(found: &[Stored], recipient: &Recipient, dead: &[DeviceId]) -> Option<Write> {
    let gone = |id: &DeviceId| dead.contains(id);
    let (item, version) = match recipient {
        Recipient::Client(id) => {
            let (client, version) = first(found, |item| item.client().filter(|client| client.id == *id))?;
            let mut client = client.clone();
            client.devices.retain(|device| !gone(&device.id));
            (Item::Client(client), version)
        }
        Recipient::Staff(id) => {
            let (staff, version) = first(found, |item| item.staff().filter(|staff| staff.id == *id))?;
            let mut staff = staff.clone();
            staff.devices.retain(|device| !gone(&device.id));
            (Item::Staff(staff), version)
        }
    };
    (!dead.is_empty()).then_some(Write { item, expect: Expect::Version(version) })
}

fn task_closed(found: &[Stored], message: &Message, now: Timestamp) -> Option<Write> {
    let about_it = |item: &Item| {
        let of_message = |id: &_| message.id == *id;
        item.task().is_some_and(|task| {
            task.kind == TaskKind::UnknownMessage
                && task.message_id.as_ref().is_some_and(of_message)
                && task.closed.is_none()
        })
    };
    let (task, version) = first(found, |item| item.task().filter(|_| about_it(item)))?;
    let mut task = task.clone();
    task.closed = Some(Closed { at: now, outcome: TaskOutcome::Settled });
    Some(Write { item: Item::Task(task), expect: Expect::Version(version) })
}
