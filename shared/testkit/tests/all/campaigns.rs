//! Campaigns: each client whom the filter finds hears of one once, whatever repeats, fails or dies; and nobody else does.

use std::collections::BTreeSet;
use std::time::Instant;

use app::edit_campaign::{
    CampaignFields, Hold, StartFields, change_campaign, create_campaign, hold_campaign, start_campaign,
};
use app::edit_catalogue;
use app::error::AppError;
use app::once::Once;
use app::ports::{Due, DueWhat, Item, Key};
use app::preview_campaign::{CampaignPreview, preview_campaign};
use app::run_campaign::{bring_campaign, run_campaign};
use domain::campaign::{Campaign, CampaignStatus, Found};
use domain::channel::Channel;
use domain::client::Client;
use domain::ids::CampaignId;
use domain::message::{Message, MessageStatus, Reason};
use domain::notification_type::NotificationType;
use domain::occasion::About;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use testkit::disturb::Scenario;
use testkit::salon::{PAGES, business, edit, haircut, instant, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::{Call, Changed, Fault, World};

fn finished<T>(run: Run<T>) -> T {
    match run {
        Run::Finished(value) => value,
        Run::Crashed => panic!("it crashed"),
    }
}

fn spring() -> CampaignId {
    parsed("spring")
}

fn fields(more: Value) -> CampaignFields {
    let mut fields = json!({
        "name": "Spring", "channels": ["sms", "push"], "text": "Dear {{ client.name }}, spring is here.", "per_minute": 12,
    });
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    read(fields)
}

/// The salon, all of whose clients have agreed to marketing.
fn agreed() -> World {
    let world = salon();
    for id in ["ana", "rui", "eva", "leo"] {
        change_card(&world, id, |client| client.marketing_consent = true);
    }
    while world.stream_record().is_some() {
        world.step(world.now());
    }
    world
}

/// The same with a draft.
fn drafted(more: Value) -> World {
    let world = agreed();
    world.put([Item::Campaign(fields(more).draft(salon_id(), spring(), world.now()).unwrap())]);
    world
}

fn change_card(world: &World, id: &str, change: impl Fn(&mut Client)) {
    let business_id = salon_id();
    let edited =
        world.request(|| {
            let key = Key::Client(salon_id(), parsed(id));
            edit_catalogue::update(world, edit(&business_id, None, world.now()), key, &[], |before| {
                match before {
                    Some(Item::Client(mut client)) => {
                        change(&mut client);
                        Ok(Item::Client(client))
                    }
                    other => panic!("{other:?}"),
                }
            })
        });
    edited.unwrap();
}

fn try_start(world: &World, at: Option<&str>) -> Result<(), AppError> {
    let (business_id, once) = (salon_id(), Once::new("start", b"start"));
    let fields: StartFields = read(json!({ "start_at": at }));
    let started = world.request(|| async {
        start_campaign(world, edit(&business_id, Some(&once), world.now()), &spring(), fields).await
    });
    started.map(drop)
}

fn start(world: &World) {
    try_start(world, None).unwrap();
}

fn hold(world: &World, hold: Hold) -> Result<(), AppError> {
    let (business_id, name) = (salon_id(), format!("{hold:?}"));
    let once = Once::new(&name, name.as_bytes());
    let held = world.request(|| async {
        hold_campaign(world, edit(&business_id, Some(&once), world.now()), &spring(), hold).await
    });
    held.map(drop)
}

/// The same without a key, as often as it is asked for.
fn hold_again(world: &World, hold: Hold) {
    let business_id = salon_id();
    let held = world.request(|| async {
        hold_campaign(world, edit(&business_id, None, world.now()), &spring(), hold).await
    });
    assert!(matches!(held, Ok(_) | Err(AppError::IllegalStep(_))), "{held:?}");
}

fn campaign(world: &World) -> Campaign {
    match world.get(&Key::Campaign(salon_id(), spring())).map(|stored| stored.item) {
        Some(Item::Campaign(campaign)) => campaign,
        other => panic!("{other:?}"),
    }
}

/// Who was chosen, by id.
fn chosen(world: &World) -> Vec<String> {
    let mut chosen: Vec<String> = world
        .occasions()
        .into_iter()
        .filter(|occasion| matches!(occasion.about, About::Campaign { .. }))
        .map(|occasion| occasion.recipient.client().unwrap().to_string())
        .collect();
    chosen.sort();
    chosen
}

/// Who was written to, on which channel, and what.
fn left(world: &World) -> Vec<String> {
    let sent = world.outbox().into_iter().filter(|sent| sent.message.kind == NotificationType::Campaign);
    let mut left: Vec<String> = sent
        .map(|sent| {
            format!("{} by {}: {}", sent.message.recipient, sent.message.channel, sent.content.text())
        })
        .collect();
    left.sort();
    left
}

fn messages(world: &World) -> Vec<Message> {
    let mut messages = world.messages();
    messages.retain(|message| message.kind == NotificationType::Campaign);
    messages
}

const A_WHILE: SignedDuration = SignedDuration::from_mins(5);

/// So many clients, each with a device; every third has not agreed to marketing, every fifth has no tag.
fn crowd(world: &World, count: usize) {
    world.put((0..count).map(|number| {
        let tags = if number % 5 == 0 { json!([]) } else { json!(["regular"]) };
        Item::Client(read(json!({
            "business_id": "salon", "id": format!("many-{number:06}"), "name": "Someone", "tags": tags,
            "devices": [{ "id": "d", "platform": "fcm", "token": format!("t{number}") }],
            "marketing_consent": number % 3 != 0,
        })))
    }));
}

fn of_crowd(count: usize) -> BTreeSet<String> {
    (0..count)
        .filter(|number| number % 5 != 0 && number % 3 != 0)
        .map(|number| format!("many-{number:06}"))
        .collect()
}

// ------------------------------------------------------------------ who hears of it

#[test]
fn s46_everybody_whom_the_filter_finds_hears_of_it_once_in_words_of_their_own() {
    let world = drafted(json!({}));
    start(&world);
    world.pass(A_WHILE);
    // Eva has e-mail only. Where a text leaves by sms, a link of its reader's own ends it.
    let said: Vec<String> = left(&world)
        .into_iter()
        .map(|line| match line.split_once(" Unsubscribe: https://pages.example/c/") {
            Some((said, _)) if line.contains(" by sms: ") => format!("{said} …"),
            _ => line,
        })
        .collect();
    assert_eq!(
        said,
        [
            "ana by push: Dear Ana, spring is here.",
            "ana by sms: Salon Aurora: Dear Ana, spring is here. …",
            "leo by push: Dear Leo, spring is here.",
            "rui by sms: Salon Aurora: Dear Rui, spring is here. …",
        ]
    );
    let campaign = campaign(&world);
    assert_eq!(campaign.status, CampaignStatus::Completed);
    assert_eq!(campaign.progress.found, Found { looked_at: 4, chosen: 3, no_consent: 0, unreachable: 1 });
    world.assert_at_rest();
}

#[test]
fn s43_s46_who_has_not_agreed_is_not_chosen_and_is_counted() {
    let world = drafted(json!({}));
    change_card(&world, "rui", |client| client.marketing_consent = false);
    start(&world);
    world.pass(A_WHILE);
    assert_eq!(chosen(&world), ["ana", "leo"]);
    assert_eq!(campaign(&world).progress.found.no_consent, 1);
}

#[test]
fn s43_s46_consent_taken_back_between_planning_and_sending_is_heeded() {
    let world = drafted(json!({ "per_minute": 6000 }));
    start(&world);
    // With those who have no address there.
    while messages(&world).len() < 6 {
        assert!(world.step(world.now()), "it is planned");
    }
    assert_eq!(left(&world), [] as [&str; 0]);
    change_card(&world, "rui", |client| client.marketing_consent = false);
    world.pass(A_WHILE);
    let of_rui = messages(&world)
        .into_iter()
        .find(|message| message.recipient.to_string() == "rui" && message.channel == Channel::Sms)
        .unwrap();
    assert_eq!((of_rui.status, of_rui.reason), (MessageStatus::Suppressed, Some(Reason::MarketingOptOut)));
    assert_eq!(left(&world).len(), 3);
}

#[test]
fn s44_s45_s46_a_ban_holds_for_campaigns_too() {
    let world = drafted(json!({}));
    change_card(&world, "ana", |client| client.bans.channels.extend([Channel::Sms]));
    change_card(&world, "leo", |client| client.bans.types.extend([NotificationType::Campaign]));
    start(&world);
    world.pass(A_WHILE);
    let to: Vec<String> =
        left(&world).iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(to, ["ana by push", "rui by sms"]);
    let banned = messages(&world).iter().filter(|message| message.reason == Some(Reason::Banned)).count();
    assert_eq!(banned, 3, "of Leo, who has no phone, the sms too");
}

#[test]
fn s46_a_filter_may_ask_about_visits() {
    let world = drafted(json!({ "filter": { "no_future_booking": true }, "per_minute": 6000 }));
    world.book("ana", &haircut("ana", "2026-11-24T10:00")).unwrap();
    let cancelled = world.book("rui", &haircut("rui", "2026-11-24T12:00")).unwrap().value.id;
    world.change("cancel", &cancelled, app::change_booking::Change::Cancel).unwrap();
    start(&world);
    world.pass(A_WHILE);
    assert_eq!(chosen(&world), ["leo", "rui"], "who comes on Tuesday is left alone");

    let world = drafted(json!({ "filter": { "last_visit_until": "2026-11-24" } }));
    world.book("ana", &haircut("ana", "2026-11-24T10:00")).unwrap();
    let missed = world.book("rui", &haircut("rui", "2026-11-24T12:00")).unwrap().value.id;
    world.book("leo", &haircut("leo", "2026-11-25T10:00")).unwrap();
    world.pass_until(instant("2026-11-24T13:00:00Z"));
    world.change("missed", &missed, app::change_booking::Change::NoShow).ok();
    world.pass_until(instant("2026-11-26T12:00:00Z"));
    start(&world);
    world.pass(A_WHILE);
    // Ana's no-show was noted by itself: nobody marked her arrived.
    assert_eq!(chosen(&world), [] as [&str; 0], "who missed it has not been there");
}

#[test]
fn s46_a_visit_that_was_kept_is_the_last_one() {
    let world =
        drafted(json!({ "filter": { "last_visit_from": "2026-11-24", "last_visit_until": "2026-11-24" } }));
    for (client, start) in [("ana", "2026-11-24T10:00"), ("leo", "2026-11-25T10:00")] {
        let id = world.book(client, &haircut(client, start)).unwrap().value.id;
        world.pass_until(instant(&format!("{start}:00Z")) + SignedDuration::from_mins(1));
        world.change(&format!("arrive {client}"), &id, app::change_booking::Change::Arrive).unwrap();
    }
    world.pass(SignedDuration::from_hours(2));
    start(&world);
    world.pass(A_WHILE);
    assert_eq!(chosen(&world), ["ana"]);
}

#[test]
fn s46_named_clients_are_read_and_nobody_else() {
    let world = drafted(json!({ "filter": { "client_ids": ["leo", "ana", "nobody"] } }));
    world.put(business("barber"));
    start(&world);
    world.plan_faults([]);
    world.pass(A_WHILE);
    assert_eq!(chosen(&world), ["ana", "leo"]);
}

#[test]
fn a_campaign_of_one_business_finds_no_client_of_another() {
    let world = drafted(json!({}));
    let mut others = business("barber");
    for item in &mut others {
        if let Item::Client(client) = item {
            client.marketing_consent = true;
            client.id = parsed(&format!("a-{}", client.id));
        }
    }
    world.put(others);
    start(&world);
    world.pass(A_WHILE);
    assert_eq!(campaign(&world).progress.found.looked_at, 4);
    assert_eq!(chosen(&world), ["ana", "leo", "rui"]);
}

// ------------------------------------------------------------------ what staff does to it

#[test]
fn s46_it_starts_at_its_time() {
    let world = drafted(json!({}));
    try_start(&world, Some("2026-11-21T09:30")).unwrap();
    assert_eq!(campaign(&world).status, CampaignStatus::Scheduled);
    world.pass_until(instant("2026-11-21T09:29:59Z"));
    assert_eq!(chosen(&world), [] as [&str; 0]);
    world.pass(A_WHILE);
    assert_eq!(campaign(&world).status, CampaignStatus::Completed);
    assert_eq!(chosen(&world).len(), 3);
}

#[rstest]
#[case("2026-11-20T11:59")]
#[case("2027-11-30T10:00")]
fn s46_a_start_that_is_past_or_too_far_is_refused(#[case] at: &str) {
    let world = drafted(json!({}));
    let refused = try_start(&world, Some(at));
    assert!(matches!(&refused, Err(AppError::Invalid { field, .. }) if field == "start_at"), "{refused:?}");
    assert_eq!(campaign(&world).status, CampaignStatus::Draft);
}

#[test]
fn s46_a_paused_campaign_chooses_nobody_and_goes_on_where_it_was() {
    let world = drafted(json!({ "filter": { "tags": ["regular"] }, "channels": ["push"] }));
    crowd(&world, 30);
    start(&world);
    world.pass(SignedDuration::from_secs(25));
    hold(&world, Hold::Pause).unwrap();
    world.pass(SignedDuration::from_secs(15));
    let before = chosen(&world);
    assert_eq!((before.len(), left(&world).len()), (6, 6), "who was chosen has heard of it");
    world.pass(SignedDuration::from_hours(2));
    assert_eq!(chosen(&world), before);
    hold(&world, Hold::Resume).unwrap();
    world.pass(SignedDuration::from_mins(10));
    assert_eq!(chosen(&world).into_iter().collect::<BTreeSet<_>>(), of_crowd(30));
    assert_eq!(left(&world).len(), of_crowd(30).len());
}

#[test]
fn s46_a_scheduled_campaign_that_was_paused_over_its_time_starts_when_it_is_resumed() {
    let world = drafted(json!({}));
    try_start(&world, Some("2026-11-21T09:30")).unwrap();
    world.pass(A_WHILE);
    hold(&world, Hold::Pause).unwrap();
    world.pass_until(instant("2026-11-22T10:00:00Z"));
    assert_eq!(chosen(&world), [] as [&str; 0]);
    hold(&world, Hold::Resume).unwrap();
    world.pass(A_WHILE);
    assert_eq!(chosen(&world).len(), 3);
}

#[test]
fn s46_a_campaign_started_by_night_waits_for_the_morning_and_keeps_its_pace_then() {
    let world = drafted(json!({ "filter": { "tags": ["regular"] }, "channels": ["push"] }));
    crowd(&world, 30);
    world.pass_until(instant("2026-11-20T23:30:00Z"));
    start(&world);
    world.pass_until(instant("2026-11-21T07:59:59Z"));
    assert_eq!((chosen(&world).len(), left(&world).len()), (0, 0), "it is night until eight");
    // Twelve a minute.
    world.pass(SignedDuration::from_mins(1));
    let first = left(&world).len();
    assert!((11..=14).contains(&first), "{first} left in the first minute");
    hold(&world, Hold::Pause).unwrap();
    world.pass(SignedDuration::from_hours(1));
    assert!(left(&world).len() <= first + 2, "it is held up");
    hold(&world, Hold::Resume).unwrap();
    world.pass(SignedDuration::from_mins(10));
    assert_eq!(left(&world).len(), of_crowd(30).len());
}

#[test]
fn s46_a_cancelled_campaign_takes_back_what_has_not_left() {
    let world = drafted(json!({}));
    // It is evening at the salon, and night where the clients live by the clock.
    for id in ["ana", "rui", "eva", "leo"] {
        change_card(&world, id, |client| client.zone = Some(parsed("Europe/Athens")));
    }
    world.pass_until(instant("2026-11-20T21:30:00Z"));
    start(&world);
    world.pass(A_WHILE);
    assert_eq!(campaign(&world).status, CampaignStatus::Completed);
    assert_eq!(left(&world), [] as [&str; 0], "it is night");
    hold(&world, Hold::Cancel).unwrap();
    world.pass_until(instant("2026-11-21T09:00:00Z"));
    assert_eq!(left(&world), [] as [&str; 0]);
    let mut ended: Vec<_> = messages(&world).iter().map(|message| (message.status, message.reason)).collect();
    ended.retain(|(_, reason)| *reason != Some(Reason::NoAddress));
    assert_eq!(ended, [(MessageStatus::Superseded, Some(Reason::NotOwed)); 4]);
    world.assert_all_over();
}

#[test]
fn s46_only_a_draft_can_be_changed() {
    let world = drafted(json!({}));
    let business_id = salon_id();
    let change = |text: &str| {
        let fields = fields(json!({ "text": text }));
        finished(world.run(change_campaign(&world, edit(&business_id, None, world.now()), &spring(), fields)))
    };
    change("Summer is here.").unwrap();
    assert_eq!(campaign(&world).text.as_str(), "Summer is here.");
    start(&world);
    assert!(matches!(change("Autumn is here."), Err(AppError::IllegalStep(_))));
    assert!(matches!(try_start_again(&world), Err(AppError::IllegalStep(_))));
    assert_eq!(campaign(&world).text.as_str(), "Summer is here.");
}

fn try_start_again(world: &World) -> Result<(), AppError> {
    let business_id = salon_id();
    let (id, edit) = (spring(), edit(&business_id, None, world.now()));
    finished(world.run(start_campaign(world, edit, &id, StartFields::default()))).map(drop)
}

// ------------------------------------------------------------------ disturbed

#[test]
fn s46_every_step_of_a_campaign_may_fail_repeat_or_die() {
    let prepare = || drafted(json!({}));
    let act = |world: &World| {
        start(world);
        world.pass(SignedDuration::from_mins(2));
    };
    Scenario { prepare: &prepare, act: &act }.passes();
}

#[test]
fn s46_a_filter_on_visits_may_fail_repeat_or_die() {
    let prepare = || {
        let world = drafted(json!({ "filter": { "no_future_booking": true } }));
        world.book("ana", &haircut("ana", "2026-11-24T10:00")).unwrap();
        world.pass(SignedDuration::from_mins(20));
        world
    };
    let act = |world: &World| {
        start(world);
        world.pass(SignedDuration::from_mins(2));
    };
    Scenario { prepare: &prepare, act: &act }.passes();
}

#[test]
fn s46_writing_a_campaign_may_fail_repeat_or_die() {
    let act = |world: &World| {
        let (business_id, make, rewrite) =
            (salon_id(), Once::new("make", b"make"), Once::new("rewrite", b"rewrite"));
        let made = world.request(|| {
            let edit = edit(&business_id, Some(&make), world.now());
            create_campaign(world, edit, spring(), fields(json!({})))
        });
        assert_eq!(made.unwrap().etag, 1);
        let id = spring();
        let changed = world.request(|| {
            let edit = edit(&business_id, Some(&rewrite), world.now());
            change_campaign(world, edit, &id, fields(json!({ "text": "Summer is here." })))
        });
        assert_eq!(changed.unwrap().etag, 2);
    };
    Scenario { prepare: &agreed, act: &act }.passes();
}

#[test]
fn s46_pausing_resuming_and_cancelling_may_fail_repeat_or_die() {
    let prepare = || {
        let world = drafted(json!({}));
        try_start(&world, Some("2026-11-23T09:30")).unwrap();
        world.pass(A_WHILE);
        world
    };
    let act = |world: &World| {
        hold(world, Hold::Pause).unwrap();
        hold(world, Hold::Resume).unwrap();
        hold(world, Hold::Cancel).unwrap();
    };
    Scenario { prepare: &prepare, act: &act }.passes();
}

/// A page of a crowd, due.
fn running() -> (World, Due) {
    let world = drafted(json!({ "filter": { "tags": ["regular"] }, "channels": ["push"], "per_minute": 60 }));
    crowd(&world, 60);
    start(&world);
    world.step(world.now());
    let due = world.queue()[0].due.clone();
    assert!(matches!(due.what, DueWhat::Campaign { .. }));
    (world, due)
}

#[test]
fn s46_two_copies_of_a_page_at_the_same_time_choose_as_one() {
    let due = running().1;
    testkit::platform::interleave(
        || running().0,
        async |world| run_campaign(world, &due, world.now()).await.unwrap(),
        async |world| run_campaign(world, &due, world.now()).await.unwrap(),
        |world, _, one, other| {
            assert_eq!([one, other].into_iter().flatten().count(), 1);
            assert_eq!(chosen(world).len(), 10);
            assert_eq!(campaign(world).progress.found.chosen, 10);
        },
    );
}

#[test]
fn s46_a_pause_while_a_page_is_chosen_lets_it_be_chosen_or_not_and_no_other() {
    let due = running().1;
    let business_id = salon_id();
    testkit::platform::interleave(
        || running().0,
        async |world| run_campaign(world, &due, world.now()).await.unwrap(),
        async |world| {
            let edit = edit(&business_id, None, world.now());
            hold_campaign(world, edit, &spring(), Hold::Pause).await.unwrap()
        },
        |world, _, page, _| {
            assert_eq!(chosen(world).len(), page.map_or(0, |_| 10));
            world.pass(A_WHILE);
            assert_eq!(chosen(world).len(), page.map_or(0, |_| 10));
            assert_eq!(campaign(world).status, CampaignStatus::Paused);
        },
    );
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Act {
    Pause,
    Resume,
    Steps(u8),
    /// The queues come before the stream.
    Bring,
    CopyQueue,
    RepeatStream,
    Seconds(i64),
    Fault(usize, Fault),
    /// Two copies of a page, so many calls each in turn.
    Both(usize, usize),
}

fn act() -> impl Strategy<Value = Act> {
    let fault = prop::sample::select(&Fault::ALL[..]);
    prop_oneof![
        2 => Just(Act::Pause),
        2 => Just(Act::Resume),
        5 => (1..20_u8).prop_map(Act::Steps),
        2 => Just(Act::Bring),
        2 => Just(Act::CopyQueue),
        2 => Just(Act::RepeatStream),
        3 => (1..60_i64).prop_map(Act::Seconds),
        6 => (0..12_usize, fault).prop_map(|(calls, fault)| Act::Fault(calls, fault)),
        2 => (0..4_usize, 0..4_usize).prop_map(|(one, other)| Act::Both(one, other)),
    ]
}

fn both(world: &World, first: usize, second: usize) {
    let what = DueWhat::Campaign { business_id: salon_id(), campaign_id: spring() };
    let Some(at) = campaign(world).next_page() else { return };
    let due = Due { what, at };
    let mut one = world.start(run_campaign(world, &due, world.now()));
    let mut other = world.start(run_campaign(world, &due, world.now()));
    let (one_done, other_done) = (one.go(first), other.go(second));
    // What they answer, and whether they die, is all the same.
    drop(one_done.unwrap_or_else(|| one.end()));
    drop(other_done.unwrap_or_else(|| other.end()));
}

fn config() -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 48;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn s46_whatever_happens_each_client_who_is_meant_hears_of_it_once_and_nobody_else(
        acts in prop::collection::vec(act(), 1..30),
        per_minute in prop::sample::select(vec![1_u32, 30, 600, 6000]),
        count in 0..40_usize,
    ) {
        let world = drafted(json!({
            "filter": { "tags": ["regular"] }, "channels": ["push"], "per_minute": per_minute,
        }));
        crowd(&world, count);
        start(&world);
        for act in &acts {
            match act {
                Act::Pause => hold_again(&world, Hold::Pause),
                Act::Resume => hold_again(&world, Hold::Resume),
                Act::Steps(many) => {
                    for _ in 0..*many {
                        world.step(Timestamp::MAX);
                    }
                }
                Act::Bring => drop(world.bring()),
                Act::CopyQueue => world.copy_queue(),
                Act::RepeatStream => world.repeat_stream(),
                Act::Seconds(many) => world.pass(SignedDuration::from_secs(*many)),
                Act::Fault(calls, fault) => world.plan_fault_after(*calls, *fault),
                Act::Both(one, other) => both(&world, *one, *other),
            }
            world.assert_sound();
        }
        world.plan_faults([]);
        hold_again(&world, Hold::Resume);
        world.pass_all();
        world.assert_all_over();
        let campaign = campaign(&world);
        prop_assert_eq!(campaign.status, CampaignStatus::Completed);
        let meant = of_crowd(count);
        prop_assert_eq!(chosen(&world).into_iter().collect::<BTreeSet<_>>(), meant.clone());
        let found = campaign.progress.found;
        prop_assert_eq!((found.looked_at, found.chosen), (count as u64 + 4, meant.len() as u64));
        let told: BTreeSet<String> =
            messages(&world).iter().map(|message| message.recipient.client().unwrap().to_string()).collect();
        prop_assert_eq!(told, meant);
    }
}

// ------------------------------------------------------------------ pace and scale

#[rstest]
#[case(6)]
#[case(60)]
#[case(600)]
fn s46_no_more_are_chosen_in_a_minute_than_its_pace_says(#[case] per_minute: u32) {
    let world = drafted(json!({
        "filter": { "tags": ["regular"] }, "channels": ["push"], "per_minute": per_minute,
    }));
    crowd(&world, 400);
    start(&world);
    world.keep_journal();
    world.pass(SignedDuration::from_mins(3));
    let mut at: Vec<Timestamp> = world.occasions().into_iter().map(|occasion| occasion.at).collect();
    at.sort();
    let minute = SignedDuration::from_secs(60);
    let most =
        at.iter().map(|from| at.iter().filter(|at| (*from..*from + minute).contains(at)).count()).max();
    let most = most.unwrap();
    // Those of ten seconds are chosen at once, so a minute may begin with them and end with them.
    let allowed = per_minute as usize + per_minute.div_ceil(6) as usize;
    assert!(most <= allowed, "{most} in a minute");
    assert!(most >= of_crowd(400).len().min(per_minute as usize), "{most} in a minute");
}

#[test]
fn s46_a_page_costs_two_reads_and_one_transaction() {
    let (world, due) = running();
    world.plan_faults([]);
    finished(world.run(run_campaign(&world, &due, world.now()))).unwrap();
    assert_eq!(world.calls(), [Call::Read, Call::Read, Call::Write(11)]);
    world.plan_faults([]);
    assert!(matches!(&world.stream()[0], Changed::Subject(_)));
    let (business, id) = (salon_id(), spring());
    finished(world.run(bring_campaign(&world, &world, &world, (&business, &id), world.now()))).unwrap();
    assert_eq!(world.calls(), [Call::Read, Call::Enqueue]);
}

#[test]
fn s46_a_hundred_thousand_clients_are_chosen_once_each_in_pages() {
    const COUNT: usize = 100_000;
    let world =
        drafted(json!({ "filter": { "tags": ["regular"] }, "channels": ["push"], "per_minute": 6000 }));
    crowd(&world, COUNT);
    world.check_less();
    start(&world);
    world.plan_faults([]);
    world.take_stream();
    let (began, begun_at) = (Instant::now(), world.now());
    let (business, id) = (salon_id(), spring());
    let mut pages = 0;
    loop {
        let now = world.now();
        finished(world.run(bring_campaign(&world, &world, &world, (&business, &id), now))).unwrap();
        // What the occasions make of it is other tests' matter.
        world.take_stream();
        let Some(copy) = world.take_queue().pop() else { break };
        finished(world.run(run_campaign(&world, &copy.due, now.max(copy.due.at)))).unwrap().unwrap();
        pages += 1;
    }
    let (meant, took) = (of_crowd(COUNT), campaign(&world).changed_at.duration_since(begun_at));
    eprintln!(
        "{} of {COUNT} in {pages} pages, {took:#} by the campaign's clock, {:?} here",
        meant.len(),
        began.elapsed()
    );
    assert_eq!(chosen(&world).into_iter().collect::<BTreeSet<_>>(), meant);
    assert_eq!(chosen(&world).len(), meant.len(), "each once");
    let transactions = world.calls().iter().filter(|call| matches!(call, Call::Write(_))).count();
    assert_eq!(transactions, pages);
    assert_eq!(pages, meant.len().div_ceil(99));
    let found = campaign(&world).progress.found;
    assert_eq!((found.looked_at, found.chosen), (COUNT as u64 + 4, meant.len() as u64));
}

// ------------------------------------------------------------------ preview and bad fields

fn preview(world: &World, cursor: Option<&str>) -> Result<CampaignPreview, AppError> {
    let (business_id, id) = (salon_id(), spring());
    finished(world.run(preview_campaign(world, (&business_id, &id), cursor, world.now(), PAGES)))
}

#[test]
fn s46_s68_what_a_preview_says_is_what_the_campaign_does() {
    let world = drafted(json!({}));
    let prices = json!([{ "prefix": "+351", "per_thousand": { "minor": 4500, "currency": "EUR" } }]);
    let salon: Value = json!({
        "id": "salon", "name": "Salon Aurora", "zone": "Europe/Lisbon", "locale": "en", "sms_enabled": true, "sms_prices": prices,
    });
    world.put([Item::Business(read(salon))]);
    change_card(&world, "ana", |client| client.bans.channels.extend([Channel::Push]));
    change_card(&world, "leo", |client| client.marketing_consent = false);
    world.pass(A_WHILE);
    let before = world.end_state();
    let said = preview(&world, None).unwrap();
    assert_eq!(world.end_state(), before, "a preview writes nothing");
    assert_eq!(said.found, Found { looked_at: 4, chosen: 2, no_consent: 1, unreachable: 1 });
    let shown = serde_json::to_value(&said).unwrap();
    assert_eq!(shown["messages"], json!([{ "channel": "sms", "count": 2 }]));
    assert_eq!(shown["cost"], json!([{ "currency": "EUR", "thousandths": 9000 }]));
    assert_eq!((shown["complete"].clone(), shown["next"].clone()), (json!(true), json!(null)));
    start(&world);
    world.pass(A_WHILE);
    assert_eq!(campaign(&world).progress.found, said.found);
    assert_eq!(left(&world).len(), 2);
}

#[test]
fn s46_a_preview_of_many_clients_goes_on_where_it_ended() {
    let world = drafted(json!({ "filter": { "tags": ["regular"] }, "channels": ["push"] }));
    crowd(&world, 2_500);
    let (mut cursor, mut found, mut calls) = (None, Found::default(), 0);
    loop {
        let page = preview(&world, cursor.as_deref()).unwrap();
        (found, calls) = (found.and(page.found), calls + 1);
        assert_eq!(page.complete, page.next.is_none());
        match page.next {
            Some(next) => cursor = Some(next.to_string()),
            None => break,
        }
    }
    assert_eq!((found.looked_at, found.chosen as usize, calls), (2_504, of_crowd(2_500).len(), 3));
    let wrong = preview(&world, Some("no client"));
    assert!(matches!(wrong, Err(AppError::Invalid { field, .. }) if field == "cursor"));
}

#[rstest]
#[case::unknown_variable(json!({ "text": "Dear\n{{ client.shoe_size }}" }), "text", Some((2, 4)))]
#[case::of_itself(json!({ "text": "{{ message.text }}" }), "text", Some((1, 4)))]
#[case::of_a_visit(json!({ "text": "At {{ booking.time }}" }), "text", Some((1, 7)))]
#[case::broken_subject(json!({ "subject": "{{ client.name" }), "subject", Some((1, 11)))]
fn s46_a_bad_text_is_refused_with_its_place(
    #[case] more: Value,
    #[case] path: &str,
    #[case] place: Option<(usize, usize)>,
) {
    let refused = fields(more).draft(salon_id(), spring(), Timestamp::UNIX_EPOCH);
    let Err(AppError::InvalidTemplate(invalid)) = refused else { panic!("{refused:?}") };
    assert_eq!(
        (invalid.path.as_str(), invalid.at.map(|at| (at.line, at.column))),
        (path, place),
        "{invalid}"
    );
}

#[rstest]
#[case::dates_the_wrong_way_round(
    json!({ "last_visit_from": "2026-06-02", "last_visit_until": "2026-06-01" }),
    "filter.last_visit_until"
)]
#[case::never_and_lately(json!({ "never_visited": true, "last_visit_from": "2026-06-02" }), "filter.never_visited")]
#[case::too_many_clients(
    json!({ "client_ids": (0..101).map(|number| format!("c{number}")).collect::<Vec<_>>() }),
    "filter.client_ids"
)]
#[case::too_many_tags(json!({ "tags": (0..21).map(|number| format!("t{number}")).collect::<Vec<_>>() }), "filter.tags")]
fn s46_a_filter_that_makes_no_sense_is_refused(#[case] filter: Value, #[case] field: &str) {
    let refused = fields(json!({ "filter": filter })).draft(salon_id(), spring(), Timestamp::UNIX_EPOCH);
    assert!(matches!(&refused, Err(AppError::Invalid { field: named, .. }) if named == field), "{refused:?}");
}
