//! What is left when all is done, in lines that compare: without ids and instants that differ between a smooth run and a bumpy one.

use std::collections::BTreeMap;

use app::ports::Item;
use domain::booking::Booking;
use domain::message::{Message, MessageStatus};

use crate::world::World;

/// The world at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndState {
    /// Facts, attendance checks and tasks, one line each.
    pub facts: Vec<String>,
    /// Tasks for messages that may have left, by the message's label.
    pub unknown_tasks: Vec<String>,
    /// Messages by label.
    pub messages: BTreeMap<String, MessageState>,
}

/// How a message stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageState {
    /// Status and reason.
    pub status: String,
    /// Whether its channel is paid.
    pub paid: bool,
    /// Whether a timer is set for it.
    pub waits: bool,
    /// How often it left.
    pub left: usize,
    /// Whether nobody knew for a time whether it had left.
    pub uncertain: bool,
}

impl World {
    /// The world as it stands.
    pub fn end_state(&self) -> EndState {
        let state = self.state();
        let mut bookings: Vec<&Booking> = state
            .items
            .values()
            .filter_map(|stored| match &stored.item {
                Item::Booking(booking) => Some(booking),
                _ => None,
            })
            .collect();
        bookings
            .sort_by_key(|booking| (booking.business_id.clone(), booking.start, booking.client_ids.clone()));
        let renamed = |line: String| {
            bookings.iter().enumerate().fold(line, |line, (number, booking)| {
                line.replace(&format!("\"{}\"", booking.id), &format!("\"booking {number}\""))
                    .replace(&format!("\\\"{}\\\"", booking.id), &format!("\\\"booking {number}\\\""))
                    .replace(&format!("booking {},", booking.id), &format!("booking {number},"))
            })
        };
        let label = |message: &Message| renamed(crate::invariants::label(message));

        let mut end = EndState { facts: vec![], unknown_tasks: vec![], messages: BTreeMap::new() };
        for stored in state.items.values() {
            match &stored.item {
                Item::Message(message) => {
                    let waiting = matches!(message.status, MessageStatus::Planned | MessageStatus::Deferred);
                    let standing = MessageState {
                        status: format!("{:?} {:?}", message.status, message.reason),
                        paid: message.channel.is_paid(),
                        waits: waiting && state.has_timer(&format!("message-{}", message.id), message.due),
                        left: state.outbox.iter().filter(|sent| sent.message_id == message.id).count(),
                        uncertain: state.uncertain.contains(&message.id),
                    };
                    end.messages.insert(label(message), standing);
                }
                Item::Task(task) => match state.messages().find(|m| m.id.as_str() == task.id.as_str()) {
                    Some(message) => end.unknown_tasks.push(label(message)),
                    None => end.facts.push(renamed(format!("task {:?} {:?}", task.kind, task.subject))),
                },
                item => end.facts.push(renamed(line(item))),
            }
        }
        end.facts.sort();
        end.unknown_tasks.sort();
        end
    }
}

/// A fact without the instants at which things were done, which a repetition moves. A version tells how often something was written, which is
/// compared for what staff edits.
fn line(item: &Item) -> String {
    match item {
        Item::Booking(booking) => {
            let history: Vec<String> = booking
                .history
                .iter()
                .map(|event| {
                    format!("{:?} r{} by {:?} {:?}", event.kind, event.revision, event.by, event.notify)
                })
                .collect();
            let plain = Booking { history: vec![], ..booking.clone() };
            format!("{plain:?} {history:?}")
        }
        Item::Answer(answer) => format!("answer {} {} {}", answer.key_hash, answer.request_hash, answer.etag),
        // The due time of a check follows from the booking's, which is compared.
        Item::Check(check) => format!("check {:?} {:?} {}", check.subject, check.kind, check.withdrawn),
        Item::ApiKey(key) => format!("API key of {:?}", key.business_id),
        other => format!("{other:?}"),
    }
}
