//! Facts of every kind: edits of a booking, answers to the request to confirm, occasions, series, suppressions. Each passes the tests of
//! [`testkit::disturb`], and leads to the messages it should.

use app::change_booking::{BookingPatch, Change};
use app::create_booking::NewBooking;
use app::create_series::{NewSeries, create_series};
use app::edit_catalogue::ClientFields;
use app::edit_client::{create_client, edit_client, put_client};
use app::erase_client::erase_client;
use app::error::AppError;
use app::list_bookings::{BookingFilter, list_bookings};
use app::once::{Done, Once};
use app::ports::{Item, Key};
use app::suppress::{SuppressionEnd, SuppressionFields, suppressed, unsuppressed};
use app::timeline::timeline;
use app::write_occasion::{
    AccountOperationFields, BonusFields, IndividualFields, NewOccasion, VerificationCodeFields,
    write_occasion,
};
use domain::booking::{Confirmation, EventKind, Status};
use domain::channel::Channel;
use domain::client::{Cause, Client};
use domain::ids::{BookingId, ClientId};
use domain::message::{Message, MessageStatus};
use domain::notification_type::NotificationType as Type;
use domain::occasion::Occasion;
use domain::subject::SubjectId;
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};
use testkit::disturb::Scenario;
use testkit::salon::{
    TUESDAY_TEN, edit as staff_edit, haircut, instant, move_to, parsed, read, salon, salon_id,
};
use testkit::turns::Run;
use testkit::world::{Call, World};

/// The salon with a second specialist, a colouring of 90 minutes for 60 euros, a location elsewhere with a specialist of its own, and Ana's
/// booking for Tuesday at ten, of which she was told.
fn told() -> (World, BookingId) {
    let world = salon();
    world.put([
        Item::Resource(read(json!({
            "business_id": "salon", "id": "ines", "location_id": "chiado", "name": "Inês", "kind": "specialist", "capacity": 1,
        }))),
        Item::Location(read(json!({ "business_id": "salon", "id": "alfama", "name": "Alfama" }))),
        Item::Resource(read(json!({
            "business_id": "salon", "id": "rosa", "location_id": "alfama", "name": "Rosa", "kind": "specialist", "capacity": 1,
        }))),
        Item::Service(read(json!({
            "business_id": "salon", "id": "colour", "name": "Colour", "duration_minutes": 90,
            "price": { "minor": 6000, "currency": "EUR" },
        }))),
        Item::Staff(read(json!({ "business_id": "salon", "id": "nuno", "name": "Nuno", "phone": "+351912345600" }))),
    ]);
    let id = world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap().value.id;
    world.pass(SignedDuration::from_mins(20));
    (world, id)
}

fn edit(patch: Value) -> Change {
    Change::Edit(Box::new(read::<BookingPatch>(patch)))
}

fn refused<T: std::fmt::Debug>(answer: Result<T, AppError>, field: &str) {
    assert!(matches!(&answer, Err(AppError::Invalid { field: named, .. }) if named == field), "{answer:?}");
}

/// Type, channel and status of every message that was due to leave, or did, by due time.
fn messages(world: &World, kind: Type) -> Vec<(Channel, MessageStatus)> {
    let of_kind = world.messages().into_iter().filter(|message| message.kind == kind);
    of_kind.map(|message| (message.channel, message.status)).collect()
}

// ------------------------------------------------------------------ edits

#[rstest]
#[case::resource(edit(json!({ "resource_id": "ines" })))]
#[case::service(edit(json!({ "service_id": "colour" })))]
#[case::clients(edit(json!({ "client_ids": ["ana", "rui"] })))]
#[case::another_client(edit(json!({ "client_ids": ["rui"] })))]
#[case::all_of_it(edit(json!({ "resource_id": "ines", "service_id": "colour", "client_ids": ["rui", "eva"], "notes": "x" })))]
#[case::notes_and_price(edit(json!({ "notes": "window seat", "price": { "minor": 1, "currency": "EUR" } })))]
#[case::reminders(edit(json!({ "reminders": ["3h before start"], "rebooking_after": "21d" })))]
#[case::request(Change::RequestConfirmation)]
#[case::will_come(Change::Answer(true))]
#[case::will_not_come(Change::Answer(false))]
fn a_booking_is_edited_and_answered_for(#[case] change: Change) {
    Scenario {
        prepare: &|| told().0,
        act: &|world| {
            let id = world.booking_of("ana").unwrap().id;
            world.change("edit", &id, change.clone()).unwrap();
        },
    }
    .passes();
}

