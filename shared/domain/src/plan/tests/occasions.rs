//! Occasions: account operations, bonuses, letters, codes, offers.

use super::*;
use crate::booking::Failure;
use crate::occasion::Occasion;
use NotificationType as Type;

const AT: &str = "2026-11-20T12:00:00Z";
const NIGHT: &str = "2026-11-20T23:30:00Z";
const MORNING: &str = "2026-11-21T08:00:00Z";

/// The salon with an occasion: `about` is its part of the JSON.
fn occasion(about: &str, when: &str) -> Facts {
    let mut facts = salon();
    let json = format!(
        r#"{{"business_id":"b","id":"o","client_id":"c","location_id":"l","at":"{when}","by":"staff",{about}}}"#
    );
    let occasion: Occasion = serde_json::from_str(&json).unwrap();
    assert_eq!(
        serde_json::from_str::<Occasion>(&serde_json::to_string(&occasion).unwrap()).unwrap(),
        occasion
    );
    (facts.resource, facts.service) = (None, None);
    facts.subject = Subject::Occasion(occasion, None);
    facts
}

fn occasion_mut(facts: &mut Facts) -> &mut Occasion {
    match &mut facts.subject {
        Subject::Occasion(occasion, _) => occasion,
        Subject::Booking(_) => panic!("a booking"),
    }
}

const CODE: &str = r#""about":"verification_code","code":"4711""#;
const LETTER: &str = r#""about":"individual","text":"Your scarf is here.""#;
const BONUS: &str = r#""about":"bonus","bonus":"accrued","amount":{"points":100}"#;
const OFFER: &str = r#""about":"waitlist_offer","entry_id":"e","resource_id":"r","service_id":"s",
    "start":"2026-11-23T10:00:00Z","end":"2026-11-23T11:00:00Z","zone":"Europe/Lisbon","until":"2026-11-20T12:30:00Z""#;

#[rstest]
#[case::s22_prepayment_required("prepayment_required")]
#[case::s22_prepayment_received("prepayment_received")]
#[case::s23_penalty_charged("penalty_charged")]
#[case::s23_penalty_paid("penalty_paid")]
#[case::s24_moved_to_deposit("moved_to_deposit")]
#[case::s24_deposit_used("deposit_used")]
fn s22_s23_s24_account_operations_are_told_by_sms_and_email(#[case] operation: &str) {
    let about = format!(
        r#""about":"account_operation","operation":"{operation}","amount":{{"minor":4500,"currency":"EUR"}}"#
    );
    let facts = occasion(&about, AT);
    let leaves = ["email", "sms"].map(|channel| format!("account_operation immediately {channel}: {AT}"));
    assert_eq!(lines(&plan(&facts, at(AT))), leaves);
    let at_night = lines(&plan(&occasion(&about, NIGHT), at(NIGHT)));
    assert_eq!(
        at_night,
        [
            format!("account_operation immediately email: {NIGHT}"),
            format!("account_operation immediately sms: {MORNING} (deferred)")
        ]
    );
}

#[rstest]
#[case::accrued(r#""about":"bonus","bonus":"accrued","amount":{"points":100},"balance":{"points":350}"#)]
#[case::birthday(
    r#""about":"bonus","bonus":"birthday_gift","amount":{"money":{"minor":1000,"currency":"EUR"}}"#
)]
fn s76_a_bonus_is_told_by_push_sms_and_email(#[case] about: &str) {
    let leaves = ["email", "push", "sms"].map(|channel| format!("bonus_accrued immediately {channel}: {AT}"));
    assert_eq!(lines(&plan(&occasion(about, AT), at(AT))), leaves);
}

