//! What clients do on pages of their own, by the links that messages bring them (S43, S53, S73, S74).

use std::collections::BTreeSet;

use app::act_by_link::{Act, Acted, act_by_link, channels_of};
use app::change_booking::Change;
use app::create_booking::NewBooking;
use app::error::AppError;
use app::once::Once;
use app::open_link::{NotOpened, Opened, Stage, open_link};
use app::ports::{Item, Key, Kind, List, Page};
use app::rotate_link_keys::{LinkKeysRotation, ShownLinkKeys, rotate_link_keys};
use domain::booking::{Booking, Confirmation, Status};
use domain::channel::Channel;
use domain::client::Client;
use domain::ids::BusinessId;
use domain::link::{LinkKeys, Of, Purpose};
use domain::message::{MessageStatus, Reason};
use domain::notification_type::NotificationType;
use domain::review::Review;
use domain::task::{Task, TaskKind};
use jiff::SignedDuration;
use rstest::rstest;
use testkit::disturb::Scenario;
use testkit::platform::interleave;
use testkit::salon::{
    PAGES, TUESDAY_TEN, business, edit, haircut, instant, move_to, parsed, salon, salon_id,
};
use testkit::turns::Run;
use testkit::world::{Call, World};

const EVENING_AFTER: &str = "2026-11-24T18:00:00Z";

fn keys(world: &World, business: &str) -> LinkKeys {
    let found = world.get(&Key::LinkKeys(parsed(business)));
    found.and_then(|stored| stored.item.link_keys().cloned()).unwrap()
}

fn client(world: &World, id: &str) -> Client {
    let found = world.get(&Key::Client(salon_id(), parsed(id)));
    found.and_then(|stored| stored.item.client().cloned()).unwrap()
}

fn visit(world: &World) -> Booking {
    world.bookings().into_iter().next().unwrap()
}

/// A link for a purpose as messages bring it to a client, of use for a month.
fn link_for(world: &World, purpose: Purpose, client: &str) -> String {
    let of = match purpose.is_of_booking() {
        true => Of::Booking(visit(world).id),
        false => Of::Client(parsed(client)),
    };
    let until = world.now() + SignedDuration::from_hours(24 * 30);
    keys(world, "salon").sign(purpose, &of, &parsed(client), until, world.now()).unwrap()
}

fn link(world: &World, purpose: Purpose) -> String {
    link_for(world, purpose, "ana")
}

fn open(world: &World, token: &str) -> Result<Opened, NotOpened> {
    match world.run(open_link(world, token, world.now())) {
        Run::Finished(opened) => opened,
        Run::Crashed => panic!("it crashed"),
    }
}

fn is_unknown<T>(result: Result<T, NotOpened>) -> bool {
    matches!(result, Err(NotOpened::Unknown))
}

/// Does it as a browser does: again where it fails.
fn act(world: &World, token: &str, act: &Act) -> Result<Acted, NotOpened> {
    for _ in 0..200 {
        match world.run(act_by_link(world, token, act, world.now())) {
            Run::Finished(Err(NotOpened::Port(_))) | Run::Crashed => world.wait(SignedDuration::from_secs(1)),
            Run::Finished(acted) => return acted,
        }
    }
    panic!("an act is never done")
}

fn done(world: &World, token: &str, what: &Act) {
    assert_eq!(act(world, token, what).unwrap(), Acted::Done);
}

/// The salon with Ana's visit on Tuesday at ten, of which she was told.
fn booked() -> World {
    let world = salon();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.pass(SignedDuration::from_mins(20));
    world
}

/// The same, and the visit was on Tuesday.
fn completed() -> World {
    let world = booked();
    world.pass_until(instant("2026-11-24T10:00:00Z"));
    let id = visit(&world).id;
    world.change("arrive", &id, Change::Arrive).unwrap();
    world.pass_until(instant("2026-11-24T11:00:00Z"));
    world.change("complete", &id, Change::Complete).unwrap();
    world.pass_until(instant(EVENING_AFTER));
    world
}

fn seen(world: &World) -> Option<u64> {
    Some(visit(world).time_revision)
}

