//! What planned messages say: every message that leaves can be composed, from the facts it was planned from.

use super::*;
use crate::calendar::Method;
use crate::compose::{Pages, compose};
use crate::contact::Email;
use crate::link::{LinkKeys, Purpose, Token};
use crate::occasion::Occasion;
use crate::template::Content;
use NotificationType as Type;

const MADE: &str = "2026-11-20T12:00:00Z";

fn sender() -> Email {
    "hello@aurora.example".parse().unwrap()
}

/// Composes everything that a plan lets leave; `type channel recipient` and the text of each.
fn said(facts: &Facts, now: &str) -> Vec<(String, Content)> {
    plan(facts, at(now))
        .messages
        .into_iter()
        .filter(|message| !matches!(message.outcome, Outcome::Withheld(..)))
        .map(|message| {
            let content = compose(
                facts,
                &message.recipient,
                message.kind,
                message.channel,
                None,
                Some(&sender()),
                None,
            )
            .unwrap()
            .unwrap();
            (format!("{} {} {}", message.kind, message.channel, message.recipient), content)
        })
        .collect()
}

fn the<'a>(said: &'a [(String, Content)], which: &str) -> &'a Content {
    let names: Vec<&String> = said.iter().map(|(name, _)| name).collect();
    said.iter()
        .find(|(name, _)| name == which)
        .map(|(_, content)| content)
        .unwrap_or_else(|| panic!("{which} is not in {names:?}"))
}

fn method(content: &Content) -> Option<Method> {
    match content {
        Content::Email { calendar, .. } => calendar.as_ref().map(|calendar| calendar.method),
        _ => None,
    }
}

fn with_everything() -> Facts {
    let mut facts = salon_with_staff();
    facts.rule_mut(Type::ConfirmationRequest).enabled = true;
    facts.service.as_mut().unwrap().rebooking_after = Some("21d".to_owned().try_into().unwrap());
    facts.business.booking_url = Some("https://aurora.example/book".parse().unwrap());
    facts.business.review_url = Some("https://aurora.example/review".parse().unwrap());
    facts.business.tip_url = Some("https://aurora.example/tip".parse().unwrap());
    facts.business.signature = Some("Yours, Aurora".parse().unwrap());
    facts
}

#[test]
fn s6_s7_s33_s69_a_booking_is_told_to_client_and_staff_in_words_of_their_own() {
    let facts = with_everything();
    let said = said(&facts, MADE);
    let sms = the(&said, "booking_created sms c").text();
    assert!(sms.contains("Salon Aurora") && sms.contains("Haircut") && sms.contains("10:00"), "{sms}");
    assert!(sms.ends_with("Yours, Aurora"), "S30: {sms}");
    let to_staff = the(&said, "staff_booking_created sms staff:w").text();
    assert!(to_staff.contains("Ana") && to_staff.contains("Haircut"), "{to_staff}");
    assert!(!the(&said, "reminder sms c").text().contains("Yours"), "no confirmation");
    assert!(!the(&said, "confirmation_request email c").text().is_empty());
}

