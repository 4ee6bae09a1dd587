//! The message log, lists of bookings, tasks and clients, and what a month costs.

use app::assign_task::{AssignFields, assign_task};
use app::change_booking::Change;
use app::close_task::{CloseFields, CloseOutcome, close_task};
use app::edit_catalogue::BusinessPatch;
use app::error::AppError;
use app::list_bookings::{BookingFilter, list_bookings};
use app::list_clients::{ClientFilter, list_clients, list_suppressions};
use app::list_tasks::{TaskFilter, TaskStatus, list_tasks};
use app::message_log::{LogFilter, RecipientRole, log_sheet, message_log};
use app::once::Once;
use app::ports::{Item, Key, Listed, Page};
use app::spending::{Spent, spending};
use app::write_occasion::{IndividualFields, write_occasion};
use domain::booking::Status;
use domain::channel::Channel;
use domain::client::{Cause, Client};
use domain::ids::BusinessId;
use domain::message::{Message, MessageStatus};
use domain::notification_type::NotificationType;
use domain::recipient::Recipient;
use domain::subject::SubjectId;
use domain::task::{Task, TaskKind};
use jiff::SignedDuration;
use serde_json::json;
use testkit::disturb::Scenario;
use testkit::salon::{PAGES, TUESDAY_TEN, business, edit, haircut, instant, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::{Call, World};

fn finished<T>(run: Run<T>) -> T {
    match run {
        Run::Finished(value) => value,
        Run::Crashed => panic!("it crashed"),
    }
}

/// A salon where much was sent, more is planned, and some was withheld: bookings of three clients, of which staff is told, one cancelled and one
/// missed, and a letter. The barber next door has the same ids and a booking too.
fn busy() -> World {
    let world = salon();
    world.put(business("barber"));
    world.put([
        Item::Staff(read(
            json!({ "business_id": "salon", "id": "marta", "name": "Marta", "phone": "+351912345670", "email": "marta@example.com" }),
        )),
        Item::Resource(read(json!({
            "business_id": "salon", "id": "marta", "location_id": "chiado", "name": "Marta", "kind": "specialist", "capacity": 1,
            "staff_ids": ["marta"],
        }))),
    ]);
    let mut ids = Vec::new();
    for (client, start) in [
        ("ana", "2026-11-21T10:00"),
        ("rui", "2026-11-21T12:00"),
        ("eva", TUESDAY_TEN),
        ("ana", "2026-12-03T15:00"),
        ("ana", "2027-02-03T15:00"),
    ] {
        ids.push(world.book(&format!("{client} {start}"), &haircut(client, start)).unwrap().value.id);
        world.pass(SignedDuration::from_mins(7));
    }
    let letter: IndividualFields =
        read(json!({ "channels": ["email"], "text": "=1+1, \"quoted\"\nand more" }));
    let (salon, once, letter) = (salon_id(), Once::new("letter", b"letter"), letter.to(parsed("eva")));
    world.request(|| write_occasion(&world, &world, &salon, &letter, Some(&once), world.now())).unwrap();
    let of_barber = haircut("ana", TUESDAY_TEN);
    let barber: BusinessId = parsed("barber");
    world
        .request(|| async {
            app::create_booking::create_booking(&world, &world, &barber, &of_barber, None, world.now()).await
        })
        .unwrap();
    world.pass_until(instant("2026-11-21T13:20:00Z"));
    world.change("cancel", &ids[2], Change::Cancel).unwrap();
    world.pass(SignedDuration::from_hours(2));
    world
}

/// The salon's messages as the log is to have them.
fn expected(world: &World, wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
    let mut messages = world.messages();
    messages.retain(|message| message.business_id == salon_id() && wanted(message));
    messages.sort_by(|one, other| (other.due, &other.id).cmp(&(one.due, &one.id)));
    messages
}

fn messages(listed: Listed) -> Vec<Message> {
    listed.items.iter().map(|stored| stored.item.message().unwrap().clone()).collect()
}

/// Every page of a log, each of at most so many.
fn all_pages(world: &World, filter: &LogFilter, limit: usize) -> Vec<Message> {
    let (mut found, mut cursor, salon) = (Vec::new(), None::<String>, salon_id());
    for _ in 0..500 {
        let page = message_log(world, &salon, filter, cursor.as_deref(), limit);
        let listed = finished(world.run(page)).unwrap();
        assert!(listed.items.len() <= limit);
        cursor = listed.next.clone();
        found.extend(messages(listed));
        if cursor.is_none() {
            return found;
        }
    }
    panic!("a log never ends")
}

#[test]
fn s47_s48_s49_every_message_is_on_one_page_of_the_log_in_order_whatever_the_filter_and_the_size_of_pages() {
    let world = busy();
    let some = expected(&world, |_| true);
    assert!(some.len() > 40, "{}", some.len());
    let booking = match &some[5].subject {
        SubjectId::Booking(id) => id.clone(),
        SubjectId::Occasion(_) => panic!("a reminder is about a booking"),
    };
    let occasion = match &some.iter().find(|m| m.kind == NotificationType::Individual).unwrap().subject {
        SubjectId::Occasion(id) => id.clone(),
        SubjectId::Booking(_) => panic!("a letter is an occasion's"),
    };
    let (from, until) = (instant("2026-11-20T12:10:00Z"), instant("2026-11-21T11:00:00Z"));
    let of = |filter: LogFilter, wanted: &dyn Fn(&Message) -> bool| {
        let expected = expected(&world, wanted);
        assert!(!expected.is_empty(), "{filter:?} finds nothing");
        for limit in [1, 2, 7, 50, 100] {
            let found = all_pages(&world, &filter, limit);
            assert_eq!(found, expected, "{filter:?} in pages of {limit}");
        }
    };
    let all = LogFilter::default;
    of(all(), &|_| true);
    of(LogFilter { from: Some(from), until: Some(until), ..all() }, &|m| from <= m.due && m.due < until);
    let types = vec![NotificationType::Reminder, NotificationType::MissedBooking];
    of(LogFilter { types: types.clone(), ..all() }, &|m| types.contains(&m.kind));
    of(LogFilter { channels: vec![Channel::Sms], ..all() }, &|m| m.channel == Channel::Sms);
    let statuses = vec![MessageStatus::Superseded, MessageStatus::Suppressed];
    of(LogFilter { statuses: statuses.clone(), ..all() }, &|m| statuses.contains(&m.status));
    let to_staff = |m: &Message| m.recipient.client().is_none();
    of(LogFilter { recipient: Some(RecipientRole::Staff), ..all() }, &to_staff);
    of(LogFilter { recipient: Some(RecipientRole::Client), ..all() }, &|m| !to_staff(m));
    of(LogFilter { staff_id: Some(parsed("marta")), ..all() }, &to_staff);
    let to_ana = |m: &Message| m.recipient == Recipient::Client(parsed("ana"));
    of(LogFilter { client_id: Some(parsed("ana")), ..all() }, &to_ana);
    let planned = vec![MessageStatus::Planned];
    of(LogFilter { client_id: Some(parsed("ana")), statuses: planned.clone(), ..all() }, &|m| {
        to_ana(m) && planned.contains(&m.status)
    });
    let about = |m: &Message| m.subject == SubjectId::Booking(booking.clone());
    of(LogFilter { booking_id: Some(booking.clone()), ..all() }, &about);
    of(LogFilter { booking_id: Some(booking.clone()), from: Some(from), ..all() }, &|m| {
        about(m) && from <= m.due
    });
    let for_that = |m: &Message| m.subject == SubjectId::Occasion(occasion.clone());
    of(LogFilter { occasion_id: Some(occasion.clone()), ..all() }, &for_that);
}

#[test]
fn a_log_ends_where_it_is_told_and_refuses_what_is_no_cursor() {
    let world = busy();
    let ask = |filter: &LogFilter, cursor: Option<&str>| {
        finished(world.run(message_log(&world, &salon_id(), filter, cursor, 10)))
    };
    let field = |answer: Result<Listed, AppError>| match answer {
        Err(AppError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    for cursor in ["", "x", "2026-11-20T12:10:00Z", "2026-11-20T12:10:00Z,a b", ",00"] {
        assert_eq!(field(ask(&LogFilter::default(), Some(cursor))), "cursor", "{cursor}");
    }
    let at = Some(instant("2026-11-20T12:10:00Z"));
    assert_eq!(field(ask(&LogFilter { from: at, until: at, ..LogFilter::default() }, None)), "until");
    let nobody = LogFilter { client_id: Some(parsed("nobody")), ..LogFilter::default() };
    let listed = ask(&nobody, None).unwrap();
    assert!(listed.items.is_empty() && listed.next.is_none());
    // Of another business nothing is found, whatever is asked for.
    let stranger: BusinessId = parsed("stranger");
    for filter in [
        LogFilter::default(),
        LogFilter { client_id: Some(parsed("ana")), ..LogFilter::default() },
        LogFilter { booking_id: Some(world.bookings()[0].id.clone()), ..LogFilter::default() },
    ] {
        let listed = finished(world.run(message_log(&world, &stranger, &filter, None, 100))).unwrap();
        assert!(listed.items.is_empty(), "{filter:?}");
    }
}

#[test]
fn a_page_of_the_log_is_one_query_and_one_read_and_a_filter_looks_at_a_thousand() {
    let world = busy();
    world.plan_faults([]);
    finished(world.run(message_log(&world, &salon_id(), &LogFilter::default(), None, 20))).unwrap();
    assert_eq!(world.calls(), [Call::Read, Call::Read]);
    let one = expected(&world, |_| true).pop().unwrap();
    for number in 0..2_000 {
        let id = parsed(&format!("{number:032x}"));
        world.put([Item::Message(Message { id, channel: Channel::Assisted, ..one.clone() })]);
    }
    let assisted = LogFilter { channels: vec![Channel::Telegram], ..LogFilter::default() };
    let first = finished(world.run(message_log(&world, &salon_id(), &assisted, None, 20))).unwrap();
    assert!(first.items.is_empty() && first.next.is_some(), "more than a request looks at");
    assert_eq!(all_pages(&world, &assisted, 20), []);
    let found =
        all_pages(&world, &LogFilter { channels: vec![Channel::Assisted], ..LogFilter::default() }, 100);
    assert_eq!(found.len(), 2_000);
}

#[test]
fn s49_the_log_is_written_as_a_spreadsheet_in_which_nothing_is_a_formula() {
    let world = busy();
    let filter = LogFilter { types: vec![NotificationType::Individual], ..LogFilter::default() };
    let listed = finished(world.run(message_log(&world, &salon_id(), &filter, None, 100))).unwrap();
    let text = log_sheet(&listed).unwrap();
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').split("\r\n").collect();
    assert!(
        lines[0].starts_with("due,type,channel,status,reason,recipient,recipient_id,address,text,"),
        "{text}"
    );
    assert!(lines[1].contains(",individual,email,accepted,,client,eva,eva@example.com,"), "{text}");
    assert!(text.contains("'=1+1, \"\"quoted\"\"\nand more"), "{text}");
    let sms =
        LogFilter { channels: vec![Channel::Sms], client_id: Some(parsed("rui")), ..LogFilter::default() };
    let listed = finished(world.run(message_log(&world, &salon_id(), &sms, None, 100))).unwrap();
    let rows = listed.items.len();
    let text = log_sheet(&listed).unwrap();
    assert!(text.contains(",'+351912345679,"), "{text}");
    assert_eq!(text.matches(",sms,").count(), rows);
}

#[test]
fn bookings_are_listed_by_start_each_once_whatever_the_filter_and_the_size_of_pages() {
    let world = busy();
    let (now, salon) = (world.now(), salon_id());
    let pages = |filter: &BookingFilter, limit: usize| {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = list_bookings(&world, &salon, filter, cursor.as_deref(), limit, now);
            let listed = finished(world.run(page)).unwrap();
            cursor = listed.next;
            found.extend(listed.items.iter().map(|stored| stored.item.booking().unwrap().start.to_string()));
            if cursor.is_none() {
                return found;
            }
        }
    };
    let of = |filter: BookingFilter, expected: &[&str]| {
        for limit in [1, 2, 3, 100] {
            assert_eq!(pages(&filter, limit), expected, "{filter:?} in pages of {limit}");
        }
    };
    let all = BookingFilter::default;
    let (day, week) = (Some(instant("2026-11-21T00:00:00Z")), Some(instant("2026-11-28T00:00:00Z")));
    let first = ["2026-11-21T10:00:00Z", "2026-11-21T12:00:00Z", "2026-11-24T10:00:00Z"];
    // What is ahead for 31 days.
    of(all(), &["2026-11-24T10:00:00Z", "2026-12-03T15:00:00Z"]);
    of(BookingFilter { from: day, until: week, ..all() }, &first);
    of(BookingFilter { from: Some(instant(first[1])), until: week, ..all() }, &first[1..]);
    of(BookingFilter { from: day, until: Some(instant(first[1])), ..all() }, &first[..1]);
    let ahead = vec![Status::Confirmed];
    of(BookingFilter { from: day, until: week, statuses: ahead, ..all() }, &[]);
    let over = vec![Status::NoShow, Status::Cancelled];
    of(BookingFilter { from: day, until: week, statuses: over, ..all() }, &first);
    of(BookingFilter { resource_id: Some(parsed("nobody")), ..all() }, &[]);
    of(
        BookingFilter { location_id: Some(parsed("chiado")), ..all() },
        &["2026-11-24T10:00:00Z", "2026-12-03T15:00:00Z"],
    );
    let ana = ["2026-11-21T10:00:00Z", "2026-12-03T15:00:00Z", "2027-02-03T15:00:00Z"];
    of(BookingFilter { client_id: Some(parsed("ana")), ..all() }, &ana);
    of(BookingFilter { client_id: Some(parsed("ana")), from: Some(instant(ana[1])), ..all() }, &ana[1..]);
    of(BookingFilter { client_id: Some(parsed("ana")), until: Some(instant(ana[1])), ..all() }, &ana[..1]);
    for (filter, wrong) in [
        (BookingFilter { from: week, until: day, ..all() }, "until"),
        (BookingFilter { from: day, until: Some(instant("2027-11-23T00:00:00Z")), ..all() }, "until"),
    ] {
        let refused = finished(world.run(list_bookings(&world, &salon_id(), &filter, None, 10, now)));
        assert!(matches!(&refused, Err(AppError::Invalid { field, .. }) if field == wrong), "{refused:?}");
    }
}

/// Tasks with ids that sort as the numbers do; every third is closed, every second is Marta's.
fn with_tasks(count: usize) -> World {
    let world = salon();
    world.put(business("barber"));
    world.put([Item::Staff(read(json!({ "business_id": "salon", "id": "marta", "name": "Marta" })))]);
    for number in 0..count {
        let mut task = json!({
            "business_id": "salon", "id": format!("a-{number:05}"), "kind": "client_reply", "client_ids": ["ana"],
            "since": "2026-11-20T12:00:00Z", "text": "Hello",
        });
        if number % 3 == 0 {
            task["closed"] = json!({ "at": "2026-11-20T13:00:00Z", "outcome": "done" });
        }
        if number % 2 == 0 {
            task["assignee"] = json!("marta");
        }
        world.put([Item::Task(read(task))]);
    }
    world
}

#[test]
fn tasks_are_found_by_status_kind_and_assignee() {
    let world = with_tasks(1_500);
    let count = |filter: TaskFilter, limit: u32| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = Page { after, limit };
            let listed = finished(world.run(list_tasks(&world, &salon_id(), &filter, page))).unwrap();
            found.extend(listed.items.iter().map(|stored| stored.item.task().unwrap().id.clone()));
            after = listed.next;
            if after.is_none() {
                assert!(found.is_sorted() && found.windows(2).all(|two| two[0] != two[1]));
                return found.len();
            }
        }
    };
    for limit in [37, 100] {
        assert_eq!(count(TaskFilter::default(), limit), 1_500);
        let open = Some(TaskStatus::Open);
        assert_eq!(count(TaskFilter { status: open, ..TaskFilter::default() }, limit), 1_000);
        let closed = Some(TaskStatus::Closed);
        assert_eq!(count(TaskFilter { status: closed, ..TaskFilter::default() }, limit), 500);
        let marta = Some(parsed("marta"));
        assert_eq!(count(TaskFilter { assignee: marta.clone(), ..TaskFilter::default() }, limit), 750);
        assert_eq!(count(TaskFilter { status: open, assignee: marta, kind: None }, limit), 500);
        let kind = Some(TaskKind::SpendingLimit);
        assert_eq!(count(TaskFilter { kind, ..TaskFilter::default() }, limit), 0);
    }
}