fn tasks(world: &World, kind: TaskKind) -> Vec<Task> {
    let mut tasks = world.tasks();
    tasks.retain(|task| task.kind == kind);
    tasks
}

fn reviews(world: &World) -> Vec<Review> {
    let page = Page { after: None, limit: 100 };
    let Run::Finished(Ok(listed)) = world.run(world.list(&salon_id(), Kind::Reviews, page)) else {
        panic!("reviews cannot be listed")
    };
    listed.items.into_iter().filter_map(|stored| stored.item.review().cloned()).collect()
}

fn wish() -> Act {
    Act::AskToMove(parsed("Wednesday after six?"))
}

fn stars(rating: u8, text: Option<&str>) -> Act {
    Act::Review { rating: rating.try_into().unwrap(), text: text.map(parsed) }
}

fn choose(marketing: bool, channels: &[Channel]) -> Act {
    Act::Choose { marketing, channels: channels.iter().copied().collect() }
}

#[rstest]
#[case::yes(booked, Purpose::Confirm, Act::Answer { comes: true, seen: Some(1) })]
#[case::no(booked, Purpose::Confirm, Act::Answer { comes: false, seen: Some(1) })]
#[case::cancel(booked, Purpose::Cancel, Act::Cancel { seen: Some(1) })]
#[case::another_time(booked, Purpose::Reschedule, wish())]
#[case::a_low_review(completed, Purpose::Review, stars(2, Some("I waited for half an hour")))]
#[case::a_high_review(completed, Purpose::Review, stars(5, None))]
#[case::preferences(booked, Purpose::Preferences, choose(true, &[Channel::Email]))]
#[case::unsubscribe(agreed, Purpose::Unsubscribe, Act::Unsubscribe)]
fn s53_s74_what_a_client_does_by_a_link_may_be_disturbed_at_every_call(
    #[case] prepare: fn() -> World,
    #[case] purpose: Purpose,
    #[case] what: Act,
) {
    Scenario {
        prepare: &prepare,
        act: &|world| {
            let token = link(world, purpose);
            done(world, &token, &what);
            // Browsers send forms again.
            done(world, &token, &what);
        },
    }
    .passes();
}

/// The salon with Ana's visit, and her consent to marketing.
fn agreed() -> World {
    let world = booked();
    world.put([Item::Client(Client { marketing_consent: true, ..client(&world, "ana") })]);
    world
}

#[test]
fn s53_opening_a_link_changes_nothing() {
    for purpose in Purpose::ALL {
        let world = booked();
        let token = link(&world, purpose);
        let before = world.calls().len();
        let opened = open(&world, &token).unwrap();
        assert_eq!((opened.purpose, opened.client.id.as_str()), (purpose, "ana"));
        assert_eq!(opened.visit.is_some(), purpose.is_of_booking());
        let calls = &world.calls()[before..];
        assert!(calls.iter().all(|call| *call == Call::Read), "{calls:?}");
        assert_eq!(calls.len(), if purpose.is_of_booking() { 2 } else { 1 });
    }
}

#[rstest]
#[case(true, Confirmation::Confirmed, Status::Confirmed)]
#[case(false, Confirmation::None, Status::Cancelled)]
fn s53_a_client_confirms_or_calls_off(
    #[case] comes: bool,
    #[case] confirmation: Confirmation,
    #[case] status: Status,
) {
    let world = booked();
    let token = link(&world, Purpose::Confirm);
    done(&world, &token, &Act::Answer { comes, seen: seen(&world) });
    let after = visit(&world);
    assert_eq!((after.confirmation, after.status), (confirmation, status));
    // The same again is no news, whatever is said to have been seen.
    done(&world, &token, &Act::Answer { comes, seen: None });
    assert_eq!(visit(&world), after);
}

#[test]
fn s53_who_has_confirmed_can_still_call_off_and_not_take_that_back() {
    let world = booked();
    let token = link(&world, Purpose::Confirm);
    done(&world, &token, &Act::Answer { comes: true, seen: seen(&world) });
    done(&world, &token, &Act::Answer { comes: false, seen: seen(&world) });
    assert_eq!(visit(&world).status, Status::Cancelled);
    let back = act(&world, &token, &Act::Answer { comes: true, seen: seen(&world) }).unwrap();
    assert_eq!(back, Acted::Over);
    let opened = open(&world, &token).unwrap();
    assert_eq!(opened.visit.unwrap().stage(&opened.client.id, world.now()), Stage::CalledOff);
}

