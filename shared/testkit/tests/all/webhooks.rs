//! What integrations are told: once on the bus and at every webhook as far as anybody can tell, and again where nobody can.

use std::collections::{BTreeMap, BTreeSet};

use app::change_booking::Change;
use app::deliver_webhook::{Tried, deliver_webhook};
use app::edit_webhooks::{
    WebhookFields, WebhookPatch, WebhookView, create_webhook, delete_webhook, get_webhook, list_webhooks,
    patch_webhook, retry_delivery, rotate_secret, test_webhook,
};
use app::error::AppError;
use app::once::{Done, Once};
use app::ports::{Item, Key, ListDeliveries, Page};
use domain::event::{EventType, LEFT_OUT};
use domain::ids::{BusinessId, WebhookId};
use domain::task::TaskKind;
use domain::webhook::{
    Delivery, DeliveryState, PostError, PostResult, Reach, SigningKey, SwitchedOffReason, Webhook,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use testkit::disturb::Scenario;
use testkit::salon::{TUESDAY_TEN, business, edit, haircut, move_to, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::{Call, Fault, World};

const SOON: SignedDuration = SignedDuration::from_mins(20);

fn fields(url: &str, types: &[&str]) -> WebhookFields {
    read(json!({ "url": url, "types": types }))
}

fn webhook_of(world: &World, business: &BusinessId, url: &str, types: &[&str]) -> WebhookView {
    let once = Once::new(url, b"create");
    let made = world.request(|| async {
        let edit = edit(business, Some(&once), world.now());
        create_webhook(world, world, edit, fields(url, types), Reach::Public).await
    });
    made.unwrap().value
}

/// The salon, which has told `https://crm.example.com/` it wants to know of bookings.
fn told() -> (World, WebhookView) {
    let world = salon();
    world.tell_of_events();
    let webhook = webhook_of(&world, &salon_id(), "https://crm.example.com/", &["booking.*"]);
    (world, webhook)
}

fn stored(world: &World, id: &WebhookId) -> Webhook {
    match world.get(&Key::Webhooks(salon_id())).map(|stored| stored.item) {
        Some(Item::Webhooks(webhooks)) => webhooks.find(id).unwrap().clone(),
        other => panic!("no webhooks: {other:?}"),
    }
}

fn deliveries(world: &World, id: &WebhookId) -> Vec<Delivery> {
    let page = Page { after: None, limit: 100 };
    let Run::Finished(Ok(listed)) = world.run(world.deliveries(&salon_id(), id, page)) else {
        panic!("deliveries cannot be listed")
    };
    listed.items.into_iter().filter_map(|stored| stored.item.webhook_delivery().cloned()).collect()
}

fn patch(world: &World, id: &WebhookId, body: serde_json::Value) -> Result<Done<WebhookView>, AppError> {
    let business = salon_id();
    world.request(|| async {
        let patch: WebhookPatch = read(body.clone());
        patch_webhook(world, edit(&business, None, world.now()), id, patch, Reach::Public).await
    })
}

fn later(world: &World, by: SignedDuration) -> Timestamp {
    world.now() + by
}

#[test]
fn what_happens_to_a_booking_is_told_on_the_bus_and_at_the_webhook_and_signed() {
    let (world, webhook) = told();
    let id = world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap().value.id;
    world.change("move", &id, move_to("2026-11-25T15:00")).unwrap();
    world.change("cancel", &id, Change::Cancel).unwrap();
    world.publish();
    world.deliver_webhooks_until(later(&world, SOON));
    let bookings = ["booking.created", "booking.rescheduled", "booking.cancelled"];
    let on_bus: Vec<_> = world.bus().iter().map(|event| event.kind.name()).collect();
    assert_eq!(on_bus, bookings);
    let received = world.received();
    assert_eq!(received.len(), 3);
    let key = SigningKey::try_from(webhook.secret.unwrap()).unwrap();
    for (received, event) in received.iter().zip(world.bus()) {
        assert_eq!((&received.url[..], &received.id), ("https://crm.example.com/", &event.id));
        assert_eq!(received.body, json!(event).to_string());
        let signed = key.sign(received.id.as_str(), received.at.as_second(), &received.body);
        assert_eq!(received.signatures, signed);
    }
}

#[test]
fn messages_and_tasks_are_told_of_without_what_they_say_and_to_whom() {
    let (world, _) = told();
    world.book("book", &haircut("rui", TUESDAY_TEN)).unwrap();
    // Nobody comes: there is a task.
    world.pass_until(parsed("2026-11-24T12:00:00Z"));
    world.publish();
    let events = world.bus();
    let kinds: BTreeSet<&str> = events.iter().map(|event| event.kind.name()).collect();
    for kind in
        ["booking.created", "booking.no_show", "message.accepted", "message.suppressed", "task.created"]
    {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
    let ids: BTreeSet<_> = events.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), events.len(), "no two events have one id");
    for event in &events {
        let told = json!(event).to_string();
        assert!(!told.contains("+351912345679") && !told.contains("https://"), "{told}");
        let data = event.data.as_object().unwrap();
        assert!(LEFT_OUT.iter().all(|name| !data.contains_key(*name)), "{told}");
        assert_eq!(data["business_id"], json!("salon"));
    }
}

#[test]
fn only_those_who_want_to_know_are_told_and_nobody_of_anothers_bookings() {
    let (world, webhook) = told();
    let other: BusinessId = parsed("other");
    world.put(business("other"));
    let stranger = webhook_of(&world, &other, "https://stranger.example.com/", &["*"]);
    let tasks = webhook_of(&world, &salon_id(), "https://tasks.example.com/", &["task.*", "message.failed"]);
    let off = webhook_of(&world, &salon_id(), "https://off.example.com/", &["*"]);
    patch(&world, &off.id, json!({ "enabled": false })).unwrap();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.publish();
    world.deliver_webhooks_until(later(&world, SOON));
    let urls: BTreeSet<String> = world.received().into_iter().map(|received| received.url).collect();
    assert_eq!(urls, BTreeSet::from(["https://crm.example.com/".to_owned()]));
    for silent in [&tasks.id, &off.id, &stranger.id] {
        assert_eq!(deliveries(&world, silent), [], "{silent}");
    }
    // By its id it is not there for anybody else.
    let Run::Finished(found) = world.run(get_webhook(&world, &other, &webhook.id)) else { panic!("crashed") };
    assert!(matches!(found, Err(AppError::NotFound { .. })));
}

/// What a receiver has at the end, by `webhook-id`, and what is on the bus.
#[derive(Debug, PartialEq)]
struct Told {
    on_bus: BTreeSet<String>,
    at_webhook: BTreeSet<String>,
    delivered: BTreeMap<String, DeliveryState>,
}

fn end(world: &World, id: &WebhookId) -> Told {
    let delivered =
        deliveries(world, id).into_iter().map(|delivery| (delivery.id.to_string(), delivery.state));
    Told {
        on_bus: world.bus().iter().map(|event| event.id.to_string()).collect(),
        at_webhook: world.received().iter().map(|received| received.id.to_string()).collect(),
        delivered: delivered.collect(),
    }
}

/// Books and cancels, then publishes and posts with a fault at a call of `phase`, or none; how many calls there were in it.
fn tell_with(fault: Option<(usize, Fault)>, while_publishing: bool) -> (Vec<Call>, Told, World) {
    let (world, webhook) = told();
    let id = world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap().value.id;
    world.change("cancel", &id, Change::Cancel).unwrap();
    let disturbed = |phase: bool| if phase == while_publishing { fault } else { None };
    world.plan_faults(disturbed(true));
    world.publish();
    let publishing = world.calls();
    // The first is not taken at first.
    world.receivers_answer([PostResult::Answered(500)]);
    world.plan_faults(disturbed(false));
    world.deliver_webhooks_until(later(&world, SOON));
    let posting = world.calls();
    let told = end(&world, &webhook.id);
    (if while_publishing { publishing } else { posting }, told, world)
}

#[test]
fn whatever_goes_wrong_while_events_are_told_everybody_gets_the_same_events_with_the_same_ids() {
    let (calls, smooth, world) = tell_with(None, true);
    assert_eq!(world.bus().len(), smooth.on_bus.len(), "undisturbed each is there once");
    assert!(smooth.on_bus.len() >= 2 && smooth.at_webhook.len() == 2, "{smooth:?}");
    for (number, call) in calls.iter().enumerate() {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.can_hit(*call)) {
            let (_, found, _) = tell_with(Some((number, fault)), true);
            assert_eq!(found, smooth, "{fault:?} at call {number}, {call:?}");
        }
    }
}

