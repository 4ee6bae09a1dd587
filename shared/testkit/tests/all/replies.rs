//! What clients answer, and what staff answer to them (S51, S53, S66).

use app::answer_client::answer_client;
use app::change_booking::Change;
use app::create_booking::NewBooking;
use app::error::AppError;
use app::once::{Done, Once};
use app::ports::{Item, Key, ListConversation, MessageRef, Page, SenderNumber};
use app::take_reply::{Heard, Reply, Said, Writer, take_reply};
use app::take_report::AboutMessage;
use app::telegram::{BotFields, invite, is_from_telegram, link_chat, set_bot};
use domain::booking::{Booking, Confirmation, Status};
use domain::business::Business;
use domain::channel::Channel;
use domain::client::{Cause, Client};
use domain::conversation::{Answered, Author, Entry};
use domain::message::MessageStatus;
use domain::notification_type::NotificationType;
use domain::task::{Task, TaskKind};
use domain::template::Action;
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::json;
use testkit::disturb::Scenario;
use testkit::platform::interleave;
use testkit::salon::{TUESDAY_TEN, business, edit, haircut, instant, move_to, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::World;

/// Ana's phone, Rui's, and numbers that businesses write from.
const ANA: &str = "+351912345678";
const RUI: &str = "+351912345679";
const OURS: &str = "+351210000001";
const SHARED: &str = "+351210000009";
const WHATSAPP: &str = "phone-number-id-976c72a700aac43eaf573ae050example";

fn client(world: &World, id: &str) -> Client {
    match world.get(&Key::Client(salon_id(), parsed(id))).map(|stored| stored.item) {
        Some(Item::Client(client)) => client,
        other => panic!("no client: {other:?}"),
    }
}

/// The salon with a number for sms, one for WhatsApp, and a bot, with which Ana chats.
fn talking() -> World {
    let world = salon();
    let Some(Item::Business(mut salon)) = world.get(&Key::Business(salon_id())).map(|stored| stored.item)
    else {
        panic!("no salon")
    };
    salon.sms_number = Some(parsed(OURS));
    salon.whatsapp_number_id = Some(parsed(WHATSAPP));
    salon.telegram_bot = Some(parsed("aurora_salon_bot"));
    let ana = Client { telegram: Some(parsed("77")), ..client(&world, "ana") };
    world.put([
        Item::Business(salon),
        Item::Client(ana),
        Item::Sender(read(json!({ "number": { "sms": OURS }, "business_id": "salon" }))),
        Item::Sender(read(json!({ "number": { "whatsapp": WHATSAPP }, "business_id": "salon" }))),
        Item::TelegramChat(read(json!({ "business_id": "salon", "chat_id": "77", "client_id": "ana" }))),
        Item::TelegramBot(read(json!({
            "business_id": "salon", "token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "webhook_secret_hash": "x",
        }))),
    ]);
    world
}

/// The same with Ana's visit on Tuesday at ten, about which she was asked.
fn asked() -> World {
    let world = talking();
    let id = world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap().value.id;
    world.change("ask", &id, Change::RequestConfirmation).unwrap();
    world.pass(SignedDuration::from_mins(20));
    assert_eq!(the_visit(&world).confirmation, Confirmation::Requested);
    world
}

fn the_visit(world: &World) -> Booking {
    world.booking_of("ana").unwrap()
}

fn from(channel: Channel) -> Writer {
    match channel {
        Channel::Sms => Writer::Sms { phone: parsed(ANA), to: parsed(OURS) },
        Channel::Whatsapp => Writer::Whatsapp { phone: parsed(ANA), to: parsed(WHATSAPP) },
        _ => Writer::Telegram { business_id: salon_id(), chat: parsed("77") },
    }
}

/// Ana writes, twenty minutes after noon.
fn said(channel: Channel, id: &str, text: &str) -> Reply {
    let at = instant("2026-11-20T12:20:00Z");
    Reply { from: from(channel), id: id.into(), said: Said::Text(text.into()), about: None, at }
}

/// Brings a reply as the queue does: again until it is taken.
fn hear(world: &World, reply: &Reply) -> Heard {
    for _ in 0..200 {
        match world.run(take_reply(world, reply, world.now())) {
            Run::Finished(Ok(heard)) if heard != Heard::Again => return heard,
            _ => world.wait(SignedDuration::from_secs(1)),
        }
    }
    panic!("a reply is never taken")
}

fn what(heard: Heard) -> Option<Answered> {
    match heard {
        Heard::Taken(came) => Some(came.what),
        _ => None,
    }
}

fn conversation(world: &World, of: &str) -> Vec<Entry> {
    let page = Page { after: None, limit: 100 };
    let Run::Finished(Ok(listed)) = world.run(world.conversation(&salon_id(), &parsed(of), page)) else {
        panic!("a conversation cannot be listed")
    };
    listed.items.into_iter().filter_map(|stored| stored.item.entry().cloned()).collect()
}

fn replies_for_staff(world: &World) -> Vec<Task> {
    let mut tasks = world.tasks();
    tasks.retain(|task| task.kind == TaskKind::ClientReply);
    tasks
}

#[rstest]
fn s51_a_reply_may_be_disturbed_at_every_call(
    #[values(Channel::Sms, Channel::Whatsapp, Channel::Telegram)] channel: Channel,
    #[values("yes", "no", "stop", "can I come at four?")] text: &str,
) {
    Scenario {
        prepare: &asked,
        act: &|world| {
            let reply = said(channel, "r1", text);
            hear(world, &reply);
            // Providers bring it again, however it went.
            hear(world, &Reply { at: reply.at + SignedDuration::from_secs(7), ..reply });
            assert_eq!(world.entries(), 1);
        },
    }
    .passes();
}

#[rstest]
#[case("yes", Some(Answered::Confirmed), Confirmation::Confirmed, Status::Confirmed, 0)]
#[case("Да!", Some(Answered::Confirmed), Confirmation::Confirmed, Status::Confirmed, 0)]
#[case("no", Some(Answered::CalledOff), Confirmation::Requested, Status::Cancelled, 0)]
#[case("не приду", Some(Answered::CalledOff), Confirmation::Requested, Status::Cancelled, 0)]
#[case("yes, but at four", Some(Answered::Kept), Confirmation::Requested, Status::Confirmed, 1)]
fn s51_s53_a_plain_word_answers_for_the_visit_that_was_asked_about(
    #[case] text: &str,
    #[case] expected: Option<Answered>,
    #[case] confirmation: Confirmation,
    #[case] status: Status,
    #[case] tasks: usize,
    #[values(Channel::Sms, Channel::Whatsapp, Channel::Telegram)] channel: Channel,
) {
    let world = asked();
    assert_eq!(what(hear(&world, &said(channel, "r1", text))), expected);
    let visit = the_visit(&world);
    assert_eq!((visit.confirmation, visit.status), (confirmation, status));
    let told = replies_for_staff(&world);
    assert_eq!(told.len(), tasks);
    assert!(told.iter().all(|task| task.text.as_deref() == Some(text)));
    let entries = conversation(&world, "ana");
    let [entry] = &entries[..] else { panic!("one entry: {entries:?}") };
    assert_eq!((entry.channel, entry.from, entry.text.as_str()), (channel, Author::Client, text));
    assert_eq!(entry.booking_id.as_ref(), Some(&visit.id));
}

#[rstest]
fn s51_a_word_about_nothing_changes_nothing(#[values("yes", "no")] text: &str) {
    let world = talking();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    let before = the_visit(&world);
    assert_eq!(what(hear(&world, &said(Channel::Sms, "r1", text))), Some(Answered::Kept));
    assert_eq!(the_visit(&world), before);
    // A no that did nothing is for a person to read.
    assert_eq!(replies_for_staff(&world).len(), usize::from(text == "no"));
    assert_eq!(conversation(&world, "ana").len(), 1);
}

#[test]
fn s51_a_no_that_comes_again_after_the_client_has_booked_anew_cancels_nothing() {
    let world = asked();
    let no = said(Channel::Sms, "r1", "no");
    hear(&world, &no);
    world.pass(SignedDuration::from_mins(20));
    let again: NewBooking = haircut("ana", "2026-11-25T10:00");
    let id = world.book("again", &again).unwrap().value.id;
    world.change("ask again", &id, Change::RequestConfirmation).unwrap();
    world.pass(SignedDuration::from_mins(20));
    assert_eq!(what(hear(&world, &no)), Some(Answered::CalledOff), "the answer is that of the first time");
    assert_eq!(world.booking(&id).status, Status::Confirmed);
    // Nor does another of that time, which was late for the visit it was about.
    let late = said(Channel::Sms, "r2", "no");
    assert_eq!(what(hear(&world, &late)), Some(Answered::Kept));
    assert_eq!(world.booking(&id).status, Status::Confirmed);
}

#[rstest]
fn s51_two_copies_at_once_act_once(#[values("no", "four?")] text: &str) {
    interleave(
        asked,
        async |world| take_reply(world, &said(Channel::Whatsapp, "r1", text), world.now()).await,
        async |world| take_reply(world, &said(Channel::Whatsapp, "r1", text), world.now()).await,
        |world, _, one, other| {
            assert_eq!(one.unwrap(), other.unwrap());
            assert_eq!(conversation(world, "ana").len(), 1);
            let cancelled = the_visit(world).history.len();
            assert_eq!(cancelled, if text == "no" { 3 } else { 2 });
        },
    );
}

#[rstest]
#[case(Channel::Sms, ANA.to_owned())]
#[case(Channel::Whatsapp, format!("whatsapp:{ANA}"))]
#[case(Channel::Telegram, "telegram:77".to_owned())]
fn s51_stop_holds_for_its_channel_and_start_takes_it_back(#[case] channel: Channel, #[case] address: String) {
    let world = talking();
    let stopped = |world: &World| -> Vec<(String, Cause)> {
        let client = client(world, "ana");
        client.suppressions.into_iter().map(|known| (known.address, known.cause)).collect()
    };
    assert_eq!(what(hear(&world, &said(channel, "r1", "STOP"))), Some(Answered::Stopped));
    assert_eq!(stopped(&world), [(address, Cause::Stop)]);
    assert_eq!(what(hear(&world, &said(channel, "r2", "start"))), Some(Answered::Started));
    assert_eq!(stopped(&world), []);
}

#[test]
fn s51_start_does_not_bring_back_an_address_that_does_not_exist() {
    let world = talking();
    let mut ana = client(&world, "ana");
    ana.suppressions =
        read(json!([{ "address": ANA, "cause": "hard_bounce", "since": "2026-11-01T00:00:00Z" }]));
    world.put([Item::Client(ana.clone())]);
    hear(&world, &said(Channel::Sms, "r1", "start"));
    assert_eq!(client(&world, "ana").suppressions, ana.suppressions);
}

#[test]
fn s66_a_chat_that_is_closed_to_us_is_written_to_no_more_and_is_no_conversation() {
    let world = talking();
    let closed = Reply { said: Said::Blocked, ..said(Channel::Telegram, "kicked:1", "") };
    assert_eq!(what(hear(&world, &closed)), Some(Answered::Stopped));
    assert_eq!(client(&world, "ana").suppressions.len(), 1);
    assert_eq!(conversation(&world, "ana").len(), 0);
}

/// A second business with the same clients.
fn next_door(world: &World, number: Option<&str>) {
    let mut items = business("barber");
    if let Item::Business(barber) = &mut items[0] {
        barber.sms_number = number.map(parsed);
    }
    world.put(items);
}

fn stopped_at(world: &World, id: &str) -> bool {
    let key = Key::Client(parsed(id), parsed("ana"));
    let stored = world.get(&key).unwrap();
    !stored.item.client().unwrap().suppressions.is_empty()
}

#[rstest]
#[case::own_number(OURS, Some("+351210000002"), (true, false))]
#[case::shared_number_of_those_without_one(SHARED, None, (false, true))]
#[case::number_of_nobody(SHARED, Some("+351210000002"), (false, false))]
fn s51_who_answers_a_number_answers_whose_it_is(
    #[case] to: &str,
    #[case] next_doors: Option<&str>,
    #[case] expected: (bool, bool),
) {
    let world = talking();
    next_door(&world, next_doors);
    let stop = said(Channel::Sms, "r1", "stop");
    hear(&world, &Reply { from: Writer::Sms { phone: parsed(ANA), to: parsed(to) }, ..stop });
    assert_eq!((stopped_at(&world, "salon"), stopped_at(&world, "barber")), expected);
}

#[test]
fn s51_what_was_written_to_one_business_is_read_by_no_other_that_shares_the_number() {
    let kept_next_door = |reply: &Reply| {
        let world = told();
        next_door(&world, None);
        let salon = Key::Business(salon_id());
        let stored = world.get(&salon).unwrap();
        let salon = stored.item.business().unwrap().clone();
        world.put([Item::Business(Business { sms_number: None, ..salon })]);
        let about = world.messages().into_iter().find(|message| message.channel == Channel::Sms);
        let about = reply
            .about
            .as_ref()
            .map(|(_, since)| (AboutMessage::Named(MessageRef::of(&about.unwrap())), *since));
        hear(&world, &Reply { about, ..reply.clone() });
        let page = Page { after: None, limit: 100 };
        let Run::Finished(Ok(listed)) =
            world.run(world.conversation(&parsed("barber"), &parsed("ana"), page))
        else {
            panic!("a conversation cannot be listed")
        };
        let words = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.text).collect::<Vec<_>>();
        let theirs = listed.items.into_iter().filter_map(|stored| stored.item.entry().cloned()).collect();
        (words(conversation(&world, "ana")), words(theirs))
    };
    let shared = Writer::Sms { phone: parsed(ANA), to: parsed(SHARED) };
    let text = Reply { from: shared, ..said(Channel::Sms, "r1", "It is about my test result") };
    assert_eq!(
        kept_next_door(&text),
        (vec!["…".to_owned()], vec!["…".to_owned()]),
        "nobody can tell for whom"
    );
    let answer = AboutMessage::Called(Channel::Sms, String::new());
    let answered = Reply { about: Some((answer, text.at)), ..text };
    assert_eq!(kept_next_door(&answered), (vec!["It is about my test result".to_owned()], vec![]));
}

