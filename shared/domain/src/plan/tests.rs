//! Tests of planning, deciding and reconciling together.

use super::*;
use crate::booking::Operation;
use crate::client::Client;
use crate::decide::{Decision, decide};
use crate::facts::tests::salon;
use crate::message::{CheckRow, Message, MessageStatus};
use crate::reconcile::reconcile;
use crate::rule::RuleStep;
use rstest::rstest;

mod afterwards;
mod before;
mod cascade;
mod news;
mod occasions;
mod people;
mod properties;
mod said;
mod sending;
mod settings;

fn at(instant: &str) -> Timestamp {
    instant.parse().unwrap()
}

/// The messages of a plan as text, sorted; without those that nothing switches on.
fn lines(plan: &Plan) -> Vec<String> {
    lines_of(plan, |_| true)
}

fn lines_of(plan: &Plan, which: impl Fn(&PlannedMessage) -> bool) -> Vec<String> {
    let mut lines: Vec<String> = plan
        .messages
        .iter()
        .filter(|message| !matches!(message.outcome, Outcome::Withheld(Reason::SwitchedOff, _)))
        .filter(|message| which(message))
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

/// What is planned of a type, as `step channel: outcome`.
fn told(facts: &Facts, now: &str, kind: NotificationType) -> Vec<String> {
    let lines = lines_of(&plan(facts, at(now)), |message| message.kind == kind);
    lines.iter().map(|line| line[kind.name().len() + 1..].to_owned()).collect()
}

/// What is planned for a recipient: a client by the bare id, a staff member as `staff:id`.
fn told_to(facts: &Facts, now: &str, recipient: &str) -> Vec<String> {
    lines_of(&plan(facts, at(now)), |message| message.recipient.to_string() == recipient)
}

/// Another client, with phone, e-mail and a device.
fn client(id: &str) -> Client {
    serde_json::from_str(&format!(
        r#"{{"business_id":"b","id":"{id}","name":"Bea","phone":"+351913456789","email":"{id}@example.com",
            "devices":[{{"id":"d-{id}","platform":"apns","token":"t"}}]}}"#
    ))
    .unwrap()
}

/// The salon with a staff member `w` who serves and a manager `m`, each with phone, e-mail and a device.
fn salon_with_staff() -> Facts {
    let mut facts = salon();
    for id in ["m", "w"] {
        let staff = format!(
            r#"{{"business_id":"b","id":"{id}","name":"Rui","phone":"+351914567890","email":"{id}@example.com",
                "devices":[{{"id":"d-{id}","platform":"fcm","token":"t"}}]}}"#
        );
        facts.staff.push(serde_json::from_str(&staff).unwrap());
    }
    facts.resource.as_mut().unwrap().staff_ids = vec!["w".parse().unwrap()];
    facts.location.as_mut().unwrap().manager_ids = vec!["m".parse().unwrap()];
    facts
}

/// A rule that is on, with these steps: `timing` and channels.
fn rule(steps: &[(&str, &[Channel])]) -> Rule {
    let step = |(timing, channels): &(&str, &[Channel])| RuleStep {
        timing: timing.parse().unwrap(),
        channels: channels.to_vec(),
        sources: BTreeSet::new(),
    };
    Rule {
        enabled: true,
        steps: steps.iter().map(step).collect(),
        ..Rule::default_for(NotificationType::BookingCreated).clone()
    }
}

/// The booking as if made by `source` at `when` in this state.
fn made(facts: &mut Facts, source: Source, status: Status, notify: Notify, when: &str) {
    let booking = Booking { source, status, ..facts.booking_mut().clone() };
    *facts.booking_mut() = booking.created(at(when), notify);
}

fn moved_to(start: &str) -> Operation {
    Operation::Reschedule { start: at(start), end: at(start) + SignedDuration::from_hours(1) }
}

/// A planned message as it stands in the ledger.
fn row(facts: &Facts, planned: &PlannedMessage) -> Message {
    let plan = Plan { messages: vec![planned.clone()], checks: vec![] };
    reconcile(facts, &plan, &[], &[], Timestamp::UNIX_EPOCH).messages.remove(0)
}

fn after(facts: &mut Facts, operation: Operation, when: &str) {
    after_with(facts, operation, Notify::ByRules, when);
}

fn after_with(facts: &mut Facts, operation: Operation, notify: Notify, when: &str) {
    *facts.booking_mut() = facts.booking_mut().after(operation, at(when), Source::Staff, notify).unwrap();
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
    facts.location.as_mut().unwrap().quiet_hours =
        Some(crate::quiet_hours::QuietHours::new("11:00", "14:00").unwrap());
    assert_eq!(sms(&facts).unwrap(), "booking_created immediately sms: 2026-11-20T14:00:00Z (deferred)");
}

