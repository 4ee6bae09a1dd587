//! Switches, overrides and options: which settings hold for a message.

use super::*;
use crate::resource::ResourceKind;
use crate::rule::{Rules, RulesByType};
use NotificationType as Type;

const MADE: &str = "2026-11-20T12:00:00Z";

/// The salon after each thing that tells the client something, with the type that tells it.
fn scenes() -> Vec<(Type, Facts)> {
    let done = |operations: &[(Operation, &str)]| {
        let mut facts = salon();
        facts.service.as_mut().unwrap().rebooking_after = "21d".to_owned().try_into().ok();
        facts.rule_mut(Type::ConfirmationRequest).enabled = true;
        for (operation, when) in operations {
            after(&mut facts, operation.clone(), when);
        }
        facts
    };
    let mut pending = salon();
    made(&mut pending, Source::Online, Status::Pending, Notify::ByRules, MADE);
    after(&mut pending, Operation::Confirm, "2026-11-20T13:00:00Z");
    let change = Operation::Change { resource_id: "r2".parse().unwrap(), service_id: "s".parse().unwrap() };
    let visit = [(Operation::Arrive, "2026-11-23T10:00:00Z"), (Operation::Complete, "2026-11-23T11:00:00Z")];
    vec![
        (Type::BookingCreated, done(&[])),
        (Type::Reminder, done(&[])),
        (Type::ConfirmationRequest, done(&[])),
        (Type::BookingConfirmed, pending),
        (Type::BookingRescheduled, done(&[(moved_to("2026-11-24T15:00:00Z"), "2026-11-20T13:00:00Z")])),
        (Type::BookingChanged, done(&[(change, "2026-11-20T13:00:00Z")])),
        (Type::BookingCancelled, done(&[(Operation::Cancel, "2026-11-20T13:00:00Z")])),
        (Type::RunningLate, done(&[(Operation::RunLate, "2026-11-23T10:10:00Z")])),
        (Type::MissedBooking, done(&[(Operation::NoShow, "2026-11-23T11:00:00Z")])),
        (Type::NoShowRecovery, done(&[(Operation::NoShow, "2026-11-23T11:00:00Z")])),
        (Type::ReviewRequest, done(&visit)),
        (Type::RebookingReminder, done(&visit)),
    ]
}

/// The channels on which a type leaves, now or later.
fn leaving(facts: &Facts, kind: Type) -> BTreeSet<Channel> {
    let messages = plan(facts, at(MADE)).messages.into_iter().filter(|message| message.kind == kind);
    messages
        .filter(|message| !matches!(message.outcome, Outcome::Withheld(..)))
        .map(|message| message.channel)
        .collect()
}

#[test]
fn s13_s60_each_type_has_a_switch_that_leaves_the_others_as_they_are() {
    for (kind, facts) in scenes() {
        assert!(!leaving(&facts, kind).is_empty(), "{kind}");
        let mut off = facts.clone();
        off.rule_mut(kind).enabled = false;
        assert!(leaving(&off, kind).is_empty(), "{kind}");
        for (other, _) in scenes().iter().filter(|(other, _)| *other != kind) {
            // Without the newer news the older one is told.
            assert!(leaving(&off, *other).is_superset(&leaving(&facts, *other)), "{other} with {kind} off");
        }
    }
}

#[test]
fn s13_each_channel_of_a_type_has_a_switch() {
    for (kind, facts) in scenes() {
        let on = leaving(&facts, kind);
        for &channel in &on {
            let mut off = facts.clone();
            off.rule_mut(kind)
                .steps
                .iter_mut()
                .for_each(|step| step.channels.retain(|other| *other != channel));
            off.rule_mut(kind).steps.retain(|step| !step.channels.is_empty());
            let rest: BTreeSet<Channel> = on.iter().copied().filter(|other| *other != channel).collect();
            assert_eq!(leaving(&off, kind), rest, "{kind} without {channel}");
        }
    }
}

#[test]
fn s14_email_is_on_for_every_client_with_an_address() {
    // The types whose default names e-mail (SPEC §3): for reminders it is an option, a late client is past reading it.
    for (kind, mut facts) in scenes() {
        facts.business.sms_enabled = false;
        facts.clients[0].phone = None;
        facts.clients[0].devices.clear();
        let email = !matches!(kind, Type::Reminder | Type::RunningLate);
        assert_eq!(leaving(&facts, kind).contains(&Channel::Email), email, "{kind}");
        facts.clients[0].email = None;
        assert!(leaving(&facts, kind).is_empty(), "{kind}");
    }
}

