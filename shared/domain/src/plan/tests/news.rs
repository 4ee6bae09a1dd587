//! What has just happened to a booking, and who hears of it.

use super::*;
use NotificationType as Type;

const MADE: &str = "2026-11-20T12:00:00Z";

#[test]
fn s17_an_online_booking_is_told_on_every_channel() {
    let mut facts = salon();
    made(&mut facts, Source::Online, Status::Pending, Notify::ByRules, MADE);
    let leaves = ["email", "push", "sms"].map(|channel| format!("immediately {channel}: {MADE}"));
    assert_eq!(told(&facts, MADE, Type::BookingCreated), leaves);
}

#[test]
fn s29_with_the_sms_of_online_bookings_off_the_first_sms_is_the_confirmation() {
    let mut facts = salon();
    let mut by_source =
        rule(&[("immediately", &[Channel::Email]), ("immediately", &[Channel::Email, Channel::Sms])]);
    by_source.steps[0].sources = [Source::Online].into();
    by_source.steps[1].sources = [Source::Staff].into();
    assert_eq!(by_source.check(Type::BookingCreated), Ok(()));
    facts.rules.changed.insert(Type::BookingCreated, by_source);

    made(&mut facts, Source::Online, Status::Pending, Notify::ByRules, MADE);
    assert_eq!(told(&facts, MADE, Type::BookingCreated), [format!("immediately email: {MADE}")]);
    let sms = |facts: &Facts| {
        let plan = plan(facts, at(MADE));
        let news = |m: &PlannedMessage| m.channel == Channel::Sms && m.kind != Type::Reminder;
        lines_of(&plan, news)
    };
    assert_eq!(sms(&facts), Vec::<String>::new());
    after(&mut facts, Operation::Confirm, "2026-11-20T13:00:00Z");
    assert_eq!(sms(&facts), ["booking_confirmed immediately sms: 2026-11-20T13:00:00Z"]);

    made(&mut facts, Source::Staff, Status::Confirmed, Notify::ByRules, MADE);
    assert_eq!(sms(&facts), [format!("booking_created immediately sms: {MADE}")], "staff's are told by sms");
}

#[test]
fn s17_s19_the_two_sources_have_switches_of_their_own() {
    let mut facts = salon();
    let mut online_only = rule(&[("immediately", &[Channel::Email])]);
    online_only.steps[0].sources = [Source::Online].into();
    facts.rules.changed.insert(Type::BookingCreated, online_only);
    assert_eq!(told(&facts, MADE, Type::BookingCreated), Vec::<String>::new(), "made by staff");
    made(&mut facts, Source::Online, Status::Pending, Notify::ByRules, MADE);
    assert_eq!(told(&facts, MADE, Type::BookingCreated), [format!("immediately email: {MADE}")]);
}

#[test]
fn s18_a_confirmation_by_staff_is_told_by_email_and_sms() {
    let mut facts = salon();
    made(&mut facts, Source::Online, Status::Pending, Notify::ByRules, MADE);
    after(&mut facts, Operation::Confirm, "2026-11-20T13:00:00Z");
    assert_eq!(
        told(&facts, MADE, Type::BookingConfirmed),
        ["immediately email: 2026-11-20T13:00:00Z", "immediately sms: 2026-11-20T13:00:00Z"]
    );
    // On push there is no newer news, so the older one is still told there.
    assert_eq!(told(&facts, MADE, Type::BookingCreated), [format!("immediately push: {MADE}")]);
}

#[rstest]
#[case::by_staff(Source::Staff)]
#[case::by_the_client(Source::Online)]
fn s20_a_cancellation_is_told_by_email_and_sms(#[case] by: Source) {
    let mut facts = salon();
    let cancelled =
        facts.booking_mut().after(Operation::Cancel, at("2026-11-21T12:00:00Z"), by, Notify::ByRules);
    *facts.booking_mut() = cancelled.unwrap();
    assert_eq!(
        lines(&plan(&facts, at("2026-11-21T12:00:00Z"))),
        [
            "booking_cancelled immediately email: 2026-11-21T12:00:00Z",
            "booking_cancelled immediately sms: 2026-11-21T12:00:00Z",
        ]
    );
}

#[test]
fn s21_a_move_is_told_on_every_channel() {
    let mut facts = salon();
    after(&mut facts, moved_to("2026-11-24T15:00:00Z"), "2026-11-21T12:00:00Z");
    let leaves =
        ["email", "push", "sms"].map(|channel| format!("immediately {channel}: 2026-11-21T12:00:00Z"));
    assert_eq!(told(&facts, MADE, Type::BookingRescheduled), leaves);
    assert_eq!(
        told(&facts, MADE, Type::BookingCreated),
        Vec::<String>::new(),
        "the newer news stands for it"
    );
}