#[test]
fn whatever_goes_wrong_while_an_event_is_posted_it_arrives_and_again_only_with_the_same_id() {
    let (calls, smooth, world) = tell_with(None, false);
    assert_eq!(world.received().len(), 3, "two events, of which one was not taken at first");
    let mut posted_again = 0;
    for (number, call) in calls.iter().enumerate() {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.can_hit(*call)) {
            let (_, found, world) = tell_with(Some((number, fault)), false);
            assert_eq!(found, smooth, "{fault:?} at call {number}, {call:?}");
            posted_again += usize::from(world.received().len() > 3);
        }
    }
    assert!(posted_again > 0, "at least once is not once: who dies after the post has it posted again");
}

#[test]
fn a_batch_that_comes_twice_makes_no_second_delivery() {
    let (world, webhook) = told();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    // The answer to the last call is lost, so that Lambda brings all of it again.
    world.plan_fault_after(3, Fault::FailAfter);
    world.publish();
    world.deliver_webhooks_until(later(&world, SOON));
    assert_eq!(deliveries(&world, &webhook.id).len(), 1);
    assert_eq!(world.received().len(), 1, "the second copy finds it delivered");
}

#[test]
fn what_is_not_taken_is_posted_ten_times_and_may_be_asked_for_again() {
    let (world, webhook) = told();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.publish();
    let down = PostResult::Unanswered(PostError::Timeout);
    world.receivers_answer(vec![down; 10]);
    world.deliver_webhooks_until(later(&world, SignedDuration::from_hours(96)));
    let [failed] = &deliveries(&world, &webhook.id)[..] else { panic!("one delivery") };
    assert_eq!((failed.state, failed.attempts.len()), (DeliveryState::Failed, 10));
    assert_eq!(world.deliveries_under_way(), []);
    let posted: Vec<Timestamp> = world.received().iter().map(|received| received.at).collect();
    let waits: Vec<i64> = posted.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
    assert!(waits.is_sorted() && waits[0] <= 7 && waits[8] >= 69_000, "{waits:?}");

    let business = salon_id();
    let again = world.request(|| async {
        retry_delivery(&world, edit(&business, None, world.now()), &webhook.id, &failed.id).await
    });
    assert!(again.unwrap().value.asked);
    world.publish();
    world.deliver_webhooks_until(later(&world, SOON));
    let [delivered] = &deliveries(&world, &webhook.id)[..] else { panic!("one delivery") };
    assert_eq!((delivered.state, delivered.attempts.len()), (DeliveryState::Delivered, 11));
}

