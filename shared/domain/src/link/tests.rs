use super::*;
use proptest::prelude::*;
use rstest::rstest;

const NOW: &str = "2026-11-20T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn secret(seed: u8) -> LinkSecret {
    LinkSecret([seed; 32])
}

fn keys(business: &str, seed: u8) -> LinkKeys {
    LinkKeys::first(business.parse().unwrap(), secret(seed), at("2026-01-01T00:00:00Z"))
}

/// About what a link of a purpose is.
fn of(purpose: Purpose, id: &str) -> Of {
    match purpose.is_of_booking() {
        true => Of::Booking(id.parse().unwrap()),
        false => Of::Client(id.parse().unwrap()),
    }
}

/// Whether a link opened, and why not.
#[derive(Debug, Clone, PartialEq)]
enum Opened {
    For(ClientId),
    Expired,
    Invalid,
}

fn opened(token: &str, keys: &LinkKeys, clients: &[ClientId], now: Timestamp) -> Opened {
    let Some(token) = Token::read(token) else { return Opened::Invalid };
    match token.open(keys, clients, now) {
        Ok(client) => Opened::For(client.clone()),
        Err(LinkRefused::Expired(client)) => {
            assert!(clients.contains(client));
            Opened::Expired
        }
        Err(LinkRefused::Invalid) => Opened::Invalid,
    }
}

fn ids() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9a-f]{32}", "[0-9A-Za-z_-]{1,64}", "[0-9A-F]{32}"]
}

prop_compose! {
    fn links()(
        purpose in prop::sample::select(Purpose::ALL.to_vec()),
        business in ids(),
        subject in ids(),
        client in ids(),
        seed in 1_u8..,
        hours in 1_i64..24 * 400,
    ) -> (Purpose, String, Of, ClientId, u8, Timestamp) {
        let client = if purpose.is_of_booking() { client } else { subject.clone() };
        let until = at(NOW) + SignedDuration::from_hours(hours);
        (purpose, business, of(purpose, &subject), client.parse().unwrap(), seed, until)
    }
}

proptest! {
    #[test]
    fn s53_a_link_opens_what_it_was_signed_for((purpose, business, of, client, seed, until) in links()) {
        let keys = keys(&business, seed);
        let token = keys.sign(purpose, &of, &client, until, at(NOW)).unwrap();
        prop_assert!(token.len() <= LONGEST_TOKEN, "{}", token.len());
        let read = Token::read(&token).unwrap();
        prop_assert_eq!((read.purpose, read.business_id.as_str(), &read.of), (purpose, business.as_str(), &of));
        let others: ClientId = "somebody-else".parse().unwrap();
        let clients = [others.clone(), client.clone()];
        prop_assert_eq!(opened(&token, &keys, &clients, at(NOW)), Opened::For(client.clone()));
        prop_assert_eq!(opened(&token, &keys, &clients, until), Opened::For(client.clone()));
        // For nobody else, at no other business, by no other key, and not for ever.
        prop_assert_eq!(opened(&token, &keys, &[others], at(NOW)), Opened::Invalid);
        prop_assert_eq!(opened(&token, &self::keys("another", seed), &clients, at(NOW)), Opened::Invalid);
        prop_assert_eq!(opened(&token, &self::keys(&business, seed.wrapping_add(1)), &clients, at(NOW)), Opened::Invalid);
        let late = until + SignedDuration::from_hours(24);
        prop_assert_eq!(opened(&token, &keys, &clients, late), Opened::Expired);
    }

    #[test]
    fn s53_a_link_with_any_bit_changed_is_none_of_ours((purpose, business, of, client, seed, until) in links(), bit in any::<prop::sample::Index>()) {
        let keys = keys(&business, seed);
        let token = keys.sign(purpose, &of, &client, until, at(NOW)).unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = URL_SAFE_NO_PAD.encode(bytes);
        prop_assert_eq!(opened(&changed, &keys, &[client], at(NOW)), Opened::Invalid);
    }

    #[test]
    fn s53_a_link_for_one_purpose_is_none_for_another((purpose, business, of, client, seed, until) in links()) {
        let keys = keys(&business, seed);
        let token = keys.sign(purpose, &of, &client, until, at(NOW)).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for (number, other) in Purpose::ALL.into_iter().enumerate().filter(|(_, other)| *other != purpose) {
            let mut bytes = bytes.clone();
            bytes[0] = bytes[0] & 0xF0 | u8::try_from(number).unwrap();
            let token = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(Token::read(&token).unwrap().purpose, other);
            prop_assert_eq!(opened(&token, &keys, std::slice::from_ref(&client), at(NOW)), Opened::Invalid);
        }
    }

    #[test]
    fn what_a_stranger_makes_up_is_read_or_not_and_opens_nothing(text in "[0-9A-Za-z_-]{0,200}") {
        let client = "c".parse().unwrap();
        prop_assert_eq!(opened(&text, &keys("b", 1), &[client], at(NOW)), Opened::Invalid);
    }
}

const BUSINESS: &str = "0199f0c4a5b67c8d9e0f1a2b3c4d5e6f";
const BOOKING: &str = "019a0000a5b67c8d9e0f1a2b3c4d5e6f";