#[test]
fn s51_a_no_from_a_phone_that_two_share_acts_for_the_one_who_was_asked() {
    let share = |world: &World| {
        let rui = client(world, "rui");
        world.put([Item::Client(Client { phone: Some(parsed(ANA)), ..rui })]);
    };
    let world = asked();
    share(&world);
    world.book("rui", &haircut("rui", "2026-11-24T12:00")).unwrap();
    assert_eq!(what(hear(&world, &said(Channel::Sms, "r1", "no"))), Some(Answered::CalledOff));
    assert_eq!(the_visit(&world).status, Status::Cancelled);
    assert_eq!(world.booking_of("rui").unwrap().status, Status::Confirmed);

    // Both were asked: nobody can tell whose no it is.
    let world = asked();
    share(&world);
    let id = world.book("rui", &haircut("rui", "2026-11-24T12:00")).unwrap().value.id;
    world.change("ask rui", &id, Change::RequestConfirmation).unwrap();
    world.pass(SignedDuration::from_mins(20));
    let late = Reply { at: world.now(), ..said(Channel::Sms, "r1", "no") };
    assert_eq!(what(hear(&world, &late)), Some(Answered::Kept));
    assert_eq!(the_visit(&world).status, Status::Confirmed);
    assert_eq!(replies_for_staff(&world).len(), 2);
}