#[test]
fn s53_a_page_about_another_time_is_shown_anew_and_does_nothing() {
    let world = booked();
    let (token, before) = (link(&world, Purpose::Cancel), seen(&world));
    world.change("move", &visit(&world).id, move_to("2026-11-25T15:00")).unwrap();
    let moved = visit(&world);
    for seen in [before, None, Some(77)] {
        assert_eq!(act(&world, &token, &Act::Cancel { seen }).unwrap(), Acted::LookAgain);
    }
    assert_eq!(visit(&world), moved);
    done(&world, &token, &Act::Cancel { seen: seen(&world) });
    assert_eq!(visit(&world).status, Status::Cancelled);
}

#[test]
fn s53_what_has_begun_is_neither_confirmed_nor_called_off_nor_moved() {
    let world = booked();
    let begun = "2026-11-24T10:00:00Z";
    let tokens =
        [Purpose::Confirm, Purpose::Cancel, Purpose::Reschedule].map(|purpose| link(&world, purpose));
    world.pass_until(instant(begun));
    let before = visit(&world);
    let acts = [Act::Answer { comes: true, seen: seen(&world) }, Act::Cancel { seen: seen(&world) }, wish()];
    for (token, what) in tokens.iter().zip(acts) {
        assert_eq!(act(&world, token, &what).unwrap(), Acted::Over, "{what:?}");
    }
    assert_eq!(visit(&world), before);
    assert_eq!(tasks(&world, TaskKind::RescheduleRequest), []);
}

#[test]
fn s53_of_several_who_come_together_each_has_a_link_and_one_stays_away_alone() {
    let world = salon();
    let together =
        NewBooking { client_ids: vec![parsed("ana"), parsed("rui")], ..haircut("ana", TUESDAY_TEN) };
    world.book("book", &together).unwrap();
    let (anas, ruis) = (link(&world, Purpose::Cancel), link_for(&world, Purpose::Cancel, "rui"));
    assert_ne!(anas, ruis);
    assert_eq!(open(&world, &ruis).unwrap().client.id.as_str(), "rui");
    done(&world, &ruis, &Act::Cancel { seen: seen(&world) });
    let after = visit(&world);
    assert_eq!((after.status, &after.client_ids), (Status::Confirmed, &vec![parsed("ana")]));
    done(&world, &ruis, &Act::Cancel { seen: seen(&world) });
    assert_eq!(visit(&world), after, "again");
    done(&world, &anas, &Act::Cancel { seen: seen(&world) });
    assert_eq!(visit(&world).status, Status::Cancelled);
}

#[test]
fn s53_a_link_for_one_purpose_does_nothing_of_another() {
    let acts = [
        (Purpose::Confirm, Act::Answer { comes: true, seen: Some(1) }),
        (Purpose::Confirm, Act::Answer { comes: false, seen: Some(1) }),
        (Purpose::Cancel, Act::Cancel { seen: Some(1) }),
        (Purpose::Reschedule, wish()),
        (Purpose::Review, stars(1, None)),
        (Purpose::Preferences, choose(false, &[])),
        (Purpose::Unsubscribe, Act::Unsubscribe),
    ];
    let world = agreed();
    let before = world.end_state();
    for purpose in Purpose::ALL {
        let token = link(&world, purpose);
        for (_, what) in acts.iter().filter(|(of, _)| *of != purpose) {
            assert!(is_unknown(act(&world, &token, what)), "{purpose:?} {what:?}");
        }
    }
    assert_eq!(world.end_state(), before);
}