#[test]
fn s69_confirmed_bookings_come_with_a_calendar_file_and_cancellations_take_it_back() {
    let mut facts = with_everything();
    let created = said(&facts, MADE);
    assert_eq!(method(the(&created, "booking_created email c")), Some(Method::Request));
    assert_eq!(method(the(&created, "staff_booking_created email staff:w")), None);
    assert_eq!(method(the(&created, "confirmation_request email c")), None, "no news");
    let without = compose(
        &facts,
        &Recipient::Client("c".parse().unwrap()),
        Type::BookingCreated,
        Channel::Email,
        None,
        None,
        None,
    );
    assert_eq!(method(&without.unwrap().unwrap()), None, "nobody sends it");
    let mut moved = facts.clone();
    after(&mut moved, moved_to("2026-11-25T15:00:00Z"), "2026-11-20T13:00:00Z");
    let news = said(&moved, "2026-11-20T13:00:00Z");
    let Content::Email { calendar: Some(calendar), .. } = the(&news, "booking_rescheduled email c") else {
        panic!("no calendar file")
    };
    let file = calendar.text.replace("\r\n ", "");
    assert!(file.contains("SEQUENCE:2") && file.contains("DTSTART:20261125T150000Z"));
    assert!(file.contains("mailto:ana@example.com") && !file.contains("mailto:m@example.com"), "{file}");
    after(&mut facts, Operation::Cancel, "2026-11-20T13:00:00Z");
    let news = said(&facts, "2026-11-20T13:00:00Z");
    assert_eq!(method(the(&news, "booking_cancelled email c")), Some(Method::Cancel));
    // What was never confirmed is in no calendar.
    let mut online = with_everything();
    made(&mut online, Source::Online, Status::Pending, Notify::ByRules, MADE);
    assert_eq!(method(the(&said(&online, MADE), "booking_created email c")), None);
    after(&mut online, Operation::Cancel, "2026-11-20T13:00:00Z");
    assert_eq!(method(the(&said(&online, "2026-11-20T13:00:00Z"), "booking_cancelled email c")), None);
}

#[test]
fn s55_s74_s75_late_missed_and_completed_visits_have_their_words() {
    let mut late = with_everything();
    after(&mut late, Operation::RunLate, "2026-11-23T10:10:00Z");
    let now = "2026-11-23T10:10:00Z";
    assert!(the(&said(&late, now), "running_late sms c").text().contains("10:00"));
    assert!(the(&said(&late, now), "staff_running_late push staff:m").text().contains("Ana"));
    let mut missed = with_everything();
    after(&mut missed, Operation::NoShow, "2026-11-23T11:00:00Z");
    let news = said(&missed, "2026-11-23T11:00:00Z");
    let invitation = the(&news, "no_show_recovery sms c").text();
    assert!(
        invitation.contains("Ana") && invitation.contains("https://aurora.example/book"),
        "S8: {invitation}"
    );
    let mut done = with_everything();
    after(&mut done, Operation::Arrive, "2026-11-23T10:00:00Z");
    after(&mut done, Operation::Complete, "2026-11-23T11:00:00Z");
    let news = said(&done, "2026-11-23T11:00:00Z");
    let review = the(&news, "review_request email c").text();
    assert!(
        review.contains("https://aurora.example/review") && review.contains("https://aurora.example/tip"),
        "{review}"
    );
    assert!(the(&news, "rebooking_reminder sms c").text().contains("https://aurora.example/book"));
}