#[test]
fn s51_one_of_several_who_come_together_stays_away_alone() {
    let world = talking();
    let together =
        NewBooking { client_ids: vec![parsed("ana"), parsed("rui")], ..haircut("ana", TUESDAY_TEN) };
    let id = world.book("book", &together).unwrap().value.id;
    world.change("ask", &id, Change::RequestConfirmation).unwrap();
    world.pass(SignedDuration::from_mins(20));
    assert_eq!(what(hear(&world, &said(Channel::Sms, "r1", "no"))), Some(Answered::CalledOff));
    let visit = world.booking(&id);
    assert_eq!((visit.status, visit.client_ids), (Status::Confirmed, vec![parsed("rui")]));
}

/// A button under the message that told Ana of her visit, and who named it.
fn pressed(world: &World, action: Action) -> Reply {
    let message = world
        .messages()
        .into_iter()
        .find(|message| message.kind == NotificationType::BookingCreated)
        .unwrap();
    let about = AboutMessage::Named(MessageRef::of(&message));
    Reply {
        said: Said::Button { action, label: "Button".into() },
        about: Some((about, world.now())),
        ..said(Channel::Whatsapp, "r1", "")
    }
}

fn told() -> World {
    let world = talking();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.pass(SignedDuration::from_mins(20));
    world
}

