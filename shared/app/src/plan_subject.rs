//! Making the messages that should exist for a booking or an occasion exist, and no others.
//!
//! The order is what makes it safe to die anywhere: timers are set before the rows they belong to are written, rows are written before
//! they are queued and timers are withdrawn.
//! - A timer without its row fires into nothing, and the next run sets it again.
//! - A row that stands as `queued` is queued by every run that sees it so; a second copy finds the message dealt with.
//! - A timer of a superseded row fires into nothing.
//!
//! Architecture invariant: a row that waits (`planned`, `deferred`) has a timer set for its time.

use std::collections::BTreeMap;

use domain::booking::Booking;
use domain::facts::Subject;
use domain::ids::{CheckId, ClientId, MessageId};
use domain::message::{CheckRow, Message, MessageStatus};
use domain::plan::plan;
use domain::recipient::Recipient;
use domain::reconcile::{Difference, QUEUED_AHEAD, reconcile, unreachable};
use domain::subject::SubjectId;
use domain::task::{Task, TaskKind};
use futures::future::try_join_all;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::load_facts::load_facts;
use crate::once::write_unless_there;
use crate::ports::{
    CancelTimer, Due, DueWhat, Enqueue, Expect, Item, PortError, Read, ReadLedger, Refs, SetTimer, Stored,
    Write, WriteError, WriteFacts, WriteLedger,
};

/// How often a run starts over because a delivery changed the ledger under it.
const TRIES: u32 = 5;

/// The most rows one transaction takes. <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const ROWS: usize = 100;

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Planned {
    /// Messages and checks that came to be, moved, or were withdrawn.
    pub changed: usize,
    /// Messages among them that are to leave, now or later.
    pub to_leave: usize,
    /// Messages put into their queues.
    pub queued: usize,
}

/// Plans what `refs` names, as it is now. `now` (UTC) is the later of the clock and the event's own time.
pub async fn plan_subject(
    store: &(impl Read + ReadLedger + WriteLedger + WriteFacts),
    timers: &(impl SetTimer + CancelTimer),
    queues: &impl Enqueue,
    refs: &Refs,
    now: Timestamp,
) -> Result<Planned, PortError> {
    for _ in 0..TRIES {
        // The ledger first, the facts second: no run withdraws, on older facts, what a newer one has planned. A row that changes in between
        // refuses the write by its version.
        let ledger = Ledger::new(store.ledger_of(&refs.business_id, &refs.subject).await?);
        let Some(loaded) = load_facts(store, refs, &[]).await? else {
            return Ok(Planned::default());
        };
        let facts = &loaded.facts;
        let refs = Refs::from(facts);
        let now = match &facts.subject {
            Subject::Booking(booking) => booking.history.last().map_or(now, |event| now.max(event.at)),
            Subject::Occasion(occasion, _) => now.max(occasion.at),
        };
        let difference = reconcile(facts, &plan(facts, now), &ledger.messages, &ledger.checks, now);

        // The task first: once the rows stand, no run comes to it again.
        if let Some(booking) = facts.booking().filter(|booking| booking.status.is_ahead()) {
            for client_id in unreachable(&difference, &ledger.messages) {
                write_unless_there(store, Item::Task(call_task(booking, client_id, now)?)).await?;
            }
        }
        set_timers(timers, queues, &refs, &difference, now).await?;
        match write_rows(store, &ledger, &difference).await {
            Ok(()) => {}
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error),
        }
        let (queued, ()) = futures::try_join!(
            queue(queues, &refs, &ledger, &difference, now),
            cancel_timers(timers, &refs, &ledger, &difference)
        )?;
        let to_leave = difference.messages.iter().filter(|message| leaves(message)).count();
        return Ok(Planned {
            changed: difference.messages.len() + difference.checks.len(),
            to_leave,
            queued,
        });
    }
    Err(PortError::Retryable { operation: "planning", source: "the ledger kept changing".into() })
}

/// The task to call a client whom no message about a booking reaches: one for each booking and client.
fn call_task(booking: &Booking, client_id: ClientId, since: Timestamp) -> Result<Task, PortError> {
    let hash = hex::encode(&Sha256::digest(format!("unreachable {} {client_id}", booking.id))[..16]);
    Ok(Task {
        business_id: booking.business_id.clone(),
        id: hash.parse().map_err(|_| PortError::Permanent {
            operation: "making a task",
            source: "a hash is no task id".into(),
        })?,
        kind: TaskKind::UnreachableClient,
        subject: Some(SubjectId::Booking(booking.id.clone())),
        client_ids: vec![client_id],
        since,
        assignee: None,
        message_id: None,
        text: None,
        links: Vec::new(),
        closed: None,
    })
}

/// The rows of one subject.
struct Ledger {
    messages: Vec<Message>,
    checks: Vec<CheckRow>,
    message_versions: BTreeMap<MessageId, u64>,
    check_versions: BTreeMap<CheckId, u64>,
}

impl Ledger {
    fn new(rows: Vec<Stored>) -> Self {
        let mut ledger = Self {
            messages: vec![],
            checks: vec![],
            message_versions: BTreeMap::new(),
            check_versions: BTreeMap::new(),
        };
        for Stored { item, version } in rows {
            match item {
                Item::Message(message) => {
                    ledger.message_versions.insert(message.id.clone(), version);
                    ledger.messages.push(message);
                }
                Item::Check(check) => {
                    ledger.check_versions.insert(check.id.clone(), version);
                    ledger.checks.push(check);
                }
                _ => {}
            }
        }
        ledger
    }

