//! Planning: which messages a booking owes as it is now, and when each is due.
//!
//! The plan is made from the booking as it is, history included, never from a difference: running it twice, late, or
//! out of order gives the same plan.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::booking::{Event, EventKind, Notify, Source, Status};
use crate::channel::Channel;
use crate::facts::Facts;
use crate::ids::{CheckId, ClientId, MessageId};
use crate::message::{CheckKind, MessageKey, Reason, check_id};
use crate::notification_type::NotificationType;
use crate::quiet_hours::Window;
use crate::rule::{Ending, LatePolicy, QuietPolicy, Rule, RuleStep};
use crate::timing::{Anchors, Timing};
use crate::trace::{Check, Trace, Verdict};

/// How long before quiet hours begin an advanced message leaves: longer than the Scheduler's precision of a minute,
/// so that it does not slip into them. <https://docs.aws.amazon.com/scheduler/latest/UserGuide/what-is-scheduler.html>
const ADVANCE: SignedDuration = SignedDuration::from_mins(5);

/// What should exist for a booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Messages, withheld ones included.
    pub messages: Vec<PlannedMessage>,
    /// Attendance checks.
    pub checks: Vec<PlannedCheck>,
}

/// A message the booking owes, or would owe if nothing were in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMessage {
    /// Its id in the ledger.
    pub id: MessageId,
    /// About what.
    pub kind: NotificationType,
    /// Which step of the rule.
    pub step: Timing,
    /// Of which revision.
    pub revision: u64,
    /// To whom.
    pub client_id: ClientId,
    /// How.
    pub channel: Channel,
    /// When what calls for it became known (UTC).
    pub known_at: Timestamp,
    /// When it leaves, or why it does not.
    pub outcome: Outcome,
    /// How that was found.
    pub trace: Trace,
}

/// What planning says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It leaves at this instant (UTC).
    Leaves(Timestamp),
    /// Quiet hours moved it to this instant (UTC).
    Deferred(Timestamp),
    /// It does not leave; the instant is when it would have.
    Withheld(Reason, Timestamp),
}

/// A check the booking calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCheck {
    /// Its id in the ledger.
    pub id: CheckId,
    /// What it looks for.
    pub kind: CheckKind,
    /// When (UTC).
    pub due: Timestamp,
}

/// Plans a booking's messages and checks. `now` (UTC) matters only for what has lost its use meanwhile.
pub fn plan(facts: &Facts, now: Timestamp) -> Plan {
    let messages = candidates(facts)
        .into_iter()
        .filter_map(|candidate| {
            let (mut outcome, mut trace) = judge(facts, &candidate);
            if let (Some(not_after), Outcome::Leaves(at) | Outcome::Deferred(at)) =
                (candidate.not_after, outcome)
                && not_after <= now
            {
                trace.note(
                    Check::UseBy,
                    Verdict::Suppress,
                    format!("of use until {not_after}, now is {now}"),
                );
                outcome = Outcome::Withheld(Reason::TooLate, at);
            }
            Some(PlannedMessage {
                id: candidate.id(facts)?,
                kind: candidate.kind,
                step: candidate.step,
                revision: candidate.revision,
                client_id: candidate.client_id,
                channel: candidate.channel,
                known_at: candidate.known_at,
                outcome,
                trace,
            })
        })
        .collect();
    Plan { messages, checks: checks(facts) }
}

/// A message before anything was asked about it.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) kind: NotificationType,
    pub(crate) step: Timing,
    pub(crate) revision: u64,
    pub(crate) client_id: ClientId,
    pub(crate) channel: Channel,
    /// When the timing alone says it is due.
    nominal: Timestamp,
    /// When what calls for it became known.
    known_at: Timestamp,
    /// From when on it is of no use.
    pub(crate) not_after: Option<Timestamp>,
    notify: Notify,
    late: LatePolicy,
    pub(crate) quiet: QuietPolicy,
    /// The rule waits for the confirmation, and there is none.
    waits_for_confirmation: bool,
}

impl Candidate {
    pub(crate) fn id(&self, facts: &Facts) -> Option<MessageId> {
        MessageKey {
            business_id: &facts.business.id,
            booking_id: &facts.booking.id,
            revision: self.revision,
            kind: self.kind,
            step: &self.step,
            client_id: &self.client_id,
            channel: self.channel,
        }
        .id()
    }
}

/// Every message the booking calls for, before anything is asked about it.
pub(crate) fn candidates(facts: &Facts) -> Vec<Candidate> {
    let mut found = Vec::new();
    for client_id in &facts.booking.client_ids {
        news(facts, client_id, &mut found);
        reminders(facts, client_id, &mut found);
        running_late(facts, client_id, &mut found);
        after_a_miss(facts, client_id, &mut found);
    }
    found
}