#[test]
fn s66_a_button_acts_for_the_visit_of_its_message() {
    let world = told();
    // Another visit, sooner, about which she was asked.
    let id = world.book("sooner", &haircut("ana", "2026-11-23T10:00")).unwrap().value.id;
    world.change("ask", &id, Change::RequestConfirmation).unwrap();
    let tuesdays =
        |world: &World| -> Booking { world.bookings().into_iter().find(|booking| booking.id != id).unwrap() };
    assert_eq!(what(hear(&world, &pressed(&world, Action::Confirm))), Some(Answered::Confirmed));
    assert_eq!(tuesdays(&world).confirmation, Confirmation::Confirmed);
    let cancel = Reply { id: "r2".into(), ..pressed(&world, Action::Cancel) };
    assert_eq!(what(hear(&world, &cancel)), Some(Answered::CalledOff));
    assert_eq!(tuesdays(&world).status, Status::Cancelled);
    let confirm = Reply { id: "r3".into(), ..pressed(&world, Action::Confirm) };
    assert_eq!(what(hear(&world, &confirm)), Some(Answered::Over));
    assert_eq!(world.booking(&id).confirmation, Confirmation::Requested);
}

#[rstest]
fn s66_a_button_about_another_time_than_the_visits_does_nothing(
    #[values(Action::Confirm, Action::Cancel)] action: Action,
) {
    let world = told();
    let reply = pressed(&world, action);
    let id = the_visit(&world).id;
    world.change("move", &id, move_to("2026-11-25T15:00")).unwrap();
    let moved = world.booking(&id);
    assert_eq!(what(hear(&world, &reply)), Some(Answered::Moved));
    assert_eq!(world.booking(&id), moved);
}