#[rstest]
#[case::one(&["push"])]
#[case::several(&["email", "sms"])]
#[case::all(&["email", "push", "sms"])]
fn s42_a_letter_goes_by_the_channels_that_were_chosen(#[case] chosen: &[&str]) {
    let mut facts =
        occasion(&format!(r#"{LETTER},"channels":{}"#, serde_json::to_string(chosen).unwrap()), AT);
    let expected: Vec<String> =
        chosen.iter().map(|channel| format!("individual immediately {channel}: {AT}")).collect();
    assert_eq!(lines(&plan(&facts, at(AT))), expected);
    // Not by what the rule's step happens to name.
    facts.rules.changed.insert(Type::Individual, rule(&[("immediately", &[Channel::Email])]));
    assert_eq!(lines(&plan(&facts, at(AT))), expected);
    facts.rule_mut(Type::Individual).enabled = false;
    assert_eq!(lines(&plan(&facts, at(AT))), Vec::<String>::new(), "the type is off");
}

#[test]
fn s43_a_letter_does_not_ask_for_consent_to_marketing() {
    let facts = occasion(LETTER, AT);
    assert!(!facts.clients[0].marketing_consent);
    assert_eq!(lines(&plan(&facts, at(AT))).len(), 3);
    assert!(lines(&plan(&facts, at(AT))).iter().all(|line| line.ends_with(AT)));
}

#[test]
fn s44_s45_a_letter_respects_the_bans_on_the_card() {
    let mut facts = occasion(LETTER, AT);
    facts.clients[0].bans.channels.insert(Channel::Push);
    assert!(lines(&plan(&facts, at(AT))).contains(&"individual immediately push: Banned".to_owned()));
    facts.clients[0].bans.types.insert(Type::Individual);
    assert!(lines(&plan(&facts, at(AT))).iter().all(|line| line.ends_with("Banned")));
}

#[test]
fn s16_a_code_knows_no_night_no_ban_and_no_sms_option() {
    let mut facts = occasion(CODE, NIGHT);
    facts.business.sms_enabled = false;
    facts.clients[0].bans.channels.extend(Channel::ALL);
    facts.clients[0].bans.types.insert(Type::VerificationCode);
    let leaves = ["email", "sms"].map(|channel| format!("verification_code immediately {channel}: {NIGHT}"));
    assert_eq!(lines(&plan(&facts, at(NIGHT))), leaves);
    // A bounce is what it may put right; STOP still wins on sms.
    for (address, cause) in [("ana@example.com", "hard_bounce"), ("+351912345678", "stop")] {
        let suppression =
            format!(r#"{{"address":"{address}","cause":"{cause}","since":"2026-01-01T00:00:00Z"}}"#);
        facts.clients[0].suppressions.push(serde_json::from_str(&suppression).unwrap());
    }
    assert_eq!(
        lines(&plan(&facts, at(NIGHT))),
        [leaves[0].clone(), "verification_code immediately sms: AddressSuppressed".to_owned()]
    );
}

#[test]
fn s16_a_code_goes_by_the_channel_that_was_asked_for_and_to_staff_too() {
    let mut facts = occasion(&format!(r#"{CODE},"channels":["sms"]"#), AT);
    assert_eq!(lines(&plan(&facts, at(AT))), [format!("verification_code immediately sms: {AT}")]);
    facts.staff = salon_with_staff().staff;
    occasion_mut(&mut facts).recipient = Recipient::Staff("w".parse().unwrap());
    assert_eq!(told_to(&facts, AT, "staff:w"), [format!("verification_code immediately sms: {AT}")]);
}

#[test]
fn s16_a_code_is_of_use_for_a_quarter_of_an_hour() {
    let facts = occasion(CODE, AT);
    let sms = plan(&facts, at(AT)).messages.into_iter().find(|m| m.channel == Channel::Sms).unwrap();
    let sms = row(&facts, &sms);
    assert_eq!(decide(&facts, &sms, false, at("2026-11-20T12:14:59Z")).0, Decision::Send);
    assert_eq!(
        decide(&facts, &sms, false, at("2026-11-20T12:15:00Z")).0,
        Decision::Suppress(Reason::TooLate)
    );
    let late = lines(&plan(&facts, at("2026-11-20T12:15:00Z")));
    assert!(late.iter().all(|line| line.ends_with("TooLate")), "{late:?}");
}

#[test]
fn an_offer_is_of_use_until_it_ends_and_then_goes_to_the_next() {
    let facts = occasion(OFFER, AT);
    let leaves =
        ["email", "push", "sms"].map(|channel| format!("waitlist_offer immediately {channel}: {AT}"));
    assert_eq!(lines(&plan(&facts, at(AT))), leaves);
    let checks = plan(&facts, at(AT)).checks;
    let found: Vec<_> = checks.iter().map(|check| (check.kind, check.due)).collect();
    assert_eq!(found, [(CheckKind::OfferEnds, at("2026-11-20T12:30:00Z"))]);
    for kind in [CheckKind::Late, CheckKind::NoShow, CheckKind::Unconfirmed] {
        assert_eq!(check_due(&facts, kind), None, "{kind:?}");
    }
    let late = lines(&plan(&facts, at("2026-11-20T12:30:00Z")));
    assert!(late.iter().all(|line| line.ends_with("TooLate")), "{late:?}");
    // An offer that ends before the night does cannot wait for the morning.
    let at_night = occasion(&OFFER.replace("2026-11-20T12:30:00Z", "2026-11-20T23:59:00Z"), NIGHT);
    assert_eq!(
        lines(&plan(&at_night, at(NIGHT))),
        [
            format!("waitlist_offer immediately email: {NIGHT}"),
            "waitlist_offer immediately push: QuietHours".to_owned(),
            "waitlist_offer immediately sms: QuietHours".to_owned(),
        ]
    );
}

#[rstest]
fn what_is_withdrawn_is_owed_no_more(#[values(CODE, LETTER, BONUS, OFFER)] about: &str) {
    let mut facts = occasion(about, NIGHT);
    if about == OFFER {
        facts = occasion(&OFFER.replace("2026-11-20T12:30:00Z", "2026-11-21T12:30:00Z"), NIGHT);
    }
    let (mut ledger, mut checks) = (vec![], vec![]);
    applied(&facts, &mut ledger, &mut checks, at(NIGHT));
    assert!(ledger.iter().any(|row| row.status.is_open()));
    let one = ledger.iter().find(|row| row.status.is_open()).unwrap().clone();
    occasion_mut(&mut facts).withdrawn = true;
    assert_eq!(plan(&facts, at(NIGHT)), Plan { messages: vec![], checks: vec![] });
    applied(&facts, &mut ledger, &mut checks, at(NIGHT));
    assert!(ledger.iter().all(|row| row.status == MessageStatus::Superseded), "{ledger:#?}");
    assert!(checks.iter().all(|check| check.withdrawn));
    let (decision, trace) = decide(&facts, &one, false, at(MORNING));
    assert_eq!(decision, Decision::Suppress(Reason::NotOwed));
    assert_eq!(trace.findings.last().unwrap().because, "it was withdrawn");
}

#[test]
fn s31_an_occasion_may_be_told_without_an_sms_or_not_at_all() {
    let outcomes =
        |notify: &str| lines(&plan(&occasion(&format!(r#"{BONUS},"notify":{notify}"#), AT), at(AT)));
    assert!(outcomes("false").contains(&"bonus_accrued immediately sms: NotifyOff".to_owned()));
    assert!(outcomes("false").contains(&format!("bonus_accrued immediately email: {AT}")));
    assert!(outcomes("\"none\"").iter().all(|line| line.ends_with("NotifyOff")));
}

#[test]
fn s4_an_occasion_may_go_by_a_cascade() {
    let mut facts = occasion(BONUS, AT);
    facts.rule_mut(Type::BonusAccrued).strategy = Strategy::Cascade;
    let before = plan(&facts, at(AT));
    assert_eq!(
        lines(&before),
        [
            "bonus_accrued immediately email: Cascade".to_owned(),
            format!("bonus_accrued immediately push: {AT}"),
            "bonus_accrued immediately sms: Cascade".to_owned(),
        ]
    );
    let push = before.messages.iter().find(|m| m.channel == Channel::Push).unwrap().id.clone();
    let failure = Failure { message_id: push, at: at("2026-11-20T12:00:05Z") };
    *occasion_mut(&mut facts) = occasion_mut(&mut facts).failed(failure).unwrap();
    assert!(
        lines(&plan(&facts, at(AT)))
            .contains(&"bonus_accrued immediately sms: 2026-11-20T12:00:05Z".to_owned())
    );
}

#[test]
fn s27_an_occasion_without_a_location_has_the_night_of_the_business() {
    let mut facts = occasion(BONUS, NIGHT);
    facts.location = None;
    facts.business.zone = "America/New_York".parse().unwrap();
    let sms = lines(&plan(&facts, at(NIGHT))).into_iter().find(|line| line.contains(" sms:")).unwrap();
    assert_eq!(sms, format!("bonus_accrued immediately sms: {NIGHT}"), "half past six in the evening");
}