/// What has just happened to the booking. On each channel the latest news stands for all that has not left yet:
/// made, moved and cancelled in one night, the client hears of the cancellation.
fn news(facts: &Facts, client_id: &ClientId, found: &mut Vec<Candidate>) {
    let booking = &facts.booking;
    let about = |event: &Event| match event.kind {
        EventKind::Created if booking.status.is_ahead() => Some(NotificationType::BookingCreated),
        EventKind::Confirmed if booking.status.is_ahead() => Some(NotificationType::BookingConfirmed),
        EventKind::Rescheduled if booking.status.is_ahead() => Some(NotificationType::BookingRescheduled),
        EventKind::Cancelled => Some(NotificationType::BookingCancelled),
        _ => None,
    };
    let mut told = BTreeSet::new();
    for event in booking.history.iter().rev() {
        let Some(kind) = about(event) else { continue };
        let mut rule = facts.rules.of(kind);
        // The tick at the operation beats the type's and the channel's switch (S35).
        if event.notify == Notify::Yes && event.by == Source::Staff {
            force_sms(&mut rule);
        }
        let mut told_now = BTreeSet::new();
        for candidate in steps(facts, client_id, kind, &rule, event) {
            if told.contains(&candidate.channel) {
                continue;
            }
            // What cannot reach the client does not stand for what can.
            if obstacle(facts, &candidate, &mut Trace::new(event.at, facts.rules.version)).is_none() {
                told_now.insert(candidate.channel);
            }
            found.push(Candidate {
                not_after: (kind != NotificationType::BookingCancelled).then_some(booking.start),
                ..candidate
            });
        }
        told.extend(told_now);
    }
}

/// Makes a rule send sms, and only sms if it was off.
fn force_sms(rule: &mut Rule) {
    if !rule.enabled {
        rule.enabled = true;
        for step in &mut rule.steps {
            step.channels.clear();
        }
    }
    if rule.steps.iter().any(|step| step.channels.contains(&Channel::Sms)) {
        return;
    }
    match rule.steps.first_mut() {
        Some(first) => {
            first.channels.insert(Channel::Sms);
        }
        None => rule
            .steps
            .push(RuleStep { timing: Timing::Immediately, channels: BTreeSet::from([Channel::Sms]) }),
    }
}

fn reminders(facts: &Facts, client_id: &ClientId, found: &mut Vec<Candidate>) {
    let booking = &facts.booking;
    let rule = facts.rules.of(NotificationType::Reminder);
    if !booking.status.is_ahead() {
        return;
    }
    let Some(time_set) = booking.time_set() else { return };
    // Where the rule waits for the confirmation, a reminder is known of only from then on.
    let confirmed_at =
        booking.history.iter().rev().find(|event| event.kind == EventKind::Confirmed).map(|event| event.at);
    let known_at = match confirmed_at {
        Some(confirmed_at) if !rule.while_pending => confirmed_at.max(time_set.at),
        _ => time_set.at,
    };
    let waits_for_confirmation = !rule.while_pending && booking.status == Status::Pending;
    // The tick of the operation is about its own notice, not about later reminders.
    let event = Event { notify: Notify::ByRules, ..time_set.clone() };
    found.extend(steps(facts, client_id, NotificationType::Reminder, &rule, &event).map(|candidate| {
        Candidate { known_at, not_after: Some(booking.start), waits_for_confirmation, ..candidate }
    }));
}

fn running_late(facts: &Facts, client_id: &ClientId, found: &mut Vec<Candidate>) {
    let booking = &facts.booking;
    if !booking.status.is_ahead() {
        return;
    }
    let Some(event) = booking.found_late() else { return };
    let rule = facts.rules.of(NotificationType::RunningLate);
    found.extend(steps(facts, client_id, NotificationType::RunningLate, &rule, event).map(|candidate| {
        Candidate {
            revision: booking.time_revision,
            nominal: event.at, // the check has waited already
            not_after: Some(booking.end),
            ..candidate
        }
    }));
}

fn after_a_miss(facts: &Facts, client_id: &ClientId, found: &mut Vec<Candidate>) {
    let booking = &facts.booking;
    let (ending, event_kind) = match booking.status {
        Status::NoShow => (Ending::NoShow, EventKind::NoShow),
        Status::Cancelled => (Ending::Cancelled, EventKind::Cancelled),
        _ => return,
    };
    let Some(event) = booking.history.iter().rev().find(|event| event.kind == event_kind) else {
        return;
    };
    if ending == Ending::NoShow {
        let rule = facts.rules.of(NotificationType::MissedBooking);
        found.extend(steps(facts, client_id, NotificationType::MissedBooking, &rule, event));
    }
    let rule = facts.rules.of(NotificationType::NoShowRecovery);
    if rule.after.contains(&ending) {
        found.extend(steps(facts, client_id, NotificationType::NoShowRecovery, &rule, event));
    }
}

/// One candidate for each step and channel of a rule that is on.
fn steps<'a>(
    facts: &'a Facts,
    client_id: &'a ClientId,
    kind: NotificationType,
    rule: &'a Rule,
    event: &'a Event,
) -> impl Iterator<Item = Candidate> + 'a {
    let anchors = Anchors {
        event: event.at,
        start: facts.booking.start,
        end: facts.booking.end,
        zone: &facts.booking.zone,
    };
    rule.steps.iter().filter(|_| rule.enabled).flat_map(move |step| {
        step.channels.iter().map(move |channel| Candidate {
            kind,
            step: step.timing.clone(),
            revision: event.revision,
            client_id: client_id.clone(),
            channel: *channel,
            nominal: step.timing.resolve(anchors),
            known_at: event.at,
            not_after: None,
            notify: event.notify,
            late: rule.late,
            quiet: rule.quiet,
            waits_for_confirmation: false,
        })
    })
}

