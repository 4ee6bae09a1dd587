//! What is left when all is done, in lines that compare: without ids and instants that differ between a smooth run and a bumpy one.

use std::collections::BTreeMap;

use app::ports::Item;
use domain::booking::Booking;
use domain::campaign::Campaign;
use domain::client::Client;
use domain::conversation::Author;
use domain::message::{Message, MessageStatus};
use domain::occasion::{About, Occasion};
use domain::task::TaskKind;
use domain::webhook::Webhook;

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
        let names = names(state.items.values().map(|stored| &stored.item));
        let renamed = |line: String| {
            names.iter().fold(line, |line, (id, name)| {
                line.replace(&format!("\"{id}\""), &format!("\"{name}\""))
                    .replace(&format!("\\\"{id}\\\""), &format!("\\\"{name}\\\""))
                    .replace(&format!("booking {id},"), &format!("{name},"))
                    .replace(&format!("booking occasion:{id},"), &format!("{name},"))
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
                        paid: message.channel.sends_once(),
                        waits: waiting && state.has_timer(&format!("message-{}", message.id), message.due),
                        left: state.left_of(message),
                        uncertain: state.uncertain.contains(&message.id),
                    };
                    end.messages.insert(label(message), standing);
                }
                Item::Task(task) if task.kind != TaskKind::UnknownMessage => {
                    end.facts
                        .push(renamed(format!("task {:?} {:?} {:?}", task.kind, task.subject, task.text)));
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

/// A name for the id of everything that is made by the use cases, in an order that a repetition does not change.
fn names<'a>(items: impl Iterator<Item = &'a Item>) -> Vec<(String, String)> {
    let mut made: Vec<(String, String, &str)> = Vec::new();
    let mut series: Vec<(String, String, &str)> = Vec::new();
    for item in items {
        match item {
            Item::Booking(booking) => {
                let order = format!("{} {} {:?}", booking.business_id, booking.start, booking.client_ids);
                if let Some(of) = booking.series.as_ref().filter(|series| series.index == 0) {
                    series.push((order.clone(), of.id.to_string(), "series"));
                }
                made.push((order, booking.id.to_string(), "booking"));
            }
            Item::Occasion(occasion) => {
                let order = format!("{:?} {:?} {}", occasion.recipient, occasion.kind(), occasion.at);
                made.push((order, occasion.id.to_string(), "occasion"));
            }
            Item::WaitlistEntry(entry) => {
                let order = format!("{} {:?} {:?}", entry.client_id, entry.from, entry.resource_id);
                made.push((order, entry.id.to_string(), "place"));
            }
            _ => {}
        }
    }
    made.extend(series);
    made.sort();
    made.into_iter().enumerate().map(|(number, (_, id, kind))| (id, format!("{kind} {number}"))).collect()
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
            let failures: Vec<_> = booking.failures.iter().map(|failure| &failure.message_id).collect();
            let plain = Booking { history: vec![], failures: vec![], ..booking.clone() };
            format!("{plain:?} {history:?} {failures:?}")
        }
        Item::Occasion(occasion) => {
            let Occasion { about, recipient, location_id, by, notify, channels, withdrawn, .. } = occasion;
            let about = match about {
                About::WaitlistOffer { entry_id, resource_id, service_id, start, end, .. } => {
                    format!("offer {entry_id:?} {resource_id:?} {service_id:?} {start} {end}")
                }
                about => format!("{about:?}"),
            };
            format!(
                "occasion {:?} {about} {recipient:?} {location_id:?} {by:?} {notify:?} {channels:?} {withdrawn}",
                occasion.id
            )
        }
        Item::Answer(answer) => format!("answer {} {} {}", answer.key_hash, answer.request_hash, answer.etag),
        // The due time of a check follows from the booking's, which is compared.
        Item::Check(check) => format!("check {:?} {:?} {}", check.subject, check.kind, check.withdrawn),
        // What a client wrote has an id that follows from it, and its own time.
        Item::Entry(entry) if entry.from == Author::Staff => {
            format!(
                "answer to {:?} by {} {:?} {:?}",
                entry.client_id, entry.channel, entry.text, entry.occasion_id
            )
        }
        Item::TelegramInvitation(invitation) => format!("invitation of {:?}", invitation.client_id),
        Item::Client(client) => {
            let suppressed: Vec<_> =
                client.suppressions.iter().map(|known| (&known.address, known.cause)).collect();
            let erased = client.erased_at.is_some();
            let declined = client.unsubscribed_at.is_some();
            let plain =
                Client { suppressions: vec![], erased_at: None, unsubscribed_at: None, ..client.clone() };
            format!("{plain:?} {suppressed:?} {erased} {declined}")
        }
        Item::SuppressedAddress(address) => {
            format!("address {} {:?}", address.address_hash, address.standing.map(|(cause, _)| cause))
        }
        Item::Erasure(erasure) => {
            format!(
                "erasure of {:?}: {:?} {:?} {:?}",
                erasure.client_id, erasure.stage, erasure.after, erasure.chat
            )
        }
        Item::Campaign(campaign) => {
            let Campaign { id, status, rules_version, text, per_minute, .. } = campaign;
            let (after, found) = (&campaign.progress.after, campaign.progress.found);
            let next = campaign.next_page().is_some();
            format!(
                "campaign {id} {status:?} {rules_version} {text:?} {per_minute:?} {after:?} {found:?} {next}"
            )
        }
        // Ids and secrets are random; what a key is known by says the same of it as the list.
        Item::ApiKeys(keys) => {
            let shown = keys
                .keys
                .iter()
                .map(|key| (&key.name, &key.access, key.expires_at, key.revoked_at.is_some()));
            format!("API keys of {:?} {:?}", keys.business_id, shown.collect::<Vec<_>>())
        }
        Item::Credential(credential) => {
            let (key, rotated) = (&credential.key, credential.previous.is_some());
            let shown = (&key.name, &key.access, key.expires_at, key.revoked_at.is_some());
            format!("credential of {:?} {shown:?} {rotated}", credential.business_id)
        }
        // Ids and secrets are made anew by a repetition that nobody was answered.
        Item::Webhooks(webhooks) => {
            let shown = webhooks.webhooks.iter().map(|webhook| {
                let Webhook { url, types, secrets, revision, switched_off, .. } = webhook;
                let off = switched_off.map(|off| off.reason);
                format!("{url:?} {types:?} {} secrets r{revision} {off:?}", secrets.len())
            });
            format!("webhooks of {:?}: {:?}", webhooks.business_id, shown.collect::<Vec<_>>())
        }
        Item::WebhookDelivery(delivery) => {
            let results: Vec<_> = delivery.attempts.iter().map(|attempt| &attempt.result).collect();
            format!("delivery of {} {:?} {} {results:?}", delivery.kind, delivery.state, delivery.asked)
        }
        Item::LinkKeys(keys) => {
            let ids: Vec<u8> = keys.keys.iter().map(|key| key.id).collect();
            format!("link keys of {:?} {ids:?}", keys.business_id)
        }
        // Its id follows from the booking's, which is named here.
        Item::Review(review) => {
            format!(
                "review of {:?} by {:?} {:?} {:?}",
                review.booking_id, review.client_id, review.rating, review.text
            )
        }
        other => format!("{other:?}"),
    }
}
