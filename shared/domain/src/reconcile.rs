//! Reconciling: the difference between what should exist and what exists, as ledger changes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::facts::Facts;
use crate::ids::{CheckId, ClientId, MessageId};
use crate::message::{CheckRow, Message, MessageStatus, Reason};
use crate::notification_type::NotificationType;
use crate::plan::{Outcome, Plan, PlannedMessage};

/// What is due within this time is queued at once, with a delay, since the Scheduler is precise to a minute only.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/what-is-scheduler.html>
pub const QUEUED_AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// What to change so that the ledger says what the plan says. Applying it and reconciling again changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Messages to write as given.
    pub messages: Vec<Message>,
    /// Checks to write as given.
    pub checks: Vec<CheckRow>,
    /// Messages that are due, or nearly, and stand as `queued`: to be put into their queue. Includes ones that stood so already, since the
    /// run that wrote them may have died before queueing them; a second copy in the queue is harmless.
    pub to_queue: Vec<MessageId>,
}

/// Compares the plan with the ledger at `now` (UTC).
pub fn reconcile(
    facts: &Facts,
    plan: &Plan,
    messages: &[Message],
    checks: &[CheckRow],
    now: Timestamp,
) -> Difference {
    let mut difference = Difference::default();
    let existing: BTreeMap<&MessageId, &Message> =
        messages.iter().map(|message| (&message.id, message)).collect();

    for planned in &plan.messages {
        let present = existing.get(&planned.id).copied();
        let Some(wanted) = as_message(facts, planned, present, messages, now) else {
            continue;
        };
        if wanted.status == MessageStatus::Queued {
            difference.to_queue.push(wanted.id.clone());
        }
        if present != Some(&wanted) {
            difference.messages.push(wanted);
        }
    }
    for message in messages {
        let owed = plan.messages.iter().any(|planned| planned.id == message.id);
        if message.status.is_open() && !owed {
            let (status, reason) = (message.ended(MessageStatus::Superseded), Some(Reason::NotOwed));
            difference.messages.push(Message { status, reason, ..message.clone() });
        }
    }
    reconcile_checks(facts, plan, checks, &mut difference);
    difference
}

/// The clients who will not learn of what a revision of the booking calls for, once the difference is applied: its rows are withheld for want of an
/// address that may be written to, and no other of that revision or a later one reaches them.
pub fn unreachable(difference: &Difference, messages: &[Message]) -> BTreeSet<ClientId> {
    let is_changed = |message: &&Message| difference.messages.iter().any(|after| after.id == message.id);
    let untouched = messages.iter().filter(|message| !is_changed(message));
    let after: Vec<&Message> = difference.messages.iter().chain(untouched).collect();
    let reaches = |status: MessageStatus| {
        status.is_open() || status == MessageStatus::Sending || status.may_have_arrived()
    };
    let missed = difference.messages.iter().filter(|message| {
        let no_address = matches!(message.reason, Some(Reason::NoAddress | Reason::AddressSuppressed));
        message.status == MessageStatus::Suppressed && no_address && !message.kind.is_marketing()
    });
    let unheard = missed.filter(|missed| {
        !after.iter().any(|other| {
            other.recipient == missed.recipient && other.revision >= missed.revision && reaches(other.status)
        })
    });
    unheard.filter_map(|message| message.recipient.client().cloned()).collect()
}

