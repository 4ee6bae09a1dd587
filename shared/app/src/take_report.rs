//! Taking what a provider reports of a message: its status moves up, and what follows from it is written down.

use domain::channel::Channel;
use domain::feedback::{Report, reported};
use domain::message::{Message, MessageStatus};
use jiff::{SignedDuration, Timestamp};

use crate::load_facts::load_facts;
use crate::ports::{
    Expect, FindMessage, Item, Key, MessageRef, PortError, Read, Refs, SetTimer, Write, WriteError,
    WriteFacts, WriteLedger, first,
};
use crate::settle::settle;

/// How often a run starts over because the row changed under it.
const TRIES: u32 = 5;

/// For how long after a report its message may still be on its way into the ledger's index.
pub(crate) const FOUND_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Which message a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AboutMessage {
    /// The one we named when we handed it over.
    Named(MessageRef),
    /// The one that the provider of the channel calls so.
    Called(Channel, String),
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It said something new.
    Noted,
    /// It was known.
    Known,
    /// The message is not ours, or is forgotten.
    Stranger,
    /// Not now: the message is still being handed over, or cannot be found yet.
    Again,
}

/// Takes a report of `at` about a message, at `now` (both UTC).
pub async fn take_report(
    store: &(impl Read + WriteLedger + WriteFacts + FindMessage),
    timers: &impl SetTimer,
    about: &AboutMessage,
    report: Report,
    at: Timestamp,
    now: Timestamp,
) -> Result<Taken, PortError> {
    let message_ref = match about {
        AboutMessage::Named(message_ref) => message_ref.clone(),
        AboutMessage::Called(channel, id) => match store.message_with(*channel, id).await? {
            Some(message_ref) => message_ref,
            None if now < at + FOUND_WITHIN => return Ok(Taken::Again),
            None => return Ok(Taken::Stranger),
        },
    };
    let MessageRef { business_id, subject, message_id } = &message_ref;
    let mut along = vec![Key::Message(business_id.clone(), subject.clone(), message_id.clone())];
    // A task about the message has its id.
    along.extend(message_id.as_str().parse().ok().map(|id| Key::Task(business_id.clone(), id)));
    let refs = Refs::of(business_id.clone(), subject.clone());
    for _ in 0..TRIES {
        let Some(loaded) = load_facts(store, &refs, &along).await? else { return Ok(Taken::Stranger) };
        let Some((message, version)) = first(&loaded.along, Item::message) else {
            return Ok(Taken::Stranger);
        };
        if being_sent(message, now) {
            return Ok(Taken::Again);
        }
        let after = reported(message, report, at);
        let done = match &after {
            Some(after) => {
                let write = Write { item: Item::Message(after.clone()), expect: Expect::Version(version) };
                store.write_ledger(vec![write]).await
            }
            None => Ok(()),
        };
        let message = after.as_ref().unwrap_or(message);
        let done = match done {
            Ok(()) => settle(store, timers, &loaded, message, report.suppresses(), now).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => return Ok(if after.is_some() { Taken::Noted } else { Taken::Known }),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error),
        }
    }
    Err(PortError::Retryable { operation: "taking a report", source: "the message kept changing".into() })
}

/// Whether the invocation that hands the message over can still be at work: it writes its own end of it first.
fn being_sent(message: &Message, now: Timestamp) -> bool {
    message.status == MessageStatus::Sending && message.lease.as_ref().is_some_and(|lease| now < lease.until)
}