#[test]
fn s15_without_the_option_no_sms_leaves_and_all_else_does() {
    let business = r#"{"id":"b","name":"Salon Aurora","zone":"Europe/Lisbon","locale":"en"}"#;
    assert!(
        !serde_json::from_str::<crate::business::Business>(business).unwrap().sms_enabled,
        "off by default"
    );
    for (kind, facts) in scenes() {
        let mut without = facts.clone();
        without.business.sms_enabled = false;
        let mut rest = leaving(&facts, kind);
        rest.remove(&Channel::Sms);
        assert_eq!(leaving(&without, kind), rest, "{kind}");
        // Not by the tick either.
        without.booking_mut().history.iter_mut().for_each(|event| event.notify = Notify::Yes);
        assert!(!leaving(&without, kind).contains(&Channel::Sms), "{kind}");
    }
}

#[test]
fn s63_push_needs_nothing_but_a_device() {
    for (kind, mut facts) in scenes() {
        facts.business.sms_enabled = false;
        let by_default =
            Rule::default_for(kind).steps.iter().any(|step| step.channels.contains(&Channel::Push));
        assert_eq!(leaving(&facts, kind).contains(&Channel::Push), by_default, "{kind}");
        facts.clients[0].devices.clear();
        assert!(!leaving(&facts, kind).contains(&Channel::Push), "{kind}");
    }
}

#[test]
fn s33_every_type_has_its_audience() {
    use crate::notification_type::Audience;
    for &kind in Type::ALL {
        let audience = match kind {
            Type::StaffBookingCreated | Type::StaffBookingChanged | Type::StaffBookingCancelled => {
                Audience::Staff
            }
            Type::StaffUnconfirmed | Type::StaffRunningLate => Audience::Managers,
            Type::VerificationCode => Audience::Anyone,
            _ => Audience::Client,
        };
        assert_eq!(kind.audience(), audience, "{kind}");
        assert_eq!(kind.name().parse::<Type>().unwrap(), kind);
    }
}

/// The settings page of pozapisi, one to one: reminder time, quiet period, whether unconfirmed bookings are reminded of,
/// whether an online booking gets an sms, signature.
#[rstest]
fn s32_s25_s27_s28_s29_s30_the_five_settings_of_pozapisi(
    #[values((1, "2026-11-23T11:00:00Z"), (2, "2026-11-23T10:00:00Z"), (24, "2026-11-22T12:00:00Z"))]
    (hours, reminder): (u32, &str),
) {
    let rules = format!(
        r#"{{"business_id":"b","version":1,"changed":{{
            "reminder":{{"enabled":true,"while_pending":false,
                "steps":[{{"timing":"{hours}h before start","channels":["sms"]}}]}},
            "booking_created":{{"enabled":true,"steps":[
                {{"timing":"immediately","channels":["email"],"sources":["online"]}},
                {{"timing":"immediately","channels":["email","sms"],"sources":["staff"]}}]}}}}}}"#
    );
    let mut facts = salon();
    facts.rules = serde_json::from_str::<Rules>(&rules).unwrap();
    for (kind, rule) in &facts.rules.changed {
        assert_eq!(rule.check(*kind), Ok(()), "{kind}");
    }
    facts.business = serde_json::from_str(
        r#"{"id":"b","name":"Salon Aurora","zone":"Europe/Lisbon","locale":"ru","sms_enabled":true,
            "quiet_hours":{"from":"23:00","until":"10:00","channels":["sms"]},"signature":"Ваш Салон"}"#,
    )
    .unwrap();
    facts.clients[0].devices.clear();
    facts.booking_mut().start = at("2026-11-23T12:00:00Z");
    facts.booking_mut().end = at("2026-11-23T13:00:00Z");

    // An online booking late in the evening: an e-mail at once, no sms, and no reminder before the confirmation.
    made(&mut facts, Source::Online, Status::Pending, Notify::ByRules, "2026-11-20T23:30:00Z");
    let now = at("2026-11-20T23:30:00Z");
    let sent = |facts: &Facts| {
        lines_of(&plan(facts, now), |m| !matches!(m.outcome, Outcome::Withheld(Reason::NoAddress, _)))
    };
    assert_eq!(
        sent(&facts),
        [
            "booking_created immediately email: 2026-11-20T23:30:00Z".to_owned(),
            format!("reminder {hours}h before start sms: NotConfirmed")
        ]
    );
    // The manager confirms it in the night: the first sms waits for ten in the morning.
    after(&mut facts, Operation::Confirm, "2026-11-20T23:40:00Z");
    assert_eq!(
        sent(&facts),
        [
            "booking_confirmed immediately email: 2026-11-20T23:40:00Z".to_owned(),
            "booking_confirmed immediately sms: 2026-11-21T10:00:00Z (deferred)".to_owned(),
            format!("reminder {hours}h before start sms: {reminder}"),
        ]
    );
    // What a manager enters is told by sms at once.
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::ByRules, MADE);
    assert!(sent(&facts).contains(&format!("booking_created immediately sms: {MADE}")));
    // The other position of each switch.
    facts.rule_mut(Type::Reminder).while_pending = true;
    facts.rule_mut(Type::BookingCreated).steps[0].channels.push(Channel::Sms);
    made(&mut facts, Source::Online, Status::Pending, Notify::ByRules, MADE);
    assert!(sent(&facts).contains(&format!("booking_created immediately sms: {MADE}")));
    assert!(sent(&facts).contains(&format!("reminder {hours}h before start sms: {reminder}")));
}