#[test]
fn a_changed_resource_moves_the_hold_and_tells_the_client() {
    let (world, id) = told();
    let changed = world.change("edit", &id, edit(json!({ "resource_id": "ines" }))).unwrap();
    assert_eq!((changed.value.revision, changed.etag, changed.value.resource_id), (2, 2, parsed("ines")));
    world.assert_holds_agree();
    world.book("freed", &haircut("rui", TUESDAY_TEN)).unwrap();
    let taken = NewBooking { resource_id: parsed("ines"), ..haircut("eva", TUESDAY_TEN) };
    assert!(matches!(world.book("taken", &taken), Err(AppError::Overlap)));
    world.pass(SignedDuration::from_mins(5));
    let told = [(Channel::Email, MessageStatus::Accepted), (Channel::Push, MessageStatus::Accepted)];
    assert_eq!(messages(&world, Type::BookingChanged), told);
}

#[test]
fn a_resource_that_is_taken_is_refused_and_nothing_changes() {
    let (world, id) = told();
    let other = NewBooking { resource_id: parsed("ines"), ..haircut("rui", "2026-11-24T10:30") };
    world.book("other", &other).unwrap();
    let before = world.end_state();
    let taken = world.change("edit", &id, edit(json!({ "resource_id": "ines", "notes": "x" })));
    assert!(matches!(taken, Err(AppError::Overlap)), "{taken:?}");
    assert_eq!(world.end_state(), before);
}

#[rstest]
#[case(json!({ "resource_id": "nobody" }), "resource_id")]
#[case(json!({ "resource_id": "rosa" }), "resource_id")]
#[case(json!({ "service_id": "massage" }), "service_id")]
#[case(json!({ "client_ids": [] }), "client_ids")]
#[case(json!({ "client_ids": ["ana", "ana"] }), "client_ids")]
#[case(json!({ "client_ids": ["ana", "nobody"] }), "client_ids[1]")]
#[case(json!({ "reminders": ["1h before start", "2h after end"] }), "reminders[1]")]
#[case(json!({ "price": { "minor": -1, "currency": "EUR" } }), "price.minor")]
fn a_bad_edit_names_the_field_and_changes_nothing(#[case] patch: Value, #[case] field: &str) {
    let (world, id) = told();
    let before = world.end_state();
    refused(world.change("edit", &id, edit(patch)), field);
    assert_eq!(world.end_state(), before);
}

#[rstest]
#[case::moved_to_its_present_time(move_to(TUESDAY_TEN))]
#[case::moved_beyond_all_bounds(move_to("2199-01-01T10:00"))]
#[case::another_resource(edit(json!({ "resource_id": "nobody" })))]
#[case::nobody_comes(edit(json!({ "client_ids": [] })))]
#[case::asked(Change::RequestConfirmation)]
#[case::answered(Change::Answer(true))]
fn what_the_state_forbids_is_told_before_what_is_wrong_with_a_field(#[case] change: Change) {
    let (world, id) = told();
    world.change("cancel", &id, Change::Cancel).unwrap();
    let answer = world.change("late", &id, change);
    assert!(matches!(answer, Err(AppError::IllegalTransition(_))), "{answer:?}");
}

#[test]
fn an_edit_of_notes_and_price_is_no_revision_and_sends_nothing() {
    let (world, id) = told();
    let before = (world.booking(&id), world.messages());
    let patch = json!({ "notes": "window seat", "price": { "minor": 4500, "currency": "EUR" } });
    let edited = world.change("edit", &id, edit(patch)).unwrap();
    assert_eq!((edited.etag, edited.value.price.as_ref().unwrap().minor), (1, 4500));
    world.pass(SignedDuration::from_mins(5));
    assert_eq!((world.booking(&id).history, world.messages()), (before.0.history, before.1));
    let taken_away = world.change("null", &id, edit(json!({ "notes": null, "price": null }))).unwrap().value;
    assert_eq!((taken_away.notes, taken_away.price), (None, None));
}

#[test]
fn a_new_service_brings_its_price_unless_another_is_given() {
    let (world, id) = told();
    let price =
        |key: &str, patch| world.change(key, &id, edit(patch)).unwrap().value.price.map(|it| it.minor);
    assert_eq!(price("colour", json!({ "service_id": "colour" })), Some(6000));
    assert_eq!(price("haircut", json!({ "service_id": "haircut" })), None);
    let agreed = json!({ "service_id": "colour", "price": { "minor": 5000, "currency": "EUR" } });
    assert_eq!(price("agreed", agreed), Some(5000));
}

