//! Settings: rules and their overrides, previews, rollouts, dry runs and templates.

use app::change_booking::{Change, Manner};
use app::create_booking::By;
use app::dry_run::{dry_run_booking, dry_run_change};
use app::edit_catalogue::{BusinessPatch, Edit, create_resource};
use app::edit_settings::{Apply, RuleChange, Scope, Settings, edit_settings, prevailing_rules};
use app::edit_templates::{TemplatesFields, edit_templates, templates_of, variables_of};
use app::error::AppError;
use app::once::{Done, Once};
use app::ports::{Item, Key, PortError};
use app::preview_settings::{Counts, Preview, preview_settings};
use app::preview_template::{PreviewFields, preview_template};
use app::roll_out::roll_out;
use app::timeline::{Timeline, timeline};
use domain::booking::{Booking, Notify};
use domain::business::Locale;
use domain::channel::Channel;
use domain::message::{Message, MessageStatus, Reason};
use domain::notification_type::NotificationType;
use domain::precedence::Level;
use domain::resource::ResourceKind;
use domain::rule::Rule;
use domain::subject::SubjectId;
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};
use testkit::disturb::Scenario;
use testkit::salon::{PAGES, TUESDAY_TEN, haircut, instant, move_to, online, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::{Call, World};

const REMINDER: NotificationType = NotificationType::Reminder;

fn finished<T>(run: Run<T>) -> T {
    match run {
        Run::Finished(value) => value,
        Run::Crashed => panic!("it crashed"),
    }
}

fn rule(steps: Value) -> Rule {
    read(json!({ "enabled": true, "steps": steps }))
}

/// A reminder by sms so long before the visit.
fn remind(timing: &str) -> Rule {
    rule(json!([{ "timing": timing, "channels": ["sms"] }]))
}

fn off(kind: NotificationType) -> Rule {
    Rule { enabled: false, ..Rule::default_for(kind).clone() }
}

fn of_business(kind: NotificationType, rule: Option<Rule>) -> RuleChange {
    RuleChange { scope: Scope::Business, kind, rule, new_resources: false }
}

fn of_marta(kind: NotificationType, rule: Option<Rule>, new_resources: bool) -> RuleChange {
    RuleChange { scope: Scope::Resource(parsed("marta")), kind, rule, new_resources }
}

/// Changes a rule as the API does, with an idempotency key.
fn change_rule(world: &World, key: &str, change: &RuleChange, apply: Apply) -> Result<Done<Item>, AppError> {
    let (business_id, about) = (salon_id(), change.scope.key(&salon_id()));
    let once = Once::new(key, format!("{change:?} {apply:?}").as_bytes());
    world.request(|| {
        let edit = Edit { business_id: &business_id, once: Some(&once), if_match: None, now: world.now() };
        edit_settings(world, edit, &about, &[], apply, |settings| change.apply(settings))
    })
}

fn patch_of(json: Value) -> impl Fn(Settings) -> Result<Settings, AppError> {
    let patch: BusinessPatch = read(json);
    move |settings| match settings.item {
        Some(Item::Business(business)) => {
            Ok(Settings { item: Some(Item::Business(patch.apply(business)?)), ..settings })
        }
        _ => Err(AppError::NotFound { what: "business" }),
    }
}

fn patch_business(world: &World, patch: Value, apply: Apply) {
    let (business_id, about, change) = (salon_id(), Key::Business(salon_id()), patch_of(patch.clone()));
    let once = Once::new("patch", patch.to_string().as_bytes());
    let patched = world.request(|| {
        let edit = Edit { business_id: &business_id, once: Some(&once), if_match: None, now: world.now() };
        edit_settings(world, edit, &about, &[], apply, &change)
    });
    patched.unwrap();
}

fn preview(
    world: &World,
    about: &Key,
    cursor: Option<&str>,
    change: impl Fn(Settings) -> Result<Settings, AppError>,
) -> Result<Preview, AppError> {
    let business_id = salon_id();
    let before = world.calls().len();
    let edit = Edit { business_id: &business_id, once: None, if_match: None, now: world.now() };
    let preview = finished(world.run(preview_settings(world, edit, about, &[], cursor, change, PAGES)));
    assert!(world.calls()[before..].iter().all(|call| *call == Call::Read), "a preview only reads");
    preview
}

fn preview_rule(world: &World, change: &RuleChange) -> Preview {
    preview(world, &change.scope.key(&salon_id()), None, |settings| change.apply(settings)).unwrap()
}

/// The reminders by sms in the ledger: when they are due, and where they stand.
fn sms_reminders(world: &World) -> Vec<(String, MessageStatus)> {
    let of_sms = |message: &Message| message.kind == REMINDER && message.channel == Channel::Sms;
    let messages = world.messages().into_iter().filter(of_sms);
    messages.map(|message| (message.due.to_string(), message.status)).collect()
}

fn waiting_sms_reminders(world: &World) -> Vec<String> {
    let waiting = sms_reminders(world).into_iter().filter(|(_, status)| *status == MessageStatus::Planned);
    waiting.map(|(due, _)| due).collect()
}

/// The salon with Ana's visit on Tuesday at ten, planned.
fn booked() -> World {
    let world = salon();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.pass(SignedDuration::from_mins(5));
    world
}

fn booking(world: &World) -> Booking {
    world.bookings().into_iter().next().unwrap()
}

// ------------------------------------------------------------------ rules and scopes

#[test]
fn every_change_of_a_rule_may_be_disturbed_at_every_call() {
    for apply in [Apply::NewBookingsOnly, Apply::AllUpcoming] {
        for change in [
            of_business(REMINDER, Some(remind("90m before start"))),
            of_marta(REMINDER, Some(off(REMINDER)), true),
        ] {
            let act = |world: &World| drop(change_rule(world, "rule", &change, apply).unwrap());
            Scenario { prepare: &booked, act: &act }.passes();
        }
    }
}

#[test]
fn s13_the_list_of_types_says_what_is_on_and_on_which_channels() {
    let world = salon();
    change_rule(&world, "off", &of_business(REMINDER, Some(off(REMINDER))), Apply::default()).unwrap();
    let rules = finished(world.run(prevailing_rules(&world, &salon_id(), &Scope::Business))).unwrap();
    assert_eq!((rules.version, rules.items.len()), (1, NotificationType::ALL.len()));
    let of = |kind| rules.items.iter().find(|prevailing| prevailing.kind == kind).unwrap();
    assert_eq!((of(REMINDER).from, of(REMINDER).channels.as_slice()), (Level::Business, &[][..]));
    let confirmed = of(NotificationType::BookingConfirmed);
    assert_eq!(
        (confirmed.from, confirmed.channels.as_slice()),
        (Level::Default, &[Channel::Email, Channel::Sms][..])
    );
    assert_eq!(json!([of(REMINDER).from, confirmed.from]), json!(["business", "default"]));
}

#[test]
fn s57_s58_s60_a_resource_s_own_rule_comes_before_that_of_its_kind_and_may_be_off() {
    let world = salon();
    let kind = RuleChange {
        scope: Scope::Kind(ResourceKind::Specialist),
        ..of_business(REMINDER, Some(remind("90m before start")))
    };
    change_rule(&world, "kind", &kind, Apply::default()).unwrap();
    world.book("first", &haircut("ana", TUESDAY_TEN)).unwrap();
    change_rule(&world, "own", &of_marta(REMINDER, Some(off(REMINDER)), false), Apply::default()).unwrap();
    world.book("second", &haircut("rui", "2026-11-24T12:00")).unwrap();
    let scope = Scope::Resource(parsed("marta"));
    let prevailing = |world: &World| {
        let rules = finished(world.run(prevailing_rules(world, &salon_id(), &scope))).unwrap();
        rules.items.into_iter().find(|prevailing| prevailing.kind == REMINDER).unwrap()
    };
    assert_eq!((prevailing(&world).from, prevailing(&world).channels), (Level::Resource, vec![]));
    assert_eq!(json!(prevailing(&world).from), "resource");
    change_rule(&world, "reset", &of_marta(REMINDER, None, false), Apply::default()).unwrap();
    assert_eq!(
        (prevailing(&world).from, prevailing(&world).channels),
        (Level::ResourceKind, vec![Channel::Sms])
    );
    assert_eq!(json!(prevailing(&world).from), "resource_kind");
    world.book("third", &haircut("rui", "2026-11-24T14:00")).unwrap();
    world.pass(SignedDuration::from_mins(5));
    // Each booking by the rules of its own making: the kind's, none, and the kind's again.
    assert_eq!(waiting_sms_reminders(&world), ["2026-11-24T08:30:00Z", "2026-11-24T12:30:00Z"]);
}

#[test]
fn s59_resources_made_from_now_on_get_the_rule_as_their_own() {
    let prepare = || {
        let world = salon();
        change_rule(&world, "own", &of_marta(REMINDER, Some(off(REMINDER)), true), Apply::default()).unwrap();
        world
    };
    let make = |world: &World| {
        let resource = read(json!({
            "business_id": "salon", "id": "nuno", "location_id": "chiado", "name": "Nuno", "kind": "specialist", "capacity": 1,
        }));
        let (business_id, once) = (salon_id(), Once::new("nuno", b"nuno"));
        let made = world.request(|| {
            let edit =
                Edit { business_id: &business_id, once: Some(&once), if_match: None, now: world.now() };
            create_resource(world, edit, Clone::clone(&resource), &[])
        });
        made.unwrap();
    };
    Scenario { prepare: &prepare, act: &make }.passes();
    let world = prepare();
    make(&world);
    let rules =
        finished(world.run(prevailing_rules(&world, &salon_id(), &Scope::Resource(parsed("nuno"))))).unwrap();
    let reminder = rules.items.iter().find(|prevailing| prevailing.kind == REMINDER).unwrap();
    assert_eq!((reminder.from, reminder.rule.enabled), (Level::Resource, false));
    let new = app::create_booking::NewBooking { resource_id: parsed("nuno"), ..haircut("ana", TUESDAY_TEN) };
    world.book("book", &new).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(sms_reminders(&world), []);
}

// ------------------------------------------------------------------ which bookings

#[rstest]
#[case::moves(Some("90m before start"), &["2026-11-24T08:30:00Z"])]
#[case::vanishes(None, &[])]
fn a_rollout_plans_anew_what_is_ahead(#[case] timing: Option<&str>, #[case] expected: &[&str]) {
    let world = booked();
    assert_eq!(waiting_sms_reminders(&world), ["2026-11-24T08:00:00Z"]);
    let to = timing.map_or_else(|| off(REMINDER), remind);
    change_rule(&world, "rule", &of_business(REMINDER, Some(to)), Apply::AllUpcoming).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(waiting_sms_reminders(&world), expected);
    let rollout = world.get(&Key::Rollout(salon_id())).unwrap().item;
    let rollout = rollout.rollout().unwrap();
    assert_eq!((rollout.version, rollout.bookings, rollout.done), (1, 1, true));
    assert_eq!(booking(&world).rules_version, 1);
}

#[test]
fn a_rollout_lets_messages_appear() {
    let world = booked();
    let asked = of_business(NotificationType::ConfirmationRequest, Some(remind("1d before start")));
    change_rule(&world, "rule", &asked, Apply::AllUpcoming).unwrap();
    world.pass(SignedDuration::from_mins(5));
    let asks = |message: &&Message| message.kind == NotificationType::ConfirmationRequest;
    let found = world.messages();
    let request = found.iter().find(asks).unwrap();
    assert_eq!((request.due, request.status), (instant("2026-11-23T10:00:00Z"), MessageStatus::Planned));
}

#[test]
fn what_is_for_new_bookings_only_leaves_the_others_as_they_were_also_when_they_are_confirmed_later() {
    let world = salon();
    let id = world.book("book", &online("ana", TUESDAY_TEN)).unwrap().value.id;
    world.pass(SignedDuration::from_mins(5));
    let change = of_business(REMINDER, Some(remind("90m before start")));
    change_rule(&world, "rule", &change, Apply::NewBookingsOnly).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(waiting_sms_reminders(&world), ["2026-11-24T08:00:00Z"]);
    world.change("confirm", &id, Change::Confirm).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(waiting_sms_reminders(&world), ["2026-11-24T08:00:00Z"]);
    world.book("new", &haircut("rui", "2026-11-24T12:00")).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(waiting_sms_reminders(&world), ["2026-11-24T08:00:00Z", "2026-11-24T10:30:00Z"]);
}

#[test]
fn a_newer_rollout_overtakes_an_older_one() {
    let prepare = || {
        let world = booked();
        let first = of_business(REMINDER, Some(remind("90m before start")));
        change_rule(&world, "first", &first, Apply::AllUpcoming).unwrap();
        world
    };
    let act = |world: &World| {
        let second = of_business(REMINDER, Some(remind("1h before start")));
        change_rule(world, "second", &second, Apply::AllUpcoming).unwrap();
    };
    Scenario { prepare: &prepare, act: &act }.passes();
    let world = prepare();
    // One page of the first, then the second comes.
    world.step(world.now());
    act(&world);
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(waiting_sms_reminders(&world), ["2026-11-24T09:00:00Z"]);
    assert_eq!(booking(&world).rules_version, 2);
}

#[test]
fn a_booking_made_during_a_rollout_is_planned_by_the_new_rules() {
    let world = booked();
    let change = of_business(REMINDER, Some(remind("90m before start")));
    change_rule(&world, "rule", &change, Apply::AllUpcoming).unwrap();
    world.step(world.now());
    world.book("new", &haircut("rui", "2026-11-24T12:00")).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(waiting_sms_reminders(&world), ["2026-11-24T08:30:00Z", "2026-11-24T10:30:00Z"]);
    world.assert_at_rest();
}

#[test]
fn every_page_of_a_rollout_may_be_disturbed_at_every_call() {
    let prepare = || {
        let world = booked();
        world.book("rui", &haircut("rui", "2026-11-24T12:00")).unwrap();
        world.pass(SignedDuration::from_mins(5));
        let change = of_business(REMINDER, Some(remind("90m before start")));
        change_rule(&world, "rule", &change, Apply::AllUpcoming).unwrap();
        world
    };
    let act = |world: &World| {
        let page = || async { roll_out(world, &salon_id()).await.map_err(AppError::Port) };
        world.request(page).unwrap();
    };
    Scenario { prepare: &prepare, act: &act }.passes();
}

#[test]
fn s27_quiet_hours_for_all_upcoming_plan_anew_what_is_ahead() {
    let prepare = || {
        let world = salon();
        world.book("book", &haircut("ana", "2026-11-24T11:00")).unwrap();
        world.pass(SignedDuration::from_mins(5));
        world
    };
    let night = json!({ "quiet_hours": { "from": "22:00", "until": "10:30" } });
    let act = |world: &World| patch_business(world, night.clone(), Apply::AllUpcoming);
    Scenario { prepare: &prepare, act: &act }.passes();
    let world = prepare();
    assert_eq!(sms_reminders(&world), [("2026-11-24T09:00:00Z".to_owned(), MessageStatus::Planned)]);
    act(&world);
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(sms_reminders(&world), [("2026-11-24T10:30:00Z".to_owned(), MessageStatus::Deferred)]);
}

// ------------------------------------------------------------------ previews

#[test]
fn a_preview_counts_what_moves_appears_and_vanishes_with_its_cost() {
    let world = booked();
    let prices = json!([{ "prefix": "+351", "per_thousand": { "minor": 4500, "currency": "EUR" } }]);
    patch_business(&world, json!({ "sms_prices": prices }), Apply::default());
    world.book("rui", &haircut("rui", "2026-11-24T12:00")).unwrap();
    world.pass(SignedDuration::from_mins(5));

    let moved = preview_rule(&world, &of_business(REMINDER, Some(remind("90m before start"))));
    assert_eq!((moved.bookings, moved.complete, moved.next.as_deref()), (2, true, None));
    assert_eq!((moved.planned_anew.new_bookings_only, moved.planned_anew.all_upcoming), (0, 2));
    // The two sms move; Ana's two pushes vanish; what else is ahead stays.
    let Counts { appear, moved: moves, vanish, .. } = moved.messages;
    assert_eq!((appear, moves, vanish), (0, 2, 2));
    let of_sms = moved.by.iter().find(|of| (of.kind, of.channel) == (REMINDER, Channel::Sms)).unwrap();
    assert_eq!(of_sms.counts, Counts { moved: 2, ..Counts::default() });
    assert!(moved.cost[0].before > 0 && moved.cost[0].before == moved.cost[0].after, "{:?}", moved.cost);
    let example = moved.examples.iter().find(|example| example.channel == Channel::Sms).unwrap();
    assert_eq!(
        (example.from, example.to),
        (Some(instant("2026-11-24T08:00:00Z")), Some(instant("2026-11-24T08:30:00Z")))
    );

    let fewer = preview_rule(&world, &of_business(REMINDER, Some(off(REMINDER))));
    assert_eq!((fewer.messages.vanish, fewer.messages.appear, fewer.cost[0].after), (4, 0, 0));
    let more = preview_rule(
        &world,
        &of_business(NotificationType::ConfirmationRequest, Some(remind("1d before start"))),
    );
    assert_eq!((more.messages.appear, more.messages.vanish), (2, 0));
    assert!(more.cost[0].after > more.cost[0].before);
    let nobody = preview_rule(&world, &of_business(REMINDER, None));
    assert_eq!((nobody.messages.appear, nobody.messages.moved, nobody.messages.vanish), (0, 0, 0));
    assert_eq!(nobody.examples, []);
}

#[test]
fn what_a_preview_says_is_what_the_change_does() {
    let world = booked();
    let change = of_business(REMINDER, Some(remind("90m before start")));
    let said = preview_rule(&world, &change).examples;
    change_rule(&world, "rule", &change, Apply::AllUpcoming).unwrap();
    world.pass(SignedDuration::from_mins(5));
    let due: Vec<_> = said.iter().filter_map(|example| example.to).map(|to| to.to_string()).collect();
    assert_eq!(waiting_sms_reminders(&world), due);
}

#[test]
fn s27_s15_a_preview_of_the_business_plans_by_its_new_quiet_hours_and_options() {
    let world = booked();
    let about = Key::Business(salon_id());
    let later = patch_of(json!({ "quiet_hours": { "from": "22:00", "until": "09:30" } }));
    let night = preview(&world, &about, None, later).unwrap();
    assert_eq!((night.messages.moved, night.messages.vanish), (2, 0), "the sms at 8 and the push at 9");
    let without_sms = preview(&world, &about, None, patch_of(json!({ "sms_enabled": false }))).unwrap();
    assert_eq!(without_sms.messages.vanish, 1);
}

#[test]
fn a_preview_of_many_bookings_goes_on_where_it_ended() {
    let world = salon();
    let first = world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap().value;
    let start = instant("2026-12-01T08:00:00Z");
    world.put((0..1_000).map(|number: i64| {
        Item::Booking(Booking {
            id: parsed(&format!("many-{number:04}")),
            start: start + SignedDuration::from_hours(number),
            end: start + SignedDuration::from_hours(number + 1),
            ..first.clone()
        })
    }));
    let change = of_business(REMINDER, Some(off(REMINDER)));
    let about = Key::Rules(salon_id());
    let (mut cursor, mut bookings, mut calls) = (None, 0, 0);
    loop {
        let page = preview(&world, &about, cursor.as_deref(), |settings| change.apply(settings)).unwrap();
        assert!(page.bookings <= 500 && page.examples.len() <= 20);
        (bookings, calls) = (bookings + page.bookings, calls + 1);
        assert_eq!(page.complete, page.next.is_none());
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!((bookings, calls), (1_001, 3));
    let wrong = preview(&world, &about, Some("nonsense"), |settings| change.apply(settings));
    assert!(matches!(wrong, Err(AppError::Invalid { field, .. }) if field == "cursor"));
}

// ------------------------------------------------------------------ dry runs and timelines

fn seen(timeline: &Timeline) -> Vec<(NotificationType, Channel, String, MessageStatus, Option<Reason>)> {
    let of = |message: &Message| {
        (message.kind, message.channel, message.due.to_string(), message.status, message.reason)
    };
    timeline.messages.iter().map(of).collect()
}

fn read_timeline(world: &World) -> Timeline {
    let subject = SubjectId::Booking(booking(world).id);
    finished(world.run(timeline(world, &salon_id(), &subject, world.now()))).unwrap()
}

#[test]
fn the_dry_run_of_a_booking_is_the_timeline_it_gets() {
    let world = salon();
    let before = world.end_state();
    let tried = finished(world.run(dry_run_booking(
        &world,
        &salon_id(),
        &haircut("ana", TUESDAY_TEN),
        world.now(),
        PAGES,
    )));
    let tried = tried.unwrap().timeline;
    assert_eq!(world.end_state(), before, "a dry run writes nothing");
    let sms =
        tried.messages.iter().find(|message| (message.kind, message.channel) == (REMINDER, Channel::Sms));
    let sms = sms.unwrap();
    assert!(sms.text.as_ref().unwrap().contains("Haircut"), "{:?}", sms.text);
    assert_eq!((sms.segments, sms.traces.len()), (Some(1), 1));
    assert!(
        tried.messages.iter().any(|message| message.reason == Some(Reason::SwitchedOff)),
        "what is off is shown"
    );

    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    while world.stream_record().is_some() {
        world.step(world.now());
    }
    assert_eq!(seen(&read_timeline(&world)), seen(&tried));
}

#[test]
fn the_dry_run_of_a_move_is_the_timeline_it_gets() {
    let world = booked();
    let (id, manner) = (booking(&world).id, Manner { notify: Notify::ByRules, by: By::Staff });
    let before = world.end_state();
    let change = move_to("2026-11-25T15:00");
    let tried = world.run(dry_run_change(
        &world,
        (&salon_id(), &id),
        change.clone(),
        manner,
        None,
        world.now(),
        PAGES,
    ));
    let tried = finished(tried).unwrap().timeline;
    assert_eq!(world.end_state(), before, "a dry run writes nothing");
    world.change("move", &id, change).unwrap();
    while world.stream_record().is_some() {
        world.step(world.now());
    }
    assert_eq!(seen(&read_timeline(&world)), seen(&tried));
}

#[test]
fn a_dry_run_meets_the_conflicts_of_the_real_thing() {
    let world = booked();
    let tried = |start: &str| {
        finished(world.run(dry_run_booking(&world, &salon_id(), &haircut("rui", start), world.now(), PAGES)))
    };
    assert!(matches!(tried(TUESDAY_TEN), Err(AppError::Overlap)));
    assert!(tried("2026-11-24T11:00").is_ok());
    let (id, manner) = (booking(&world).id, Manner { notify: Notify::ByRules, by: By::Staff });
    let business_id = salon_id();
    let stale =
        dry_run_change(&world, (&business_id, &id), Change::Cancel, manner, Some(7), world.now(), PAGES);
    assert!(matches!(finished(world.run(stale)), Err(AppError::Stale { current: 1 })));
}

#[test]
fn a_timeline_shows_what_is_switched_off_though_it_has_no_row() {
    let world = salon();
    change_rule(&world, "off", &of_business(REMINDER, Some(off(REMINDER))), Apply::default()).unwrap();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(sms_reminders(&world), [], "there is no row");
    let timeline = read_timeline(&world);
    let shown =
        seen(&timeline).into_iter().find(|(kind, channel, ..)| (*kind, *channel) == (REMINDER, Channel::Sms));
    let (_, _, due, status, reason) = shown.unwrap();
    assert_eq!(
        (due.as_str(), status, reason),
        ("2026-11-24T08:00:00Z", MessageStatus::Suppressed, Some(Reason::SwitchedOff))
    );
}

#[test]
fn s50_the_timeline_says_at_a_glance_how_reminder_and_review_request_stand() {
    let world = booked();
    let glance = |world: &World| serde_json::to_value(read_timeline(world).glance).unwrap();
    assert_eq!(
        glance(&world),
        json!({ "reminder": "planned", "review_request": null, "confirmation": "none" })
    );
    world.pass_until(instant("2026-11-24T09:30:00Z"));
    assert_eq!(glance(&world)["reminder"], "accepted");
    let id = booking(&world).id;
    world.change("arrive", &id, Change::Arrive).unwrap();
    world.pass_until(instant("2026-11-24T11:00:00Z"));
    world.change("complete", &id, Change::Complete).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_ne!(glance(&world)["review_request"], Value::Null);
}

// ------------------------------------------------------------------ templates

fn put_templates(world: &World, kind: NotificationType, fields: Value) -> Result<Done<Item>, AppError> {
    let (business_id, fields): (_, TemplatesFields) = (salon_id(), read(fields));
    let once = Once::new("templates", b"templates");
    world.request(|| {
        let edit = Edit { business_id: &business_id, once: Some(&once), if_match: None, now: world.now() };
        edit_templates(world, edit, kind, fields.clone())
    })
}

fn own_sms(text: &str) -> Value {
    json!({ "texts": [{ "channel": "sms", "locale": "en", "text": text }] })
}

#[test]
fn s5_an_own_text_leaves_instead_of_ours_until_the_default_is_set() {
    let act = |world: &World| {
        drop(put_templates(world, REMINDER, own_sms("See you, {{ client.name }} 🌸")).unwrap())
    };
    Scenario { prepare: &booked, act: &act }.passes();
    let world = booked();
    act(&world);
    world.pass_until(instant("2026-11-24T08:30:00Z"));
    let outbox = world.outbox();
    let sms =
        outbox.iter().find(|sent| sent.message.kind == REMINDER && sent.message.channel == Channel::Sms);
    assert_eq!(sms.unwrap().content.text(), "See you, Ana 🌸");
    let (business_id, now) = (salon_id(), world.now());
    let edit = Edit { business_id: &business_id, once: None, if_match: Some(1), now };
    finished(world.run(edit_templates(&world, edit, REMINDER, TemplatesFields::default()))).unwrap();
    let saved = finished(world.run(templates_of(&world, &business_id, REMINDER))).unwrap();
    assert_eq!((saved.etag, saved.value.texts.len()), (2, 0));
}

#[test]
fn s6_the_variables_of_a_type_are_listed_with_examples() {
    let variables = variables_of(REMINDER, Locale::En);
    let client = variables.iter().find(|variable| variable.variable.name == "client.name").unwrap();
    assert_eq!(client.example.as_deref(), Some("Anna"));
    assert!(!variables.iter().any(|variable| variable.variable.name.starts_with("account.")));
}

#[test]
fn s12_s65_s68_a_preview_shows_a_text_with_sample_or_real_values_and_its_price() {
    let world = booked();
    let prices = json!([{ "prefix": "+351", "per_thousand": { "minor": 4500, "currency": "EUR" } }]);
    patch_business(&world, json!({ "sms_prices": prices }), Apply::default());
    let show = |kind, fields: Value| {
        let fields: PreviewFields = read(fields);
        finished(world.run(preview_template(&world, &salon_id(), kind, &fields, world.now(), PAGES)))
    };
    let sample = show(REMINDER, json!({ "channel": "sms", "text": "{{ client.name }}: ž" })).unwrap();
    let shown = serde_json::to_value(&sample).unwrap();
    assert_eq!(shown["text"], "Anna: ž");
    assert_eq!(
        shown["sms"],
        json!({
            "encoding": "ucs2", "units": 7, "segments": 1, "odd": ["ž"],
            "prices": [{ "prefix": "+351", "thousandths": 4500, "currency": "EUR" }],
        })
    );
    let real =
        show(REMINDER, json!({ "channel": "email", "booking_id": booking(&world).id.as_str() })).unwrap();
    assert!(real.html.is_some() && real.text.contains("Ana,"), "{}", real.text);
    let staff = show(NotificationType::StaffBookingCreated, json!({ "channel": "email", "role": "staff" }));
    assert!(staff.is_ok(), "{staff:?}");
    let nobody = json!({ "channel": "email", "role": "staff", "booking_id": booking(&world).id.as_str() });
    assert!(matches!(show(REMINDER, nobody), Err(AppError::Invalid { field, .. }) if field == "role"));
}

// ------------------------------------------------------------------ bad settings

#[rstest]
#[case::unknown_variable("Hello\n{{ client.shoe_size }}", Some((2, 4)))]
#[case::endless_loop("{% for a in range(1000000000) %}{% endfor %}", Some((1, 4)))]
#[case::broken("{{ client.name", Some((1, 11)))]
fn a_bad_text_is_refused_with_its_place_and_the_last_good_one_stays(
    #[case] text: &str,
    #[case] place: Option<(usize, usize)>,
) {
    let world = booked();
    put_templates(&world, REMINDER, own_sms("Good")).unwrap();
    let before = world.end_state();
    let business_id = salon_id();
    let edit = Edit { business_id: &business_id, once: None, if_match: None, now: world.now() };
    let refused = finished(world.run(edit_templates(&world, edit, REMINDER, read(own_sms(text)))));
    let Err(AppError::InvalidTemplate(invalid)) = refused else { panic!("{refused:?}") };
    assert_eq!(invalid.path, "texts[0].text");
    assert_eq!(invalid.at.map(|at| (at.line, at.column)), place, "{invalid}");
    assert_eq!(world.end_state(), before);
}

#[test]
fn a_text_of_500_kb_is_refused_and_the_last_good_one_stays() {
    let world = booked();
    put_templates(&world, REMINDER, own_sms("Good")).unwrap();
    let before = world.end_state();
    let business_id = salon_id();
    let edit = Edit { business_id: &business_id, once: None, if_match: None, now: world.now() };
    let huge = read(own_sms(&"x".repeat(500_000)));
    let refused = finished(world.run(edit_templates(&world, edit, REMINDER, huge)));
    let Err(AppError::InvalidTemplate(invalid)) = refused else { panic!("it was taken") };
    assert_eq!(invalid.to_string(), "texts[0].text: expected 1 to 2000 characters, got 500000");
    assert_eq!(world.end_state(), before);
}

#[test]
fn s4_a_cascade_without_channels_is_refused_and_the_last_good_rule_stays() {
    let world = booked();
    change_rule(&world, "good", &of_business(REMINDER, Some(remind("90m before start"))), Apply::default())
        .unwrap();
    let before = world.end_state();
    let cascade: Rule = read(json!({
        "enabled": true, "strategy": "cascade", "steps": [{ "timing": "1h before start", "channels": [] }],
    }));
    let change = of_business(REMINDER, Some(cascade));
    let refused = change_rule(&world, "bad", &change, Apply::AllUpcoming);
    assert!(
        matches!(&refused, Err(AppError::Invalid { field, .. }) if field == "steps[0].channels"),
        "{refused:?}"
    );
    assert_eq!(world.end_state(), before);
    let about = Key::Rules(salon_id());
    let previewed = preview(&world, &about, None, |settings| change.apply(settings));
    assert!(matches!(previewed, Err(AppError::Invalid { .. })));
}

#[test]
fn a_preview_that_cannot_read_says_so() {
    let world = booked();
    world.plan_faults([(0, testkit::world::Fault::Throttle)]);
    let change = of_business(REMINDER, None);
    let about = Key::Rules(salon_id());
    let failed = preview(&world, &about, None, |settings| change.apply(settings));
    assert!(matches!(failed, Err(AppError::Port(PortError::Throttled { .. }))));
}

#[test]
fn looking_costs_a_few_reads() {
    let world = booked();
    change_rule(&world, "rule", &of_business(REMINDER, None), Apply::AllUpcoming).unwrap();
    world.pass(SignedDuration::from_mins(5));
    let reads = |look: &dyn Fn()| {
        let before = world.calls().len();
        look();
        let calls = world.calls();
        assert!(calls[before..].iter().all(|call| *call == Call::Read));
        calls.len() - before
    };
    assert_eq!(reads(&|| drop(read_timeline(&world))), 3, "a timeline");
    let new = haircut("rui", "2026-11-24T12:00");
    let try_it =
        || drop(finished(world.run(dry_run_booking(&world, &salon_id(), &new, world.now(), PAGES))).unwrap());
    assert_eq!(reads(&try_it), 4, "a dry run");
    assert_eq!(reads(&|| drop(preview_rule(&world, &of_business(REMINDER, None)))), 5, "a preview");
    world.plan_faults([]);
    change_rule(&world, "again", &of_business(REMINDER, None), Apply::AllUpcoming).unwrap();
    // The rules, their version, the rollout, the answer.
    assert_eq!(world.calls(), [Call::Read, Call::Write(4)]);
}
