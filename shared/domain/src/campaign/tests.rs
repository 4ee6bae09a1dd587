use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn business() -> Business {
    read(json!({ "id": "b", "name": "Salon", "zone": "Europe/Lisbon", "locale": "en", "sms_enabled": true }))
}

fn client(more: Value) -> Client {
    let mut card = json!({
        "business_id": "b", "id": "c", "name": "Ana", "email": "ana@example.com", "tags": ["regular", "vip"],
        "marketing_consent": true,
    });
    card.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    read(card)
}

fn campaign(more: Value) -> Campaign {
    let mut campaign = json!({
        "business_id": "b", "id": "k", "name": "Spring", "channels": ["email", "push"], "text": "Come!", "per_minute": 600,
        "status": "draft", "created_at": "2026-11-23T10:00:00Z", "changed_at": "2026-11-23T10:00:00Z",
    });
    campaign.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    read(campaign)
}

const NEVER: Visits = Visits { last: None, ahead: false };

#[rstest]
#[case::everybody(json!({}), true)]
#[case::one_of_the_tags(json!({ "tags": ["vip", "new"] }), true)]
#[case::none_of_the_tags(json!({ "tags": ["new"] }), false)]
#[case::language_of_the_business(json!({ "locale": "en" }), true)]
#[case::another_language(json!({ "locale": "ru" }), false)]
#[case::named(json!({ "client_ids": ["c", "d"] }), true)]
#[case::not_named(json!({ "client_ids": ["d"] }), false)]
#[case::visit_after_the_date(json!({ "last_visit_from": "2026-05-01" }), true)]
#[case::visit_on_the_date(json!({ "last_visit_from": "2026-06-01", "last_visit_until": "2026-06-01" }), true)]
#[case::visit_too_early(json!({ "last_visit_from": "2026-06-02" }), false)]
#[case::visit_too_late(json!({ "last_visit_until": "2026-05-31" }), false)]
#[case::has_one_ahead(json!({ "no_future_booking": true }), false)]
#[case::has_been_here(json!({ "never_visited": true }), false)]
#[case::all_of_it_must_fit(json!({ "tags": ["vip"], "locale": "ru" }), false)]
fn s46_a_filter_takes_clients_whom_all_of_it_fits(#[case] filter: Value, #[case] fits: bool) {
    // Half past midnight on the first of June by the clock in Lisbon.
    let visits = Visits { last: Some(at("2026-05-31T23:30:00Z")), ahead: true };
    let filter: CampaignFilter = read(filter);
    assert_eq!(filter.matches(&client(json!({})), &visits, &business()), fits);
}

#[test]
fn s46_who_has_never_been_here_has_no_last_visit() {
    let ana = client(json!({ "locale": "ru" }));
    let fits = |filter: Value| read::<CampaignFilter>(filter).matches(&ana, &NEVER, &business());
    assert!(fits(json!({ "never_visited": true, "no_future_booking": true, "locale": "ru" })));
    assert!(!fits(json!({ "last_visit_from": "2000-01-01" })));
    assert!(!fits(json!({ "last_visit_until": "2100-01-01" })));
}

#[rstest]
#[case::agreed(json!({}), Choice::Chosen)]
#[case::not_agreed(json!({ "marketing_consent": false }), Choice::NoConsent)]
#[case::no_address(json!({ "email": null, "phone": "+351912345678" }), Choice::Unreachable)]
#[case::another_address(
    json!({ "email": null, "devices": [{ "id": "d", "platform": "fcm", "token": "t" }] }),
    Choice::Chosen
)]
#[case::not_meant(json!({ "tags": [], "marketing_consent": false }), Choice::NotMeant)]
fn s43_s46_of_those_who_are_meant_who_agreed_and_can_be_reached_is_chosen(
    #[case] card: Value,
    #[case] choice: Choice,
) {
    let campaign = campaign(json!({ "filter": { "tags": ["vip"] } }));
    assert_eq!(campaign.choice(&client(card), &NEVER, &business()), choice);
}

fn start(at: Timestamp) -> CampaignStep {
    CampaignStep::Start { at, rules_version: 3 }
}

#[test]
fn s46_a_campaign_starts_at_once_or_at_its_time() {
    let (now, later) = (at("2026-11-24T10:00:00Z"), at("2026-11-25T08:00:00Z"));
    let draft = campaign(json!({}));
    assert_eq!(draft.next_page(), None);
    let at_once = draft.after(start(at("2026-11-24T09:00:00Z")), now).unwrap();
    assert_eq!(
        (at_once.status, at_once.next_page(), at_once.rules_version),
        (CampaignStatus::Running, Some(now), 3)
    );
    let scheduled = draft.after(start(later), now).unwrap();
    assert_eq!((scheduled.status, scheduled.next_page()), (CampaignStatus::Scheduled, Some(later)));
    let paused = scheduled.after(CampaignStep::Pause, now).unwrap();
    assert_eq!((paused.status, paused.next_page()), (CampaignStatus::Paused, None));
    let resumed = paused.after(CampaignStep::Resume, now).unwrap();
    assert_eq!((resumed.status, resumed.next_page()), (CampaignStatus::Scheduled, Some(later)));
    let too_late = later + SignedDuration::from_hours(1);
    let resumed = paused.after(CampaignStep::Resume, too_late).unwrap();
    assert_eq!((resumed.status, resumed.next_page()), (CampaignStatus::Running, Some(too_late)));
}