// ------------------------------------------------------------------ overrides

fn only(kind: Type, channel: Channel) -> RulesByType {
    [(kind, rule(&[("1h before start", &[channel])]))].into()
}

#[test]
fn s57_a_kind_of_resource_may_have_rules_of_its_own() {
    let mut facts = salon();
    facts.rules.kinds.insert(ResourceKind::Room, only(Type::Reminder, Channel::Email));
    assert_eq!(leaving(&facts, Type::Reminder), [Channel::Sms, Channel::Push].into(), "a specialist");
    facts.resource.as_mut().unwrap().kind = ResourceKind::Room;
    assert_eq!(leaving(&facts, Type::Reminder), [Channel::Email].into());
    assert_eq!(
        leaving(&facts, Type::BookingCreated),
        [Channel::Email, Channel::Sms, Channel::Push].into(),
        "of other types it says nothing"
    );
    // It beats the business's own rule, switched off though that is.
    facts.rule_mut(Type::Reminder).enabled = false;
    assert_eq!(leaving(&facts, Type::Reminder), [Channel::Email].into());
}

#[test]
fn s58_s60_a_resource_may_have_rules_of_its_own_including_off() {
    let mut facts = salon();
    facts.rules.kinds.insert(ResourceKind::Specialist, only(Type::Reminder, Channel::Email));
    let resource = facts.resource.take().unwrap().overridden(only(Type::Reminder, Channel::Push), 0);
    facts.resource = Some(resource.clone());
    assert_eq!(leaving(&facts, Type::Reminder), [Channel::Push].into());
    let mut off = only(Type::Reminder, Channel::Push);
    off.values_mut().for_each(|rule| rule.enabled = false);
    facts.resource = Some(resource.overridden(off, 0));
    assert_eq!(leaving(&facts, Type::Reminder), BTreeSet::new());
    assert_eq!(leaving(&facts, Type::BookingCreated), [Channel::Email, Channel::Sms, Channel::Push].into());
}

#[test]
fn s58_the_trace_names_the_level_that_decided() {
    let because = |facts: &Facts| {
        let plan = plan(facts, at(MADE));
        let reminder = plan.messages.iter().find(|m| m.kind == Type::Reminder && m.channel == Channel::Push);
        let findings = reminder.unwrap().trace.findings.clone();
        findings
            .into_iter()
            .find(|finding| finding.check == Check::Switch)
            .map(|finding| finding.because)
            .unwrap()
    };
    let mut facts = salon();
    assert_eq!(because(&facts), "on by default");
    facts.rule_mut(Type::Reminder);
    assert_eq!(because(&facts), "on by the business's rule");
    facts.rule_mut(Type::Reminder).enabled = false;
    assert_eq!(because(&facts), "off by the business's rule");
    facts.rules.kinds.insert(ResourceKind::Specialist, only(Type::Reminder, Channel::Push));
    assert_eq!(because(&facts), "on by the rule of the resource's kind");
    let mut off = only(Type::Reminder, Channel::Push);
    off.values_mut().for_each(|rule| rule.enabled = false);
    facts.resource = Some(facts.resource.take().unwrap().overridden(off, 0));
    assert_eq!(because(&facts), "off by the resource's rule");
}

#[test]
fn s58_s59_a_booking_is_planned_by_the_overrides_of_its_own_version() {
    let mut facts = salon();
    let resource = facts.resource.take().unwrap();
    let resource = resource.overridden(only(Type::Reminder, Channel::Email), 3);
    let resource = resource.overridden(only(Type::Reminder, Channel::Push), 5);
    facts.resource = Some(resource);
    let by_version = |version| {
        let mut facts = facts.clone();
        facts.rules.version = version;
        leaving(&facts, Type::Reminder)
    };
    assert_eq!(by_version(2), [Channel::Sms, Channel::Push].into(), "the rules of the business");
    assert_eq!(by_version(3), [Channel::Email].into());
    assert_eq!(by_version(4), [Channel::Email].into());
    assert_eq!(by_version(5), [Channel::Push].into());
    assert_eq!(by_version(9), [Channel::Push].into());
}