#[test]
fn a_webhook_where_nothing_arrives_for_five_days_is_switched_off_with_a_task_until_somebody_switches_it_on() {
    let (world, webhook) = told();
    world.receivers_answer(vec![PostResult::Answered(503); 1000]);
    for day in 0..7 {
        let start = format!("2026-11-{}T10:00", 24 + day);
        world.book(&format!("book {day}"), &haircut("ana", &start)).unwrap();
        world.publish();
        world.deliver_webhooks_until(later(&world, SignedDuration::from_hours(24)));
    }
    let off = stored(&world, &webhook.id).switched_off.unwrap();
    assert_eq!(off.reason, SwitchedOffReason::Failing);
    let tasks: Vec<_> =
        world.tasks().into_iter().filter(|task| task.kind == TaskKind::WebhookSwitchedOff).collect();
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].text.as_deref(), Some("https://crm.example.com/"));
    let posted = world.received().len();
    world.book("one more", &haircut("rui", "2026-12-08T10:00")).unwrap();
    world.publish();
    world.deliver_webhooks_until(later(&world, SignedDuration::from_hours(100)));
    assert_eq!(world.received().len(), posted, "nothing is posted while it is off");
    let left = deliveries(&world, &webhook.id);
    assert!(left.iter().all(|delivery| delivery.state == DeliveryState::Failed), "{left:?}");
    let business = salon_id();
    let refused = world.request(|| async {
        test_webhook(&world, &world, edit(&business, None, world.now()), &webhook.id).await
    });
    assert!(matches!(refused, Err(AppError::WebhookOff)));

    patch(&world, &webhook.id, json!({ "enabled": true })).unwrap();
    world.receivers_answer([]);
    world.book("after", &haircut("rui", "2026-12-09T10:00")).unwrap();
    world.publish();
    world.deliver_webhooks_until(later(&world, SOON));
    assert_eq!(world.received().len(), posted + 1);
    assert_eq!(stored(&world, &webhook.id).failing_since, None);
}