/// The row a planned message should have, or `None` where the row that is there must stay as it is.
fn as_message(
    facts: &Facts,
    planned: &PlannedMessage,
    present: Option<&Message>,
    ledger: &[Message],
    now: Timestamp,
) -> Option<Message> {
    let (status, due, reason) = match planned.outcome {
        Outcome::Leaves(due) | Outcome::Deferred(due) if due <= now + QUEUED_AHEAD => {
            (MessageStatus::Queued, due, None)
        }
        Outcome::Leaves(due) => (MessageStatus::Planned, due, None),
        Outcome::Deferred(due) => (MessageStatus::Deferred, due, None),
        Outcome::Withheld(reason, due) => (MessageStatus::Suppressed, due, Some(reason)),
    };
    // What is switched off needs no row to say so, unless it was on: the timeline finds it by planning.
    if present.is_none() && reason == Some(Reason::SwitchedOff) {
        return None;
    }
    let (status, reason) = match present {
        // A rule that came after its moment: the event was planned for without it, so it is for events to come.
        None if due <= now && was_planned_for(ledger, planned) => {
            (MessageStatus::Suppressed, Some(Reason::TooLate))
        }
        _ => (status, reason),
    };
    if let Some(present) = present {
        let judged_at = present.traces.last().map(|trace| trace.at);
        // A failure may be known at the very instant of the event, where time is the event's own.
        let its_turn = planned.after_failure && present.reason == Some(Reason::Cascade);
        let reopens = due > now || its_turn || judged_at.is_none_or(|judged_at| planned.known_at > judged_at);
        let changeable =
            present.status.is_open() || (present.status.was_withheld() && (reason.is_some() || reopens));
        if !changeable {
            return None;
        }
        let same = present.status == status && present.due == due && present.reason == reason;
        // Sent back to wait at the moment of sending: the ledger knows better than the plan until the facts change.
        let waits =
            present.status == MessageStatus::Deferred && status == MessageStatus::Queued && present.due > now;
        let withheld_already =
            present.status == MessageStatus::Suppressed && status == MessageStatus::Suppressed;
        if same || waits || withheld_already {
            return Some(present.clone());
        }
    }
    let wanted = row(facts, planned, status, reason, due);
    Some(match present {
        Some(present) => Message {
            status: if reason.is_some() { present.ended(status) } else { status },
            attempts: present.attempts,
            may_have_left: present.may_have_left,
            ..wanted
        },
        None => wanted,
    })
}

/// The planned messages that have no row because they are switched off, as the rows they would have: for a timeline to show.
pub fn switched_off(facts: &Facts, plan: &Plan, messages: &[Message]) -> Vec<Message> {
    let off = plan.messages.iter().filter_map(|planned| match planned.outcome {
        Outcome::Withheld(reason @ Reason::SwitchedOff, due) => Some((planned, reason, due)),
        _ => None,
    });
    off.filter(|(planned, ..)| !messages.iter().any(|message| message.id == planned.id))
        .map(|(planned, reason, due)| row(facts, planned, MessageStatus::Suppressed, Some(reason), due))
        .collect()
}

fn row(
    facts: &Facts,
    planned: &PlannedMessage,
    status: MessageStatus,
    reason: Option<Reason>,
    due: Timestamp,
) -> Message {
    Message {
        business_id: facts.business.id.clone(),
        subject: facts.subject_id(),
        id: planned.id.clone(),
        kind: planned.kind,
        step: planned.step.clone(),
        revision: planned.revision,
        recipient: planned.recipient.clone(),
        channel: planned.channel,
        status,
        reason,
        due,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        undelivered_at: None,
        address: None,
        text: None,
        segments: None,
        estimate: None,
        provider_id: None,
        attempts: 0,
        may_have_left: false,
        lease: None,
        traces: vec![planned.trace.clone()],
    }
}

/// Whether the revision that calls for a message was planned for this recipient before: rows of one recipient are written all or none.
fn was_planned_for(ledger: &[Message], planned: &PlannedMessage) -> bool {
    use NotificationType::{RunningLate, StaffRunningLate, StaffUnconfirmed};
    // What a check finds is noticed within a revision and not by one.
    !matches!(planned.kind, RunningLate | StaffRunningLate | StaffUnconfirmed)
        && ledger.iter().any(|row| row.recipient == planned.recipient && row.revision >= planned.revision)
}

fn reconcile_checks(facts: &Facts, plan: &Plan, checks: &[CheckRow], difference: &mut Difference) {
    let existing: BTreeMap<&CheckId, &CheckRow> = checks.iter().map(|check| (&check.id, check)).collect();
    for planned in &plan.checks {
        let wanted = CheckRow {
            business_id: facts.business.id.clone(),
            subject: facts.subject_id(),
            id: planned.id.clone(),
            kind: planned.kind,
            due: planned.due,
            withdrawn: false,
        };
        if existing.get(&planned.id) != Some(&&wanted) {
            difference.checks.push(wanted);
        }
    }
    for check in checks {
        if !check.withdrawn && !plan.checks.iter().any(|planned| planned.id == check.id) {
            difference.checks.push(CheckRow { withdrawn: true, ..check.clone() });
        }
    }
}