#[test]
fn s66_a_button_under_a_message_to_somebody_else_does_nothing() {
    let world = told();
    let reply = pressed(&world, Action::Cancel);
    let ruis = Writer::Whatsapp { phone: parsed(RUI), to: parsed(WHATSAPP) };
    assert_eq!(what(hear(&world, &Reply { from: ruis, ..reply })), Some(Answered::Kept));
    assert_eq!(the_visit(&world).status, Status::Confirmed);
}

#[test]
fn s66_a_button_waits_for_its_message_to_be_found() {
    let world = asked();
    let unknown = AboutMessage::Called(Channel::Telegram, "77:1".into());
    let reply = |since: Timestamp| Reply {
        said: Said::Button { action: Action::Confirm, label: "Yes".into() },
        about: Some((unknown.clone(), since)),
        ..said(Channel::Telegram, "r1", "")
    };
    let now = world.now();
    let heard = world.run(take_reply(&world, &reply(now), now));
    assert!(matches!(heard, Run::Finished(Ok(Heard::Again))));
    let old = reply(now - SignedDuration::from_hours(1));
    assert_eq!(what(hear(&world, &old)), Some(Answered::Confirmed), "as if she had written it");
}

#[test]
fn s51_strangers_are_nobody() {
    let world = talking();
    let stranger = Writer::Sms { phone: parsed("+12025550123"), to: parsed(OURS) };
    let number = Writer::Whatsapp { phone: parsed(ANA), to: parsed("phone-number-id-0") };
    let chat = Writer::Telegram { business_id: salon_id(), chat: parsed("78") };
    let before = world.end_state();
    for from in [stranger, number, chat] {
        assert_eq!(hear(&world, &Reply { from, ..said(Channel::Sms, "r1", "no") }), Heard::Stranger);
    }
    assert_eq!(world.end_state(), before);
}

// ------------------------------------------------------------------ what staff answer

fn answer(world: &World, key: &str, channel: &str) -> Result<Done<Entry>, AppError> {
    let once = Once::new(key, channel.as_bytes());
    let fields = read(json!({ "channel": channel, "text": "See you then" }));
    world.request(|| async {
        let business = salon_id();
        answer_client(world, world, edit(&business, Some(&once), world.now()), &parsed("ana"), &fields).await
    })
}