#[test]
fn another_resource_or_service_is_told_by_email_and_push_and_repeats_no_reminder() {
    let mut facts = salon();
    let reminders = |facts: &Facts| -> BTreeSet<MessageId> {
        let plan = plan(facts, at(MADE));
        plan.messages.into_iter().filter(|m| m.kind == Type::Reminder).map(|m| m.id).collect()
    };
    let before = reminders(&facts);
    assert_eq!(before.len(), 3);
    let change = Operation::Change { resource_id: "r2".parse().unwrap(), service_id: "s2".parse().unwrap() };
    after(&mut facts, change, "2026-11-21T12:00:00Z");
    assert_eq!(
        told(&facts, MADE, Type::BookingChanged),
        ["immediately email: 2026-11-21T12:00:00Z", "immediately push: 2026-11-21T12:00:00Z"]
    );
    assert_eq!(reminders(&facts), before);
}

#[rstest]
#[case::moved(moved_to("2026-11-24T15:00:00Z"), Type::BookingRescheduled)]
#[case::cancelled(Operation::Cancel, Type::BookingCancelled)]
fn s31_s37_the_tick_of_a_move_and_of_a_cancellation(#[case] operation: Operation, #[case] kind: Type) {
    let outcomes = |notify, change: fn(&mut Facts)| {
        let mut facts = salon();
        change(&mut facts);
        after_with(&mut facts, operation.clone(), notify, "2026-11-21T12:00:00Z");
        let told = told(&facts, MADE, kind);
        told.into_iter().filter(|line| !line.contains(" push:")).collect::<Vec<_>>()
    };
    let leaves = "2026-11-21T12:00:00Z";
    let of =
        |email: &str, sms: &str| [format!("immediately email: {email}"), format!("immediately sms: {sms}")];
    assert_eq!(outcomes(Notify::ByRules, |_| ()), of(leaves, leaves), "ticked by default");
    assert_eq!(outcomes(Notify::Yes, |_| ()), of(leaves, leaves));
    assert_eq!(outcomes(Notify::NoSms, |_| ()), of(leaves, "NotifyOff"));
    assert_eq!(outcomes(Notify::Nothing, |_| ()), of("NotifyOff", "NotifyOff"));
    let off = |facts: &mut Facts| {
        for kind in [Type::BookingRescheduled, Type::BookingCancelled] {
            facts.rule_mut(kind).enabled = false;
        }
    };
    assert_eq!(outcomes(Notify::Yes, off), Vec::<String>::new(), "only at the making does the tick override");
}

#[test]
fn s31_the_tick_is_about_its_own_operation() {
    let mut facts = salon();
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::Nothing, MADE);
    let reminders = told(&facts, MADE, Type::Reminder);
    assert_eq!(reminders.len(), 3);
    assert!(reminders.iter().all(|line| !line.contains("NotifyOff")), "{reminders:?}");
    after(&mut facts, moved_to("2026-11-24T15:00:00Z"), "2026-11-21T12:00:00Z");
    assert_eq!(told(&facts, MADE, Type::BookingRescheduled).len(), 3);
    assert!(told(&facts, MADE, Type::BookingRescheduled).iter().all(|line| !line.contains("NotifyOff")));
}

#[rstest]
#[case::type_off(|facts: &mut Facts| facts.rule_mut(Type::BookingCreated).enabled = false)]
#[case::no_sms_in_the_rule(|facts: &mut Facts| {
    facts.rules.changed.insert(Type::BookingCreated, rule(&[("immediately", &[Channel::Email])]));
})]
#[case::kind_off(|facts: &mut Facts| {
    let off = Rule { enabled: false, ..rule(&[]) };
    facts.rules.kinds.insert(crate::resource::ResourceKind::Specialist, [(Type::BookingCreated, off)].into());
})]
#[case::resource_off(|facts: &mut Facts| {
    let off = Rule { enabled: false, ..rule(&[]) };
    let resource = facts.resource.take().unwrap();
    facts.resource = Some(resource.overridden([(Type::BookingCreated, off)].into(), 0));
})]
fn s34_s35_the_tick_sends_the_sms_whatever_the_rules_say_and_no_other_channel(#[case] off: fn(&mut Facts)) {
    let sms = |facts: &Facts| {
        let told = told(facts, MADE, Type::BookingCreated);
        told.into_iter().filter(|line| !line.contains(" email:")).collect::<Vec<_>>()
    };
    let mut facts = salon();
    off(&mut facts);
    assert_eq!(sms(&facts), Vec::<String>::new(), "off");
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::Yes, MADE);
    assert_eq!(sms(&facts), [format!("immediately sms: {MADE}")]);
    made(&mut facts, Source::Online, Status::Pending, Notify::Yes, MADE);
    assert_eq!(sms(&facts), Vec::<String>::new(), "an online booking has no tick");
}

#[rstest]
#[case::channel(|client: &mut Client| { client.bans.channels.insert(Channel::Sms); }, "Banned")]
#[case::kind(|client: &mut Client| { client.bans.types.insert(Type::BookingCreated); }, "Banned")]
#[case::stop(|client: &mut Client| client.suppressions.push(serde_json::from_str(
    r#"{"address":"+351912345678","cause":"stop","since":"2026-01-01T00:00:00Z"}"#).unwrap()), "AddressSuppressed")]
