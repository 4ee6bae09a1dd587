//! Looking at a booking or an offer when a check comes due, and writing down what was found as a fact. The stream does the rest.

use domain::booking::{Notify, Operation, Source};
use domain::message::CheckKind;
use domain::plan::check_due;
use domain::subject::SubjectId;
use domain::task::{Task, TaskKind};
use jiff::Timestamp;

use crate::change_booking::writes_of;
use crate::check_delivery::check_delivery;
use crate::load_facts::load_facts;
use crate::offer_slot::end_offer;
use crate::ports::{
    ClientBookings, Due, DueWhat, Expect, Item, List, PortError, Read, SetTimer, Write, WriteError,
    WriteFacts, WriteLedger,
};

/// How often a run starts over because somebody changed the booking under it.
const TRIES: u32 = 5;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The client should be there and is not: written down, with a task for staff.
    Late,
    /// The client never came: written down.
    NoShow,
    /// The client has not confirmed: written down, with a task for staff.
    Unconfirmed,
    /// The client did not take the time that was offered: the next in turn has it, or nobody.
    OfferEnded,
    /// A message of a cascade was not seen to arrive: the next channel has its turn.
    Undelivered,
    /// Not yet: it will come again.
    TooEarly,
    /// Nothing to write: the client came, the visit is off, or it was found before.
    Nothing,
}

/// Does the check that came `due`. `wall` is the clock's time (UTC).
pub async fn check_booking(
    store: &(impl Read + List + WriteFacts + WriteLedger + ClientBookings),
    timers: &impl SetTimer,
    due: &Due,
    wall: Timestamp,
) -> Result<Found, PortError> {
    let DueWhat::Check { kind, check_id, refs } = &due.what else {
        return Err(PortError::Permanent {
            operation: "checking a booking",
            source: "something other than a check came into the check queue".into(),
        });
    };
    let now = wall.max(due.at);
    if *kind == CheckKind::Undelivered {
        return check_delivery(store, timers, (due, refs), check_id, now).await;
    }
    if let SubjectId::Occasion(id) = &refs.subject {
        let ended = end_offer(store, (&refs.business_id, id), now).await?;
        return Ok(if ended { Found::OfferEnded } else { Found::Nothing });
    }
    for _ in 0..TRIES {
        let Some(loaded) = load_facts(store, refs, &[]).await? else {
            return Ok(Found::Nothing);
        };
        let (Some(booking), Some(at)) = (loaded.facts.booking(), check_due(&loaded.facts, *kind)) else {
            return Ok(Found::Nothing);
        };
        if at > now {
            // The rule has come to give more time. A visit that moved has a check of its own, which does no harm beside this one.
            timers.set_timer(&Due { at, ..due.clone() }).await?;
            return Ok(Found::TooEarly);
        }
        let (operation, found) = match kind {
            CheckKind::Late => (Operation::RunLate, Found::Late),
            CheckKind::NoShow => (Operation::NoShow, Found::NoShow),
            CheckKind::Unconfirmed => (Operation::StayUnconfirmed, Found::Unconfirmed),
            CheckKind::OfferEnds | CheckKind::Undelivered => return Ok(Found::Nothing),
        };
        let task = match found {
            Found::Late => Some(TaskKind::RunningLate),
            Found::Unconfirmed => Some(TaskKind::Unconfirmed),
            _ => None,
        };
        let Ok(after) = booking.after(operation, now, Source::System, Notify::ByRules) else {
            return Ok(Found::Nothing);
        };
        let mut writes = writes_of(booking, &after, loaded.version);
        if let Some(kind) = task {
            let task = Task {
                business_id: booking.business_id.clone(),
                id: check_id.as_str().parse().map_err(|_| PortError::Permanent {
                    operation: "making a task",
                    source: "the check's id is no task id".into(),
                })?,
                kind,
                subject: Some(loaded.facts.subject_id()),
                client_ids: booking.client_ids.clone(),
                since: now,
                assignee: None,
                message_id: None,
                text: None,
                links: Vec::new(),
                closed: None,
            };
            writes.push(Write { item: Item::Task(task), expect: Expect::Any });
        }
        match store.write_facts(writes).await {
            Ok(()) => return Ok(found),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error),
        }
    }
    Err(PortError::Retryable { operation: "checking a booking", source: "the booking kept changing".into() })
}
