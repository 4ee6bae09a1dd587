//! Deciding: whether a message that has come due may leave, on the facts of this moment.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::facts::Facts;
use crate::message::{Message, Reason};
use crate::notification_type::NotificationType;
use crate::plan::{Outcome, candidates, judge, quiet_window};
use crate::quiet_hours::Window;
use crate::rule::{QuietPolicy, RuleStep};
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

/// Decides about a message at `now` (UTC). `future_booking`: whether the client has another visit ahead; only asked for types of
/// which [`asks_for_future_booking`] says so.
pub fn decide(facts: &Facts, message: &Message, future_booking: bool, now: Timestamp) -> (Decision, Trace) {
    let planned_by = as_planned(facts, message);
    let facts = planned_by.as_ref().unwrap_or(facts);
    let candidate =
        candidates(facts).into_iter().find(|candidate| candidate.id(facts).as_ref() == Some(&message.id));
    let Some(candidate) = candidate else {
        let mut trace = Trace::new(now, facts.rules.version);
        let booking = &facts.booking;
        let (status, revision) = (booking.status.name(), booking.revision);
        let because = format!("the booking is {status}, revision {revision}, and no longer calls for it");
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

/// The facts with the rule's steps as they were when the message was planned: moving a step to another time is about messages to come,
/// and takes none away that was promised. Switching off the type or the channel is about all of them. `None` where the rule has the step.
fn as_planned(facts: &Facts, message: &Message) -> Option<Facts> {
    let mut rule = facts.rules.of(message.kind);
    let has_step = rule.steps.iter().any(|step| step.timing == message.step);
    let has_channel = rule.steps.iter().any(|step| step.channels.contains(&message.channel));
    if has_step || !has_channel {
        return None;
    }
    rule.steps = vec![RuleStep { timing: message.step.clone(), channels: BTreeSet::from([message.channel]) }];
    let mut facts = facts.clone();
    facts.rules.changed.insert(message.kind, rule);
    Some(facts)
}
