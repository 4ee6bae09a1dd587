//! What must hold after every single call, whatever has failed or died.

use app::ports::{Due, DueWhat, Item, Key};
use domain::booking::Status;
use domain::ids::BookingId;
use domain::message::{Message, MessageStatus};
use domain::notification_type::NotificationType;
use domain::occasion::{About, Occasion};
use domain::rule::{Ending, Rules};
use domain::subject::SubjectId;
use domain::waitlist::{WaitlistEntry, WaitlistStatus};

use crate::world::{Changed, State, World};

/// Checks the state and notes what does not hold.
pub(crate) fn check(state: &mut State) {
    let mut found = Vec::new();
    left_at_most_once(state, &mut found);
    if !state.losses {
        nobody_is_forgotten(state, &mut found);
    }
    for violation in found {
        if !state.violations.contains(&violation) {
            state.violations.push(violation);
        }
    }
}

/// No sms leaves twice; e-mail and push only while nobody knows whether they left before.
fn left_at_most_once(state: &State, found: &mut Vec<String>) {
    for (id, times) in state.left.iter().filter(|(_, times)| **times > 1) {
        let Some(message) = state.message(id) else { continue };
        if message.channel.sends_once() || !state.uncertain.contains(id) {
            found.push(format!("{} left {times} times", label(message)));
        }
    }
}

/// A row that waits has a timer or a copy in the queue; one under way has a copy in the queue, or a stream record that will put one there.
fn nobody_is_forgotten(state: &State, found: &mut Vec<String>) {
    for message in state.messages() {
        let is_it =
            |due: &Due| matches!(&due.what, DueWhat::Message { message_id, .. } if message_id == &message.id);
        let queued = || state.queue.iter().any(|copy| is_it(&copy.due));
        let timer = || state.timers.values().any(is_it);
        let planned_again = || {
            state
                .stream
                .iter()
                .any(|changed| matches!(changed, Changed::Subject(refs) if refs.subject == message.subject))
        };
        let cared_for = match message.status {
            MessageStatus::Planned | MessageStatus::Deferred => timer() || queued(),
            MessageStatus::Queued => queued() || planned_again(),
            MessageStatus::Sending => queued(),
            _ => true,
        };
        if !cared_for {
            found.push(format!("{} is {:?}, and nothing will bring it", label(message), message.status));
        }
    }
}

/// A cancelled booking's client hears of the cancellation, and is invited again where the rule says so. Asked at the moment `message` leaves.
pub(crate) fn check_leaving(state: &mut State, message: &Message) {
    let SubjectId::Booking(booking_id) = &message.subject else { return };
    let key = Key::Booking(message.business_id.clone(), booking_id.clone());
    let Some(Item::Booking(booking)) = state.items.get(&key).map(|stored| &stored.item) else { return };
    let about_that = match message.kind {
        NotificationType::BookingCancelled | NotificationType::StaffBookingCancelled => true,
        NotificationType::NoShowRecovery => {
            let key = Key::RulesVersion(booking.business_id.clone(), booking.rules_version);
            let rules = match state.items.get(&key).map(|stored| &stored.item) {
                Some(Item::RulesVersion(rules)) => rules.clone(),
                _ => Rules::defaults(message.business_id.clone()),
            };
            rules.of(message.kind).after.contains(&Ending::Cancelled)
        }
        _ => false,
    };
    let cancelled = booking.status == Status::Cancelled;
    if cancelled && !about_that && !state.cancelled_under_way {
        state.violations.push(format!("{} left for a cancelled booking", label(message)));
    }
}

/// A message as a reader of a failed test knows it.
pub(crate) fn label(message: &Message) -> String {
    let Message { kind, step, channel, recipient, revision, subject, .. } = message;
    format!("{kind} {step} by {channel} to {recipient} (booking {subject}, revision {revision})")
}

impl World {
    /// Panics with everything that did not hold after some call.
    pub fn assert_sound(&self) {
        let state = self.state();
        assert!(state.violations.is_empty(), "violated:\n{}", state.violations.join("\n"));
    }