#[test]
fn s46_a_step_that_does_not_fit_the_state_is_refused() {
    use CampaignStatus as Status;
    let now = at("2026-11-24T10:00:00Z");
    let steps =
        [start(now), CampaignStep::Pause, CampaignStep::Resume, CampaignStep::Cancel, CampaignStep::Change];
    let allowed = |status: Status| {
        let campaign = Campaign { status, ..campaign(json!({})) };
        steps.map(|step| campaign.after(step, now).is_ok())
    };
    assert_eq!(allowed(Status::Draft), [true, false, false, true, true]);
    assert_eq!(allowed(Status::Scheduled), [false, true, false, true, false]);
    assert_eq!(allowed(Status::Running), [false, true, false, true, false]);
    assert_eq!(allowed(Status::Paused), [false, false, true, true, false]);
    assert_eq!(allowed(Status::Completed), [false, false, false, true, false]);
    assert_eq!(allowed(Status::Cancelled), [false; 5]);
    let refused = campaign(json!({})).after(CampaignStep::Pause, now).unwrap_err();
    assert_eq!(refused.to_string(), "a campaign that is draft cannot be paused");
}

#[rstest]
#[case(1, 1, 60_000)]
#[case(5, 1, 12_000)]
#[case(60, 10, 10_000)]
#[case(594, 99, 10_000)]
#[case(6000, 99, 990)]
fn s46_the_pace_is_kept_from_one_page_to_the_next(
    #[case] per_minute: u32,
    #[case] at_once: usize,
    #[case] pause: i64,
) {
    let now = at("2026-11-24T10:00:00Z");
    let running = campaign(json!({ "per_minute": per_minute })).after(start(now), now).unwrap();
    assert_eq!(running.per_minute.at_once(), at_once);
    let found = Found { looked_at: 200, chosen: at_once as u64, ..Found::default() };
    let pause = SignedDuration::from_millis(pause);
    let next = running.advanced(Some("x".parse().unwrap()), found, false, now);
    assert_eq!((next.status, next.next_page()), (CampaignStatus::Running, Some(now + pause)));
    // A second late, it catches up; an hour late, it does not.
    let second = now + pause + SignedDuration::from_secs(1);
    let caught_up = next.advanced(None, found, false, second);
    assert_eq!(caught_up.next_page(), Some(now + pause * 2));
    let hour = now + SignedDuration::from_hours(1);
    assert_eq!(next.advanced(None, found, false, hour).next_page(), Some(hour - CATCH_UP + pause));
    assert_eq!(caught_up.progress.found.chosen, 2 * at_once as u64);
}

#[test]
fn s46_who_chose_nobody_looks_on_at_once_and_ends_with_the_last() {
    let now = at("2026-11-24T10:00:00Z");
    let running = campaign(json!({})).after(start(now), now).unwrap();
    let nobody = Found { looked_at: 1000, ..Found::default() };
    let next = running.advanced(Some("x".parse().unwrap()), nobody, false, now);
    assert_eq!(next.next_page(), Some(now));
    let end = next.advanced(None, Found::default(), true, now);
    assert_eq!((end.status, end.next_page(), end.progress.next_at), (CampaignStatus::Completed, None, None));
    assert_eq!(end.progress.after, Some("x".parse().unwrap()));
}

#[test]
fn s46_a_client_has_one_occasion_in_a_campaign_and_another_in_the_next() {
    let (spring, autumn) = (campaign(json!({})), campaign(json!({ "id": "a" })));
    let (ana, rui) = ("ana".parse().unwrap(), "rui".parse().unwrap());
    // Written down: ids that are in tables must never change.
    assert_eq!(spring.occasion_id(&ana).as_str(), "93a098df2bbd0bd9c4ef9cc51760e1de");
    assert_ne!(spring.occasion_id(&ana), spring.occasion_id(&rui));
    assert_ne!(spring.occasion_id(&ana), autumn.occasion_id(&ana));
}

#[rstest]
#[case(0, false)]
#[case(1, true)]
#[case(6000, true)]
#[case(6001, false)]
fn s46_a_pace_is_one_to_six_thousand_a_minute(#[case] number: u32, #[case] fits: bool) {
    assert_eq!(PerMinute::try_from(number).is_ok(), fits);
}
