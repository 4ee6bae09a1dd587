//! Deciding: whether a message that has come due may leave, on the facts of this moment.

use jiff::Timestamp;

use crate::facts::Facts;
use crate::message::{Message, Reason};
use crate::notification_type::NotificationType;
use crate::plan::{Candidate, Outcome, candidates, judge, quiet_window};
use crate::quiet_hours::Window;
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
    matches!(kind, NotificationType::NoShowRecovery | NotificationType::RebookingReminder)
}

/// Decides about a message at `now` (UTC). `future_booking`: whether the client has another visit ahead; only asked for types of
/// which [`asks_for_future_booking`] says so.
pub fn decide(facts: &Facts, message: &Message, future_booking: bool, now: Timestamp) -> (Decision, Trace) {
    let subject = facts.subject_id();
    let of_message =
        |candidate: &Candidate| candidate.is_like(message) && candidate.id(facts, &subject) == message.id;
    let candidate = candidates(facts).into_iter().find(of_message);
    let Some(candidate) = candidate else {
        let mut trace = Trace::new(now, facts.rules.version);
        let because = match facts.booking() {
            _ if message.recipient.client().is_some_and(|id| facts.is_erased(id)) => {
                "the client was erased".to_owned()
            }
            Some(booking) => {
                let (status, revision) = (booking.status.name(), booking.revision);
                format!("the booking is {status}, revision {revision}, and no longer calls for it")
            }
            None if facts.campaign.is_some() => "the campaign was called off".to_owned(),
            None => "it was withdrawn".to_owned(),
        };
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
    // It was due outside quiet hours, or in them as the rule allows; has it been held up into them?
    let Some(Window { opens, ends }) = quiet_window(facts, &candidate, now) else {
        return (Decision::Send, trace);
    };
    let because = format!("{now} is within quiet hours {opens} to {ends}");
    let (decision, verdict) = match candidate.quiet {
        _ if candidate.not_after.is_none_or(|not_after| ends < not_after) => {
            (Decision::Defer(ends), Verdict::Move)
        }
        QuietPolicy::Send => (Decision::Send, Verdict::Pass),
        QuietPolicy::Advance | QuietPolicy::Drop => {
            (Decision::Suppress(Reason::QuietHours), Verdict::Suppress)
        }
    };
    trace.note(Check::QuietHours, verdict, because);
    (decision, trace)
}