#[test]
fn who_joins_hears_of_the_booking_and_who_leaves_that_it_is_off() {
    let (world, id) = told();
    world.change("edit", &id, edit(json!({ "client_ids": ["rui"] }))).unwrap();
    world.pass(SignedDuration::from_mins(5));
    let told = |client: &str, kind: Type| {
        let to = |sent: &&testkit::world::Sent| {
            sent.message.recipient.client().is_some_and(|id| id.as_str() == client)
                && sent.message.kind == kind
        };
        world.outbox().iter().filter(to).count()
    };
    assert_eq!((told("rui", Type::BookingCreated), told("rui", Type::BookingCancelled)), (1, 0));
    assert_eq!(told("ana", Type::BookingCancelled), 2);
    // Ana has nothing ahead any more.
    let part = world.get(&Key::Participation(salon_id(), id, parsed("ana"))).unwrap();
    assert!(matches!(part.item, Item::Participation(part) if !part.ahead));
}

#[test]
fn more_than_forty_clients_over_time_are_refused() {
    let (world, id) = told();
    let clients = |from: usize| (from..from + 20).map(|n| format!("client-{n}")).collect::<Vec<_>>();
    world.put((0..60).map(|n| {
        let id = format!("client-{n}");
        Item::Client(read(json!({ "business_id": "salon", "id": id, "name": "Somebody" })))
    }));
    world.change("20", &id, edit(json!({ "client_ids": clients(0)[..19] }))).unwrap();
    world.change("40", &id, edit(json!({ "client_ids": clients(19) }))).unwrap();
    refused(world.change("60", &id, edit(json!({ "client_ids": clients(40) }))), "client_ids");
}

#[test]
fn s39_s72_reminder_times_of_a_booking_are_edited_and_taken_away() {
    let (world, id) = told();
    let due = |world: &World| {
        world.pass(SignedDuration::from_mins(1));
        let ahead = |message: &domain::message::Message| {
            message.kind == Type::Reminder && message.status == MessageStatus::Planned
        };
        let mut due: Vec<String> =
            world.messages().into_iter().filter(ahead).map(|message| message.due.to_string()).collect();
        due.dedup();
        due
    };
    let by_rule = due(&world);
    world.change("own", &id, edit(json!({ "reminders": ["90m before start"] }))).unwrap();
    assert_eq!(due(&world), ["2026-11-24T08:30:00Z"], "push and sms, and no other");
    world.change("none", &id, edit(json!({ "reminders": [] }))).unwrap();
    assert!(due(&world).is_empty());
    world.change("back", &id, edit(json!({ "reminders": null }))).unwrap();
    assert_eq!(due(&world), by_rule);
    assert_eq!(world.booking(&id).revision, 1);
}

#[test]
fn s41_the_time_of_the_next_visit_is_set_on_the_booking() {
    let (world, id) = told();
    world.change("arrive", &id, Change::Arrive).unwrap();
    world.change("complete", &id, Change::Complete).unwrap();
    world.pass(SignedDuration::from_mins(1));
    assert!(
        messages(&world, Type::RebookingReminder).is_empty(),
        "neither the service nor the booking says when"
    );
    world.change("later", &id, edit(json!({ "rebooking_after": "21d" }))).unwrap();
    world.pass(SignedDuration::from_mins(1));
    let reminder =
        world.messages().into_iter().find(|message| message.kind == Type::RebookingReminder).unwrap();
    assert_eq!(reminder.due, instant("2026-12-15T11:00:00Z"));
}

#[test]
fn s40_staff_asks_for_a_confirmation_and_the_client_answers() {
    let (world, id) = told();
    world.change("ask", &id, Change::RequestConfirmation).unwrap();
    world.pass(SignedDuration::from_mins(5));
    let left = world.outbox().iter().filter(|sent| sent.message.kind == Type::ConfirmationRequest).count();
    assert_eq!((left, world.booking(&id).confirmation), (2, Confirmation::Requested));
    let answered = world.change("yes", &id, Change::Answer(true)).unwrap().value;
    assert_eq!((answered.confirmation, answered.revision), (Confirmation::Confirmed, 3));
    // The same answer once more is no news.
    let again = world.change("yes again", &id, Change::Answer(true)).unwrap().value;
    assert_eq!((again.revision, again.history.len()), (3, answered.history.len()));
    let declined = world.change("no", &id, Change::Answer(false)).unwrap().value;
    assert_eq!((declined.confirmation, declined.status), (Confirmation::Declined, Status::Confirmed));
}

// ------------------------------------------------------------------ S38

