use super::*;
use rstest::rstest;
use serde_json::json;

const NOW: &str = "2026-11-20T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(text: &str) -> SigningKey {
    SigningKey::try_from(text.to_owned()).unwrap()
}

/// The key of the specification's own example, which has but 18 bytes: its signature is right all the same.
fn short_key(text: &str) -> SigningKey {
    SigningKey(STANDARD.decode(text.strip_prefix("whsec_").unwrap()).unwrap())
}

#[rstest]
#[case::libraries(
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330),
    r#"{"test": 2432232314}"#,
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
)]
#[case::specification(
    "whsec_plJ3nmyCDGBKInavdOK15jsl",
    ("msg_loFOjxBNrRLzqYUf", 1_731_705_121),
    r#"{"event_type":"ping","data":{"success":true}}"#,
    "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
)]
fn a_signature_is_the_one_that_receivers_libraries_expect(
    #[case] secret: &str,
    #[case] (id, second): (&str, i64),
    #[case] body: &str,
    #[case] expected: &str,
) {
    assert_eq!(short_key(secret).sign(id, second, body), expected);
    assert_eq!(String::from(short_key(secret)), secret);
}

#[test]
fn a_key_has_24_to_64_bytes_and_no_log_shows_it() {
    for (length, taken) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
        let text = format!("whsec_{}", STANDARD.encode(vec![7; length]));
        assert_eq!(SigningKey::try_from(text).is_ok(), taken, "{length}");
        assert_eq!(SigningKey::new(vec![7; length]).is_ok(), taken, "{length}");
    }
    for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", ""] {
        assert!(SigningKey::try_from(bad.to_owned()).is_err(), "{bad}");
    }
    assert!(!format!("{:?}", key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).contains("MfKQ"));
}

fn webhook() -> Webhook {
    Webhook {
        id: "w".parse().unwrap(),
        url: WebhookUrl::parse("https://crm.example.com/hook", Reach::Public).unwrap(),
        types: vec![EventFilter::all()],
        description: None,
        secrets: vec![Secret { key: key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), until: None }],
        created_at: at(NOW),
        revision: 1,
        failing_since: None,
        switched_off: None,
    }
}

fn event() -> Event {
    Event {
        id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        kind: EventType::BookingCreated,
        at: at(NOW),
        business_id: "b".parse().unwrap(),
        data: json!({ "id": "k" }),
    }
}

fn delivery() -> Delivery {
    Delivery::of(&event(), "{}".to_owned(), &"w".parse().unwrap(), at(NOW))
}