    fn before(&self, id: &MessageId) -> Option<&Message> {
        self.messages.iter().find(|message| &message.id == id)
    }
}

/// Whether a message waits for a timer.
pub(crate) fn waits(message: &Message) -> bool {
    matches!(message.status, MessageStatus::Planned | MessageStatus::Deferred)
}

/// Whether a message is still to leave.
fn leaves(message: &Message) -> bool {
    waits(message) || message.status == MessageStatus::Queued
}

/// What brings a message: into its queue, at its time.
pub(crate) fn due_of(message: &Message, refs: &Refs) -> Due {
    let what = DueWhat::Message {
        message_id: message.id.clone(),
        channel: message.channel,
        kind: message.kind,
        refs: refs.clone(),
    };
    Due { what, at: message.due }
}

/// What brings a check.
pub(crate) fn due_of_check(check: &CheckRow, refs: &Refs) -> Due {
    let what = DueWhat::Check { check_id: check.id.clone(), kind: check.kind, refs: refs.clone() };
    Due { what, at: check.due }
}

async fn set_timers(
    timers: &impl SetTimer,
    queues: &impl Enqueue,
    refs: &Refs,
    difference: &Difference,
    now: Timestamp,
) -> Result<(), PortError> {
    let messages =
        difference.messages.iter().filter(|message| waits(message)).map(|message| due_of(message, refs));
    let checks =
        difference.checks.iter().filter(|check| !check.withdrawn).map(|check| due_of_check(check, refs));
    try_join_all(messages.chain(checks).map(|due| async move {
        if due.at <= now + QUEUED_AHEAD {
            enqueue(queues, due, now).await
        } else {
            timers.set_timer(&due).await.map(|_| ())
        }
    }))
    .await
    .map(|_| ())
}

fn recipient_of(write: &Write) -> Option<&Recipient> {
    write.item.message().map(|message| &message.recipient)
}

/// Cuts rows sorted by recipient into transactions, between recipients where they fit.
fn parts(writes: &[Write]) -> Vec<&[Write]> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut next = 0;
    for rows in writes.chunk_by(|one, other| recipient_of(one) == recipient_of(other)) {
        if next > start && next + rows.len() - start > ROWS {
            parts.push(&writes[start..next]);
            start = next;
        }
        next += rows.len();
    }
    parts.push(&writes[start..next]);
    parts.into_iter().flat_map(|part| part.chunks(ROWS)).collect()
}

/// Queues what is due now or within [`QUEUED_AHEAD`].
pub(crate) async fn enqueue(queues: &impl Enqueue, due: Due, now: Timestamp) -> Result<(), PortError> {
    let delay = due.at.duration_since(now).as_secs();
    queues.enqueue(&Due { at: due.at.max(now), ..due }, u32::try_from(delay).unwrap_or(0)).await
}

async fn write_rows(
    store: &impl WriteLedger,
    ledger: &Ledger,
    difference: &Difference,
) -> Result<(), WriteError> {
    let expect = |version: Option<&u64>| version.map_or(Expect::Absent, |version| Expect::Version(*version));
    let messages = difference.messages.iter().map(|message| Write {
        expect: expect(ledger.message_versions.get(&message.id)),
        item: Item::Message(message.clone()),
    });
    let checks = difference.checks.iter().map(|check| Write {
        expect: expect(ledger.check_versions.get(&check.id)),
        item: Item::Check(check.clone()),
    });
    let mut writes: Vec<Write> = messages.chain(checks).collect();
    // All rows of a recipient go into one transaction: a row that is missing beside others was not owed when they were written.
    writes.sort_by(|one, other| recipient_of(one).cmp(&recipient_of(other)));
    for part in parts(&writes) {
        store.write_ledger(part.to_vec()).await?;
    }
    Ok(())
}

async fn queue(
    queues: &impl Enqueue,
    refs: &Refs,
    ledger: &Ledger,
    difference: &Difference,
    now: Timestamp,
) -> Result<usize, PortError> {
    let find = |id: &MessageId| {
        difference.messages.iter().find(|message| &message.id == id).or_else(|| ledger.before(id))
    };
    let due = difference.to_queue.iter().filter_map(find).map(|message| due_of(message, refs));
    try_join_all(due.map(|due| enqueue(queues, due, now))).await.map(|done| done.len())
}

/// Withdraws the timers of rows that wait no longer, or wait for another time.
async fn cancel_timers(
    timers: &impl CancelTimer,
    refs: &Refs,
    ledger: &Ledger,
    difference: &Difference,
) -> Result<(), PortError> {
    let messages = difference.messages.iter().filter_map(|after| {
        let before = ledger.before(&after.id).filter(|before| waits(before))?;
        (!waits(after) || after.due != before.due).then(|| due_of(before, refs))
    });
    let checks = difference.checks.iter().filter_map(|after| {
        let before = ledger.checks.iter().find(|before| before.id == after.id && !before.withdrawn)?;
        (after.withdrawn || after.due != before.due).then(|| due_of_check(before, refs))
    });
    try_join_all(messages.chain(checks).map(|due| async move { timers.cancel_timer(&due).await }))
        .await
        .map(|_| ())
}
