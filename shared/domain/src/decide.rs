//! Deciding: whether a message that has come due may leave, on the facts of this moment.

use jiff::Timestamp;

use crate::facts::Facts;
use crate::ids::MessageId;
use crate::message::Reason;
use crate::notification_type::NotificationType;
use crate::plan::{Outcome, candidates, judge, quiet_window};
use crate::rule::QuietPolicy;
use crate::trace::{Check, Trace, Verdict};

/// What to do with a message that has come due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Hand it to the provider now.
    Send,
    /// Not yet: bring it again at this instant (UTC).
    Defer(Timestamp),
    /// Do not send it.
    Suppress(Reason),
}

/// Whether a message's answer depends on the client's other bookings, so that the caller has to look them up.
pub fn asks_for_future_booking(kind: NotificationType) -> bool {
    kind == NotificationType::NoShowRecovery
}

/// Decides about the message `id` at `now` (UTC). `future_booking`: whether the client has another visit ahead; only asked
/// for types of which [`asks_for_future_booking`] says so.
pub fn decide(facts: &Facts, id: &MessageId, future_booking: bool, now: Timestamp) -> (Decision, Trace) {
    let Some(candidate) =
        candidates(facts).into_iter().find(|candidate| candidate.id(facts).as_ref() == Some(id))
    else {
        let mut trace = Trace::new(now, facts.rules.version);
        let booking = &facts.booking;
        let because = format!(
            "the booking is {}, revision {}, and no longer calls for it",
            booking.status.name(),
            booking.revision
        );
        trace.note(Check::Owed, Verdict::Suppress, because);
        return (Decision::Suppress(Reason::NotOwed), trace);
    };
    let (outcome, mut trace) = judge(facts, &candidate);
    trace.at = now;
    let due = match outcome {
        Outcome::Withheld(reason, _) => return (Decision::Suppress(reason), trace),
        Outcome::Leaves(due) | Outcome::Deferred(due) => due,
    };
    if due > now {
        return (Decision::Defer(due), trace);
    }
    if asks_for_future_booking(candidate.kind) {
        let verdict = if future_booking { Verdict::Suppress } else { Verdict::Pass };
        trace.note(Check::FutureBooking, verdict, if future_booking { "has one" } else { "has none" });
        if future_booking {
            return (Decision::Suppress(Reason::FutureBooking), trace);
        }
    }
    if let Some(not_after) = candidate.not_after.filter(|not_after| *not_after <= now) {
        trace.note(Check::UseBy, Verdict::Suppress, format!("of use until {not_after}, now is {now}"));
        return (Decision::Suppress(Reason::TooLate), trace);
    }
    // It was due outside quiet hours; has it been held up into them?
    if candidate.quiet != QuietPolicy::Send
        && let Some(window) = quiet_window(facts, &candidate, now)
    {
        let ends = window.ends;
        let because = format!("{now} is within quiet hours {} to {ends}", window.opens);
        if candidate.not_after.is_none_or(|not_after| ends < not_after) {
            trace.note(Check::QuietHours, Verdict::Move, because);
            return (Decision::Defer(ends), trace);
        }
        trace.note(Check::QuietHours, Verdict::Suppress, because);
        return (Decision::Suppress(Reason::QuietHours), trace);
    }
    (Decision::Send, trace)
}