fn task(world: &World, id: &str) -> Task {
    world.tasks().into_iter().find(|task| task.id.as_str() == id).unwrap()
}

fn assign(world: &World, id: &str, to: Option<&str>) -> Result<(), AppError> {
    let (salon, once) = (salon_id(), Once::new("assign", format!("{id} {to:?}").as_bytes()));
    let (fields, id) = (AssignFields { staff_id: to.map(parsed) }, parsed(id));
    world.request(|| assign_task(world, edit(&salon, Some(&once), world.now()), &id, &fields)).map(|_| ())
}

#[test]
fn a_task_is_assigned_to_staff_of_this_business_until_it_is_closed() {
    let world = with_tasks(5);
    assign(&world, "a-00001", Some("marta")).unwrap();
    assert_eq!(task(&world, "a-00001").assignee, Some(parsed("marta")));
    let salon = salon_id();
    let again = Once::new("again", b"");
    let (nobody, id) = (AssignFields { staff_id: None }, parsed("a-00001"));
    world.request(|| assign_task(&world, edit(&salon, Some(&again), world.now()), &id, &nobody)).unwrap();
    assert_eq!(task(&world, "a-00001").assignee, None);
    let refused = |id: &str, to: &str| {
        let fields = AssignFields { staff_id: Some(parsed(to)) };
        finished(world.run(assign_task(&world, edit(&salon, None, world.now()), &parsed(id), &fields)))
            .unwrap_err()
    };
    assert!(matches!(refused("a-00001", "nobody"), AppError::Invalid { field, .. } if field == "staff_id"));
    assert!(matches!(refused("a-00003", "marta"), AppError::TaskClosed));
    assert!(matches!(refused("none", "marta"), AppError::NotFound { .. }));
    let barber: BusinessId = parsed("barber");
    let fields = AssignFields { staff_id: None };
    let by_the_barber = finished(world.run(assign_task(
        &world,
        edit(&barber, None, world.now()),
        &parsed("a-00001"),
        &fields,
    )));
    assert!(matches!(by_the_barber, Err(AppError::NotFound { .. })));
}