#[case::no_phone(|client: &mut Client| client.phone = None, "NoAddress")]
fn s36_a_ban_and_a_stop_beat_the_tick(#[case] change: fn(&mut Client), #[case] reason: &str) {
    let mut facts = salon();
    change(&mut facts.clients[0]);
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::Yes, MADE);
    assert!(told(&facts, MADE, Type::BookingCreated).contains(&format!("immediately sms: {reason}")));
}

#[test]
fn s56_a_notice_may_wait_some_minutes_after_the_booking() {
    let mut facts = salon();
    let steps: &[(&str, &[Channel])] = &[("10m after", &[Channel::Sms]), ("2h after", &[Channel::Email])];
    facts.rules.changed.insert(Type::BookingCreated, rule(steps));
    assert_eq!(
        told(&facts, MADE, Type::BookingCreated),
        ["10m after sms: 2026-11-20T12:10:00Z", "2h after email: 2026-11-20T14:00:00Z"]
    );
}

#[test]
fn s27_of_what_waits_out_the_night_only_the_last_is_news() {
    let mut facts = salon();
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::ByRules, "2026-11-20T23:10:00Z");
    let (mut ledger, mut checks) = (vec![], vec![]);
    let sms = |ledger: &[Message]| -> Vec<String> {
        let waits =
            |m: &&Message| m.channel == Channel::Sms && m.status.is_open() && m.kind != Type::Reminder;
        ledger.iter().filter(waits).map(|m| format!("{} {}", m.kind, m.due)).collect()
    };
    applied(&facts, &mut ledger, &mut checks, at("2026-11-20T23:10:00Z"));
    assert_eq!(sms(&ledger), ["booking_created 2026-11-21T08:00:00Z"]);
    after(&mut facts, moved_to("2026-11-24T15:00:00Z"), "2026-11-20T23:30:00Z");
    applied(&facts, &mut ledger, &mut checks, at("2026-11-20T23:30:00Z"));
    assert_eq!(sms(&ledger), ["booking_rescheduled 2026-11-21T08:00:00Z"]);
    after(&mut facts, Operation::Cancel, "2026-11-21T02:00:00Z");
    applied(&facts, &mut ledger, &mut checks, at("2026-11-21T02:00:00Z"));
    assert_eq!(sms(&ledger), ["booking_cancelled 2026-11-21T08:00:00Z"]);
    let created =
        ledger.iter().find(|m| m.kind == Type::BookingCreated && m.channel == Channel::Sms).unwrap();
    assert_eq!((created.status, created.reason), (MessageStatus::Superseded, Some(Reason::NotOwed)));
}

#[test]
fn s27_news_that_goes_by_a_cascade_stands_for_older_news_on_all_of_its_channels() {
    let mut facts = salon();
    let cascade = Rule {
        strategy: Strategy::Cascade,
        ..rule(&[("immediately", &[Channel::Email, Channel::Sms, Channel::Push])])
    };
    facts.rules.changed.insert(Type::BookingRescheduled, cascade);
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::ByRules, "2026-11-20T23:10:00Z");
    after(&mut facts, moved_to("2026-11-24T15:00:00Z"), "2026-11-20T23:30:00Z");
    assert_eq!(
        told(&facts, MADE, Type::BookingRescheduled),
        ["immediately email: 2026-11-20T23:30:00Z", "immediately push: Cascade", "immediately sms: Cascade"]
    );
    assert_eq!(told(&facts, MADE, Type::BookingCreated), Vec::<String>::new());
}

#[rstest]
#[case::made_after_the_start("2026-11-23T10:00:00Z", 0)]
#[case::made_just_before("2026-11-23T09:59:59Z", 3)]
fn s69_a_visit_entered_after_the_fact_is_told_to_nobody(#[case] when: &str, #[case] leave: usize) {
    let mut facts = salon();
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::ByRules, when);
    let told = told(&facts, when, Type::BookingCreated);
    assert_eq!(told.iter().filter(|line| !line.contains("TooLate")).count(), leave, "{told:?}");
    assert_eq!(told.len(), 3);
}

#[test]
fn s52_s69_the_notice_says_of_which_booking_to_whom_and_by_which_rules() {
    let facts = salon();
    let plan = plan(&facts, at(MADE));
    let sms =
        plan.messages.iter().find(|m| m.kind == Type::BookingCreated && m.channel == Channel::Sms).unwrap();
    assert_eq!((sms.revision, sms.known_at), (1, at(MADE)));
    assert_eq!(sms.recipient, Recipient::Client("c".parse().unwrap()));
    let checks: Vec<(Check, Verdict)> = sms.trace.findings.iter().map(|f| (f.check, f.verdict)).collect();
    let passed = [
        Check::Suppression,
        Check::Ban,
        Check::Notify,
        Check::Switch,
        Check::SmsOption,
        Check::Address,
        Check::UseBy,
        Check::QuietHours,
    ];
    assert_eq!(checks, passed.map(|check| (check, Verdict::Pass)));
    let row = row(&facts, sms);
    assert_eq!((row.status, row.reason, row.due), (MessageStatus::Planned, None, at(MADE)));
}