fn silenced(notify: Notify, channel: Channel) -> bool {
    match notify {
        Notify::ByRules | Notify::Yes => false,
        Notify::NoSms => channel == Channel::Sms,
        Notify::Nothing => true,
    }
}

/// Asks everything about a candidate that does not depend on the present moment, strongest reason first (SPEC §4).
pub(crate) fn judge(facts: &Facts, candidate: &Candidate) -> (Outcome, Trace) {
    let mut trace = Trace::new(candidate.known_at, facts.rules.version);
    let outcome = match obstacle(facts, candidate, &mut trace) {
        Some(reason) => Outcome::Withheld(reason, candidate.nominal),
        None => time_to_leave(facts, candidate, &mut trace),
    };
    (outcome, trace)
}

/// Who may not be written to, whatever the hour.
fn obstacle(facts: &Facts, candidate: &Candidate, trace: &mut Trace) -> Option<Reason> {
    let Candidate { kind, channel, .. } = *candidate;
    let mut ask = |check, stands_in_the_way: bool, reason, because: String| {
        trace.note(check, if stands_in_the_way { Verdict::Suppress } else { Verdict::Pass }, because);
        stands_in_the_way.then_some(reason)
    };
    let status = facts.booking.status.name();
    let client = facts.client(&candidate.client_id);
    let bans = client.map(|client| &client.bans);
    None.or_else(|| {
        ask(
            Check::Owed,
            candidate.waits_for_confirmation,
            Reason::NotConfirmed,
            format!("{kind}, {}; the booking is {status}", candidate.step),
        )
    })
    .or_else(|| {
        let address = client.and_then(|client| client.masked_address(channel));
        ask(
            Check::Address,
            address.is_none(),
            Reason::NoAddress,
            format!("{channel}: {}", address.unwrap_or("none".into())),
        )
    })
    .or_else(|| {
        let banned = bans.is_some_and(|bans| bans.channels.contains(&channel) || bans.types.contains(&kind));
        ask(
            Check::Ban,
            banned,
            Reason::Banned,
            format!("{channel} or {kind} on the client card: {}", if banned { "banned" } else { "no ban" }),
        )
    })
    .or_else(|| {
        let silenced = silenced(candidate.notify, channel);
        ask(
            Check::Notify,
            silenced,
            Reason::NotifyOff,
            format!("the operation asked for {}", asked_for(candidate.notify)),
        )
    })
    .or_else(|| {
        let off = channel == Channel::Sms && !facts.business.sms_enabled;
        let option = if facts.business.sms_enabled { "on" } else { "off" };
        (channel == Channel::Sms)
            .then(|| ask(Check::SmsOption, off, Reason::SmsOff, format!("the sms option is {option}")))
            .flatten()
    })
}

fn asked_for(notify: Notify) -> &'static str {
    match notify {
        Notify::ByRules => "what the rules say",
        Notify::Yes => "an sms in any case",
        Notify::NoSms => "no sms",
        Notify::Nothing => "no notice at all",
    }
}

fn time_to_leave(facts: &Facts, candidate: &Candidate, trace: &mut Trace) -> Outcome {
    let Candidate { nominal, known_at, .. } = *candidate;
    if candidate.step.leads_up() && known_at > nominal {
        let start = facts.booking.start;
        let lead = start.duration_since(nominal);
        let missed = known_at.duration_since(nominal);
        let in_time = match candidate.late {
            LatePolicy::Grace => missed * 3 < lead && known_at < start,
            LatePolicy::SendNow => known_at < start,
            LatePolicy::Skip => false,
        };
        let because = format!("due {nominal}, known since {known_at}, policy {:?}", candidate.late);
        if !in_time {
            trace.note(Check::Lateness, Verdict::Suppress, because);
            return Outcome::Withheld(Reason::TooLate, nominal);
        }
        trace.note(Check::Lateness, Verdict::Move, because);
    }
    let due = nominal.max(known_at);
    if let Some(not_after) = candidate.not_after {
        let late = due >= not_after;
        let verdict = if late { Verdict::Suppress } else { Verdict::Pass };
        trace.note(Check::UseBy, verdict, format!("due {due}, of use until {not_after}"));
        if late {
            return Outcome::Withheld(Reason::TooLate, due);
        }
    }
    match quiet_window(facts, candidate, due) {
        None => {
            trace.note(
                Check::QuietHours,
                Verdict::Pass,
                format!("{due} is not within quiet hours for {}", candidate.channel),
            );
            Outcome::Leaves(due)
        }
        Some(window) => out_of_the_quiet(candidate, due, window, trace),
    }
}

/// The quiet hours that `instant` falls into for a candidate's client and channel.
pub(crate) fn quiet_window(facts: &Facts, candidate: &Candidate, instant: Timestamp) -> Option<Window> {
    let client = facts.client(&candidate.client_id)?;
    let hours = facts.quiet_hours().filter(|_| candidate.channel.keeps_quiet_hours())?;
    hours.window_around(instant, facts.quiet_zone(client))
}

