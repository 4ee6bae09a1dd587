//! Looking whether a message of a cascade was seen to arrive in time. Where it was not, the next channel has its turn (S4).

use domain::ids::CheckId;
use domain::message::MessageStatus;
use jiff::Timestamp;

use crate::check_booking::Found;
use crate::load_facts::load_facts;
use crate::ports::{
    Due, Expect, Item, Key, PortError, Read, Refs, SetTimer, Write, WriteError, WriteFacts, WriteLedger,
    first,
};
use crate::settle::failed;

/// How often a run starts over because somebody changed the booking under it.
const TRIES: u32 = 5;

/// Does the check of a delivery that came `due`; its id is the message's. `now` is UTC.
pub(crate) async fn check_delivery(
    store: &(impl Read + WriteFacts + WriteLedger),
    timers: &impl SetTimer,
    (due, refs): (&Due, &Refs),
    check_id: &CheckId,
    now: Timestamp,
) -> Result<Found, PortError> {
    let message_id = check_id.as_str().parse().map_err(|_| PortError::Permanent {
        operation: "checking a delivery",
        source: "the check's id is no message id".into(),
    })?;
    let key = Key::Message(refs.business_id.clone(), refs.subject.clone(), message_id);
    for _ in 0..TRIES {
        let Some(loaded) = load_facts(store, refs, std::slice::from_ref(&key)).await? else {
            return Ok(Found::Nothing);
        };
        let Some((message, version)) = first(&loaded.along, Item::message) else { return Ok(Found::Nothing) };
        let at = match (message.status, message.undelivered_at) {
            (MessageStatus::Accepted, Some(at)) => at,
            _ => return Ok(Found::Nothing),
        };
        if at > now {
            timers.set_timer(&Due { at, ..due.clone() }).await?;
            return Ok(Found::TooEarly);
        }
        // The failure first: a row that no longer waits for its delivery has given way.
        let noted = match failed(&loaded.facts.subject, message, now) {
            Some(item) => {
                store.write_facts(vec![Write { item, expect: Expect::Version(loaded.version) }]).await
            }
            None => Ok(()),
        };
        let mut message = message.clone();
        message.undelivered_at = None;
        let done = match noted {
            Ok(()) => {
                let write = Write { item: Item::Message(message), expect: Expect::Version(version) };
                store.write_ledger(vec![write]).await
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => return Ok(Found::Undelivered),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error),
        }
    }
    Err(PortError::Retryable { operation: "checking a delivery", source: "the booking kept changing".into() })
}
