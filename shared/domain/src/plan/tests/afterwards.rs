//! What a booking owes once it has ended: a missed visit, an invitation back, a review, the next visit.

use super::*;
use crate::decide::asks_for_future_booking;
use crate::rule::Ending;
use NotificationType as Type;

const MISSED: &str = "2026-11-23T11:00:00Z";

#[test]
fn s26_a_missed_booking_is_told_by_email_only() {
    let mut facts = salon();
    after(&mut facts, Operation::NoShow, MISSED);
    assert_eq!(told(&facts, MISSED, Type::MissedBooking), [format!("immediately email: {MISSED}")]);
    // The client came after all: nothing is owed any more.
    after(&mut facts, Operation::Arrive, "2026-11-23T11:01:00Z");
    assert_eq!(lines(&plan(&facts, at("2026-11-23T11:01:00Z"))), Vec::<String>::new());
}

#[test]
fn s1_only_invitations_ask_for_a_future_booking() {
    for &kind in Type::ALL {
        let invites = matches!(kind, Type::NoShowRecovery | Type::RebookingReminder);
        assert_eq!(asks_for_future_booking(kind), invites, "{kind}");
    }
}

#[rstest]
#[case("immediately", MISSED)]
#[case("1h after", "2026-11-23T12:00:00Z")]
#[case("24h after", "2026-11-24T11:00:00Z")]
#[case("2d after", "2026-11-25T11:00:00Z")]
#[case("7d after", "2026-11-30T11:00:00Z")]
fn s2_the_invitation_leaves_after_the_set_delay(#[case] delay: &str, #[case] due: &str) {
    let mut facts = salon();
    let recovery = Rule { after: [Ending::NoShow].into(), ..rule(&[(delay, &[Channel::Email])]) };
    assert_eq!(recovery.check(Type::NoShowRecovery), Ok(()));
    facts.rules.changed.insert(Type::NoShowRecovery, recovery);
    after(&mut facts, Operation::NoShow, MISSED);
    assert_eq!(told(&facts, MISSED, Type::NoShowRecovery), [format!("{delay} email: {due}")]);
}

#[rstest]
#[case::no_show(&[Ending::NoShow], false, true)]
#[case::cancelled(&[Ending::Cancelled], true, false)]
#[case::both(&[Ending::Cancelled, Ending::NoShow], true, true)]
fn s3_the_invitation_answers_the_endings_it_is_set_for(
    #[case] endings: &[Ending],
    #[case] after_cancelled: bool,
    #[case] after_no_show: bool,
) {
    let invited = |operation: Operation, by: Source| {
        let mut facts = salon();
        facts.rule_mut(Type::NoShowRecovery).after = endings.iter().copied().collect();
        *facts.booking_mut() = facts.booking_mut().after(operation, at(MISSED), by, Notify::ByRules).unwrap();
        !told(&facts, MISSED, Type::NoShowRecovery).is_empty()
    };
    assert_eq!(invited(Operation::Cancel, Source::Staff), after_cancelled);
    assert_eq!(invited(Operation::Cancel, Source::Online), after_cancelled);
    assert_eq!(invited(Operation::NoShow, Source::Staff), after_no_show);
    assert_eq!(invited(Operation::NoShow, Source::System), after_no_show);
}

#[test]
fn s4_the_invitation_goes_out_on_all_channels_or_on_the_first_that_works() {
    let mut facts = salon();
    facts.rule_mut(Type::NoShowRecovery).steps =
        rule(&[("1h after", &[Channel::Email, Channel::Sms, Channel::Push])]).steps;
    after(&mut facts, Operation::NoShow, MISSED);
    let due = "2026-11-23T12:00:00Z";
    let leaves = ["email", "push", "sms"].map(|channel| format!("1h after {channel}: {due}"));
    assert_eq!(told(&facts, MISSED, Type::NoShowRecovery), leaves);
    facts.rule_mut(Type::NoShowRecovery).strategy = Strategy::Cascade;
    assert_eq!(
        told(&facts, MISSED, Type::NoShowRecovery),
        [
            format!("1h after email: {due}"),
            "1h after push: Cascade".to_owned(),
            "1h after sms: Cascade".to_owned()
        ]
    );
    facts.clients[0].email = None;
    assert_eq!(
        told(&facts, MISSED, Type::NoShowRecovery),
        [
            "1h after email: NoAddress".to_owned(),
            "1h after push: Cascade".to_owned(),
            format!("1h after sms: {due}")
        ]
    );
}

fn completed() -> Facts {
    let mut facts = salon();
    after(&mut facts, Operation::Arrive, "2026-11-23T10:00:00Z");
    after(&mut facts, Operation::Complete, "2026-11-23T10:55:00Z");
    facts
}