#[rstest]
#[case::made_again_at_another_hour(Change::Cancel, "2026-11-24T15:00", true)]
#[case::on_another_day(Change::Cancel, "2026-11-25T10:00", false)]
#[case::while_the_other_stands(Change::Answer(true), "2026-11-24T15:00", true)]
fn s38_staff_is_warned_that_the_client_was_told_of_a_booking_like_it(
    #[case] change: Change,
    #[case] start: &str,
    #[case] warned: bool,
) {
    let (world, id) = told();
    world.change("change", &id, change).unwrap();
    let made = world.make("again", &haircut("ana", start)).unwrap();
    let warnings = serde_json::to_value(&made.value.warnings).unwrap();
    assert_eq!(made.value.warnings.len(), if warned { 3 } else { 0 }, "one for each channel: {warnings}");
    if warned {
        assert_eq!(warnings[0]["kind"], "already_told");
        assert_eq!(warnings[0]["booking_id"], id.as_str());
        assert_eq!(warnings[0]["type"], "booking_created");
        assert_eq!(warnings[0]["told_at"], "2026-11-20T12:00:00Z");
        // Asked again, the answer is the same, and reads back with its warnings.
        assert_eq!(world.make("again", &haircut("ana", start)).unwrap(), made);
    }
}

#[rstest]
#[case::delivered(MessageStatus::Delivered, true)]
#[case::read(MessageStatus::Read, true)]
#[case::perhaps(MessageStatus::Unknown, true)]
#[case::failed(MessageStatus::Failed, false)]
fn s38_a_notice_counts_whatever_was_reported_of_it_unless_it_failed(
    #[case] status: MessageStatus,
    #[case] warned: bool,
) {
    let (world, id) = told();
    world.change("cancel", &id, Change::Cancel).unwrap();
    let notices = world.messages().into_iter().filter(|message| message.kind == Type::BookingCreated);
    world.put(notices.map(|notice| Item::Message(Message { status, ..notice })).collect::<Vec<_>>());
    let made = world.make("again", &haircut("ana", "2026-11-24T15:00")).unwrap();
    assert_eq!(made.value.warnings.len(), if warned { 3 } else { 0 });
}

#[test]
fn s38_nobody_is_warned_of_another_service_or_another_day_or_another_client() {
    let (world, id) = told();
    world.change("cancel", &id, Change::Cancel).unwrap();
    let none = |key: &str, new: &NewBooking| assert!(world.make(key, new).unwrap().value.warnings.is_empty());
    none("service", &NewBooking { service_id: parsed("colour"), ..haircut("ana", "2026-11-24T12:00") });
    none("client", &haircut("eva", TUESDAY_TEN));
    world.wait(SignedDuration::from_hours(25));
    none("a day later", &haircut("ana", "2026-11-24T17:00"));
}

#[test]
fn s38_a_booking_like_it_passes_every_test() {
    Scenario {
        prepare: &|| {
            let (world, id) = told();
            world.change("cancel", &id, Change::Cancel).unwrap();
            world.pass(SignedDuration::from_mins(20));
            world
        },
        act: &|world| drop(world.make("again", &haircut("ana", "2026-11-24T15:00")).unwrap()),
    }
    .passes();
}

// ------------------------------------------------------------------ occasions

fn write(world: &World, key: &str, new: &NewOccasion) -> Result<Occasion, AppError> {
    let once = Once::new(key, format!("{new:?}").as_bytes());
    let written = world
        .request(|| async { write_occasion(world, world, &salon_id(), new, Some(&once), world.now()).await });
    written.map(|done| done.value)
}

fn account_operation(fields: Value) -> NewOccasion {
    read::<AccountOperationFields>(fields).to(parsed("ana")).unwrap()
}

fn penalty() -> NewOccasion {
    account_operation(
        json!({ "operation": "penalty_charged", "amount": { "minor": 500, "currency": "EUR" } }),
    )
}

fn bonus() -> NewOccasion {
    read::<BonusFields>(json!({ "bonus": "birthday_gift", "amount": { "points": 100 } }))
        .to(parsed("ana"))
        .unwrap()
}

fn individual(channels: Value) -> NewOccasion {
    read::<IndividualFields>(json!({ "channels": channels, "text": "See you soon!" })).to(parsed("ana"))
}

fn code(fields: Value) -> NewOccasion {
    read::<VerificationCodeFields>(fields).occasion().unwrap()
}

#[rstest]
#[case::s23_account_operation(penalty())]
#[case::s76_bonus(bonus())]
#[case::s42_individual(individual(json!("all")))]
#[case::s16_code(code(json!({ "client_id": "ana", "channel": "sms", "code": "4829ab" })))]
fn an_occasion_passes_every_test(#[case] new: NewOccasion) {
    Scenario { prepare: &|| told().0, act: &|world| drop(write(world, "occasion", &new).unwrap()) }.passes();
}

/// The texts that have left for an occasion, by channel.
fn left_for(world: &World, kind: Type) -> Vec<(Channel, String)> {
    world.pass(SignedDuration::from_mins(5));
    let mut left: Vec<(Channel, String)> = world
        .outbox()
        .into_iter()
        .filter(|sent| sent.message.kind == kind)
        .map(|sent| (sent.message.channel, sent.content.text().to_owned()))
        .collect();
    left.sort();
    left
}