#[test]
fn gone_switches_off_at_once_but_not_where_the_url_was_changed_meanwhile() {
    let (world, webhook) = told();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.publish();
    world.receivers_answer([PostResult::Answered(410)]);
    let due = world.deliveries_under_way()[0].due.clone();
    let mut posting = world.start(deliver_webhook(&world, &world, &world, &world, &due, world.now()));
    // It has read where to post, and posted.
    assert!(posting.go(2).is_none());
    patch(&world, &webhook.id, json!({ "url": "https://new.example.com/" })).unwrap();
    let Run::Finished(Ok(tried)) = posting.end() else { panic!("it failed") };
    assert_eq!(tried, Tried::Failed);
    assert_eq!(stored(&world, &webhook.id).switched_off, None);

    world.receivers_answer([PostResult::Answered(410)]);
    world.book("other", &haircut("rui", "2026-11-25T10:00")).unwrap();
    world.publish();
    world.deliver_webhooks_until(later(&world, SOON));
    let off = stored(&world, &webhook.id).switched_off.unwrap();
    assert_eq!(off.reason, SwitchedOffReason::Gone);
}

#[test]
fn what_is_on_its_way_to_a_webhook_that_is_taken_away_is_posted_no_more() {
    let (world, webhook) = told();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.publish();
    let business = salon_id();
    let deleted = world
        .request(|| async { delete_webhook(&world, edit(&business, None, world.now()), &webhook.id).await });
    deleted.unwrap();
    world.deliver_webhooks_until(later(&world, SOON));
    assert_eq!(world.received(), []);
    assert_eq!(deliveries(&world, &webhook.id)[0].state, DeliveryState::Failed);
    let Run::Finished(listed) = world.run(list_webhooks(&world, &business)) else { panic!("crashed") };
    assert_eq!(listed.unwrap(), []);
}