    /// Panics unless every waiting row's timer is set for the row's own time. Holds when nothing is under way.
    pub fn assert_at_rest(&self) {
        self.assert_sound();
        self.assert_holds_agree();
        let state = self.state();
        assert!(state.stream.is_empty(), "a stream record is still to be dealt with");
        for message in state.messages() {
            if matches!(message.status, MessageStatus::Planned | MessageStatus::Deferred) {
                let set = state.has_timer(&format!("message-{}", message.id), message.due);
                let queued = state.queue.iter().any(|copy| {
                    matches!(&copy.due.what, DueWhat::Message { message_id, .. } if message_id == &message.id)
                });
                assert!(
                    set || queued,
                    "{} is due {}, and no timer is set to that",
                    label(message),
                    message.due
                );
            }
        }
        for stored in state.items.values() {
            if let Item::Check(check) = &stored.item
                && !check.withdrawn
                && check.due > state.wall
            {
                let set = state.has_timer(&format!("check-{}", check.id), check.due);
                let queued = state.queue.iter().any(
                    |copy| matches!(&copy.due.what, DueWhat::Check { check_id, .. } if check_id == &check.id),
                );
                assert!(set || queued, "a check is due {}, and no timer is set to that", check.due);
            }
        }
    }

    /// Panics unless the resource's days hold every booking that is ahead and every offer that is out, and nothing else but what was.
    pub fn assert_holds_agree(&self) {
        let state = self.state();
        let holds: Vec<&BookingId> = state
            .items
            .values()
            .filter_map(|stored| match &stored.item {
                Item::ResourceDay(day) => Some(day.slots.iter().map(|slot| &slot.booking_id)),
                _ => None,
            })
            .flatten()
            .collect();
        let mut known = Vec::new();
        for stored in state.items.values() {
            if let Item::Booking(booking) = &stored.item {
                let held = holds.contains(&&booking.id);
                assert!(held || !booking.status.is_ahead(), "{} holds nothing", booking.id);
                assert!(!held || booking.status != Status::Cancelled, "{} still holds", booking.id);
                known.push(booking.id.to_string());
            }
            if let Item::Occasion(Occasion { id, withdrawn, about: About::WaitlistOffer { .. }, .. }) =
                &stored.item
            {
                let held = holds.iter().any(|hold| hold.as_str() == id.as_str());
                assert_ne!(held, *withdrawn, "an offer holds its time for as long as it is out: {id}");
                let place = |entry: &WaitlistEntry| entry.offer.as_ref() == Some(id);
                let offered = state.items.values().filter_map(|stored| stored.item.waitlist_entry());
                let mut places = offered.filter(|entry| place(entry));
                let status = places.next().map(|entry| entry.status);
                assert_eq!(
                    status == Some(WaitlistStatus::Offered),
                    !withdrawn,
                    "the place of {id} is {status:?}"
                );
                assert!(places.next().is_none(), "{id} was made to two");
                known.push(id.to_string());
            }
        }
        let nobody = holds.iter().find(|hold| !known.iter().any(|id| id == hold.as_str()));
        assert!(nobody.is_none(), "{nobody:?} holds a time and is nobody");
    }

    /// Panics unless all is over: nothing waits, and what the ledger says has left is what left.
    pub fn assert_all_over(&self) {
        self.assert_at_rest();
        let state = self.state();
        assert!(state.queue.is_empty() && state.timers.is_empty(), "something is still under way");
        for message in state.messages() {
            let left = state.left_of(message);
            let uncertain = state.uncertain.contains(&message.id);
            let agrees = match message.status {
                MessageStatus::Accepted | MessageStatus::Delivered | MessageStatus::Read => {
                    left == 1 || (left > 1 && uncertain)
                }
                MessageStatus::Unknown => uncertain && (left <= 1 || !message.channel.sends_once()),
                // Sent perhaps, then put off by quiet hours, then no longer owed: the row tells of an attempt, and no more.
                MessageStatus::Suppressed | MessageStatus::Superseded if message.attempts > 0 => {
                    left == 0 || (uncertain && message.channel.keeps_quiet_hours())
                }
                // The provider took it and reported later that it did not arrive.
                MessageStatus::Failed if message.sent_at.is_some() => left == 1 || (left > 1 && uncertain),
                MessageStatus::Suppressed | MessageStatus::Superseded | MessageStatus::Failed => left == 0,
                _ => false,
            };
            assert!(agrees, "{} is {:?} and left {left} times", label(message), message.status);
        }
    }
}
