//! Anything in any order, with copies of everything and faults anywhere: every run is sound after every call, and when all is
//! over the outbox and the ledger say the same.
//!
//! `PROPTEST_CASES=2000 cargo nextest run -p testkit random` looks longer.

use app::change_booking::Change;
use app::create_booking::NewBooking;
use app::edit_catalogue::{self, BusinessPatch, Edit};
use app::edit_settings::{Apply, Settings, edit_settings};
use app::error::AppError;
use app::once::Once;
use app::ports::{Item, Key};
use app::waitlist::{accept_offer, close_entry, join_waitlist};
use app::write_occasion::{IndividualFields, write_occasion};
use domain::channel::Channel;
use domain::notification_type::NotificationType;
use domain::rule::{Ending, Rule};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use testkit::salon::{edit as staff_edit, haircut, move_to, online, parsed, read, salon, salon_id};
use testkit::world::{Fault, World};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Act {
    Book(NewBooking),
    /// To the booking of this number, counted round.
    Change(usize, Change),
    /// The client wants a time like that.
    Wait(&'static str),
    /// Whoever has the place of this number, counted round, takes what is offered, or gives it up.
    Take(usize, bool),
    /// Staff writes to the client.
    Letter(&'static str),
    TakeSms(bool),
    Ban(Channel),
    /// Whether a cancellation is answered with an invitation too.
    Invite(bool),
    /// The platform does so many things, whatever they are.
    Steps(u8),
    /// The queues come before the stream.
    Bring,
    CopyQueue,
    RepeatStream,
    Minutes(i64),
    Fault(usize, Fault),
}

/// A time from Saturday to Tuesday, day and night, on the half hour.
fn start() -> impl Strategy<Value = String> {
    (21..25, 0..24, prop::bool::ANY)
        .prop_map(|(day, hour, half)| format!("2026-11-{day}T{hour:02}:{}", if half { "30" } else { "00" }))
}

fn client() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["ana", "rui", "eva", "leo"])
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Confirm),
        Just(Change::Cancel),
        Just(Change::Arrive),
        Just(Change::Complete),
        Just(Change::NoShow),
        start().prop_map(|start| move_to(&start)),
        start().prop_map(|start| move_to(&start)),
        Just(Change::RequestConfirmation),
        prop::bool::ANY.prop_map(Change::Answer),
        prop::sample::select(vec!["marta", "ines"]).prop_map(|id| edit_to(json!({ "resource_id": id }))),
        prop::collection::btree_set(client(), 1..3).prop_map(|ids| edit_to(json!({ "client_ids": ids }))),
        prop::collection::btree_set(1..30, 0..3).prop_map(|hours| {
            let times: Vec<String> = hours.iter().map(|hours| format!("{hours}h before start")).collect();
            edit_to(json!({ "reminders": times }))
        }),
    ]
}

fn edit_to(patch: serde_json::Value) -> Change {
    Change::Edit(Box::new(read(patch)))
}

fn act() -> impl Strategy<Value = Act> {
    let fault = prop::sample::select([&Fault::ALL[..], &[Fault::Refuse]].concat());
    prop_oneof![
        3 => (client(), start()).prop_map(|(client, start)| Act::Book(haircut(client, &start))),
        1 => (client(), start()).prop_map(|(client, start)| Act::Book(online(client, &start))),
        5 => (0..8_usize, change()).prop_map(|(which, change)| Act::Change(which, change)),
        2 => client().prop_map(Act::Wait),
        2 => (0..8_usize, prop::bool::weighted(0.8)).prop_map(|(which, take)| Act::Take(which, take)),
        1 => client().prop_map(Act::Letter),
        1 => prop::bool::ANY.prop_map(Act::TakeSms),
        1 => prop::sample::select(&Channel::ALL[..]).prop_map(Act::Ban),
        1 => prop::bool::ANY.prop_map(Act::Invite),
        4 => (1..12_u8).prop_map(Act::Steps),
        2 => Just(Act::Bring),
        2 => Just(Act::CopyQueue),
        2 => Just(Act::RepeatStream),
        4 => (1..900_i64).prop_map(Act::Minutes),
        8 => (0..20_usize, fault).prop_map(|(calls, fault)| Act::Fault(calls, fault)),
    ]
}