#[test]
fn s53_nobody_makes_a_link_to_what_is_anothers() {
    let world = booked();
    world.put(business("barber"));
    let mine = link(&world, Purpose::Cancel);
    assert_eq!(open(&world, &mine).unwrap().business.id, salon_id());
    // The barber's own key signs for the barber only, whatever the names of things are.
    let forged = LinkKeys { business_id: salon_id(), ..keys(&world, "barber") };
    let of = Of::Booking(visit(&world).id);
    let until = world.now() + SignedDuration::from_hours(24);
    let forged = forged.sign(Purpose::Cancel, &of, &parsed("ana"), until, world.now()).unwrap();
    assert!(is_unknown(open(&world, &forged)));
    let next_door = keys(&world, "barber").sign(Purpose::Cancel, &of, &parsed("ana"), until, world.now());
    assert!(is_unknown(open(&world, &next_door.unwrap())), "the barber has no such booking");
    // Nor for somebody who does not come, or is not there.
    for client in ["rui", "nobody"] {
        assert!(is_unknown(open(&world, &link_for(&world, Purpose::Cancel, client))));
    }
    assert!(is_unknown(open(&world, &link_for(&world, Purpose::Preferences, "nobody"))));
    for text in ["", "x", "../../etc/passwd", &"A".repeat(64), &"A".repeat(5000)] {
        assert!(is_unknown(open(&world, text)), "{text}");
    }
}

#[test]
fn s53_a_link_that_has_expired_says_whose_it_was_and_nothing_else() {
    let world = booked();
    world.put([Item::Client(Client { locale: Some(parsed_locale("ru")), ..client(&world, "ana") })]);
    let token = link(&world, Purpose::Preferences);
    world.wait(SignedDuration::from_hours(24 * 31));
    let Err(NotOpened::Expired(business, locale)) = open(&world, &token) else { panic!("it opened") };
    assert_eq!((business.id, locale), (salon_id(), parsed_locale("ru")));
    let before = client(&world, "ana");
    assert!(matches!(act(&world, &token, &choose(true, &[])), Err(NotOpened::Expired(..))));
    assert_eq!(client(&world, "ana"), before);
}

fn parsed_locale(name: &str) -> domain::business::Locale {
    serde_json::from_value(name.into()).unwrap()
}

#[test]
fn s53_a_wish_for_another_time_is_a_task_and_one_for_each_time_of_the_visit() {
    let world = booked();
    let token = link(&world, Purpose::Reschedule);
    done(&world, &token, &wish());
    done(&world, &token, &Act::AskToMove(parsed("or Thursday")));
    let told = tasks(&world, TaskKind::RescheduleRequest);
    let [task] = &told[..] else { panic!("one task: {told:?}") };
    assert_eq!(task.text.as_deref(), Some("Wednesday after six?"));
    assert_eq!(task.client_ids, [parsed("ana")]);
    assert_eq!(visit(&world).revision, 1, "staff moves it, or does not");
    let opened = open(&world, &token).unwrap();
    assert_eq!(opened.visit.unwrap().wish.unwrap().id, task.id);
    world.change("move", &visit(&world).id, move_to("2026-11-25T18:00")).unwrap();
    assert!(open(&world, &token).unwrap().visit.unwrap().wish.is_none());
    done(&world, &token, &wish());
    assert_eq!(tasks(&world, TaskKind::RescheduleRequest).len(), 2);
}

#[rstest]
#[case(1, true)]
#[case(3, true)]
#[case(4, false)]
#[case(5, false)]
fn s74_a_review_is_kept_and_a_low_one_is_a_task(#[case] rating: u8, #[case] low: bool) {
    let world = completed();
    let token = link(&world, Purpose::Review);
    done(&world, &token, &stars(rating, Some("The coffee was cold")));
    // What was said stands.
    done(&world, &token, &stars(6 - rating, None));
    let kept = reviews(&world);
    let [review] = &kept[..] else { panic!("one review: {kept:?}") };
    assert_eq!((review.rating.number(), &review.booking_id), (rating, &visit(&world).id));
    assert_eq!(review.text.as_ref().map(|text| text.as_str()), Some("The coffee was cold"));
    let told: Vec<_> = tasks(&world, TaskKind::LowRating).into_iter().map(|task| task.text).collect();
    let expected = low.then(|| Some(format!("{rating}/5 The coffee was cold")));
    assert_eq!(told, expected.into_iter().collect::<Vec<_>>());
    assert_eq!(open(&world, &token).unwrap().visit.unwrap().review.as_ref(), Some(review));
}