fn out_of_the_quiet(candidate: &Candidate, due: Timestamp, window: Window, trace: &mut Trace) -> Outcome {
    let Window { opens, ends } = window;
    let mut note = |verdict, what: &str| {
        trace.note(
            Check::QuietHours,
            verdict,
            format!("{due} is within quiet hours {opens} to {ends}: {what}"),
        );
    };
    if candidate.not_after.is_none_or(|not_after| ends < not_after) {
        note(Verdict::Move, "waits for their end");
        return Outcome::Deferred(ends);
    }
    let advanced = opens - ADVANCE;
    match candidate.quiet {
        QuietPolicy::Send => {
            note(Verdict::Pass, "their end is too late, sent all the same");
            Outcome::Leaves(due)
        }
        QuietPolicy::Advance if advanced >= candidate.known_at => {
            note(Verdict::Move, "their end is too late, sent before they begin");
            Outcome::Deferred(advanced)
        }
        QuietPolicy::Advance | QuietPolicy::Drop => {
            note(Verdict::Suppress, "their end is too late");
            Outcome::Withheld(Reason::QuietHours, due)
        }
    }
}

/// The attendance checks a booking calls for.
fn checks(facts: &Facts) -> Vec<PlannedCheck> {
    let booking = &facts.booking;
    if !booking.status.is_ahead() {
        return Vec::new();
    }
    [CheckKind::Late, CheckKind::NoShow]
        .into_iter()
        .filter_map(|kind| {
            let due = check_due(facts, kind)?;
            let id = check_id(&facts.business.id, &booking.id, kind, booking.time_revision)?;
            Some(PlannedCheck { id, kind, due })
        })
        .collect()
}