#[test]
fn s74_a_review_is_asked_for_two_hours_after_the_end() {
    let mut facts = completed();
    let due = "2026-11-23T13:00:00Z";
    let leaves = ["email", "push", "sms"].map(|channel| format!("2h after end {channel}: {due}"));
    assert_eq!(told(&facts, due, Type::ReviewRequest), leaves);
    // Marked completed a week late: nobody remembers.
    *facts.booking_mut() = salon().booking_mut().clone();
    after(&mut facts, Operation::Arrive, "2026-11-23T10:00:00Z");
    after(&mut facts, Operation::Complete, "2026-11-30T11:00:00Z");
    assert!(told(&facts, due, Type::ReviewRequest).iter().all(|line| line.ends_with("TooLate")));
}

#[test]
fn s75_clients_are_invited_again_by_the_interval_of_the_service() {
    let mut facts = completed();
    assert_eq!(told(&facts, MISSED, Type::RebookingReminder), Vec::<String>::new(), "the service has none");
    facts.service.as_mut().unwrap().rebooking_after = "21d".to_owned().try_into().ok();
    let leaves =
        ["email", "push", "sms"].map(|channel| format!("per service {channel}: 2026-12-14T11:00:00Z"));
    assert_eq!(told(&facts, MISSED, Type::RebookingReminder), leaves);
    // Once the client has another visit ahead, it is withheld at the moment of sending.
    let now = at("2026-12-14T11:00:00Z");
    let plan = plan(&facts, now);
    let sms = plan
        .messages
        .iter()
        .find(|m| m.kind == Type::RebookingReminder && m.channel == Channel::Sms)
        .unwrap();
    let row = row(&facts, sms);
    assert_eq!(decide(&facts, &row, false, now).0, Decision::Send);
    assert_eq!(decide(&facts, &row, true, now).0, Decision::Suppress(Reason::FutureBooking));
}

#[test]
fn s41_a_booking_may_have_a_repeat_time_of_its_own() {
    let mut facts = completed();
    facts.service.as_mut().unwrap().rebooking_after = "21d".to_owned().try_into().ok();
    facts.booking_mut().rebooking_after = "60d".to_owned().try_into().ok();
    let leaves =
        ["email", "push", "sms"].map(|channel| format!("per service {channel}: 2027-01-22T11:00:00Z"));
    assert_eq!(told(&facts, MISSED, Type::RebookingReminder), leaves);
}

#[rstest]
#[case::ahead(None)]
#[case::cancelled(Some(Operation::Cancel))]
#[case::missed(Some(Operation::NoShow))]
#[case::arrived(Some(Operation::Arrive))]
fn s74_s75_only_a_completed_visit_is_asked_about(#[case] operation: Option<Operation>) {
    let mut facts = salon();
    facts.service.as_mut().unwrap().rebooking_after = "21d".to_owned().try_into().ok();
    if let Some(operation) = operation {
        after(&mut facts, operation, "2026-11-23T10:00:00Z");
    }
    assert_eq!(told(&facts, MISSED, Type::ReviewRequest), Vec::<String>::new());
    assert_eq!(told(&facts, MISSED, Type::RebookingReminder), Vec::<String>::new());
}

#[rstest]
#[case::no_sms(Notify::NoSms, "1d after sms: 2026-11-24T11:00:00Z")]
#[case::nothing(Notify::Nothing, "1d after sms: NotifyOff")]
fn s31_the_tick_is_about_the_operations_own_notice(#[case] notify: Notify, #[case] sms: &str) {
    let mut facts = salon();
    after_with(&mut facts, Operation::NoShow, notify, "2026-11-23T11:00:00Z");
    let told = told(&facts, "2026-11-23T11:00:00Z", NotificationType::NoShowRecovery);
    assert!(told.contains(&sms.to_owned()), "{told:?}");
}

#[test]
fn s74_a_review_is_asked_for_within_a_week_of_the_visit() {
    let mut facts = salon();
    after(&mut facts, Operation::Arrive, "2026-11-23T10:00:00Z");
    after(&mut facts, Operation::Complete, "2026-11-23T11:00:00Z");
    let planned = plan(&facts, at("2026-11-23T11:00:00Z"));
    let is_it =
        |m: &&PlannedMessage| m.kind == NotificationType::ReviewRequest && m.channel == Channel::Email;
    let email = row(&facts, planned.messages.iter().find(is_it).unwrap());
    let decided = |now: &str| decide(&facts, &email, false, at(now)).0;
    assert_eq!(decided("2026-11-30T10:59:59Z"), Decision::Send);
    assert_eq!(decided("2026-11-30T11:00:00Z"), Decision::Suppress(Reason::TooLate));
}