fn play(world: &World, number: usize, act: &Act) {
    let key = format!("request {number}");
    let once = Once::new(&key, b"the only one");
    match act {
        Act::Book(new) => {
            let booked = world.book(&key, new);
            assert!(matches!(booked, Ok(_) | Err(AppError::Overlap)), "{booked:?}");
        }
        Act::Change(which, change) => {
            let bookings = world.bookings();
            if let Some(booking) = bookings.get(which % bookings.len().max(1)) {
                let changed = world.change(&key, &booking.id, change.clone());
                let told = match &changed {
                    Ok(_) | Err(AppError::Overlap | AppError::IllegalTransition(_)) => true,
                    // A move to where the visit is already is told as that, and changes nothing.
                    Err(AppError::Invalid { expected, .. }) => {
                        expected == "a time other than the present one"
                            && world.booking(&booking.id) == *booking
                    }
                    Err(_) => false,
                };
                assert!(told, "{changed:?}");
            }
        }
        Act::Wait(client) => {
            let fields = read(json!({
                "client_id": client, "location_id": "chiado", "service_id": "haircut",
                "from": "2026-11-20T08:00", "until": "2026-12-31T20:00",
            }));
            let joined = world.request(|| async {
                join_waitlist(world, world, &salon_id(), &fields, Some(&once), world.now()).await
            });
            assert!(matches!(joined, Ok(_) | Err(AppError::Invalid { .. })), "{joined:?}");
        }
        Act::Take(which, take) => {
            let places = world.waitlist();
            if let Some(place) = places.get(which % places.len().max(1)) {
                let business = salon_id();
                if *take {
                    let taken = world.request(|| async {
                        accept_offer(world, world, staff_edit(&business, Some(&once), world.now()), &place.id)
                            .await
                    });
                    assert!(matches!(taken, Ok(_) | Err(AppError::NoOffer)), "{taken:?}");
                } else {
                    world
                        .request(|| async {
                            close_entry(world, staff_edit(&business, None, world.now()), &place.id).await
                        })
                        .unwrap();
                }
            }
        }
        Act::Letter(client) => {
            let fields: IndividualFields = read(json!({ "channels": "all", "text": "Hello" }));
            let letter = fields.to(parsed(client));
            world
                .request(|| async {
                    write_occasion(world, world, &salon_id(), &letter, Some(&once), world.now()).await
                })
                .unwrap();
        }
        Act::TakeSms(on) => edit(world, Key::Business(salon_id()), |item| match item {
            Some(Item::Business(business)) => {
                let patch = BusinessPatch { sms_enabled: Some(*on), ..BusinessPatch::default() };
                Item::Business(patch.apply(business).unwrap())
            }
            other => panic!("{other:?}"),
        }),
        Act::Ban(channel) => {
            edit(world, Key::Client(salon_id(), "ana".parse().unwrap()), |item| match item {
                Some(Item::Client(mut ana)) => {
                    if !ana.bans.channels.insert(*channel) {
                        ana.bans.channels.remove(channel);
                    }
                    Item::Client(ana)
                }
                other => panic!("{other:?}"),
            })
        }
        Act::Invite(cancelled) => {
            let change = |mut settings: Settings| {
                let mut rule = Rule::default_for(NotificationType::NoShowRecovery).clone();
                if *cancelled {
                    rule.after.insert(Ending::Cancelled);
                }
                settings.rules.changed.insert(NotificationType::NoShowRecovery, rule);
                Ok(settings)
            };
            let (business_id, apply) =
                (salon_id(), if *cancelled { Apply::AllUpcoming } else { Apply::NewBookingsOnly });
            let about = Key::Rules(salon_id());
            let edited = world.request(|| {
                let edit = Edit { business_id: &business_id, once: None, if_match: None, now: world.now() };
                edit_settings(world, edit, &about, &[], apply, change)
            });
            edited.unwrap();
        }
        Act::Steps(many) => {
            for _ in 0..*many {
                world.step(Timestamp::MAX);
            }
        }
        Act::Bring => drop(world.bring()),
        Act::CopyQueue => world.copy_queue(),
        Act::RepeatStream => world.repeat_stream(),
        Act::Minutes(many) => world.pass(SignedDuration::from_mins(*many)),
        Act::Fault(calls, fault) => world.plan_fault_after(*calls, *fault),
    }
    world.assert_sound();
}

fn edit(world: &World, key: Key, change: impl Fn(Option<Item>) -> Item) {
    let business_id = salon_id();
    let edited = world.request(|| {
        let edit = Edit { business_id: &business_id, once: None, if_match: None, now: world.now() };
        edit_catalogue::update(world, edit, key.clone(), &[], |before| Ok(change(before)))
    });
    edited.unwrap();
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
    fn whatever_happens_nothing_leaves_twice_and_nothing_is_forgotten(acts in prop::collection::vec(act(), 1..30)) {
        let world = salon();
        world.put([Item::Resource(read(json!({
            "business_id": "salon", "id": "ines", "location_id": "chiado", "name": "Inês", "kind": "specialist", "capacity": 2,
        })))]);
        for (number, act) in acts.iter().enumerate() {
            play(&world, number, act);
        }
        world.plan_faults([]);
        world.pass_all();
        world.assert_all_over();
    }
}