/// When an attendance check is due for the booking as it is, or `None` when none is called for.
pub fn check_due(facts: &Facts, kind: CheckKind) -> Option<Timestamp> {
    let booking = &facts.booking;
    let timing = match kind {
        CheckKind::Late => {
            let rule = facts.rules.of(NotificationType::RunningLate);
            let wanted = rule.enabled && booking.found_late().is_none();
            rule.steps.into_iter().next().filter(|_| wanted)?.timing
        }
        CheckKind::NoShow => Timing::AfterEnd(facts.business.no_show_after_minutes?.interval()?),
    };
    let due = timing.resolve(Anchors {
        event: booking.start,
        start: booking.start,
        end: booking.end,
        zone: &booking.zone,
    });
    // A visit that was entered when it had begun, or was over, is somebody's record of it: nobody is late.
    booking.time_set().filter(|time_set| time_set.at < due).map(|_| due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::Operation;
    use crate::decide::{Decision, decide};
    use crate::facts::tests::salon;
    use crate::message::{AttendanceCheck, Message, MessageStatus};
    use crate::reconcile::reconcile;
    use proptest::prelude::*;
    use rstest::rstest;

    fn at(instant: &str) -> Timestamp {
        instant.parse().unwrap()
    }

    fn lines(plan: &Plan) -> Vec<String> {
        let mut lines: Vec<String> = plan
            .messages
            .iter()
            .map(|message| {
                let outcome = match message.outcome {
                    Outcome::Leaves(at) => format!("{at}"),
                    Outcome::Deferred(at) => format!("{at} (deferred)"),
                    Outcome::Withheld(reason, _) => format!("{reason:?}"),
                };
                format!("{} {} {}: {outcome}", message.kind, message.step, message.channel)
            })
            .collect();
        lines.sort();
        lines
    }

    /// A planned message as it stands in the ledger.
    fn row(facts: &Facts, planned: &PlannedMessage) -> Message {
        let plan = Plan { messages: vec![planned.clone()], checks: vec![] };
        reconcile(facts, &plan, &[], &[], Timestamp::UNIX_EPOCH).messages.remove(0)
    }

    fn after(facts: &mut Facts, operation: Operation, when: &str) {
        facts.booking = facts.booking.after(operation, at(when), Source::Staff, Notify::ByRules).unwrap();
    }

    #[test]
    fn s19_s64_s71_a_booking_by_staff_owes_its_notice_and_the_reminders() {
        assert_eq!(
            lines(&plan(&salon(), at("2026-11-20T12:00:00Z"))),
            [
                "booking_created immediately email: 2026-11-20T12:00:00Z",
                "booking_created immediately push: 2026-11-20T12:00:00Z",
                "booking_created immediately sms: 2026-11-20T12:00:00Z",
                "reminder 1h before start push: 2026-11-23T09:00:00Z",
                "reminder 24h before start push: 2026-11-22T10:00:00Z",
                "reminder 2h before start sms: 2026-11-23T08:00:00Z",
            ]
        );
    }

    #[test]
    fn s27_what_falls_into_the_night_waits_for_its_end_but_email_does_not() {
        let mut facts = salon();
        after(&mut facts, Operation::Cancel, "2026-11-21T23:30:00Z");
        assert_eq!(
            lines(&plan(&facts, at("2026-11-21T23:30:00Z"))),
            [
                "booking_cancelled immediately email: 2026-11-21T23:30:00Z",
                "booking_cancelled immediately sms: 2026-11-22T08:00:00Z (deferred)",
            ],
            "no reminder is owed any more"
        );
    }

    #[test]
    fn s27_the_night_is_that_of_the_client_then_of_the_location() {
        let mut facts = salon();
        facts.clients[0].zone = Some("America/New_York".parse().unwrap());
        let sms = |facts: &Facts| {
            lines(&plan(facts, at("2026-11-20T12:00:00Z")))
                .into_iter()
                .find(|line| line.starts_with("booking_created immediately sms"))
        };
        assert_eq!(
            sms(&facts).unwrap(),
            "booking_created immediately sms: 2026-11-20T13:00:00Z (deferred)",
            "07:00 in New York"
        );
        facts.clients[0].zone = None;
        facts.location.quiet_hours = Some(crate::quiet_hours::QuietHours::new("11:00", "14:00").unwrap());
        assert_eq!(sms(&facts).unwrap(), "booking_created immediately sms: 2026-11-20T14:00:00Z (deferred)");
    }

    #[rstest]
    #[case(QuietPolicy::Advance, "2026-11-22T22:55:00Z (deferred)")]
    #[case(QuietPolicy::Drop, "QuietHours")]
    #[case(QuietPolicy::Send, "2026-11-23T05:00:00Z")]
    fn s27_a_reminder_that_the_night_would_make_useless(#[case] policy: QuietPolicy, #[case] expected: &str) {
        let mut facts = salon();
        facts.booking.start = at("2026-11-23T07:00:00Z"); // before the window ends
        let mut rule = facts.rules.of(NotificationType::Reminder);
        rule.quiet = policy;
        facts.rules.changed.insert(NotificationType::Reminder, rule);
        let plan = lines(&plan(&facts, at("2026-11-20T12:00:00Z")));
        assert!(plan.contains(&format!("reminder 2h before start sms: {expected}")), "{plan:#?}");
    }

    #[rstest]
    #[case::a_third_is_left("2026-11-22T17:59:59Z", "2026-11-22T17:59:59Z")]
    #[case::a_third_is_missed("2026-11-22T18:00:00Z", "TooLate")]
    fn a_booking_made_late_has_a_grace_of_a_third_of_the_lead(#[case] made: &str, #[case] expected: &str) {
        let mut facts = salon();
        facts.booking = facts.booking.created(at(made), Notify::ByRules);
        let plan = lines(&plan(&facts, at(made)));
        assert!(plan.contains(&format!("reminder 24h before start push: {expected}")), "{plan:#?}");
    }

    #[test]
    fn s21_moving_replaces_the_reminders_and_the_notice_that_has_not_left() {
        let mut facts = salon();
        let before = plan(&facts, at("2026-11-20T12:00:00Z"));
        let to = Operation::Reschedule { start: at("2026-11-25T15:00:00Z"), end: at("2026-11-25T16:00:00Z") };
        after(&mut facts, to, "2026-11-20T13:00:00Z");
        let after = plan(&facts, at("2026-11-20T13:00:00Z"));
        assert!(
            before.messages.iter().all(|old| after.messages.iter().all(|new| new.id != old.id)),
            "every message is a new one"
        );
        assert!(lines(&after).contains(&"reminder 24h before start push: 2026-11-24T15:00:00Z".to_owned()));
        assert!(
            lines(&after).contains(&"booking_rescheduled immediately sms: 2026-11-20T13:00:00Z".to_owned())
        );
    }

    #[test]
    fn s18_confirming_repeats_no_reminder() {
        let mut facts = salon();
        facts.booking.status = Status::Pending;
        let reminders = |facts: &Facts| -> Vec<MessageId> {
            let plan = plan(facts, at("2026-11-20T12:00:00Z"));
            plan.messages
                .into_iter()
                .filter(|message| message.kind == NotificationType::Reminder)
                .map(|message| message.id)
                .collect()
        };
        let before = reminders(&facts);
        after(&mut facts, Operation::Confirm, "2026-11-20T13:00:00Z");
        assert_eq!(before, reminders(&facts));
    }

    #[test]
    fn s28_reminders_wait_for_the_confirmation_where_the_rule_says_so() {
        let mut facts = salon();
        facts.booking.status = Status::Pending;
        let mut rule = facts.rules.of(NotificationType::Reminder);
        rule.while_pending = false;
        facts.rules.changed.insert(NotificationType::Reminder, rule);
        let lines_now = lines(&plan(&facts, at("2026-11-20T12:00:00Z")));
        assert!(lines_now.contains(&"reminder 24h before start push: NotConfirmed".to_owned()));
        after(&mut facts, Operation::Confirm, "2026-11-22T11:00:00Z");
        let lines_now = lines(&plan(&facts, at("2026-11-22T11:00:00Z")));
        assert!(
            lines_now.contains(&"reminder 24h before start push: 2026-11-22T11:00:00Z".to_owned()),
            "{lines_now:#?}"
        );
    }

    #[test]
    fn s31_s35_s36_s37_the_tick_of_the_operation() {
        let mut facts = salon();
        let mut created = |notify: Notify, change: fn(&mut Facts)| {
            facts = salon();
            facts.booking = facts.booking.clone().created(at("2026-11-20T12:00:00Z"), notify);
            change(&mut facts);
            let mut lines = lines(&plan(&facts, at("2026-11-20T12:00:00Z")));
            lines.retain(|line| line.starts_with("booking_created"));
            lines
        };
        let leaves = "2026-11-20T12:00:00Z";
        let of = |email: &str, push: &str, sms: &str| {
            vec![
                format!("booking_created immediately email: {email}"),
                format!("booking_created immediately push: {push}"),
                format!("booking_created immediately sms: {sms}"),
            ]
        };
        let off: fn(&mut Facts) = |facts| {
            let mut rule = facts.rules.of(NotificationType::BookingCreated);
            rule.enabled = false;
            facts.rules.changed.insert(NotificationType::BookingCreated, rule);
        };
        let banned: fn(&mut Facts) = |facts| {
            facts.clients[0].bans.channels.insert(Channel::Sms);
        };
        assert_eq!(created(Notify::NoSms, |_| ()), of(leaves, leaves, "NotifyOff"));
        assert_eq!(created(Notify::Nothing, |_| ()), of("NotifyOff", "NotifyOff", "NotifyOff"));
        assert_eq!(created(Notify::ByRules, off), Vec::<String>::new());
        assert_eq!(created(Notify::Yes, off), [format!("booking_created immediately sms: {leaves}")]);
        assert_eq!(created(Notify::Yes, banned), of(leaves, leaves, "Banned"));
        assert_eq!(
            created(Notify::Yes, |facts| facts.business.sms_enabled = false),
            of(leaves, leaves, "SmsOff")
        );
    }

    #[test]
    fn s26_s1_a_no_show_is_told_at_once_and_invited_a_day_later_unless_a_visit_is_ahead() {
        let mut facts = salon();
        after(&mut facts, Operation::NoShow, "2026-11-23T11:00:00Z");
        assert_eq!(
            lines(&plan(&facts, at("2026-11-23T11:00:00Z"))),
            [
                "missed_booking immediately email: 2026-11-23T11:00:00Z",
                "no_show_recovery 1d after email: 2026-11-24T11:00:00Z",
                "no_show_recovery 1d after push: 2026-11-24T11:00:00Z",
                "no_show_recovery 1d after sms: 2026-11-24T11:00:00Z",
            ]
        );
        let plan = plan(&facts, at("2026-11-23T11:00:00Z"));
        let recovery =
            plan.messages.iter().find(|message| message.kind == NotificationType::NoShowRecovery).unwrap();
        let decide_at = |future, now| decide(&facts, &row(&facts, recovery), future, at(now)).0;
        assert_eq!(decide_at(false, "2026-11-24T11:00:00Z"), Decision::Send);
        assert_eq!(decide_at(true, "2026-11-24T11:00:00Z"), Decision::Suppress(Reason::FutureBooking));
        assert_eq!(decide_at(false, "2026-11-24T10:59:59Z"), Decision::Defer(at("2026-11-24T11:00:00Z")));
    }

    #[test]
    fn s55_a_late_client_is_asked_once_for_each_time_of_the_visit() {
        let mut facts = salon();
        assert_eq!(check_due(&facts, CheckKind::Late), Some(at("2026-11-23T10:10:00Z")));
        facts.booking = facts
            .booking
            .after(Operation::RunLate, at("2026-11-23T10:10:00Z"), Source::System, Notify::ByRules)
            .unwrap();
        assert_eq!(check_due(&facts, CheckKind::Late), None);
        let late: Vec<String> = lines(&plan(&facts, at("2026-11-23T10:10:00Z")))
            .into_iter()
            .filter(|line| line.starts_with("running_late"))
            .collect();
        assert_eq!(
            late,
            [
                "running_late 10m after start push: 2026-11-23T10:10:00Z",
                "running_late 10m after start sms: 2026-11-23T10:10:00Z"
            ]
        );
        after(&mut facts, Operation::Arrive, "2026-11-23T10:12:00Z");
        assert!(plan(&facts, at("2026-11-23T10:12:00Z")).messages.is_empty());
    }

    #[test]
    fn what_is_decided_names_its_reason_in_the_trace() {
        let facts = salon();
        let plan = plan(&facts, at("2026-11-20T12:00:00Z"));
        let sms = plan
            .messages
            .iter()
            .find(|m| m.kind == NotificationType::Reminder && m.channel == Channel::Sms)
            .unwrap();
        // Held up past the visit's start.
        let (decision, trace) = decide(&facts, &row(&facts, sms), false, at("2026-11-23T10:00:00Z"));
        assert_eq!(decision, Decision::Suppress(Reason::TooLate));
        assert_eq!(trace.findings.last().unwrap().check, Check::UseBy);
        assert_eq!(trace.findings.last().unwrap().verdict, Verdict::Suppress);
        // Of a booking that has been cancelled.
        let mut cancelled = facts.clone();
        after(&mut cancelled, Operation::Cancel, "2026-11-23T07:00:00Z");
        let (decision, trace) = decide(&cancelled, &row(&facts, sms), false, at("2026-11-23T08:00:00Z"));
        assert_eq!(decision, Decision::Suppress(Reason::NotOwed));
        assert_eq!(trace.findings.last().unwrap().check, Check::Owed);
    }

    #[test]
    fn a_message_held_up_into_the_night_waits_for_the_morning() {
        let mut facts = salon();
        facts.booking = facts.booking.created(at("2026-11-20T22:50:00Z"), Notify::ByRules);
        let plan = plan(&facts, at("2026-11-20T22:50:00Z"));
        let sms = plan
            .messages
            .iter()
            .find(|m| m.kind == NotificationType::BookingCreated && m.channel == Channel::Sms)
            .unwrap();
        assert_eq!(
            decide(&facts, &row(&facts, sms), false, at("2026-11-20T23:10:00Z")).0,
            Decision::Defer(at("2026-11-21T08:00:00Z"))
        );
    }

    #[test]
    fn a_newer_notice_that_cannot_reach_the_client_does_not_hide_an_older_one() {
        let mut facts = salon();
        facts.clients[0].bans.types.insert(NotificationType::BookingRescheduled);
        let to = Operation::Reschedule { start: at("2026-11-25T15:00:00Z"), end: at("2026-11-25T16:00:00Z") };
        after(&mut facts, to, "2026-11-20T13:00:00Z");
        let lines = lines(&plan(&facts, at("2026-11-20T13:00:00Z")));
        assert!(lines.contains(&"booking_rescheduled immediately sms: Banned".to_owned()));
        assert!(
            lines.contains(&"booking_created immediately sms: 2026-11-20T12:00:00Z".to_owned()),
            "{lines:#?}"
        );
    }

    #[test]
    fn a_rule_that_comes_after_its_moment_sends_nothing_old() {
        let mut facts = salon();
        let switch = |facts: &mut Facts, enabled| {
            let mut rule = facts.rules.of(NotificationType::BookingCreated);
            rule.enabled = enabled;
            facts.rules.changed.insert(NotificationType::BookingCreated, rule);
        };
        switch(&mut facts, false);
        let (mut ledger, mut checks) = (vec![], vec![]);
        applied(&facts, &mut ledger, &mut checks, at("2026-11-20T12:00:00Z"));
        switch(&mut facts, true);
        applied(&facts, &mut ledger, &mut checks, at("2026-11-22T12:00:00Z"));
        let created: Vec<_> =
            ledger.iter().filter(|row| row.kind == NotificationType::BookingCreated).collect();
        assert_eq!(created.len(), 3);
        assert!(created.iter().all(|row| row.reason == Some(Reason::TooLate)), "{created:#?}");
    }

    #[test]
    fn moving_a_rules_step_takes_no_promised_reminder_away_and_switching_the_channel_off_does() {
        let mut facts = salon();
        let planned = plan(&facts, at("2026-11-20T12:00:00Z"));
        let is_sms = |m: &&PlannedMessage| m.kind == NotificationType::Reminder && m.channel == Channel::Sms;
        let sms = row(&facts, planned.messages.iter().find(is_sms).unwrap());
        let mut rule = facts.rules.of(NotificationType::Reminder);
        for step in &mut rule.steps {
            if step.channels.contains(&Channel::Sms) {
                step.timing = "3h before start".parse().unwrap();
            }
        }
        facts.rules.changed.insert(NotificationType::Reminder, rule.clone());
        assert_eq!(decide(&facts, &sms, false, at("2026-11-23T08:00:00Z")).0, Decision::Send);
        rule.steps.retain(|step| !step.channels.contains(&Channel::Sms));
        facts.rules.changed.insert(NotificationType::Reminder, rule);
        let decision = decide(&facts, &sms, false, at("2026-11-23T08:00:00Z")).0;
        assert_eq!(decision, Decision::Suppress(Reason::NotOwed));
    }

    #[test]
    fn s55_a_visit_entered_after_the_fact_makes_nobody_late() {
        let mut facts = salon();
        facts.business.no_show_after_minutes = Some(30.try_into().unwrap());
        assert_eq!(plan(&facts, at("2026-11-20T12:00:00Z")).checks.len(), 2);
        facts.booking = facts.booking.created(at("2026-11-23T18:00:00Z"), Notify::ByRules);
        assert_eq!(plan(&facts, at("2026-11-23T18:00:00Z")).checks, []);
    }

    #[test]
    fn s35_the_tick_sends_an_sms_where_the_rule_is_off_and_has_no_step() {
        let mut facts = salon();
        let mut rule = facts.rules.of(NotificationType::BookingCreated);
        (rule.enabled, rule.steps) = (false, vec![]);
        facts.rules.changed.insert(NotificationType::BookingCreated, rule);
        facts.booking = facts.booking.created(at("2026-11-20T12:00:00Z"), Notify::Yes);
        let lines = lines(&plan(&facts, at("2026-11-20T12:00:00Z")));
        assert!(
            lines.contains(&"booking_created immediately sms: 2026-11-20T12:00:00Z".to_owned()),
            "{lines:#?}"
        );
    }

    #[test]
    fn s27_policy_send_is_about_what_the_morning_would_make_useless_only() {
        let mut facts = salon();
        let mut rule = facts.rules.of(NotificationType::BookingCreated);
        rule.quiet = QuietPolicy::Send;
        facts.rules.changed.insert(NotificationType::BookingCreated, rule);
        facts.booking = facts.booking.created(at("2026-11-20T22:50:00Z"), Notify::ByRules);
        let plan = plan(&facts, at("2026-11-20T22:50:00Z"));
        let is_sms =
            |m: &&PlannedMessage| m.kind == NotificationType::BookingCreated && m.channel == Channel::Sms;
        let sms = row(&facts, plan.messages.iter().find(is_sms).unwrap());
        assert_eq!(
            decide(&facts, &sms, false, at("2026-11-20T23:10:00Z")).0,
            Decision::Defer(at("2026-11-21T08:00:00Z"))
        );
    }

    /// Applies a plan to a ledger, as the stream handler does.
    fn applied(
        facts: &Facts,
        ledger: &mut Vec<Message>,
        checks: &mut Vec<AttendanceCheck>,
        now: Timestamp,
    ) -> bool {
        let difference = reconcile(facts, &plan(facts, now), ledger, checks, now);
        let changed = !difference.messages.is_empty() || !difference.checks.is_empty();
        for message in difference.messages {
            ledger.retain(|row| row.id != message.id);
            ledger.push(message);
        }
        for check in difference.checks {
            checks.retain(|row| row.id != check.id);
            checks.push(check);
        }
        changed
    }

    #[derive(Debug, Clone)]
    enum Move {
        Do(u8),
        Send(usize),
        Wait(i64),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            (0..8u8).prop_map(Move::Do),
            any::<usize>().prop_map(Move::Send),
            (1..2000i64).prop_map(Move::Wait)
        ];
        proptest::collection::vec(one, 1..25)
    }

    proptest! {
        /// Whatever is done in whatever order: reconciling twice changes nothing, at most one message is open for a type, step, client and
        /// channel, nothing sent is ever touched, and nothing but the news of it is open for a booking that is over.
        #[test]
        fn any_sequence_of_operations_leaves_a_sound_ledger(moves in moves()) {
            let mut facts = salon();
            let (mut ledger, mut checks) = (Vec::new(), Vec::new());
            let mut now = at("2026-11-20T12:00:00Z");
            applied(&facts, &mut ledger, &mut checks, now);
            for step in moves {
                match step {
                    Move::Wait(minutes) => now += SignedDuration::from_mins(minutes),
                    Move::Send(index) if !ledger.is_empty() => {
                        let index = index % ledger.len();
                        let message = &mut ledger[index];
                        if message.status.is_open() && message.due <= now {
                            message.status = MessageStatus::Accepted;
                        }
                    }
                    Move::Send(_) => {}
                    Move::Do(which) => {
                        let operation = match which {
                            0 => Operation::Confirm,
                            1 => Operation::Cancel,
                            2 => Operation::Arrive,
                            3 => Operation::Complete,
                            4 => Operation::NoShow,
                            5 => Operation::RunLate,
                            6 => Operation::Reschedule { start: now + SignedDuration::from_hours(30), end: now + SignedDuration::from_hours(31) },
                            _ => Operation::Reschedule { start: now + SignedDuration::from_hours(3), end: now + SignedDuration::from_hours(4) },
                        };
                        if let Ok(booking) = facts.booking.after(operation, now, Source::Staff, Notify::ByRules) {
                            facts.booking = booking;
                        }
                    }
                }
                let sent: Vec<Message> = ledger.iter().filter(|m| m.status == MessageStatus::Accepted).cloned().collect();
                applied(&facts, &mut ledger, &mut checks, now);
                prop_assert!(!applied(&facts, &mut ledger, &mut checks, now), "a second run changed something");
                for message in &sent {
                    prop_assert!(ledger.contains(message), "a message that had left was changed");
                }
                let open: Vec<_> = ledger.iter().filter(|m| m.status.is_open()).map(|m| (m.kind, &m.step, m.channel)).collect();
                let distinct: BTreeSet<_> = open.iter().collect();
                prop_assert_eq!(open.len(), distinct.len(), "two open messages for one step");
                prop_assert!(checks.iter().filter(|check| !check.withdrawn).count() <= 1);
                if !facts.booking.status.is_ahead() {
                    prop_assert!(open.iter().all(|(kind, ..)| matches!(kind, NotificationType::BookingCancelled | NotificationType::MissedBooking | NotificationType::NoShowRecovery)));
                }
            }
        }

        /// What was planned for an instant is sent at that instant, if nothing changed; and no sms is ever planned into the quiet hours.
        #[test]
        fn deciding_agrees_with_planning(start_in_minutes in 5..20_000i64, made_in_minutes in 0..2000i64) {
            let mut facts = salon();
            let made = at("2026-11-20T12:00:00Z") + SignedDuration::from_mins(made_in_minutes);
            facts.booking.start = made + SignedDuration::from_mins(start_in_minutes);
            facts.booking.end = facts.booking.start + SignedDuration::from_hours(1);
            facts.booking = facts.booking.created(made, Notify::ByRules);
            for message in plan(&facts, made).messages {
                match message.outcome {
                    Outcome::Leaves(due) | Outcome::Deferred(due) => {
                        prop_assert_eq!(decide(&facts, &row(&facts, &message), false, due).0, Decision::Send);
                        if message.channel.keeps_quiet_hours() {
                            let hours = facts.quiet_hours().unwrap();
                            prop_assert!(hours.window_around(due, &facts.booking.zone).is_none());
                        }
                    }
                    Outcome::Withheld(reason, due) => {
                        prop_assert_eq!(decide(&facts, &row(&facts, &message), false, due).0, Decision::Suppress(reason));
                    }
                }
            }
        }
    }
}