#[rstest]
#[case(QuietPolicy::Advance, "2026-11-22T22:55:00Z (deferred)")]
#[case(QuietPolicy::Drop, "QuietHours")]
#[case(QuietPolicy::Send, "2026-11-23T05:00:00Z")]
fn s27_a_reminder_that_the_night_would_make_useless(#[case] policy: QuietPolicy, #[case] expected: &str) {
    let mut facts = salon();
    facts.booking_mut().start = at("2026-11-23T07:00:00Z"); // before the window ends
    let rule = facts.rule_mut(NotificationType::Reminder);
    rule.quiet = policy;
    let plan = lines(&plan(&facts, at("2026-11-20T12:00:00Z")));
    assert!(plan.contains(&format!("reminder 2h before start sms: {expected}")), "{plan:#?}");
}

#[rstest]
#[case::a_third_is_left("2026-11-22T17:59:59Z", "2026-11-22T17:59:59Z")]
#[case::a_third_is_missed("2026-11-22T18:00:00Z", "TooLate")]
fn a_booking_made_late_has_a_grace_of_a_third_of_the_lead(#[case] made: &str, #[case] expected: &str) {
    let mut facts = salon();
    *facts.booking_mut() = facts.booking_mut().clone().created(at(made), Notify::ByRules);
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
    assert!(lines(&after).contains(&"booking_rescheduled immediately sms: 2026-11-20T13:00:00Z".to_owned()));
}

#[test]
fn s18_confirming_repeats_no_reminder() {
    let mut facts = salon();
    facts.booking_mut().status = Status::Pending;
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
    facts.booking_mut().status = Status::Pending;
    let rule = facts.rule_mut(NotificationType::Reminder);
    rule.while_pending = false;
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
        *facts.booking_mut() = facts.booking_mut().clone().created(at("2026-11-20T12:00:00Z"), notify);
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
        let rule = facts.rule_mut(NotificationType::BookingCreated);
        rule.enabled = false;
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
    *facts.booking_mut() = facts
        .booking_mut()
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
    *facts.booking_mut() = facts.booking_mut().clone().created(at("2026-11-20T22:50:00Z"), Notify::ByRules);
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
        let rule = facts.rule_mut(NotificationType::BookingCreated);
        rule.enabled = enabled;
    };
    switch(&mut facts, false);
    let (mut ledger, mut checks) = (vec![], vec![]);
    applied(&facts, &mut ledger, &mut checks, at("2026-11-20T12:00:00Z"));
    switch(&mut facts, true);
    applied(&facts, &mut ledger, &mut checks, at("2026-11-22T12:00:00Z"));
    let created: Vec<_> = ledger.iter().filter(|row| row.kind == NotificationType::BookingCreated).collect();
    assert_eq!(created.len(), 3);
    assert!(created.iter().all(|row| row.reason == Some(Reason::TooLate)), "{created:#?}");
}

#[test]
fn s55_a_visit_entered_after_the_fact_makes_nobody_late() {
    let mut facts = salon();
    facts.business.no_show_after_minutes = Some(30.try_into().unwrap());
    assert_eq!(plan(&facts, at("2026-11-20T12:00:00Z")).checks.len(), 2);
    *facts.booking_mut() = facts.booking_mut().clone().created(at("2026-11-23T18:00:00Z"), Notify::ByRules);
    assert_eq!(plan(&facts, at("2026-11-23T18:00:00Z")).checks, []);
}

#[test]
fn s35_the_tick_sends_an_sms_where_the_rule_is_off_and_has_no_step() {
    let mut facts = salon();
    let rule = facts.rule_mut(NotificationType::BookingCreated);
    (rule.enabled, rule.steps) = (false, vec![]);
    *facts.booking_mut() = facts.booking_mut().clone().created(at("2026-11-20T12:00:00Z"), Notify::Yes);
    let lines = lines(&plan(&facts, at("2026-11-20T12:00:00Z")));
    assert!(
        lines.contains(&"booking_created immediately sms: 2026-11-20T12:00:00Z".to_owned()),
        "{lines:#?}"
    );
}

#[test]
fn s27_policy_send_is_about_what_the_morning_would_make_useless_only() {
    let mut facts = salon();
    let rule = facts.rule_mut(NotificationType::BookingCreated);
    rule.quiet = QuietPolicy::Send;
    *facts.booking_mut() = facts.booking_mut().clone().created(at("2026-11-20T22:50:00Z"), Notify::ByRules);
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
fn applied(facts: &Facts, ledger: &mut Vec<Message>, checks: &mut Vec<CheckRow>, now: Timestamp) -> bool {
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