fn signed(keys: &LinkKeys, until: &str) -> Option<String> {
    keys.sign(Purpose::Confirm, &of(Purpose::Confirm, BOOKING), &"c".parse().unwrap(), at(until), at(NOW))
}

#[test]
fn a_link_between_uuids_has_64_characters() {
    let token = signed(&keys(BUSINESS, 7), "2026-11-23T10:00:00Z").unwrap();
    assert_eq!(token.len(), 64);
    // What is out there must open tomorrow too: the layout stays.
    assert_eq!(token, "AABRLAGZ8MSltnyNng8aKzxNXm8BmgAApbZ8jZ4PGis8TV5vvUuFM-hGrfzzOodC");
}

#[rstest]
#[case::on_its_last_day("2026-11-23T23:59:59Z", Opened::For("c".parse().unwrap()))]
#[case::after_it("2026-11-24T00:00:00Z", Opened::Expired)]
fn a_link_is_of_use_to_the_end_of_its_last_day(#[case] now: &str, #[case] expected: Opened) {
    let keys = keys(BUSINESS, 7);
    let token = signed(&keys, "2026-11-23T10:00:00Z").unwrap();
    assert_eq!(opened(&token, &keys, &["c".parse().unwrap()], at(now)), expected);
}

#[test]
fn what_is_over_gets_no_link_and_what_is_far_ahead_one_for_400_days() {
    let keys = keys(BUSINESS, 7);
    assert_eq!(signed(&keys, NOW), None);
    assert_eq!(signed(&keys, "2020-01-01T00:00:00Z"), None);
    let token = signed(&keys, "2029-01-01T00:00:00Z").unwrap();
    let client: [ClientId; 1] = ["c".parse().unwrap()];
    assert_eq!(opened(&token, &keys, &client, at("2027-12-25T12:00:00Z")), Opened::For(client[0].clone()));
    assert_eq!(opened(&token, &keys, &client, at("2027-12-26T00:00:00Z")), Opened::Expired);
    let none = LinkKeys { keys: vec![], ..keys };
    assert_eq!(signed(&none, "2026-11-23T10:00:00Z"), None);
}

#[test]
fn keys_rotate_and_what_an_older_one_signed_opens_for_as_long_as_it_may_live() {
    let first = keys(BUSINESS, 1);
    let token = signed(&first, "2026-12-30T10:00:00Z").unwrap();
    let second = first.rotated(secret(2), at("2026-12-01T00:00:00Z"));
    assert_ne!(signed(&second, "2026-12-30T10:00:00Z"), Some(token.clone()));
    let client: [ClientId; 1] = ["c".parse().unwrap()];
    assert_eq!(opened(&token, &second, &client, at("2026-12-02T00:00:00Z")), Opened::For(client[0].clone()));
    // The first signed until December 2026: it is needed until 400 days later.
    let ids = |keys: &LinkKeys| keys.keys.iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!(ids(&second.rotated(secret(3), at("2028-01-04T00:00:00Z"))), [2, 1, 0]);
    let third = second.rotated(secret(3), at("2028-01-05T00:00:00Z"));
    assert_eq!(ids(&third), [2, 1]);
    assert_eq!(opened(&token, &third, &client, at("2026-12-02T00:00:00Z")), Opened::Invalid);
}

#[test]
fn ids_of_keys_go_round_and_there_are_never_too_many() {
    let mut keys = keys(BUSINESS, 1);
    for round in 0_u16..300 {
        keys = keys.rotated(secret(2), at(NOW) + SignedDuration::from_hours(i64::from(round)));
        let ids: std::collections::BTreeSet<u8> = keys.keys.iter().map(|key| key.id).collect();
        assert_eq!(ids.len(), keys.keys.len());
        assert!(keys.keys.len() <= KEYS);
    }
    assert_eq!(keys.keys[0].id, 44);
}

#[test]
fn no_log_shows_a_secret_and_a_stored_key_reads_back() {
    let keys = keys(BUSINESS, 0xAB);
    assert!(!format!("{keys:?}").contains("ab") && format!("{keys:?}").contains("LinkSecret(…)"));
    let json = serde_json::to_value(&keys).unwrap();
    assert_eq!(json["keys"][0]["secret"], "ab".repeat(32));
    assert_eq!(serde_json::from_value::<LinkKeys>(json).unwrap(), keys);
    for bad in ["", "ab", &"zz".repeat(32), &"ab".repeat(33)] {
        assert_eq!(LinkSecret::try_from(bad.to_owned()), Err(InvalidLinkSecret));
    }
}

#[test]
fn a_text_that_others_see_opens_nothing() {
    let token = signed(&keys(BUSINESS, 7), "2026-11-23T10:00:00Z").unwrap();
    let text = format!("Confirm: https://pages.example/c/{token}, or call. https://x.example/c/menu /c/");
    let shown = "Confirm: https://pages.example/c/…, or call. https://x.example/c/menu /c/";
    assert_eq!(masked(&text), shown);
    assert_eq!(masked(shown), shown);
}