#[test]
fn assigning_a_task_may_be_disturbed_at_every_call() {
    Scenario { prepare: &|| with_tasks(2), act: &|world| assign(world, "a-00001", Some("marta")).unwrap() }
        .passes();
}

#[test]
fn clients_are_found_by_phone_address_and_text() {
    let world = salon();
    world.put(business("barber"));
    let mut all = Vec::new();
    for number in 0..150 {
        let id = format!("c-{number:03}");
        world.put([Item::Client(read(json!({
            "business_id": "salon", "id": id, "name": format!("Client {number}"), "email": format!("Mail{number}@Example.com"),
        })))]);
        all.push(id);
    }
    let gone: Client = read(
        json!({ "business_id": "salon", "id": "gone", "name": "Client Gone", "phone": "+351912345678" }),
    );
    world.put([Item::Client(gone.erased(world.now()))]);
    let find = |filter: ClientFilter, limit: u32| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = Page { after, limit };
            let listed = finished(world.run(list_clients(&world, &salon_id(), &filter, page))).unwrap();
            found.extend(listed.items.iter().map(|stored| stored.item.client().unwrap().id.to_string()));
            after = listed.next;
            if after.is_none() {
                return found;
            }
        }
    };
    assert_eq!(find(ClientFilter::Phone(parsed("+351912345678")), 10), ["ana"]);
    assert_eq!(find(ClientFilter::Phone(parsed("+351912345600")), 10), [""; 0]);
    assert_eq!(find(ClientFilter::Email(parsed("mail7@example.com")), 10), ["c-007"]);
    for limit in [1, 33, 100] {
        assert_eq!(find(ClientFilter::All, limit).len(), 154, "not who was erased");
        assert_eq!(find(ClientFilter::Text("CLIENT 1".into()), limit).len(), 61);
        assert_eq!(find(ClientFilter::Text("345679".into()), limit), ["rui"]);
        assert_eq!(find(ClientFilter::Text("eva@".into()), limit), ["eva"]);
    }
}

