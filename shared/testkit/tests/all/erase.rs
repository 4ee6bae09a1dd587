//! Erasing a client: nothing is left that tells who it was, whatever befalls the erasure, and the counts stay.

use app::answer_client::answer_client;
use app::change_booking::Change;
use app::create_booking::create_booking;
use app::edit_client::edit_client;
use app::erase_client::{erase_client, erasure_of};
use app::error::AppError;
use app::once::Once;
use app::ports::{ErasureStage, Item, Key, SenderNumber};
use app::suppress::SuppressionFields;
use app::take_reply::{Reply, Said, Writer, take_reply};
use app::telegram::link_chat;
use app::waitlist::{WaitlistFields, join_waitlist};
use app::write_occasion::{IndividualFields, write_occasion};
use domain::client::Client;
use domain::ids::BusinessId;
use domain::message::{Message, MessageStatus};
use domain::recipient::Recipient;
use domain::waitlist::WaitlistStatus;
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::json;
use testkit::disturb::Scenario;
use testkit::salon::{TUESDAY_TEN, business, edit, haircut, instant, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::World;

fn finished<T>(run: Run<T>) -> T {
    match run {
        Run::Finished(value) => value,
        Run::Crashed => panic!("it crashed"),
    }
}

/// What must be found nowhere: how she is called and reached.
const HERS: [&str; 6] =
    ["Anastasia", "+351912345600", "anastasia@example.com", "anastasia-token", "987654321", "bring my dog"];

fn client(world: &World, id: &str) -> Client {
    match world.get(&Key::Client(salon_id(), parsed(id))).map(|stored| stored.item) {
        Some(Item::Client(client)) => client,
        other => panic!("no client: {other:?}"),
    }
}

/// A salon that knows Anastasia a little: a booking with notes ahead, a place on the waitlist, a letter, what she wrote, and kept answers.
fn known_a_little() -> World {
    known_by(&[("ahead", TUESDAY_TEN, &["her"])], false)
}

/// A salon that knows Anastasia well: bookings with notes, alone and with Rui, of which staff is told; letters, a conversation, a task, a place on the
/// waitlist, a chat, a suppression, a count of sms, and kept answers to all that.
fn known() -> World {
    let bookings: [Visit<'_>; 4] = [
        ("past", "2026-11-20T14:00", &["her"]),
        ("ahead", TUESDAY_TEN, &["her"]),
        ("both", "2026-11-26T10:00", &["her", "rui"]),
        ("far", "2027-01-26T10:00", &["her"]),
    ];
    known_by(&bookings, true)
}

/// A name, a start, and who comes.
type Visit<'a> = (&'a str, &'a str, &'a [&'a str]);

fn known_by(bookings: &[Visit<'_>], well: bool) -> World {
    let world = salon();
    world.put(business("barber"));
    let Some(Item::Business(mut aurora)) = world.get(&Key::Business(salon_id())).map(|stored| stored.item)
    else {
        panic!("no salon")
    };
    aurora.sms_number = Some(parsed("+351210000001"));
    aurora.telegram_bot = Some(parsed("aurora_salon_bot"));
    aurora.sms_limits = read(json!({ "per_number_and_day": 50 }));
    world.put([
        Item::Business(aurora),
        Item::Sender(read(json!({ "number": { "sms": "+351210000001" }, "business_id": "salon" }))),
        Item::Staff(read(
            json!({ "business_id": "salon", "id": "marta", "name": "Marta", "email": "marta@example.com" }),
        )),
        Item::Resource(read(json!({
            "business_id": "salon", "id": "marta", "location_id": "chiado", "name": "Marta", "kind": "specialist", "capacity": 1,
            "staff_ids": ["marta"],
        }))),
        Item::Client(read(json!({
            "business_id": "salon", "id": "her", "name": "Anastasia", "phone": "+351912345600",
            "email": "anastasia@example.com", "telegram": "987654321", "zone": "Europe/Lisbon", "marketing_consent": true,
            "devices": [{ "id": "phone", "platform": "fcm", "token": "anastasia-token" }],
            "suppressions": [{ "address": "whatsapp:+351912345600", "cause": "stop", "since": "2026-11-20T11:00:00Z" }],
        }))),
        Item::TelegramChat(read(json!({ "business_id": "salon", "chat_id": "987654321", "client_id": "her" }))),
        Item::TelegramInvitation(read(json!({
            "business_id": "salon", "code": "c0de", "client_id": "her", "expires_at": "2026-12-20T11:00:00Z",
        }))),
    ]);
    assert!(world.get(&Key::Sender(SenderNumber::Sms(parsed("+351210000001")))).is_some());
    let notes = json!("Anastasia wants to bring my dog");
    for &(key, start, clients) in bookings {
        let mut new = serde_json::Map::new();
        for (field, value) in [
            ("location_id", json!("chiado")),
            ("resource_id", json!("marta")),
            ("service_id", json!("haircut")),
            ("client_ids", json!(clients)),
            ("start", json!(start)),
            ("source", json!("staff")),
            ("notes", notes.clone()),
        ] {
            new.insert(field.to_owned(), value);
        }
        world.book(key, &read(new.into())).unwrap();
    }
    world.put([Item::Review(read(json!({
        "business_id": "salon", "id": "r1", "booking_id": "k", "client_id": "her", "rating": 5,
        "text": "They let me bring my dog", "at": "2026-11-20T11:00:00Z",
    })))]);
    let salon = salon_id();
    let letter: IndividualFields = read(
        json!({ "channels": "all", "text": "Dear Anastasia, you may bring my dog", "subject": "For Anastasia" }),
    );
    let once = Once::new("letter", b"letter");
    let new = letter.to(parsed("her"));
    world.request(|| write_occasion(&world, &world, &salon, &new, Some(&once), world.now())).unwrap();
    let place: WaitlistFields = read(json!({
        "client_id": "her", "location_id": "chiado", "service_id": "haircut",
        "from": "2026-11-23T08:00", "until": "2026-11-25T20:00",
    }));
    let once = Once::new("place", b"place");
    world.request(|| join_waitlist(&world, &world, &salon, &place, Some(&once), world.now())).unwrap();
    world.pass(SignedDuration::from_mins(20));
    let reply = Reply {
        from: Writer::Sms { phone: parsed("+351912345600"), to: parsed("+351210000001") },
        id: "one".into(),
        said: Said::Text("Anastasia here, may I bring my dog?".into()),
        about: None,
        at: instant("2026-11-20T12:20:00Z"),
    };
    finished(world.run(take_reply(&world, &reply, world.now()))).unwrap();
    if well {
        let answer = read(json!({ "channel": "sms", "text": "Yes, Anastasia" }));
        let (once, her) = (Once::new("answer", b"answer"), parsed("her"));
        world
            .request(|| answer_client(&world, &world, edit(&salon, Some(&once), world.now()), &her, &answer))
            .unwrap();
    }
    world.pass(SignedDuration::from_hours(4));
    world
}

fn erase(world: &World) {
    let (salon, her) = (salon_id(), parsed("her"));
    let erasure = world.request(|| erase_client(world, edit(&salon, None, world.now()), &her)).unwrap();
    assert_eq!(erasure.client_id.as_str(), "her");
}

/// The erasure with all that the stream makes of it.
fn erase_all(world: &World) {
    erase(world);
    while world.stream_record().is_some() {
        world.step(Timestamp::MAX);
    }
}

/// The lines of a full scan that have something of hers.
fn found(world: &World) -> Vec<String> {
    let lines = world.scan();
    let has = |line: &&String| HERS.iter().any(|hers| line.contains(hers));
    lines.iter().filter(has).cloned().collect()
}

fn hers(world: &World) -> Vec<Message> {
    let mut messages = world.messages();
    messages.retain(|message| message.recipient == Recipient::Client(parsed("her")));
    messages
}

#[test]
fn an_erased_client_is_found_nowhere_and_the_counts_stay() {
    let world = known();
    let before = found(&world);
    for what in [
        "\"entity\":\"booking\"",
        "\"entity\":\"message\"",
        "\"entity\":\"occasion\"",
        "\"entity\":\"task\"",
        "\"entity\":\"entry\"",
        "\"entity\":\"answer\"",
        "\"entity\":\"review\"",
        "\"entity\":\"client\"",
        "\"entity\":\"telegram_chat\"",
    ] {
        assert!(before.iter().any(|line| line.contains(what)), "{what} has something of hers to begin with");
    }
    let (bookings, messages, outbox) = (world.bookings().len(), world.messages().len(), world.outbox().len());
    let open = hers(&world).iter().filter(|message| message.status.is_open()).count();
    assert!(open > 3, "{open}");
    erase_all(&world);
    assert_eq!(found(&world), [""; 0]);
    assert_eq!((world.bookings().len(), world.messages().len()), (bookings, messages));
    assert!(hers(&world).iter().all(|message| !message.status.is_open()));
    let superseded =
        hers(&world).iter().filter(|message| message.status == MessageStatus::Superseded).count();
    assert!(superseded >= open, "{superseded}");
    assert!(
        hers(&world).iter().any(|message| message.status == MessageStatus::Accepted),
        "what was sent, was sent"
    );
    assert!(world.bookings().iter().all(|booking| booking.client_ids.contains(&parsed("her"))));
    let erasure = finished(world.run(erasure_of(&world, &salon_id(), &parsed("her")))).unwrap();
    assert_eq!((erasure.stage, erasure.after, erasure.chat), (ErasureStage::Done, None, None));
    assert_eq!(world.waitlist()[0].status, WaitlistStatus::Closed);
    // Rui comes with her, and is reminded as ever.
    world.pass_all();
    world.assert_all_over();
    let later = world.outbox_after(outbox);
    assert!(later.iter().any(|sent| sent.message.recipient == Recipient::Client(parsed("rui"))));
    assert!(later.iter().all(|sent| sent.message.recipient != Recipient::Client(parsed("her"))));
    let told = later
        .iter()
        .map(|sent| format!("{:?}", sent.content))
        .find(|text| HERS.iter().any(|hers| text.contains(hers)));
    assert_eq!(told, None, "staff hear of her no more either");
}

#[test]
fn an_erasure_may_be_disturbed_at_every_call() {
    Scenario { prepare: &known_a_little, act: &erase_all }.passes();
}

#[rstest]
fn wherever_an_erasure_dies_it_is_done_in_the_end(#[values(0, 40)] from: usize) {
    use testkit::world::Fault;
    for number in (from..from + 40).step_by(2) {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::FailAfter] {
            let world = known();
            world.plan_faults([(number, fault), (number + 3, fault)]);
            erase_all(&world);
            assert_eq!(found(&world), [""; 0], "{fault:?} at call {number}");
        }
    }
}

#[test]
fn an_erased_client_is_nobody_for_whom_anything_is_done() {
    let world = known();
    erase_all(&world);
    let before = found(&world);
    let (salon, now) = (salon_id(), world.now());
    let again = finished(world.run(erase_client(&world, edit(&salon, None, now), &parsed("her")))).unwrap();
    assert_eq!(again.stage, ErasureStage::Done);
    let new = haircut("her", "2026-11-27T10:00");
    let refused = finished(world.run(create_booking(&world, &world, &salon, &new, None, now)));
    assert!(
        matches!(&refused, Err(AppError::Invalid { field, .. }) if field == "client_ids[0]"),
        "{refused:?}"
    );
    let letter: IndividualFields = read(json!({ "channels": "all", "text": "Dear Anastasia" }));
    let refused =
        finished(world.run(write_occasion(&world, &world, &salon, &letter.to(parsed("her")), None, now)));
    assert!(matches!(refused, Err(AppError::NotFound { .. })));
    let linked = finished(world.run(link_chat(&world, &salon, "c0de", &parsed("987654321"), now))).unwrap();
    assert_eq!(linked, None, "an invitation from before links no chat");
    let card = client(&world, "her");
    let her = parsed("her");
    let untouched = edit_client(&world, edit(&salon, None, now), &her, Ok);
    assert!(matches!(finished(world.run(untouched)), Err(AppError::Erased)));
    assert_eq!(card, card.erased(now), "erased once is erased");
    // What was answered about her is answered no more; what was about others is.
    let once = Once::new("letter", b"letter");
    let letter: IndividualFields = read(json!({ "channels": "all", "text": "Dear Anastasia" }));
    let repeated = finished(world.run(write_occasion(
        &world,
        &world,
        &salon,
        &letter.to(parsed("her")),
        Some(&once),
        now,
    )));
    assert!(matches!(repeated, Err(AppError::Erased)), "{repeated:?}");
    let unknown = finished(world.run(erase_client(&world, edit(&salon, None, now), &parsed("nobody"))));
    assert!(matches!(unknown, Err(AppError::NotFound { .. })));
    let barber: BusinessId = parsed("barber");
    let theirs = finished(world.run(erase_client(&world, edit(&barber, None, now), &parsed("her"))));
    assert!(matches!(theirs, Err(AppError::NotFound { .. })));
    assert_eq!(found(&world), before);
    let _: SuppressionFields = read(json!({ "channel": "sms", "cause": "stop" }));
}

#[rstest]
fn a_message_under_way_is_waited_for_and_erased_after_it_was_recorded(
    #[values(0, 1, 2, 3, 4, 5)] which: usize,
    #[values(1, 2, 3, 4)] calls: usize,
) {
    let world = known();
    let mut bookings = world.bookings();
    bookings.retain(|booking| booking.start == instant("2026-11-24T10:00:00Z"));
    world.change("cancel", &bookings[0].id, Change::Cancel).unwrap();
    while world.stream_record().is_some() {
        world.step(world.now());
    }
    // News of it, by e-mail, sms and push to her, and by e-mail to staff; and the time that came free is offered to her.
    let received: Vec<_> = std::iter::from_fn(|| world.receive()).collect();
    assert_eq!(received.len(), 6);
    let mut under_way = world.start(world.take(&received[which].due));
    let ended = under_way.go(calls);
    erase(&world);
    for _ in 0..6 {
        world.step(world.now());
    }
    let done = matches!(ended.unwrap_or_else(|| under_way.end()), Run::Finished(true));
    world.finish(&received[which], done);
    world.pass(SignedDuration::from_mins(10));
    assert_eq!(found(&world), [""; 0]);
    assert_eq!(world.scan().iter().filter(|line| line.contains("\"stage\":\"done\"")).count(), 1);
    world.pass_all();
    world.assert_all_over();
}