#[test]
fn s74_a_visit_that_is_not_over_is_not_reviewed() {
    let world = booked();
    assert_eq!(act(&world, &link(&world, Purpose::Review), &stars(5, None)).unwrap(), Acted::Over);
    assert_eq!(reviews(&world), []);
}

#[test]
fn s74_reviews_are_listed_the_latest_visit_first() {
    let world = salon();
    for (day, client) in [("24", "ana"), ("26", "rui"), ("25", "eva")] {
        let id = world.book(day, &haircut(client, &format!("2026-11-{day}T10:00"))).unwrap().value.id;
        let mut booking = world.booking(&id);
        booking.status = Status::Completed;
        world.put([Item::Booking(booking.clone())]);
        let of = Of::Booking(id);
        let until = world.now() + SignedDuration::from_hours(24);
        let token = keys(&world, "salon").sign(Purpose::Review, &of, &parsed(client), until, world.now());
        done(&world, &token.unwrap(), &stars(5, None));
    }
    let clients: Vec<_> = reviews(&world).into_iter().map(|review| review.client_id.to_string()).collect();
    assert_eq!(clients, ["rui", "eva", "ana"]);
    let page = |after| {
        let Run::Finished(Ok(listed)) =
            world.run(world.list(&salon_id(), Kind::Reviews, Page { after, limit: 2 }))
        else {
            panic!("reviews cannot be listed")
        };
        (listed.items.len(), listed.next)
    };
    let (count, next) = page(None);
    assert!(count == 2 && next.is_some());
    assert_eq!(page(next), (1, None));
}

#[test]
fn s43_who_chooses_hears_by_the_chosen_channels_what_can_be_done_without() {
    let world = booked();
    let ana = client(&world, "ana");
    assert_eq!(
        channels_of(&ana),
        BTreeSet::from([Channel::Email, Channel::Sms, Channel::Push, Channel::Whatsapp])
    );
    done(&world, &link(&world, Purpose::Preferences), &choose(true, &[Channel::Email, Channel::Push]));
    let after = client(&world, "ana");
    assert!(after.marketing_consent);
    assert_eq!(after.opt_outs, BTreeSet::from([Channel::Sms, Channel::Whatsapp]));
    world.pass(SignedDuration::from_mins(20));
    let reminder = |channel| {
        let mut rows = world.messages();
        rows.retain(|row| row.kind == NotificationType::Reminder && row.channel == channel);
        rows.into_iter().map(|row| (row.status, row.reason)).collect::<Vec<_>>()
    };
    assert_eq!(reminder(Channel::Sms), [(MessageStatus::Suppressed, Some(Reason::OptOut))]);
    assert!(reminder(Channel::Push).iter().all(|(status, _)| *status == MessageStatus::Planned));
    // News comes all the same; and what was opted out of may be taken back.
    world.change("move", &visit(&world).id, move_to("2026-11-25T15:00")).unwrap();
    world.pass(SignedDuration::from_mins(20));
    let news = |row: &domain::message::Message| {
        row.kind == NotificationType::BookingRescheduled && row.channel == Channel::Sms
    };
    assert!(world.messages().iter().any(|row| news(row) && row.status == MessageStatus::Accepted));
    done(&world, &link(&world, Purpose::Preferences), &choose(true, &[Channel::Sms]));
    world.pass(SignedDuration::from_mins(20));
    assert!(reminder(Channel::Sms).contains(&(MessageStatus::Planned, None)), "{:?}", reminder(Channel::Sms));
}

#[test]
fn s43_who_unsubscribes_has_not_agreed_to_marketing_any_more() {
    let world = agreed();
    done(&world, &link(&world, Purpose::Unsubscribe), &Act::Unsubscribe);
    assert!(!client(&world, "ana").marketing_consent);
    assert_eq!(client(&world, "ana").opt_outs, BTreeSet::new());
}

#[test]
fn s53_two_copies_of_a_form_at_once_do_what_one_does() {
    for what in [Act::Answer { comes: false, seen: Some(1) }, Act::Answer { comes: true, seen: Some(1) }] {
        interleave(
            booked,
            async |world| {
                act_by_link(world, &link(world, Purpose::Confirm), &what, world.now()).await.unwrap()
            },
            async |world| {
                act_by_link(world, &link(world, Purpose::Confirm), &what, world.now()).await.unwrap()
            },
            |world, _, one, other| {
                assert_eq!((one, other), (Acted::Done, Acted::Done));
                assert_eq!(visit(world).history.len(), 2);
            },
        );
    }
}