#[test]
fn suppressed_addresses_are_listed_across_clients() {
    let world = salon();
    for (id, cause) in [("rui", "stop"), ("eva", "hard_bounce")] {
        let Some(Item::Client(client)) = world.get(&Key::Client(salon_id(), parsed(id))).map(|it| it.item)
        else {
            panic!("there is no {id}")
        };
        let known = read(json!([{ "address": id, "cause": cause, "since": "2026-11-20T12:00:00Z" }]));
        world.put([Item::Client(Client { suppressions: known, ..client })]);
    }
    let list = |cause| {
        let page = Page { after: None, limit: 10 };
        let found = finished(world.run(list_suppressions(&world, &salon_id(), cause, page))).unwrap().0;
        found.into_iter().map(|client| client.client_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(None), ["eva", "rui"]);
    assert_eq!(list(Some(Cause::Stop)), ["rui"]);
    assert_eq!(list(Some(Cause::Complaint)), [""; 0]);
}

/// The busy salon with prices of sms, which it had from the beginning.
fn priced() -> World {
    let world = busy();
    let patch: BusinessPatch = read(json!({
        "sms_prices": [{ "prefix": "+351", "per_thousand": { "minor": 4000, "currency": "EUR" } }],
        "sms_limits": { "per_month": { "minor": 1000, "currency": "EUR" } },
    }));
    let Some(Item::Business(before)) = world.get(&Key::Business(salon_id())).map(|stored| stored.item) else {
        panic!("there is no salon")
    };
    world.put([Item::Business(patch.apply(before).unwrap())]);
    world
}

#[test]
fn s68_a_month_shows_what_was_spent_and_what_is_still_to_come() {
    let world = priced();
    let month = |month: &str| {
        finished(world.run(spending(&world, &salon_id(), month, None, world.now(), PAGES))).unwrap()
    };
    let december = month("2026-12");
    assert!(december.complete && december.next.is_none());
    assert_eq!(december.limit.unwrap().minor, 1000);
    // Ana's visit on the third: two reminders by sms a day and two hours before, or what the defaults say, and pushes.
    let of = |sent: bool, channel: Channel, month: (u8, u8)| {
        let in_month = |m: &Message| {
            let date = m.due.to_string();
            date.starts_with(&format!("20{:02}-{:02}", month.0, month.1))
        };
        let there = expected(&world, |m| {
            let was_sent = m.sent_at.is_some();
            m.channel == channel && in_month(m) && if sent { was_sent } else { m.status.is_open() }
        });
        there.len() as u64
    };
    let sms = |spent: &Spent| spent.cost.iter().map(|cost| cost.thousandths).sum::<i64>();
    let planned = of(false, Channel::Sms, (26, 12));
    assert!(planned > 0);
    let reminders: Vec<_> = december.by.iter().filter(|by| by.channel == Channel::Sms).collect();
    assert_eq!(reminders.iter().map(|by| by.planned.messages).sum::<u64>(), planned);
    // One segment costs 4 cents, which is 4000 thousandths.
    assert!(sms(&december.planned) >= 4_000 * i64::try_from(planned).unwrap(), "{:?}", december.planned);
    assert_eq!((december.planned.unpriced, december.sent.messages), (0, 0));

    let november = month("2026-11");
    let sent = of(true, Channel::Sms, (26, 11));
    let by_sms: Vec<_> = november.by.iter().filter(|by| by.channel == Channel::Sms).collect();
    assert_eq!(by_sms.iter().map(|by| by.sent.messages).sum::<u64>(), sent);
    assert!(by_sms.iter().map(|by| by.sent.segments).sum::<u64>() >= sent);
    // They left when there were no prices: that is said, and no price is made up.
    assert_eq!((november.sent.unpriced, sms(&november.sent)), (sent, 0));
    let all = expected(&world, |m| m.due.to_string().starts_with("2026-11") && m.sent_at.is_some());
    assert_eq!(november.sent.messages, all.len() as u64);
    let stranger: BusinessId = parsed("barber");
    let theirs =
        finished(world.run(spending(&world, &stranger, "2026-12", None, world.now(), PAGES))).unwrap();
    assert_eq!(theirs.planned.messages, 0);
}

#[test]
fn s68_the_answers_about_a_month_add_up() {
    let world = priced();
    let one = expected(&world, |m| m.sent_at.is_some() && m.channel == Channel::Sms).pop().unwrap();
    for number in 0..1_500 {
        let estimate = Some(read(json!({ "thousandths": 3, "currency": "EUR" })));
        let id = parsed(&format!("{number:032x}"));
        let due = instant("2028-02-10T10:00:00Z") + SignedDuration::from_secs(number / 7);
        world.put([Item::Message(Message { id, due, segments: Some(2), estimate, ..one.clone() })]);
    }
    let (mut cursor, mut messages, mut segments, mut cost, mut answers) = (None::<String>, 0, 0, 0, 0);
    loop {
        let answer = finished(world.run(spending(
            &world,
            &salon_id(),
            "2028-02",
            cursor.as_deref(),
            world.now(),
            PAGES,
        )))
        .unwrap();
        messages += answer.sent.messages;
        segments += answer.sent.segments;
        cost += answer.sent.cost[0].thousandths;
        answers += 1;
        cursor = answer.next;
        assert_eq!(answer.complete, cursor.is_none());
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((messages, segments, cost, answers), (1_500, 3_000, 4_500, 2));
    for (month, cursor, wrong) in [
        ("2028-2", None, "month"),
        ("2028-02", Some("x"), "cursor"),
        ("2028-02", Some("2028-03-01T00:00:00Z,00"), "cursor"),
    ] {
        let refused = finished(world.run(spending(&world, &salon_id(), month, cursor, world.now(), PAGES)));
        assert!(matches!(&refused, Err(AppError::Invalid { field, .. }) if field == wrong), "{refused:?}");
    }
}

/// Rui has sms waiting that the month's money does not reach for, and staff has looked at the task and closed it.
#[test]
fn s68_a_task_about_the_months_limit_that_staff_closed_stays_closed() {
    let world = salon();
    let patch: BusinessPatch = read(json!({
        "sms_prices": [{ "prefix": "+351", "per_thousand": { "minor": 4000, "currency": "EUR" } }],
        "sms_limits": { "per_month": { "minor": 0, "currency": "EUR" } },
    }));
    let Some(Item::Business(before)) = world.get(&Key::Business(salon_id())).map(|stored| stored.item) else {
        panic!("there is no salon")
    };
    world.put([Item::Business(patch.apply(before).unwrap())]);
    world.book("book", &haircut("rui", TUESDAY_TEN)).unwrap();
    world.pass(SignedDuration::from_mins(20));
    let limit = |world: &World| {
        let mut tasks = world.tasks();
        tasks.retain(|task| task.kind == TaskKind::SpendingLimit);
        assert_eq!(tasks.len(), 1);
        tasks.remove(0)
    };
    let id = limit(&world).id;
    let salon = salon_id();
    let done = CloseFields { outcome: CloseOutcome::Done };
    world.request(|| close_task(&world, edit(&salon, None, world.now()), &id, done)).unwrap();
    let deferred = |world: &World| {
        world
            .messages()
            .iter()
            .filter(|m| m.status == MessageStatus::Deferred)
            .map(|m| m.traces.len())
            .sum::<usize>()
    };
    assert!(deferred(&world) > 0, "an sms waits");
    world.pass(SignedDuration::from_hours(9));
    assert!(limit(&world).closed.is_some(), "asked again for it, and said no to again");
}