#[test]
fn a_webhook_is_tried_out_whatever_it_wants_and_nobody_else_hears_of_it() {
    let (world, webhook) = told();
    let (business, once) = (salon_id(), Once::new("test", b"test"));
    let test = || async {
        test_webhook(&world, &world, edit(&business, Some(&once), world.now()), &webhook.id).await
    };
    let made = world.request(test).unwrap();
    assert_eq!(world.request(test).unwrap(), made, "the same request is the same test");
    world.publish();
    world.deliver_webhooks_until(later(&world, SOON));
    let received = world.received();
    assert_eq!(received.len(), 1);
    assert!(received[0].body.contains(r#""type":"webhook.test""#));
    let [delivery] = &deliveries(&world, &webhook.id)[..] else { panic!("one delivery") };
    assert_eq!((delivery.kind, delivery.state), (EventType::WebhookTest, DeliveryState::Delivered));
    assert_eq!(world.bus(), []);
}

#[test]
fn a_secret_is_shown_when_it_is_made_and_never_again() {
    let (world, webhook) = told();
    let business = salon_id();
    let Run::Finished(Ok(read)) = world.run(get_webhook(&world, &business, &webhook.id)) else {
        panic!("not found")
    };
    assert_eq!(read.value, WebhookView { secret: None, ..webhook.clone() });
    let rotated = world.request(|| async {
        rotate_secret(&world, &world, edit(&business, None, world.now()), &webhook.id).await
    });
    let rotated = rotated.unwrap();
    assert_ne!(rotated.value.secret, webhook.secret);
    assert!(rotated.value.secret.as_ref().unwrap().starts_with("whsec_"));
    let patched = patch(&world, &webhook.id, json!({ "description": "The CRM" })).unwrap();
    assert_eq!((patched.etag, patched.value.secret), (3, None));

    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.publish();
    world.deliver_webhooks_until(later(&world, SOON));
    let received = &world.received()[0];
    for secret in [rotated.value.secret, webhook.secret] {
        let key = SigningKey::try_from(secret.unwrap()).unwrap();
        let signed = key.sign(received.id.as_str(), received.at.as_second(), &received.body);
        assert!(received.signatures.split(' ').any(|signature| signature == signed));
    }
}

#[test]
fn a_business_has_at_most_ten_webhooks_on_the_public_internet() {
    let (world, webhook) = told();
    for number in 1..10 {
        webhook_of(&world, &salon_id(), &format!("https://w{number}.example.com/"), &["*"]);
    }
    let business = salon_id();
    let create = |url: &'static str, types: &'static [&'static str]| {
        let world = &world;
        let business = &business;
        move || async move {
            let edit = edit(business, None, world.now());
            create_webhook(world, world, edit, fields(url, types), Reach::Public).await
        }
    };
    let refused = world.request(create("https://eleventh.example.com/", &["*"]));
    assert!(matches!(refused, Err(AppError::Invalid { field, .. }) if field == "url"));
    let business_of_webhook = patch(&world, &webhook.id, json!({ "url": "https://10.0.0.1/" }));
    assert!(matches!(business_of_webhook, Err(AppError::Invalid { field, .. }) if field == "url"));
    let nothing_wanted = patch(&world, &webhook.id, json!({ "types": [] }));
    assert!(matches!(nothing_wanted, Err(AppError::Invalid { field, .. }) if field == "types"));
    let stale = world.request(|| async {
        let edit = app::edit_catalogue::Edit { if_match: Some(7), ..edit(&business, None, world.now()) };
        patch_webhook(&world, edit, &webhook.id, WebhookPatch::default(), Reach::Public).await
    });
    assert!(matches!(stale, Err(AppError::Stale { current: 1 })));
}

#[test]
fn editing_webhooks_passes_what_every_use_case_must() {
    let prepare = || told().0;
    let only = |world: &World| {
        let Some(Item::Webhooks(webhooks)) = world.get(&Key::Webhooks(salon_id())).map(|stored| stored.item)
        else {
            panic!("no webhooks")
        };
        webhooks.webhooks[0].id.clone()
    };
    let (business, once) = (salon_id(), Once::new("key", b"request"));
    let create = |world: &World| {
        webhook_of(world, &business, "https://second.example.com/", &["task.*"]);
    };
    let change = |world: &World| {
        let id = only(world);
        let off = world.request(|| async {
            let patch: WebhookPatch = read(json!({ "enabled": false, "types": ["*"] }));
            patch_webhook(world, edit(&business, Some(&once), world.now()), &id, patch, Reach::Public).await
        });
        off.unwrap();
    };
    let rotate = |world: &World| {
        let id = only(world);
        let rotated = world.request(|| async {
            rotate_secret(world, world, edit(&business, Some(&once), world.now()), &id).await
        });
        rotated.unwrap();
    };
    let test = |world: &World| {
        let id = only(world);
        let made = world.request(|| async {
            test_webhook(world, world, edit(&business, Some(&once), world.now()), &id).await
        });
        made.unwrap();
    };
    let delete = |world: &World| {
        let id = only(world);
        let deleted = world.request(|| async {
            delete_webhook(world, edit(&business, Some(&once), world.now()), &id).await
        });
        deleted.unwrap();
    };
    let acts: [&dyn Fn(&World); 5] = [&create, &change, &rotate, &test, &delete];
    for act in acts {
        Scenario { prepare: &prepare, act }.passes();
    }
}
