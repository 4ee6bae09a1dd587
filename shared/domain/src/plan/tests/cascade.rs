//! Cascades: in order, the next channel only when the one before cannot be used (S4).

use super::*;
use crate::booking::Failure;
use NotificationType as Type;

const MADE: &str = "2026-11-20T12:00:00Z";
const DUE: &str = "2026-11-22T10:00:00Z";

/// The salon with reminders a day before: push, else sms, else e-mail.
fn cascading() -> Facts {
    let mut facts = salon();
    let steps: &[(&str, &[Channel])] =
        &[("24h before start", &[Channel::Push, Channel::Sms, Channel::Email])];
    facts.rules.changed.insert(Type::Reminder, Rule { strategy: Strategy::Cascade, ..rule(steps) });
    facts
}

/// What becomes of push, sms and e-mail, in this order.
fn outcomes(facts: &Facts, now: &str) -> [String; 3] {
    let told = told(facts, now, Type::Reminder);
    ["push", "sms", "email"].map(|channel| {
        let prefix = format!("24h before start {channel}: ");
        told.iter().find_map(|line| line.strip_prefix(&prefix)).unwrap_or("none").to_owned()
    })
}

#[test]
fn s4_the_first_channel_that_works_serves() {
    assert_eq!(outcomes(&cascading(), MADE), [DUE, "Cascade", "Cascade"]);
}

#[rstest]
#[case::no_device(|facts: &mut Facts| facts.clients[0].devices.clear(), "NoAddress")]
#[case::banned(|facts: &mut Facts| { facts.clients[0].bans.channels.insert(Channel::Push); }, "Banned")]
fn s4_the_next_serves_where_the_first_cannot(#[case] change: fn(&mut Facts), #[case] reason: &str) {
    let mut facts = cascading();
    change(&mut facts);
    assert_eq!(outcomes(&facts, MADE), [reason, DUE, "Cascade"]);
    facts.business.sms_enabled = false;
    assert_eq!(outcomes(&facts, MADE), [reason, "SmsOff", DUE]);
    facts.clients[0].email = None;
    assert_eq!(outcomes(&facts, MADE), [reason, "SmsOff", "NoAddress"]);
}

#[test]
fn s4_a_suppressed_address_does_not_serve() {
    let mut facts = cascading();
    facts.clients[0].devices.clear();
    let stop = r#"{"address":"+351912345678","cause":"stop","since":"2026-01-01T00:00:00Z"}"#;
    facts.clients[0].suppressions.push(serde_json::from_str(stop).unwrap());
    assert_eq!(outcomes(&facts, MADE), ["NoAddress", "AddressSuppressed", DUE]);
}

/// The ledger after planning, with the message on `channel` at this status.
fn ledger_with(
    facts: &Facts,
    channel: Channel,
    status: MessageStatus,
) -> (Vec<Message>, Vec<CheckRow>, MessageId) {
    let (mut ledger, mut checks) = (vec![], vec![]);
    applied(facts, &mut ledger, &mut checks, at(MADE));
    let row = ledger.iter_mut().find(|row| row.kind == Type::Reminder && row.channel == channel).unwrap();
    row.status = status;
    let id = row.id.clone();
    (ledger, checks, id)
}

#[test]
fn s4_the_next_is_due_from_the_moment_the_first_failed_for_certain() {
    let mut facts = cascading();
    let (mut ledger, mut checks, push) = ledger_with(&facts, Channel::Push, MessageStatus::Failed);
    let sms = |ledger: &[Message]| {
        ledger.iter().find(|row| row.kind == Type::Reminder && row.channel == Channel::Sms).unwrap().clone()
    };
    let waiting = sms(&ledger);
    assert_eq!((waiting.status, waiting.reason), (MessageStatus::Suppressed, Some(Reason::Cascade)));
    assert_eq!(decide(&facts, &waiting, false, at(DUE)).0, Decision::Suppress(Reason::Cascade));

    let failed_at = "2026-11-22T10:00:07Z";
    let failure = Failure { message_id: push, at: at(failed_at) };
    *facts.booking_mut() = facts.booking_mut().failed(failure.clone()).unwrap();
    assert_eq!(facts.booking_mut().failed(failure), None, "once");
    assert_eq!(
        outcomes(&facts, failed_at),
        [DUE, failed_at, "Cascade"],
        "the failed row itself stays as it is"
    );
    applied(&facts, &mut ledger, &mut checks, at(failed_at));
    let next = sms(&ledger);
    assert_eq!((next.status, next.reason, next.due), (MessageStatus::Queued, None, at(failed_at)));
    assert_eq!(decide(&facts, &next, false, at(failed_at)).0, Decision::Send);
    let failed =
        ledger.iter().find(|row| row.channel == Channel::Push && row.kind == Type::Reminder).unwrap();
    assert_eq!(failed.status, MessageStatus::Failed);
    assert!(!applied(&facts, &mut ledger, &mut checks, at(failed_at)), "a second run changes nothing");

    // What failed is gone from the card since, for that very reason.
    facts.clients[0].devices.clear();
    assert_eq!(outcomes(&facts, failed_at), ["NoAddress", failed_at, "Cascade"]);
    assert_eq!(decide(&facts, &next, false, at(failed_at)).0, Decision::Send);

    // It fails too: the last one serves.
    let failure = Failure { message_id: next.id, at: at("2026-11-22T10:01:00Z") };
    *facts.booking_mut() = facts.booking_mut().failed(failure).unwrap();
    assert_eq!(outcomes(&facts, failed_at)[2], "2026-11-22T10:01:00Z");
}