#[rstest]
#[case::one(json!(["sms"]), &[Channel::Sms])]
#[case::several(json!(["email", "push"]), &[Channel::Email, Channel::Push])]
#[case::all(json!("all"), &[Channel::Email, Channel::Sms, Channel::Push])]
fn s42_staff_writes_to_one_client_on_the_channels_chosen(
    #[case] channels: Value,
    #[case] expected: &[Channel],
) {
    let (world, _) = told();
    write(&world, "letter", &individual(channels)).unwrap();
    let left = left_for(&world, Type::Individual);
    assert_eq!(left.iter().map(|(channel, _)| *channel).collect::<Vec<_>>(), expected);
    assert!(left.iter().all(|(_, text)| text.contains("See you soon!")), "{left:?}");
}

#[test]
fn s22_s23_s24_account_operations_of_a_booking_are_told() {
    let (world, id) = told();
    for (number, operation) in [
        "prepayment_required",
        "prepayment_received",
        "penalty_charged",
        "penalty_paid",
        "moved_to_deposit",
        "deposit_used",
    ]
    .into_iter()
    .enumerate()
    {
        let new = account_operation(json!({
            "operation": operation, "amount": { "minor": 2500, "currency": "EUR" },
            "balance": { "minor": -100, "currency": "EUR" }, "booking_id": id,
        }));
        let written = write(&world, operation, &new).unwrap();
        assert_eq!(written.location_id, Some(parsed("chiado")), "that of its booking");
        assert_eq!(
            left_for(&world, Type::AccountOperation).len(),
            2 * (number + 1),
            "{operation}: sms and email"
        );
    }
}

#[test]
fn s76_a_bonus_is_told_by_its_rule() {
    let (world, _) = told();
    write(&world, "bonus", &bonus()).unwrap();
    assert!(!left_for(&world, Type::BonusAccrued).is_empty());
}

#[test]
fn s16_a_code_reaches_client_and_staff_on_the_channel_chosen_and_no_log() {
    let (world, _) = told();
    let to_client = code(json!({ "client_id": "ana", "channel": "email", "code": "4829ab" }));
    let to_staff = code(json!({ "staff_id": "nuno", "channel": "sms", "code": "771122" }));
    assert!(!format!("{to_client:?}").contains("4829ab"));
    write(&world, "client", &to_client).unwrap();
    write(&world, "staff", &to_staff).unwrap();
    let left = left_for(&world, Type::VerificationCode);
    assert_eq!(left.iter().map(|(channel, _)| *channel).collect::<Vec<_>>(), [Channel::Email, Channel::Sms]);
    assert!(left[0].1.contains("4829ab") && left[1].1.contains("771122"), "{left:?}");
    let logged = world.messages().into_iter().filter(|message| message.kind == Type::VerificationCode);
    assert_eq!(logged.map(|message| message.text).collect::<Vec<_>>(), [None, None]);
}

#[test]
fn s47_s48_what_was_sent_is_kept_and_read_in_the_timeline_of_a_booking_and_of_an_occasion() {
    let (world, id) = told();
    let letter = write(&world, "letter", &individual(json!(["sms"]))).unwrap();
    world.pass(SignedDuration::from_mins(5));
    let sent = |subject: SubjectId, kind: Type| {
        let read =
            world.request(|| async { timeline(&world, &salon_id(), &subject, world.now()).await }).unwrap();
        let json = serde_json::to_value(&read).unwrap();
        assert_eq!(json.get("booking").is_some(), matches!(subject, SubjectId::Booking(_)), "{json}");
        assert_eq!(json.get("occasion").is_some(), matches!(subject, SubjectId::Occasion(_)), "{json}");
        let left =
            read.messages.into_iter().filter(|message| message.sent_at.is_some() && message.kind == kind);
        left.map(|message| (message.channel, message.text.unwrap_or_default())).collect::<Vec<_>>()
    };
    let of_booking = sent(SubjectId::Booking(id), Type::BookingCreated);
    assert_eq!(of_booking.len(), 3, "one on each of Ana's channels");
    assert!(of_booking.iter().all(|(_, text)| !text.is_empty()));
    let of_letter = sent(SubjectId::Occasion(letter.id), Type::Individual);
    assert!(
        matches!(&of_letter[..], [(Channel::Sms, text)] if text.contains("See you soon!")),
        "{of_letter:?}"
    );
}