#[rstest]
#[case::account(r#""about":"account_operation","operation":"penalty_charged","amount":{"minor":1500,"currency":"EUR"},"balance":{"minor":-1500,"currency":"EUR"}"#, "account_operation email c", "15.00")]
#[case::bonus(
    r#""about":"bonus","bonus":"birthday_gift","amount":{"points":100},"balance":{"points":420}"#,
    "bonus_accrued email c",
    "100"
)]
#[case::letter(
    r#""about":"individual","subject":"Your scarf","text":"It is {{ here }}.""#,
    "individual sms c",
    "It is {{ here }}."
)]
#[case::code(r#""about":"verification_code","code":"4711""#, "verification_code sms c", "4711")]
#[case::offer(r#""about":"waitlist_offer","entry_id":"e","resource_id":"r","service_id":"s","start":"2026-11-23T10:00:00Z","end":"2026-11-23T11:00:00Z","zone":"Europe/Lisbon","until":"2026-11-20T12:30:00Z""#, "waitlist_offer sms c", "10:00")]
fn s22_s24_s42_s16_s76_occasions_have_their_words(
    #[case] about: &str,
    #[case] which: &str,
    #[case] words: &str,
) {
    let mut facts = with_everything();
    let json =
        format!(r#"{{"business_id":"b","id":"o","client_id":"c","at":"{MADE}","by":"staff",{about}}}"#);
    let occasion: Occasion = serde_json::from_str(&json).unwrap();
    facts.subject = Subject::Occasion(occasion, None);
    let said = said(&facts, MADE);
    let text = the(&said, which).text();
    assert!(text.contains(words), "{text}");
}

/// Composes what is said to the client, with pages at `https://p.example`; the addresses of pages in it, and what each is for.
fn pages_in(facts: &Facts, kind: Type, channel: Channel, now: &str) -> (String, Vec<(String, Purpose)>) {
    let keys = LinkKeys::sample(facts.business.id.clone());
    let pages = Pages { url: "https://p.example", keys: &keys, now: at(now) };
    let client = facts.clients[0].id.clone();
    let content =
        compose(facts, &Recipient::Client(client.clone()), kind, channel, None, Some(&sender()), Some(pages));
    let text = content.unwrap().unwrap().text().to_owned();
    let of = |token: &str| {
        let token = Token::read(token).unwrap();
        assert_eq!(token.open(&keys, [&client], at(now)), Ok(&client));
        token.purpose
    };
    let found = text.lines().filter_map(|line| {
        let (label, token) = line.split_once("https://p.example/c/")?;
        Some((label.trim_end_matches([':', ' ']).to_owned(), of(token)))
    });
    let found = found.collect();
    (text, found)
}

#[test]
fn s53_a_request_to_confirm_leads_to_the_page_where_one_says_yes_or_no() {
    let facts = with_everything();
    let (sms, pages) = pages_in(&facts, Type::ConfirmationRequest, Channel::Sms, MADE);
    assert!(sms.contains("Confirm or cancel: https://p.example/c/"), "{sms}");
    assert_eq!(pages.iter().map(|page| page.1).collect::<Vec<_>>(), [Purpose::Confirm]);
    let (_, pages) = pages_in(&facts, Type::ConfirmationRequest, Channel::Email, MADE);
    let of = |label: &str, purpose| (label.to_owned(), purpose);
    assert_eq!(
        pages,
        [
            of("Confirm the visit", Purpose::Confirm),
            of("Cancel the visit", Purpose::Cancel),
            of("Ask for another time", Purpose::Reschedule),
            of("Notification settings", Purpose::Preferences),
        ]
    );
}

#[test]
fn s73_a_reminder_asks_to_confirm_where_its_rule_says_so_and_the_client_has_not() {
    let mut facts = with_everything();
    let asks = |facts: &Facts, channel| {
        let (_, pages) = pages_in(facts, Type::Reminder, channel, MADE);
        pages.iter().any(|(_, purpose)| *purpose == Purpose::Confirm)
    };
    assert!(!asks(&facts, Channel::Sms) && !asks(&facts, Channel::Email), "off by default");
    facts.rule_mut(Type::Reminder).confirmation_link = true;
    assert!(asks(&facts, Channel::Sms) && asks(&facts, Channel::Email));
    after(&mut facts, Operation::Answer(true), "2026-11-20T13:00:00Z");
    assert!(!asks(&facts, Channel::Sms) && !asks(&facts, Channel::Email), "the client has confirmed");
    // A text of the business's own has the link in any case: without it nothing would leave.
    let own: crate::template::Templates = serde_json::from_str(
        r#"{ "business_id": "b", "type": "reminder", "texts": [
            { "channel": "sms", "locale": "en", "text": "See you! {{ links.confirm }}" }] }"#,
    )
    .unwrap();
    let keys = LinkKeys::sample(facts.business.id.clone());
    let pages = Pages { url: "https://p.example", keys: &keys, now: at(MADE) };
    let ana = Recipient::Client("c".parse().unwrap());
    let own = compose(&facts, &ana, Type::Reminder, Channel::Sms, Some(&own), None, Some(pages));
    assert!(own.unwrap().unwrap().text().starts_with("See you! https://p.example/c/"));
}