#[rstest]
fn s51_an_answer_of_staff_may_be_disturbed_at_every_call(#[values("sms", "telegram")] channel: &str) {
    Scenario { prepare: &talking, act: &|world| drop(answer(world, "answer", channel).unwrap()) }.passes();
}

#[rstest]
#[case("sms", Channel::Sms)]
#[case("telegram", Channel::Telegram)]
#[case("whatsapp", Channel::Whatsapp)]
fn s51_an_answer_of_staff_leaves_on_its_channel(#[case] name: &str, #[case] channel: Channel) {
    let world = talking();
    hear(&world, &said(channel, "r1", "Is there parking?"));
    let entry = answer(&world, "answer", name).unwrap().value;
    assert_eq!(answer(&world, "answer", name).unwrap().value, entry, "a repetition is the same answer");
    world.pass(SignedDuration::from_mins(20));
    let sent: Vec<_> =
        world.outbox().into_iter().map(|sent| (sent.message.channel, sent.message.kind)).collect();
    assert_eq!(sent, [(channel, NotificationType::Individual)]);
    let talk: Vec<_> =
        conversation(&world, "ana").into_iter().map(|entry| (entry.from, entry.text)).collect();
    let [theirs, ours] = [(Author::Client, "Is there parking?"), (Author::Staff, "See you then")];
    let mut expected = [theirs, ours].map(|(from, text)| (from, text.to_owned()));
    // The latest first.
    if entry.at > instant("2026-11-20T12:20:00Z") {
        expected.reverse();
    }
    assert_eq!(talk, expected);
    assert_eq!(world.messages()[0].status, MessageStatus::Accepted);
}

#[test]
fn s51_whatsapp_is_answered_within_a_day_of_the_clients_own_message() {
    let world = talking();
    assert!(matches!(answer(&world, "none", "whatsapp"), Err(AppError::CannotWrite(_))));
    hear(&world, &said(Channel::Sms, "r0", "by sms"));
    assert!(matches!(answer(&world, "other", "whatsapp"), Err(AppError::CannotWrite(_))));
    hear(&world, &said(Channel::Whatsapp, "r1", "hello"));
    world.pass_until(instant("2026-11-21T12:19:59Z"));
    assert!(answer(&world, "in time", "whatsapp").is_ok());
    world.pass_until(instant("2026-11-21T12:20:00Z"));
    assert!(matches!(answer(&world, "late", "whatsapp"), Err(AppError::CannotWrite(_))));
}

#[test]
fn s51_nobody_is_answered_in_a_chat_that_is_not_there() {
    let world = talking();
    world.put([Item::Client(Client { telegram: None, ..client(&world, "ana") })]);
    assert!(matches!(answer(&world, "answer", "telegram"), Err(AppError::CannotWrite(_))));
}

// ------------------------------------------------------------------ Telegram

fn invited(world: &World, who: &str) -> String {
    let once = Once::new("invite", who.as_bytes());
    let done = world.request(|| async {
        let business = salon_id();
        invite(world, world, edit(&business, Some(&once), world.now()), &parsed(who)).await
    });
    let invited = done.unwrap().value;
    assert_eq!(invited.expires_at, world.now() + SignedDuration::from_hours(24 * 7));
    invited.url.strip_prefix("https://t.me/aurora_salon_bot?start=").unwrap().to_owned()
}

fn link(world: &World, code: &str, chat: &str) -> bool {
    for _ in 0..200 {
        match world.run(link_chat(world, &salon_id(), code, &parsed(chat), world.now())) {
            Run::Finished(Ok(locale)) => return locale.is_some(),
            _ => world.wait(SignedDuration::from_secs(1)),
        }
    }
    panic!("a chat is never linked")
}

fn chat_of(world: &World, who: &str) -> Option<String> {
    client(world, who).telegram.map(|chat| chat.as_str().to_owned())
}