#[test]
fn a_change_of_settings_replans_what_is_ahead_and_leaves_what_was_sent() {
    let mut facts = salon();
    let (mut ledger, mut checks) = (vec![], vec![]);
    applied(&facts, &mut ledger, &mut checks, at(MADE));
    for row in ledger.iter_mut().filter(|row| row.due <= at(MADE)) {
        row.status = MessageStatus::Accepted;
    }
    let sent: Vec<Message> =
        ledger.iter().filter(|row| row.status == MessageStatus::Accepted).cloned().collect();
    assert_eq!(sent.len(), 3);
    facts.rules.version = 1;
    facts.rules.changed.insert(
        Type::Reminder,
        rule(&[("3h before start", &[Channel::Email]), ("1h before start", &[Channel::Push])]),
    );
    facts.rules.changed.insert(Type::BookingCreated, Rule { enabled: false, ..rule(&[]) });
    applied(&facts, &mut ledger, &mut checks, at("2026-11-20T18:00:00Z"));
    let mut open: Vec<String> = ledger
        .iter()
        .filter(|row| row.status.is_open())
        .map(|row| format!("{} {} {}", row.kind, row.step, row.channel))
        .collect();
    open.sort();
    assert_eq!(open, ["reminder 1h before start push", "reminder 3h before start email"]);
    assert!(sent.iter().all(|row| ledger.contains(row)));
}

#[rstest]
fn s62_no_setting_depends_on_the_country(
    #[values("+351912345678", "+79161234567", "+375291234567", "+77011234567", "+12025550123")] phone: &str,
    #[values("Europe/Lisbon", "Africa/Abidjan", "Atlantic/Reykjavik")] zone: &str,
) {
    let mut facts = salon();
    let expected = lines(&plan(&facts, at("2026-11-20T12:00:00Z")));
    facts.business.zone = zone.parse().unwrap();
    facts.location.as_mut().unwrap().zone = None;
    facts.booking_mut().zone = zone.parse().unwrap();
    facts.clients[0].phone = Some(phone.parse().unwrap());
    // These zones keep the same time in November.
    assert_eq!(lines(&plan(&facts, at("2026-11-20T12:00:00Z"))), expected);
}

/// Every check on a message of the booking's making by sms, in order: check, verdict, why.
fn trace_of(facts: &Facts) -> Vec<String> {
    let planned = plan(facts, at("2026-11-20T12:00:00Z"));
    let is_it = |m: &&PlannedMessage| m.kind == NotificationType::BookingCreated && m.channel == Channel::Sms;
    let trace = &planned.messages.iter().find(is_it).unwrap().trace;
    let line = |finding: &crate::trace::Finding| {
        format!("{:?} {:?}: {}", finding.check, finding.verdict, finding.because)
    };
    trace.findings.iter().map(line).collect()
}

#[test]
fn a_trace_tells_every_check_up_to_the_one_that_decided() {
    let suppression = "Suppression Pass: the address is not suppressed";
    let ban = "Ban Pass: no ban on the client card";
    let rules = "Notify Pass: the operation asked for what the rules say";
    let rest = [
        "SmsOption Pass: the sms option is on",
        "Address Pass: +35***78",
        "UseBy Pass: due 2026-11-20T12:00:00Z, of use until 2026-11-23T10:00:00Z",
        "QuietHours Pass: not within quiet hours",
    ];
    let mut facts = salon();
    assert_eq!(
        trace_of(&facts),
        [&[suppression, ban, rules, "Switch Pass: on by default"][..], &rest].concat()
    );

    let booking = facts.booking_mut().clone();
    let made = |notify| booking.clone().created(at("2026-11-20T12:00:00Z"), notify);
    *facts.booking_mut() = made(Notify::Yes);
    let ticked = "Notify Pass: the operation asked for an sms in any case";
    assert_eq!(trace_of(&facts), [&[suppression, ban, ticked][..], &rest].concat());
    *facts.booking_mut() = made(Notify::NoSms);
    assert_eq!(trace_of(&facts), [suppression, ban, "Notify Suppress: the operation asked for no sms"]);
    *facts.booking_mut() = made(Notify::Nothing);
    assert_eq!(
        trace_of(&facts),
        [suppression, ban, "Notify Suppress: the operation asked for no notice at all"]
    );

    facts.clients[0].bans.channels.insert(Channel::Sms);
    assert_eq!(trace_of(&facts), [suppression, "Ban Suppress: banned on the client card"]);
    let stop = r#"{"address":"+351912345678","cause":"stop","since":"2026-01-01T00:00:00Z"}"#;
    facts.clients[0].suppressions.push(serde_json::from_str(stop).unwrap());
    assert_eq!(trace_of(&facts), ["Suppression Suppress: the address is suppressed"]);
}