#[test]
fn an_occasion_of_anothers_things_names_the_field() {
    let (world, id) = told();
    let to = |client: &str, fields: Value| read::<AccountOperationFields>(fields).to(parsed(client)).unwrap();
    let amount = json!({ "minor": 1, "currency": "EUR" });
    let nobody = write(&world, "1", &to("nobody", json!({ "operation": "penalty_paid", "amount": amount })));
    assert!(matches!(nobody, Err(AppError::NotFound { what: "client" })), "{nobody:?}");
    let of = |booking: &str| json!({ "operation": "penalty_paid", "amount": amount, "booking_id": booking });
    refused(write(&world, "2", &to("ana", of("nothing"))), "booking_id");
    refused(write(&world, "3", &to("rui", of(id.as_str()))), "booking_id");
    let elsewhere = json!({ "operation": "penalty_paid", "amount": amount, "location_id": "nowhere" });
    refused(write(&world, "4", &to("ana", elsewhere)), "location_id");
    let code = |who: Value| write(&world, "5", &code(who));
    refused(code(json!({ "staff_id": "nobody", "channel": "sms", "code": "1234" })), "staff_id");
    refused(code(json!({ "client_id": "nobody", "channel": "sms", "code": "1234" })), "client_id");
}

#[rstest]
#[case(json!({ "client_id": "ana", "staff_id": "nuno", "channel": "sms", "code": "1234" }))]
#[case(json!({ "channel": "sms", "code": "1234" }))]
fn s16_a_code_is_for_one_person(#[case] fields: Value) {
    refused(read::<VerificationCodeFields>(fields).occasion(), "client_id");
}

#[test]
fn an_amount_is_never_less_than_nothing() {
    let less = json!({ "minor": -1, "currency": "EUR" });
    let operation = json!({ "operation": "penalty_paid", "amount": less });
    refused(read::<AccountOperationFields>(operation).to(parsed("ana")), "amount.minor");
    let bonus = json!({ "bonus": "accrued", "amount": { "money": less } });
    refused(read::<BonusFields>(bonus).to(parsed("ana")), "amount.money.minor");
}

// ------------------------------------------------------------------ series

fn series(more: Value) -> NewSeries {
    let mut fields = json!({
        "location_id": "chiado", "resource_id": "marta", "service_id": "haircut", "client_ids": ["ana"],
        "start": "2027-03-16T10:00", "source": "staff", "every": "7d", "count": 4,
    });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    read(fields)
}

fn make_series(
    world: &World,
    key: &str,
    new: &NewSeries,
) -> Result<app::create_series::MadeSeries, AppError> {
    let once = Once::new(key, format!("{new:?}").as_bytes());
    let made = world
        .request(|| async { create_series(world, world, &salon_id(), new, Some(&once), world.now()).await });
    made.map(|done| done.value)
}

#[test]
fn the_bookings_of_a_series_are_listed_by_it() {
    let world = salon();
    world.book("alone", &haircut("ana", TUESDAY_TEN)).unwrap();
    let made = make_series(&world, "series", &series(json!({ "count": 3 }))).unwrap();
    let until = Some(world.now() + SignedDuration::from_hours(24 * 300));
    let filter = BookingFilter { series_id: Some(made.id.clone()), until, ..BookingFilter::default() };
    let of_series = |filter: &BookingFilter| -> Vec<BookingId> {
        let business = salon_id();
        let Run::Finished(listed) =
            world.run(list_bookings(&world, &business, filter, None, 100, world.now()))
        else {
            panic!("it crashed")
        };
        listed.unwrap().items.iter().map(|stored| stored.item.booking().unwrap().id.clone()).collect()
    };
    let ids: Vec<BookingId> = made.bookings.iter().map(|booking| booking.id.clone()).collect();
    let with_client =
        BookingFilter { client_id: Some(made.bookings[0].client_ids[0].clone()), ..filter.clone() };
    assert_eq!((of_series(&filter), of_series(&with_client)), (ids.clone(), ids));
}

#[test]
fn a_series_passes_every_test() {
    let new = series(json!({ "start": "2026-11-24T10:00", "count": 3, "client_ids": ["ana", "rui"] }));
    Scenario { prepare: &salon, act: &|world| drop(make_series(world, "series", &new).unwrap()) }.passes();
}

#[test]
fn a_series_keeps_the_wall_time_and_has_one_creation_message_and_reminders_for_each() {
    let world = salon();
    let made = make_series(&world, "series", &series(json!({}))).unwrap();
    // Summer time begins in Lisbon on 2027-03-28.
    let starts: Vec<String> = made.bookings.iter().map(|booking| booking.start.to_string()).collect();
    let expected =
        ["2027-03-16T10:00:00Z", "2027-03-23T10:00:00Z", "2027-03-30T09:00:00Z", "2027-04-06T09:00:00Z"];
    assert_eq!(starts, expected);
    for (index, booking) in made.bookings.iter().enumerate() {
        let of = booking.series.as_ref().unwrap();
        assert_eq!((of.id.clone(), of.index as usize, of.count), (made.id.clone(), index, 4));
        assert_eq!(booking.end.duration_since(booking.start), SignedDuration::from_mins(60));
        assert!(booking.history.iter().any(|event| event.kind == EventKind::Created));
    }
    world.assert_holds_agree();
    world.pass(SignedDuration::from_mins(20));
    let created = world.outbox().iter().filter(|sent| sent.message.kind == Type::BookingCreated).count();
    assert_eq!(created, 3, "once on each of Ana's channels");
    let reminded = messages(&world, Type::Reminder);
    assert_eq!(reminded.len() % 4, 0);
    assert!(reminded.len() >= 4 && reminded.iter().all(|(_, status)| *status == MessageStatus::Planned));
}