#[test]
fn s74_a_review_is_asked_for_on_our_page_unless_the_business_has_its_own() {
    let mut done = with_everything();
    after(&mut done, Operation::Arrive, "2026-11-23T10:00:00Z");
    after(&mut done, Operation::Complete, "2026-11-23T11:00:00Z");
    let now = "2026-11-23T13:00:00Z";
    let (text, pages) = pages_in(&done, Type::ReviewRequest, Channel::Sms, now);
    assert!(text.contains("https://aurora.example/review") && pages.is_empty(), "{text}");
    done.business.review_url = None;
    let (text, pages) = pages_in(&done, Type::ReviewRequest, Channel::Email, now);
    assert_eq!(pages[0], ("Leave a review".to_owned(), Purpose::Review));
    assert!(text.contains("https://aurora.example/tip"), "{text}");
    assert_eq!(pages.len(), 2, "and the settings: what was ahead is over");
}

#[test]
fn s69_what_is_over_or_not_confirmed_is_not_offered() {
    let mut facts = with_everything();
    let purposes = |facts: &Facts, kind, now| {
        let (_, pages) = pages_in(facts, kind, Channel::Email, now);
        pages.into_iter().map(|(_, purpose)| purpose).collect::<Vec<_>>()
    };
    use Purpose::{Calendar, Cancel, Confirm, Preferences, Reschedule};
    assert_eq!(
        purposes(&facts, Type::BookingCreated, MADE),
        [Confirm, Reschedule, Cancel, Calendar, Preferences]
    );
    assert_eq!(purposes(&facts, Type::RunningLate, "2026-11-23T10:10:00Z"), [Preferences]);
    after(&mut facts, Operation::Cancel, "2026-11-20T13:00:00Z");
    assert_eq!(purposes(&facts, Type::BookingCancelled, "2026-11-20T13:00:00Z"), [Preferences]);
    let mut online = with_everything();
    made(&mut online, Source::Online, Status::Pending, Notify::ByRules, MADE);
    assert_eq!(purposes(&online, Type::BookingCreated, MADE), [Confirm, Reschedule, Cancel, Preferences]);
}

#[test]
fn s46_marketing_by_email_says_how_to_hear_no_more_of_it_with_one_click() {
    let mut facts = with_everything();
    facts.clients[0].marketing_consent = true;
    let json = format!(
        r#"{{"business_id":"b","id":"o","client_id":"c","at":"{MADE}","by":"staff","about":"individual","text":"Hello"}}"#
    );
    facts.subject = Subject::Occasion(serde_json::from_str::<Occasion>(&json).unwrap(), None);
    let (_, pages) = pages_in(&facts, Type::Campaign, Channel::Email, MADE);
    let purposes: Vec<_> = pages.iter().map(|page| page.1).collect();
    assert_eq!(purposes, [Purpose::Preferences, Purpose::Unsubscribe]);
    let keys = LinkKeys::sample(facts.business.id.clone());
    let pages = Pages { url: "https://p.example", keys: &keys, now: at(MADE) };
    let ana = Recipient::Client("c".parse().unwrap());
    let content = compose(&facts, &ana, Type::Campaign, Channel::Email, None, None, Some(pages));
    let Content::Email { headers, .. } = content.unwrap().unwrap() else { panic!("an e-mail") };
    let [(unsubscribe, url), (post, one_click)] = &headers[..] else { panic!("{headers:?}") };
    assert_eq!((unsubscribe.as_str(), post.as_str()), ("List-Unsubscribe", "List-Unsubscribe-Post"));
    assert!(url.starts_with("<https://p.example/c/") && url.ends_with('>') && url.len() <= 995, "{url}");
    assert_eq!(one_click, "List-Unsubscribe=One-Click");
}