#[test]
fn s66_a_chat_begins_with_an_invitation_at_every_fault() {
    let code = std::cell::RefCell::new(String::new());
    Scenario {
        prepare: &|| {
            let world = talking();
            *code.borrow_mut() = invited(&world, "rui");
            world
        },
        act: &|world| {
            assert!(link(world, &code.borrow(), "88"));
            assert!(link(world, &code.borrow(), "88"), "Telegram brings it again");
            assert_eq!(chat_of(world, "rui").as_deref(), Some("88"));
        },
    }
    .passes();
}

#[test]
fn s66_an_invitation_is_used_once_and_for_a_week() {
    let world = talking();
    let code = invited(&world, "rui");
    assert!(!link(&world, "another", "88"));
    assert!(link(&world, &code, "88"));
    assert!(!link(&world, &code, "99"), "the link was handed on");
    assert_eq!(chat_of(&world, "rui").as_deref(), Some("88"));

    let world = talking();
    let code = invited(&world, "rui");
    world.pass(SignedDuration::from_hours(24 * 7));
    assert!(!link(&world, &code, "88"));
}

#[test]
fn s66_a_chat_is_one_clients_and_stop_ends_with_coming_back() {
    let world = talking();
    hear(&world, &said(Channel::Telegram, "r1", "stop"));
    let code = invited(&world, "rui");
    assert!(link(&world, &code, "77"));
    assert_eq!((chat_of(&world, "ana"), chat_of(&world, "rui").as_deref()), (None, Some("77")));
    let mut rui = client(&world, "rui");
    rui.suppressions =
        read(json!([{ "address": "telegram:88", "cause": "stop", "since": "2026-11-20T12:00:00Z" }]));
    world.put([Item::Client(rui)]);
    let other = Once::new("again", b"");
    let business = salon_id();
    let again = world
        .request(|| async {
            invite(&world, &world, edit(&business, Some(&other), world.now()), &parsed("rui")).await
        })
        .unwrap();
    assert!(link(&world, again.value.url.split('=').next_back().unwrap(), "88"));
    assert!(client(&world, "rui").suppressions.is_empty());
}

#[test]
fn s66_only_telegram_knows_the_secret_and_it_is_not_kept() {
    let world = talking();
    let fields: BotFields =
        read(json!({ "name": "aurora_bot", "token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw" }));
    let business = salon_id();
    let secret = world.request(|| set_bot(&world, &world, &business, &fields)).unwrap();
    let right = |secret: &str| {
        matches!(world.run(is_from_telegram(&world, &salon_id(), secret)), Run::Finished(Ok(true)))
    };
    assert!(right(&secret));
    assert!(!right(&secret[1..]) && !right(""));
    let bot = world.get(&Key::TelegramBot(salon_id())).unwrap();
    assert!(!serde_json::to_string(&bot.item).unwrap().contains(&secret));
    let profile = world.get(&Key::Business(salon_id())).unwrap();
    assert_eq!(profile.item.business().unwrap().telegram_bot, Some(parsed("aurora_bot")));
    // Another bot, another secret.
    let other = world.request(|| set_bot(&world, &world, &business, &fields)).unwrap();
    assert!(right(&other) && !right(&secret));
    // A business without one trusts nobody.
    let nobody = world.run(is_from_telegram(&world, &parsed("barber"), &secret));
    assert!(matches!(nobody, Run::Finished(Ok(false))));
}

#[test]
fn a_number_is_one_businesss() {
    use app::assign_number::assign_number;
    let world = salon();
    next_door(&world, None);
    let number = SenderNumber::Sms(parsed(OURS));
    let (salon, barber) = (salon_id(), parsed("barber"));
    for _ in 0..2 {
        world.request(|| assign_number(&world, &salon, &number)).unwrap();
    }
    let refused = world.request(|| assign_number(&world, &barber, &number));
    assert!(matches!(refused, Err(AppError::NumberTaken)));
    let of = |id| world.get(&Key::Business(id)).unwrap().item.business().unwrap().sms_number.clone();
    assert_eq!((of(salon.clone()), of(barber.clone())), (Some(parsed(OURS)), None));
    let (nobody, shared) = (parsed("nobody"), SenderNumber::Sms(parsed(SHARED)));
    let missing = world.request(|| assign_number(&world, &nobody, &shared));
    assert!(matches!(missing, Err(AppError::NotFound { .. })));
}