#[test]
fn several_bookings_of_a_series_may_touch_one_day() {
    let world = salon();
    // From 23:30 to 00:30: each day holds the end of one and the start of the next.
    let new = series(json!({ "start": "2026-11-24T23:30", "every": "1d", "count": 3 }));
    make_series(&world, "series", &new).unwrap();
    world.assert_holds_agree();
    let day = world.get(&Key::ResourceDay(salon_id(), parsed("marta"), parsed("2026-11-25"))).unwrap();
    assert_eq!(day.item.resource_day().unwrap().slots.len(), 2);
}

#[rstest]
#[case::with_another_booking(json!({ "start": "2026-11-17T10:00" }), 2)]
#[case::with_itself(json!({ "end": "2027-03-18T10:00", "every": "1d" }), 2)]
fn an_overlap_of_a_series_names_the_booking_and_makes_none(#[case] more: Value, #[case] expected: u32) {
    let world = salon();
    world.book("other", &haircut("rui", TUESDAY_TEN)).unwrap();
    let before = world.end_state();
    let answer = make_series(&world, "series", &series(more));
    assert!(
        matches!(answer, Err(AppError::SeriesOverlap { number, .. }) if number == expected),
        "{answer:?}"
    );
    assert_eq!(world.end_state(), before);
}

#[rstest]
#[case::too_many_items(json!({ "count": 26, "client_ids": ["ana", "rui", "eva", "leo"] }), "count")]
#[case::too_far_ahead(json!({ "count": 26, "every": "90d" }), "count")]
#[case::no_such_client(json!({ "client_ids": ["nobody"] }), "client_ids[0]")]
#[case::no_such_resource(json!({ "resource_id": "nobody" }), "resource_id")]
fn a_bad_series_names_the_field(#[case] more: Value, #[case] field: &str) {
    let world = salon();
    let before = world.end_state();
    refused(make_series(&world, "series", &series(more)), field);
    assert_eq!(world.end_state(), before);
}

#[test]
fn the_longest_series_of_one_client_fits_into_one_transaction() {
    let world = salon();
    let new = series(json!({ "count": 26 }));
    assert_eq!(make_series(&world, "series", &new).unwrap().bookings.len(), 26);
    world.assert_holds_agree();
}

// ------------------------------------------------------------------ suppressions

fn ana_card(world: &World, change: impl Fn(Client) -> Result<Client, AppError>) -> Result<Client, AppError> {
    let (business, ana) = (salon_id(), parsed("ana"));
    card(world.request(|| edit_client(world, staff_edit(&business, None, world.now()), &ana, &change)))
}

fn card(edited: Result<Done<Item>, AppError>) -> Result<Client, AppError> {
    edited.map(|done| match done.value {
        Item::Client(client) => client,
        other => panic!("{other:?}"),
    })
}

/// A card that is made, and one that gets these addresses later.
fn new_card(world: &World, id: &str, phone: &str, email: &str) -> (Client, Client) {
    let business = salon_id();
    let fields: ClientFields = read(json!({ "name": "Somebody", "phone": phone, "email": email }));
    let edit = || staff_edit(&business, None, world.now());
    let made = fields.clone().with_id(salon_id(), parsed(id), None);
    let made = card(world.request(|| create_client(world, edit(), made.clone()))).unwrap();
    let later: ClientId = parsed(&format!("{id}-later"));
    let bare: ClientFields = read(json!({ "name": "Somebody" }));
    let bare = bare.with_id(salon_id(), later.clone(), None);
    world.request(|| create_client(world, edit(), bare.clone())).unwrap();
    (made, card(world.request(|| put_client(world, edit(), &later, &fields))).unwrap())
}

fn causes(client: &Client) -> Vec<(&str, Cause)> {
    client.suppressions.iter().map(|known| (known.address.as_str(), known.cause)).collect()
}