/// The tokens in what was sent to Ana about a type on a channel.
fn sent_links(world: &World, kind: NotificationType, channel: Channel) -> Vec<String> {
    let sent = world.outbox();
    let of = sent.iter().filter(|sent| (sent.message.kind, sent.message.channel) == (kind, channel));
    let words = of.flat_map(|sent| sent.content.text().split_whitespace().map(str::to_owned));
    words.filter_map(|word| word.strip_prefix(&format!("{PAGES}/c/")).map(str::to_owned)).collect()
}

#[test]
fn s53_s73_the_links_in_messages_open() {
    let world = booked();
    world.change("ask", &visit(&world).id, Change::RequestConfirmation).unwrap();
    world.pass(SignedDuration::from_mins(20));
    let by_sms = sent_links(&world, NotificationType::ConfirmationRequest, Channel::Sms);
    let purposes = |tokens: &[String]| -> Vec<Purpose> {
        tokens.iter().map(|token| open(&world, token).unwrap().purpose).collect()
    };
    assert_eq!(purposes(&by_sms), [Purpose::Confirm]);
    let by_mail = sent_links(&world, NotificationType::ConfirmationRequest, Channel::Email);
    assert_eq!(
        purposes(&by_mail),
        [Purpose::Confirm, Purpose::Cancel, Purpose::Reschedule, Purpose::Preferences]
    );
    done(&world, &by_sms[0], &Act::Answer { comes: true, seen: seen(&world) });
    assert_eq!(visit(&world).confirmation, Confirmation::Confirmed);
}

#[test]
fn a_business_without_keys_sends_messages_without_links() {
    let world = salon();
    let barber: BusinessId = parsed("salon");
    world.put([Item::LinkKeys(LinkKeys { business_id: barber, keys: vec![] })]);
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.pass(SignedDuration::from_mins(20));
    assert!(!world.outbox().is_empty());
    assert!(world.outbox().iter().all(|sent| !sent.content.text().contains(PAGES)));
}

fn rotate(world: &World, key: &str, fields: LinkKeysRotation) -> Result<ShownLinkKeys, AppError> {
    let (business, once) = (salon_id(), Once::new(key, b"rotate"));
    let rotated =
        world.request(|| rotate_link_keys(world, world, edit(&business, Some(&once), world.now()), fields));
    rotated.map(|done| done.value)
}

#[rstest]
fn keys_are_rotated_once_however_often_that_is_disturbed(#[values(false, true)] forget_older: bool) {
    Scenario {
        prepare: &booked,
        act: &|world| {
            let fields = LinkKeysRotation { forget_older };
            let shown = rotate(world, "r1", fields).unwrap();
            assert_eq!(rotate(world, "r1", fields).unwrap(), shown);
            assert_eq!(shown.keys[0].id, 1);
        },
    }
    .passes();
}

#[test]
fn s53_links_open_after_a_rotation_and_not_after_older_keys_are_forgotten() {
    let world = booked();
    let token = link(&world, Purpose::Cancel);
    rotate(&world, "r1", LinkKeysRotation::default()).unwrap();
    assert!(open(&world, &token).is_ok());
    let newer = link(&world, Purpose::Cancel);
    assert!(newer != token && open(&world, &newer).is_ok());
    rotate(&world, "r2", LinkKeysRotation { forget_older: true }).unwrap();
    assert!(is_unknown(open(&world, &token)) && is_unknown(open(&world, &newer)));
    assert!(open(&world, &link(&world, Purpose::Cancel)).is_ok());
    // Secrets are kept in one place.
    let secret = serde_json::to_value(keys(&world, "salon")).unwrap()["keys"][0]["secret"].clone();
    let once = Once::new("r2", b"rotate");
    let Some(Item::Answer(answer)) = world.get(&once.key(&salon_id())).map(|stored| stored.item) else {
        panic!("no answer is kept")
    };
    assert!(!answer.body.contains(secret.as_str().unwrap()), "{}", answer.body);
}