#[test]
fn staff_is_shown_no_page_of_the_client() {
    let facts = with_everything();
    let keys = LinkKeys::sample(facts.business.id.clone());
    let pages = Pages { url: "https://p.example", keys: &keys, now: at(MADE) };
    let staff = Recipient::Staff("w".parse().unwrap());
    let content = compose(&facts, &staff, Type::StaffBookingCreated, Channel::Email, None, None, Some(pages));
    assert!(!content.unwrap().unwrap().text().contains("p.example"));
}

#[test]
fn a_reader_who_lives_elsewhere_is_told_whose_clock_it_is_and_nobody_is_told_nothing() {
    let mut facts = with_everything();
    facts.clients[0].zone = Some("America/New_York".parse().unwrap());
    let text = the(&said(&facts, MADE), "booking_created email c").text().to_owned();
    assert!(text.contains("GMT"), "{text}");
    let stranger = Recipient::Client("x".parse().unwrap());
    assert_eq!(compose(&facts, &stranger, Type::Reminder, Channel::Sms, None, None, None).unwrap(), None);
}

#[test]
fn s13_what_is_switched_off_is_shown_where_no_row_says_so() {
    let facts = salon();
    let (mut ledger, mut checks) = (vec![], vec![]);
    applied(&facts, &mut ledger, &mut checks, at(MADE));
    let off = crate::reconcile::switched_off(&facts, &plan(&facts, at(MADE)), &ledger);
    let shown: Vec<String> =
        off.iter().map(|row| format!("{} {} {:?}", row.kind, row.channel, row.reason)).collect();
    assert_eq!(
        shown,
        ["confirmation_request sms Some(SwitchedOff)", "confirmation_request email Some(SwitchedOff)"]
    );
    assert!(
        crate::reconcile::switched_off(&facts, &plan(&facts, at(MADE)), &off).is_empty(),
        "there are rows"
    );
}

#[test]
fn rows_read_back_as_they_were_written() {
    let facts = with_everything();
    for planned in plan(&facts, at(MADE))
        .messages
        .iter()
        .filter(|m| !matches!(m.outcome, Outcome::Withheld(Reason::SwitchedOff, _)))
    {
        let row = row(&facts, planned);
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["booking_id"], "k");
        assert!(json["client_id"] == "c" || json["staff_id"].is_string(), "{json}");
        assert_eq!(serde_json::from_value::<Message>(json).unwrap(), row);
    }
    let business = serde_json::to_string(&facts.business).unwrap();
    assert_eq!(serde_json::from_str::<crate::business::Business>(&business).unwrap(), facts.business);
    let client = serde_json::to_string(&facts.clients[0]).unwrap();
    assert_eq!(serde_json::from_str::<Client>(&client).unwrap(), facts.clients[0]);
    let service = serde_json::to_string(&facts.service).unwrap();
    assert!(service.contains(r#""rebooking_after":"21d""#), "{service}");
    let once: Vec<_> = Channel::ALL.into_iter().filter(|channel| channel.sends_once()).collect();
    assert_eq!(once, [Channel::Sms, Channel::Whatsapp, Channel::Telegram]);
}

#[rstest]
#[case("no_show_after_minutes", 0, false)]
#[case("no_show_after_minutes", 1, true)]
#[case("no_show_after_minutes", 1441, false)]
#[case("waitlist_hold_minutes", 4, false)]
#[case("waitlist_hold_minutes", 5, true)]
#[case("waitlist_hold_minutes", 1440, true)]
#[case("waitlist_hold_minutes", 1441, false)]
fn minutes_of_a_business_are_bounded(#[case] field: &str, #[case] minutes: u32, #[case] fits: bool) {
    let json = format!(r#"{{"id":"b","name":"A","zone":"UTC","locale":"en","{field}":{minutes}}}"#);
    let read = serde_json::from_str::<crate::business::Business>(&json);
    assert_eq!(read.is_ok(), fits);
    if let Ok(business) = read {
        assert!(serde_json::to_string(&business).unwrap().contains(&format!(r#""{field}":{minutes}"#)));
        assert!(business.waitlist_hold_minutes.duration() >= SignedDuration::from_mins(5));
    }
}