#[test]
fn an_address_stays_suppressed_on_every_new_card_until_that_is_taken_back() {
    let (world, _) = told();
    let ana: ClientId = parsed("ana");
    let stop: SuppressionFields = read(json!({ "channel": "sms", "cause": "stop" }));
    let spam: SuppressionFields = read(json!({ "channel": "email", "cause": "complaint" }));
    let with_email = |client: Client| Ok(Client { email: Some(parsed("Ana@Salon.example")), ..client });
    ana_card(&world, with_email).unwrap();
    ana_card(&world, |client| suppressed(client, stop, world.now())).unwrap();
    ana_card(&world, |client| suppressed(client, spam, world.now())).unwrap();

    let (made, later) = new_card(&world, "other", "+351912345678", "ana@salon.EXAMPLE");
    let both = [("ana@salon.example", Cause::Complaint), ("+351912345678", Cause::Stop)];
    assert_eq!((causes(&made), causes(&later)), (both.to_vec(), both.to_vec()));
    let (made, later) = new_card(&world, "third", "+351912345679", "bob@salon.example");
    assert_eq!((causes(&made), causes(&later)), (vec![], vec![]), "other addresses are not meant");

    // Not even an erasure forgets that, though it forgets whose address it was.
    let salon = salon_id();
    world.request(|| erase_client(&world, staff_edit(&salon, None, world.now()), &ana)).unwrap();
    world.pass_all();
    assert_eq!(causes(&new_card(&world, "fourth", "+351912345678", "ana@salon.example").0), both);

    // Staff learns by phone that she wants to hear again: on this card, and on every later one.
    let end: SuppressionEnd = read(json!({ "channel": "sms" }));
    let (business, other) = (salon_id(), parsed("other"));
    let edit = || staff_edit(&business, None, world.now());
    world.request(|| edit_client(&world, edit(), &other, |client| unsuppressed(client, end))).unwrap();
    let fifth = new_card(&world, "fifth", "+351912345678", "bob@salon.example");
    assert_eq!((causes(&fifth.0), causes(&fifth.1)), (vec![], vec![]));
}

#[test]
fn a_suppressed_address_gets_nothing_until_that_is_taken_back() {
    let (world, id) = told();
    let sms = |kind: Type| {
        world.pass(SignedDuration::from_mins(5));
        messages(&world, kind).into_iter().filter(|(channel, _)| *channel == Channel::Sms).collect::<Vec<_>>()
    };
    let stop: SuppressionFields = read(json!({ "channel": "sms", "cause": "stop" }));
    let first = ana_card(&world, |client| suppressed(client, stop, world.now())).unwrap();
    assert_eq!(first.suppressions[0].address, "+351912345678");
    world.wait(SignedDuration::from_mins(1));
    let again = ana_card(&world, |client| suppressed(client, stop, world.now())).unwrap();
    assert_eq!(again.suppressions, first.suppressions, "it has been so since then");
    world.change("move", &id, move_to("2026-11-25T15:00")).unwrap();
    assert_eq!(sms(Type::BookingRescheduled), [(Channel::Sms, MessageStatus::Suppressed)]);

    let end: SuppressionEnd = read(json!({ "channel": "sms" }));
    assert!(ana_card(&world, |client| unsuppressed(client, end)).unwrap().suppressions.is_empty());
    world.change("cancel", &id, Change::Cancel).unwrap();
    assert_eq!(sms(Type::BookingCancelled), [(Channel::Sms, MessageStatus::Accepted)]);
}

#[test]
fn an_address_that_is_not_there_cannot_be_suppressed() {
    let (world, _) = told();
    let none: SuppressionFields = read(json!({ "channel": "email", "cause": "complaint" }));
    let without = |client: Client| suppressed(Client { email: None, ..client }, none, world.now());
    refused(ana_card(&world, without), "channel");
}

// ------------------------------------------------------------------ what it costs

#[test]
fn each_fact_is_few_reads_and_one_write() {
    let calls = |act: &dyn Fn(&World, &BookingId)| {
        let (world, id) = told();
        world.plan_faults([]);
        act(&world, &id);
        world.calls()
    };
    let one_more = series(json!({ "count": 3 }));
    // Three bookings and three parts in them, three days, the answer.
    let made = calls(&|world, _| drop(make_series(world, "series", &one_more).unwrap()));
    assert_eq!(made, [Call::Read, Call::Read, Call::Write(10)]);
    // The occasion and the answer.
    assert_eq!(
        calls(&|world, _| drop(write(world, "bonus", &bonus()).unwrap())),
        [Call::Read, Call::Write(2)]
    );
    // The booking, a day of each resource, the answer.
    let to_ines = edit(json!({ "resource_id": "ines" }));
    let edited = calls(&|world, id| drop(world.change("edit", id, to_ines.clone()).unwrap()));
    assert_eq!(edited, [Call::Read, Call::Read, Call::Write(4)]);
    let notes = edit(json!({ "notes": "x" }));
    let noted = calls(&|world, id| drop(world.change("edit", id, notes.clone()).unwrap()));
    assert_eq!(noted, [Call::Read, Call::Write(2)]);
}