#[test]
fn s4_a_failure_before_the_next_is_due_waits_for_its_time() {
    let mut facts = cascading();
    let (_, _, push) = ledger_with(&facts, Channel::Push, MessageStatus::Failed);
    *facts.booking_mut() =
        facts.booking_mut().failed(Failure { message_id: push, at: at("2026-11-21T10:00:00Z") }).unwrap();
    assert_eq!(outcomes(&facts, MADE)[1], DUE);
}

#[test]
fn s4_a_failure_of_another_message_changes_nothing() {
    let mut facts = cascading();
    let other = "0".repeat(32).parse().unwrap();
    *facts.booking_mut() = facts.booking_mut().failed(Failure { message_id: other, at: at(DUE) }).unwrap();
    assert_eq!(outcomes(&facts, MADE), [DUE, "Cascade", "Cascade"]);
}

#[rstest]
fn s4_whatever_is_late_by_a_failure_is_not_late_by_the_booking(
    #[values(LatePolicy::Grace, LatePolicy::SendNow, LatePolicy::Skip)] late: LatePolicy,
) {
    let mut facts = cascading();
    facts.rule_mut(Type::Reminder).late = late;
    let (_, _, push) = ledger_with(&facts, Channel::Push, MessageStatus::Failed);
    // Known fourteen hours after its time: more than a third of the lead, and the visit is still ahead.
    let failed_at = "2026-11-23T08:30:00Z";
    *facts.booking_mut() =
        facts.booking_mut().failed(Failure { message_id: push.clone(), at: at(failed_at) }).unwrap();
    assert_eq!(outcomes(&facts, failed_at)[1], failed_at);
    facts.booking_mut().failures.clear();
    *facts.booking_mut() =
        facts.booking_mut().failed(Failure { message_id: push, at: at("2026-11-23T10:00:00Z") }).unwrap();
    assert_eq!(outcomes(&facts, failed_at)[1], "TooLate", "the visit has begun");
}

#[test]
fn s4_news_by_a_cascade_goes_on_after_a_failure() {
    let mut facts = salon();
    let steps: &[(&str, &[Channel])] = &[("immediately", &[Channel::Push, Channel::Sms])];
    facts.rules.changed.insert(Type::BookingCreated, Rule { strategy: Strategy::Cascade, ..rule(steps) });
    let plan = plan(&facts, at(MADE));
    let is_push = |m: &&PlannedMessage| m.kind == Type::BookingCreated && m.channel == Channel::Push;
    let push = plan.messages.iter().find(is_push).unwrap().id.clone();
    assert_eq!(
        told(&facts, MADE, Type::BookingCreated),
        [format!("immediately push: {MADE}"), "immediately sms: Cascade".into()]
    );
    *facts.booking_mut() =
        facts.booking_mut().failed(Failure { message_id: push, at: at("2026-11-20T12:00:03Z") }).unwrap();
    assert!(
        told(&facts, MADE, Type::BookingCreated)
            .contains(&"immediately sms: 2026-11-20T12:00:03Z".to_owned())
    );
}

#[test]
fn s35_the_sms_that_staff_ticked_goes_whatever_serves_beside_it() {
    let mut facts = salon();
    let steps: &[(&str, &[Channel])] = &[("immediately", &[Channel::Email, Channel::Sms])];
    facts.rules.changed.insert(Type::BookingCreated, Rule { strategy: Strategy::Cascade, ..rule(steps) });
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::ByRules, MADE);
    let email = format!("immediately email: {MADE}");
    assert_eq!(told(&facts, MADE, Type::BookingCreated), [email.clone(), "immediately sms: Cascade".into()]);
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::Yes, MADE);
    assert_eq!(told(&facts, MADE, Type::BookingCreated), [email, format!("immediately sms: {MADE}")]);
}