#[test]
fn while_a_secret_is_changed_both_sign_for_a_day() {
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let changed = webhook().rotated(key(other), at(NOW));
    let signatures = |at: Timestamp| changed.signatures(&event().id, at, "{}");
    let within = signatures(at("2026-11-21T11:59:59Z"));
    let second = at("2026-11-21T11:59:59Z").as_second();
    let both = [other, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
        .map(|text| key(text).sign(event().id.as_str(), second, "{}"));
    assert_eq!(within, both.join(" "), "the newest first");
    assert_eq!(signatures(at("2026-11-21T12:00:00Z")).split(' ').count(), 1);
}

#[test]
fn however_often_a_secret_is_changed_no_more_than_three_sign() {
    let mut changed = webhook();
    for number in 0..10 {
        changed = changed.rotated(SigningKey::new(vec![number; 32]).unwrap(), at(NOW));
    }
    assert_eq!(changed.secrets.len(), 3);
    assert_eq!(changed.secrets[0], Secret { key: SigningKey::new(vec![9; 32]).unwrap(), until: None });
    let later = changed.rotated(SigningKey::new(vec![10; 32]).unwrap(), at("2026-11-22T12:00:00Z"));
    assert_eq!(later.secrets.len(), 2, "what has ended is forgotten");
}

#[rstest]
#[case("https://crm.example.com/hook", "https://crm.example.com/hook")]
#[case("https://crm.example.com", "https://crm.example.com/")]
#[case("https://CRM.example.com:443/hook?a=b", "https://crm.example.com/hook?a=b")]
#[case("https://crm.example.com:8443/hook", "https://crm.example.com:8443/hook")]
#[case("https://1.1.1.1/hook", "https://1.1.1.1/hook")]
#[case("https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/")]
#[case("https://xn--80ak6aa92e.com/", "https://xn--80ak6aa92e.com/")]
fn a_public_https_url_is_taken(#[case] text: &str, #[case] kept: &str) {
    assert_eq!(WebhookUrl::parse(text, Reach::Public).unwrap().as_str(), kept);
}

#[rstest]
#[case::nothing("")]
#[case::no_url("crm.example.com")]
#[case::http("http://crm.example.com/")]
#[case::other_scheme("ftp://crm.example.com/")]
#[case::file("file:///etc/passwd")]
#[case::user("https://user@crm.example.com/")]
#[case::password("https://:pass@crm.example.com/")]
#[case::fragment("https://crm.example.com/#a")]
#[case::space("https://crm.example.com/a b")]
#[case::unicode("https://crm.example.com/ä")]
#[case::other_service("https://crm.example.com:22/")]
#[case::localhost("https://localhost/")]
#[case::localhost_with_dot("https://localhost./")]
#[case::under_localhost("https://crm.localhost/")]
#[case::single_label("https://intranet/")]
#[case::internal("https://metadata.google.internal/")]
#[case::local("https://printer.local/")]
#[case::local_with_dot("https://printer.local./")]
#[case::capitals("https://PRINTER.LOCAL/")]
#[case::loopback("https://127.0.0.1/")]
#[case::loopback_hex("https://0x7f.1/")]
#[case::loopback_decimal("https://2130706433/")]
#[case::loopback_octal("https://0177.0.0.1/")]
#[case::loopback_full_width("https://127.0.0.1%E3%80%82/")]
#[case::private("https://10.1.2.3/")]
#[case::credentials("https://169.254.169.254/latest/meta-data/")]
#[case::v6_loopback("https://[::1]/")]
#[case::v6_mapped("https://[::ffff:127.0.0.1]/")]
#[case::v6_private("https://[fd00::1]/")]
fn what_leads_nowhere_or_into_somebodys_network_is_refused(#[case] text: &str) {
    assert!(WebhookUrl::parse(text, Reach::Public).is_err(), "{text}");
}

#[test]
fn a_url_has_at_most_500_characters() {
    let long = |length: usize| format!("https://crm.example.com/{}", "x".repeat(length - 24));
    assert!(WebhookUrl::parse(&long(500), Reach::Public).is_ok());
    assert!(WebhookUrl::parse(&long(501), Reach::Public).is_err());
}

#[test]
fn a_developers_own_machine_is_reached_only_where_that_is_said() {
    for own in ["http://127.0.0.1:4711/hook", "http://localhost:4711/", "https://127.0.0.1/"] {
        assert!(WebhookUrl::parse(own, Reach::Public).is_err(), "{own}");
        assert!(WebhookUrl::parse(own, Reach::Local).is_ok(), "{own}");
    }
    for other in
        ["ftp://127.0.0.1/", "http://crm.example.com/", "https://10.0.0.1/", "https://169.254.169.254/"]
    {
        assert!(WebhookUrl::parse(other, Reach::Local).is_err(), "{other}");
    }
    assert!(WebhookUrl::parse("https://crm.example.com/", Reach::Local).is_ok());
    let literal = |text| WebhookUrl::parse(text, Reach::Local).unwrap().literal();
    assert_eq!(literal("http://127.0.0.1:1/"), Some([127, 0, 0, 1].into()));
    assert_eq!(literal("https://crm.example.com/"), None);
}

fn answered(when: Timestamp, status: u16) -> Attempt {
    Attempt { at: when, took_ms: 250, result: PostResult::Answered(status) }
}

fn unanswered(when: Timestamp, error: PostError) -> Attempt {
    Attempt { at: when, took_ms: 250, result: PostResult::Unanswered(error) }
}

#[rstest]
#[case(200, DeliveryState::Delivered)]
#[case(202, DeliveryState::Delivered)]
#[case(299, DeliveryState::Delivered)]
#[case(199, DeliveryState::Pending)]
#[case(301, DeliveryState::Pending)]
#[case(400, DeliveryState::Pending)]
#[case(404, DeliveryState::Pending)]
#[case(410, DeliveryState::Failed)]
#[case(429, DeliveryState::Pending)]
#[case(500, DeliveryState::Pending)]
fn what_was_not_taken_is_tried_again_unless_it_is_not_wanted(
    #[case] status: u16,
    #[case] expected: DeliveryState,
) {
    assert_eq!(delivery().after(answered(at(NOW), status), None).state, expected);
}

#[test]
fn it_is_tried_ten_times_within_four_days_each_time_within_a_fifth_of_its_wait() {
    let mut tried = delivery();
    for wait in WAITS {
        let now = tried.due;
        tried = tried.after(unanswered(now, PostError::Timeout), None);
        assert_eq!(tried.state, DeliveryState::Pending);
        let waited = tried.due.duration_since(now) - SignedDuration::from_millis(250);
        assert!(wait * 4 / 5 <= waited && waited <= wait * 6 / 5, "{wait:?}: {waited:?}");
    }
    let last = tried.clone().after(unanswered(tried.due, PostError::Timeout), None);
    assert_eq!((last.state, last.attempts.len()), (DeliveryState::Failed, 10));
    let took = tried.due.duration_since(at(NOW));
    assert!(took < SignedDuration::from_hours(96), "{took:?}");
}

#[test]
fn deliveries_that_failed_together_do_not_come_back_together() {
    let waits: std::collections::BTreeSet<_> = (0..50)
        .map(|number: u32| {
            let event = Event { id: format!("e{number}").parse().unwrap(), ..event() };
            let made = Delivery::of(&event, String::new(), &"w".parse().unwrap(), at(NOW));
            made.after(answered(at(NOW), 500), None).due
        })
        .collect();
    assert!(waits.len() > 20, "{}", waits.len());
}

#[rstest]
#[case::shorter_than_ours(1, 6)]
#[case::longer(3600, 3600)]
#[case::much_too_long(10_000_000, 86_400)]
fn a_receiver_may_ask_for_a_longer_wait_of_at_most_a_day(#[case] asked: i64, #[case] at_most: i64) {
    let tried = delivery().after(answered(at(NOW), 503), Some(SignedDuration::from_secs(asked)));
    let waited = tried.due.duration_since(at(NOW)) - SignedDuration::from_millis(250);
    assert!(waited <= SignedDuration::from_secs(at_most), "{waited:?}");
    assert!(waited >= SignedDuration::from_secs(asked.min(86_400)), "{waited:?}");
}

#[test]
fn what_is_asked_for_again_is_tried_once_more_and_remembers_at_most_thirty_attempts() {
    let mut tried = delivery();
    for _ in 0..40 {
        tried = tried.asked_again(at(NOW));
        assert!(tried.asked);
        tried = tried.after(answered(at(NOW), 500), None);
        assert!(!tried.asked);
    }
    assert_eq!((tried.state, tried.attempts.len()), (DeliveryState::Failed, 30));
}

#[test]
fn the_same_event_for_the_same_webhook_is_the_same_delivery_and_ids_sort_by_time() {
    let id = |event: &Event, webhook: &str, when: &str| {
        Delivery::of(event, String::new(), &webhook.parse().unwrap(), at(when)).id
    };
    let first = id(&event(), "w", NOW);
    assert_eq!(first, id(&event(), "w", NOW));
    assert_ne!(first, id(&event(), "v", NOW));
    assert_ne!(first, id(&Event { id: "f".parse().unwrap(), ..event() }, "w", NOW));
    assert!(first < id(&event(), "w", "2026-11-20T12:00:01Z"));
}

#[test]
fn a_webhook_where_nothing_arrives_for_five_days_is_switched_off() {
    let first = at(NOW);
    let failing = webhook().after(&answered(first, 500)).unwrap();
    assert_eq!((failing.failing_since, failing.switched_off), (Some(first), None));
    let just_before = first + LASTING - SignedDuration::from_secs(1);
    assert_eq!(failing.after(&answered(just_before, 500)), None);
    let off = failing.after(&unanswered(first + LASTING, PostError::Unreachable)).unwrap();
    let expected = SwitchedOff { at: first + LASTING, reason: SwitchedOffReason::Failing };
    assert_eq!(off.switched_off, Some(expected));
    assert!(!off.wants(EventType::BookingCreated));
}

#[test]
fn one_that_arrives_begins_the_five_days_anew() {
    let first = at(NOW);
    let failing = webhook().after(&answered(first, 500)).unwrap();
    let mended = failing.after(&answered(first + SignedDuration::from_hours(100), 204)).unwrap();
    assert_eq!(mended, webhook());
    assert_eq!(webhook().after(&answered(first, 204)), None, "nothing is written where nothing changes");
    let again = mended.after(&answered(first + LASTING, 500)).unwrap();
    assert_eq!((again.failing_since, again.switched_off), (Some(first + LASTING), None));
}

#[test]
fn a_receiver_that_says_gone_is_switched_off_at_once_and_staff_is_told() {
    let off = webhook().after(&answered(at(NOW), 410)).unwrap();
    let since = off.switched_off.unwrap();
    assert_eq!(since, SwitchedOff { at: at(NOW), reason: SwitchedOffReason::Gone });
    let task = off.task(&"b".parse().unwrap(), since);
    assert_eq!((task.kind, task.since), (TaskKind::WebhookSwitchedOff, at(NOW)));
    assert_eq!(task, off.task(&"b".parse().unwrap(), since), "the same task however often it is made");
    // Another answer while it is off changes nothing of that.
    let later = off.after(&answered(at("2026-12-20T12:00:00Z"), 410)).unwrap_or(off.clone());
    assert_eq!(later.switched_off, off.switched_off);
}

#[test]
fn an_attempt_is_written_with_its_status_or_its_error() {
    let answered = serde_json::to_value(answered(at(NOW), 503)).unwrap();
    assert_eq!(answered, json!({ "at": NOW, "took_ms": 250, "status": 503 }));
    let lost = unanswered(at(NOW), PostError::NotPublic);
    let written = serde_json::to_value(&lost).unwrap();
    assert_eq!(written, json!({ "at": NOW, "took_ms": 250, "error": "not_public" }));
    assert_eq!(serde_json::from_value::<Attempt>(written).unwrap(), lost);
}
