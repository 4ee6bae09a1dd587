//! True at sending: what has changed between planning and the due time counts.

use super::*;
use NotificationType as Type;

const MADE: &str = "2026-11-20T12:00:00Z";
const DUE: &str = "2026-11-23T08:00:00Z";

/// The reminder by sms two hours before, as planned.
fn reminder() -> (Facts, Message) {
    let facts = salon();
    let plan = plan(&facts, at(MADE));
    let sms = plan.messages.iter().find(|m| m.kind == Type::Reminder && m.channel == Channel::Sms).unwrap();
    let row = row(&facts, sms);
    assert_eq!(row.due, at(DUE));
    (facts, row)
}

#[rstest]
#[case::nothing(|_: &mut Facts| (), Decision::Send)]
#[case::s44_banned(|facts: &mut Facts| { facts.clients[0].bans.channels.insert(Channel::Sms); }, Decision::Suppress(Reason::Banned))]
#[case::s45_type_banned(|facts: &mut Facts| { facts.clients[0].bans.types.insert(Type::Reminder); }, Decision::Suppress(Reason::Banned))]
#[case::phone_gone(|facts: &mut Facts| facts.clients[0].phone = None, Decision::Suppress(Reason::NoAddress))]
#[case::client_gone(|facts: &mut Facts| facts.clients.clear(), Decision::Suppress(Reason::NoAddress))]
#[case::another_phone(|facts: &mut Facts| facts.clients[0].phone = "+351913000000".parse().ok(), Decision::Send)]
#[case::stop(|facts: &mut Facts| facts.clients[0].suppressions.push(serde_json::from_str(
    r#"{"address":"+351912345678","cause":"stop","since":"2026-11-21T00:00:00Z"}"#).unwrap()), Decision::Suppress(Reason::AddressSuppressed))]
#[case::stop_of_an_old_phone(|facts: &mut Facts| facts.clients[0].suppressions.push(serde_json::from_str(
    r#"{"address":"+351999999999","cause":"stop","since":"2026-11-21T00:00:00Z"}"#).unwrap()), Decision::Send)]
#[case::s15_sms_given_up(|facts: &mut Facts| facts.business.sms_enabled = false, Decision::Suppress(Reason::SmsOff))]
#[case::s13_type_off(|facts: &mut Facts| facts.rule_mut(Type::Reminder).enabled = false, Decision::Suppress(Reason::SwitchedOff))]
#[case::s13_step_gone(|facts: &mut Facts| facts.rule_mut(Type::Reminder).steps.retain(|step| step.channels != [Channel::Sms]), Decision::Suppress(Reason::NotOwed))]
#[case::s39_own_times(|facts: &mut Facts| facts.booking_mut().reminders = Some(vec![]), Decision::Suppress(Reason::NotOwed))]
#[case::s20_cancelled(|facts: &mut Facts| after(facts, Operation::Cancel, "2026-11-22T12:00:00Z"), Decision::Suppress(Reason::NotOwed))]
#[case::s21_moved(|facts: &mut Facts| after(facts, moved_to("2026-11-25T10:00:00Z"), "2026-11-22T12:00:00Z"), Decision::Suppress(Reason::NotOwed))]
#[case::s26_missed(|facts: &mut Facts| after(facts, Operation::NoShow, "2026-11-23T07:00:00Z"), Decision::Suppress(Reason::NotOwed))]
#[case::arrived_early(|facts: &mut Facts| after(facts, Operation::Arrive, "2026-11-23T07:00:00Z"), Decision::Suppress(Reason::NotOwed))]
#[case::out_of_it(|facts: &mut Facts| after(facts, Operation::Participants(vec!["c2".parse().unwrap()]), "2026-11-22T12:00:00Z"), Decision::Suppress(Reason::NotOwed))]
#[case::s28_waits_now(|facts: &mut Facts| {
    facts.booking_mut().status = Status::Pending;
    facts.rule_mut(Type::Reminder).while_pending = false;
}, Decision::Suppress(Reason::NotConfirmed))]
#[case::s27_a_longer_night(|facts: &mut Facts| {
    facts.business.quiet_hours = crate::quiet_hours::QuietHours::new("23:00", "09:00").ok();
}, Decision::Defer("2026-11-23T09:00:00Z".parse().unwrap()))]
#[case::s27_too_long_a_night(|facts: &mut Facts| {
    facts.business.quiet_hours = crate::quiet_hours::QuietHours::new("23:00", "10:00").ok();
}, Decision::Suppress(Reason::QuietHours))] // before it began would have been the time
#[case::s58_off_for_the_resource(|facts: &mut Facts| {
    let off = Rule { enabled: false, ..Rule::default_for(Type::Reminder).clone() };
    facts.resource = facts.resource.take().map(|resource| resource.overridden([(Type::Reminder, off)].into(), 0));
}, Decision::Suppress(Reason::SwitchedOff))]
fn what_has_changed_by_the_moment_of_sending_counts(
    #[case] change: fn(&mut Facts),
    #[case] expected: Decision,
) {
    let (mut facts, message) = reminder();
    change(&mut facts);
    let (decision, trace) = decide(&facts, &message, false, at(DUE));
    assert_eq!(decision, expected, "{trace:#?}");
    assert_eq!(trace.at, at(DUE));
}

#[test]
fn each_step_of_a_rule_is_decided_by_its_own_time() {
    let facts = salon();
    let planned = plan(&facts, at("2026-11-20T12:00:00Z"));
    let the = |step: &str| planned.messages.iter().find(|message| message.step.to_string() == step).unwrap();
    let hour_before = row(&facts, the("1h before start"));
    let day_before = "2026-11-22T10:00:00Z";
    assert_eq!(
        decide(&facts, &hour_before, false, at(day_before)).0,
        Decision::Defer(at("2026-11-23T09:00:00Z"))
    );
    assert_eq!(
        decide(&facts, &row(&facts, the("24h before start")), false, at(day_before)).0,
        Decision::Send
    );
}
