//! What follows from how a message ended, for the booking, the client and the tasks. Written after the row, and again by whoever finds the row so:
//! each step finds out by itself whether it was done.

use domain::booking::{Booking, Failure};
use domain::channel::Channel;
use domain::client::{Cause, Client, Suppression};
use domain::facts::{Facts, Subject};
use domain::ids::DeviceId;
use domain::message::{CheckKind, Message, MessageStatus, Reason};
use domain::notification_type::NotificationType;
use domain::recipient::Recipient;
use domain::rule::Strategy;
use domain::task::{Closed, Task, TaskKind, TaskOutcome};
use jiff::Timestamp;

use crate::edit_client::remembered;
use crate::load_facts::Loaded;
use crate::once::write_unless_there;
use crate::ports::{
    Due, DueWhat, Expect, Item, PortError, Read, Refs, SetTimer, Stored, Write, WriteError, WriteFacts, first,
};

/// Makes what follows from a message's status, and from a report that is a `cause` to suppress its address, stand at `now` (UTC):
/// - a client who got a request to confirm was asked;
/// - what failed for certain lets a cascade go on; what may still arrive lets it go on when its time is over;
/// - an address that does not exist, or whose owner has opted out, is suppressed;
/// - what failed and has no channel after it is a task for staff;
/// - a task about a message of which nothing was known is closed once it has arrived, or another channel stands in for it.
pub(crate) async fn settle(
    store: &(impl Read + WriteFacts),
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
        writes.extend(suppressed(&loaded.along, message, cause, now).into_iter().flatten());
    }
    let known_task = first(&loaded.along, |item| item.task().filter(|task| is_about(task, message)));
    let for_staff = is_for_staff(&loaded.facts, message);
    match known_task {
        Some((task, version)) => writes.extend(
            task_after(task, message, for_staff, now)
                .map(|after| Write { item: Item::Task(after), expect: Expect::Version(version) }),
        ),
        None if for_staff => {
            let task = message_task(message, TaskKind::FailedMessage, now)?;
            write_unless_there(store, Item::Task(task)).await?;
        }
        None => {}
    }
    if writes.is_empty() { Ok(()) } else { store.write_facts(writes).await }
}

/// A task about a message, since `since` (UTC). Its id is the message's: there is one at a time.
pub(crate) fn message_task(message: &Message, kind: TaskKind, since: Timestamp) -> Result<Task, PortError> {
    Ok(Task {
        business_id: message.business_id.clone(),
        id: message.id.as_str().parse().map_err(|_| PortError::Permanent {
            operation: "making a task",
            source: "the message's id is no task id".into(),
        })?,
        kind,
        subject: Some(message.subject.clone()),
        client_ids: message.recipient.client().cloned().into_iter().collect(),
        since,
        assignee: None,
        message_id: Some(message.id.clone()),
        text: None,
        links: Vec::new(),
        closed: None,
    })
}

fn is_about(task: &Task, message: &Message) -> bool {
    let kind = matches!(task.kind, TaskKind::UnknownMessage | TaskKind::FailedMessage);
    kind && task.message_id.as_ref() == Some(&message.id)
}

/// Whether a message has failed with nothing to stand in for it. Of several channels that carry the same, push is not missed: whoever has taken the
/// app off the phone is told at the other addresses. Marketing is owed to nobody, and what staff sends by hand is staff's to know.
fn is_for_staff(facts: &Facts, message: &Message) -> bool {
    if message.status != MessageStatus::Failed
        || message.kind.is_marketing()
        || message.channel == Channel::Assisted
    {
        return false;
    }
    let rule = facts.rule(message.kind);
    let step = rule.steps.iter().find(|step| step.timing == message.step);
    let channels = step.map_or(&[][..], |step| &step.channels);
    match rule.strategy {
        Strategy::Cascade => channels.last().is_none_or(|last| *last == message.channel),
        Strategy::All => {
            let person = facts.person(&message.recipient);
            let reached = |channel: &Channel| person.is_some_and(|person| person.address(*channel).is_some());
            message.channel != Channel::Push || !channels.iter().any(reached)
        }
    }
}

/// What becomes of an open task about a message, if anything does.
fn task_after(task: &Task, message: &Message, for_staff: bool, now: Timestamp) -> Option<Task> {
    let open = Some(task).filter(|task| task.closed.is_none())?;
    match message.status {
        MessageStatus::Failed if for_staff => {
            let after = Task { kind: TaskKind::FailedMessage, ..open.clone() };
            (after != *open).then_some(after)
        }
        MessageStatus::Delivered | MessageStatus::Read | MessageStatus::Failed => {
            Some(Task { closed: Some(Closed { at: now, outcome: TaskOutcome::Settled }), ..open.clone() })
        }
        _ => None,
    }
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
fn suppressed(
    found: &[Stored],
    message: &Message,
    cause: Cause,
    now: Timestamp,
) -> Option<impl Iterator<Item = Write>> {
    let address = message.address.clone()?;
    let id = message.recipient.client()?;
    let (client, version) = first(found, |item| item.known_client().filter(|client| client.id == *id))?;
    let after = with_suppression(client, Suppression { address, cause, since: now })?;
    let remembered = remembered(client, &after);
    let write = Write { item: Item::Client(after), expect: Expect::Version(version) };
    Some(remembered.into_iter().chain([write]))
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
