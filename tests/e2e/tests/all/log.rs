//! The message log, the client base as a spreadsheet, and erasing a client.

use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::salon::{Salon, TOKYO};
use crate::stack::{Stack, list};

/// Every page of a list, each of at most so many.
#[track_caller]
fn all_pages(api: &Http, path: &str, limit: usize) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    let sign = if path.contains('?') { '&' } else { '?' };
    for _ in 0..200 {
        let mut page = api.get(&format!("{path}{sign}limit={limit}{cursor}")).ok();
        let items = list(page["items"].take());
        assert!(items.len() <= limit);
        found.extend(items);
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
    panic!("{path} never ends")
}

/// Where a `Link` header leads.
fn next_of(answer: &Answer) -> Option<String> {
    let link = answer.link.strip_prefix('<')?;
    Some(link.strip_suffix(">; rel=\"next\"")?.to_owned())
}

/// Every row of a spreadsheet, page by page, without the headers.
#[track_caller]
fn all_rows(api: &Http, path: &str) -> Vec<String> {
    let (mut rows, mut path) = (Vec::new(), Some(path.to_owned()));
    while let Some(page) = path.take() {
        let answer = api.get(&page);
        assert_eq!((answer.status, answer.content_type.as_str()), (200, "text/csv; charset=utf-8"), "{page}");
        rows.extend(answer.text.trim_end().split("\r\n").skip(1).map(str::to_owned));
        path = next_of(&answer);
    }
    rows
}

fn ids(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["id"].as_str().unwrap()).collect()
}

#[test]
fn s47_s48_s49_the_log_of_a_business_and_of_a_client_is_filtered_and_paged_and_exported() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let theirs = Salon::open(&stack, TOKYO);
    theirs.book(&theirs.day(1, "12:00"));
    let first = salon.book(&salon.day(2, "15:00"));
    let other = salon.new_client();
    let mut body = salon.booking(&salon.day(2, "17:00"));
    body["client_ids"] = json!([other.id]);
    let second = salon.book_with(&body);
    salon.run_to(&salon.day(2, "15:30"));

    let all = all_pages(&salon.api, "/v1/messages", 100);
    let known: usize = [&first, &second]
        .iter()
        .map(|id| {
            // The timeline shows what is switched off too, of which nothing is written down.
            salon.messages(id).iter().filter(|row| row["reason"] != "switched_off").count()
        })
        .sum();
    assert_eq!(all.len(), known);
    let dues: Vec<&str> = all.iter().map(|message| message["due"].as_str().unwrap()).collect();
    assert!(dues.windows(2).all(|two| two[0] >= two[1]), "the latest first: {dues:?}");
    for limit in [1, 3, 7] {
        let paged = all_pages(&salon.api, "/v1/messages", limit);
        assert_eq!(ids(&paged), ids(&all), "in pages of {limit}");
    }
    let of = |query: &str, wanted: &dyn Fn(&Value) -> bool| {
        let expected: Vec<Value> = all.iter().filter(|message| wanted(message)).cloned().collect();
        assert!(!expected.is_empty(), "{query} finds something");
        let found = all_pages(&salon.api, &format!("/v1/messages?{query}"), 2);
        assert_eq!(found, expected, "{query}");
    };
    of("type=reminder,running_late&channel=sms", &|m| {
        (m["type"] == "reminder" || m["type"] == "running_late") && m["channel"] == "sms"
    });
    of("status=accepted", &|m| m["status"] == "accepted");
    of("status=planned,deferred", &|m| m["status"] == "planned" || m["status"] == "deferred");
    of("recipient=client", &|m| m["client_id"].is_string());
    let client = &salon.client.id;
    of(&format!("client_id={client}"), &|m| m["client_id"] == *client);
    of(&format!("booking_id={second}&type=reminder"), &|m| {
        m["booking_id"] == second && m["type"] == "reminder"
    });
    let (from, until) =
        (salon.day(1, "00:00").timestamp().to_string(), salon.day(2, "14:30").timestamp().to_string());
    of(&format!("from={from}&until={until}"), &|m| {
        let due = m["due"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        salon.day(1, "00:00").timestamp() <= due && due < salon.day(2, "14:30").timestamp()
    });
    let of_client = all_pages(&salon.api, &format!("/v1/clients/{client}/messages"), 2);
    assert!(of_client.iter().all(|m| m["client_id"] == *client) && of_client.len() > 3);
    let staff = all_pages(&salon.api, "/v1/messages?recipient=staff", 10);
    assert!(staff.is_empty(), "there is no staff");

    let rows = all_rows(&salon.api, "/v1/messages.csv?limit=4&channel=sms");
    let sms: Vec<&Value> = all.iter().filter(|message| message["channel"] == "sms").collect();
    assert_eq!(rows.len(), sms.len());
    for (row, message) in rows.iter().zip(sms) {
        assert!(row.ends_with(message["id"].as_str().unwrap()), "{row}");
        let address = message["address"].as_str().map(|address| format!(",'{address},")).unwrap_or_default();
        assert!(row.starts_with(message["due"].as_str().unwrap()) && row.contains(&address), "{row}");
    }

    // What the log costs: one query and one read for a page.
    salon.api.get("/v1/messages?limit=20").ok();
    let made = stack.invocations("booking-api").pop().unwrap()["aws_calls"].clone();
    let count = |name: &str| {
        let calls = made.as_object().unwrap().iter().filter(|(call, _)| call.ends_with(name));
        calls.map(|(_, count)| count.as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((count("Query"), count("BatchGetItem")), (1, 1), "{made}");

    let bookings = |query: &str| ids_of(&all_pages(&salon.api, &format!("/v1/bookings?{query}"), 1));
    let day = salon.day(2, "00:00").timestamp();
    assert_eq!(bookings(&format!("from={day}")), [first.clone(), second.clone()]);
    assert_eq!(bookings(&format!("client_id={client}")), std::slice::from_ref(&first));
    assert_eq!(bookings(&format!("from={day}&status=cancelled")), [""; 0]);
    assert_eq!(bookings(&format!("from={day}&resource_id={}", salon.resource)).len(), 2);
    // Their things are not found, by whatever id.
    for path in [
        format!("/v1/messages?client_id={}", theirs.client.id),
        format!("/v1/bookings?client_id={}", theirs.client.id),
        format!("/v1/bookings?from={day}&resource_id={}", theirs.resource),
    ] {
        assert_eq!(all_pages(&salon.api, &path, 10), [json!(null); 0], "{path}");
    }
    assert_eq!(salon.api.get(&format!("/v1/clients/{}/messages", theirs.client.id)).status, 404);
    assert_eq!(salon.api.get(&format!("/v1/clients/{}/erasure", theirs.client.id)).status, 404);
    assert_eq!(salon.api.post(&format!("/v1/clients/{}/erase", theirs.client.id), &json!({})).status, 404);
}

fn ids_of(items: &[Value]) -> Vec<String> {
    ids(items).into_iter().map(str::to_owned).collect()
}

#[test]
fn s49_s68_bad_filters_are_refused_by_name_and_spending_counts_a_month() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let prices =
        json!({ "sms_prices": [{ "prefix": "+351", "per_thousand": { "minor": 4000, "currency": "EUR" } }] });
    salon.api.patch("/v1/business", &prices).ok();
    salon.book(&salon.day(2, "15:00"));
    for (path, field) in [
        ("/v1/messages?type=gossip", "type"),
        ("/v1/messages?status=lost", "status"),
        ("/v1/messages?recipient=cat", "recipient"),
        ("/v1/messages?from=yesterday", "from"),
        ("/v1/messages?from=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until"),
        ("/v1/messages?cursor=x", "cursor"),
        ("/v1/messages?limit=0", "limit"),
        ("/v1/messages.csv?limit=501", "limit"),
        ("/v1/messages?color=red", "color"),
        ("/v1/bookings?until=2020-01-01T00:00:00Z", "until"),
        ("/v1/bookings?status=lost", "status"),
        ("/v1/tasks?status=lost", "status"),
        ("/v1/clients?phone=12", "phone"),
        ("/v1/clients?q=", "q"),
        ("/v1/spending?month=2026-13", "month"),
        ("/v1/spending", "month"),
    ] {
        let answer = salon.api.get(path);
        assert_eq!((answer.status, answer.field()), (422, field), "{path}: {}", answer.text);
    }
    let templates = json!({ "whatsapp_templates": { "reminder": { "name": "no such name!" } } });
    let answer = salon.api.patch("/v1/business", &templates);
    assert_eq!(answer.field(), "whatsapp_templates.reminder.name", "{}", answer.text);

    let due = |day: i64| salon.day(day, "00:00").timestamp().strftime("%Y-%m").to_string();
    let mut sent = 0;
    let mut planned = 0;
    let mut months = vec![due(0), due(3)];
    months.dedup();
    for month in months {
        let spending = salon.api.get(&format!("/v1/spending?month={month}")).ok();
        assert_eq!(spending["complete"], true, "{spending}");
        sent += spending["sent"]["cost"][0]["thousandths"].as_i64().unwrap_or(0);
        planned += spending["planned"]["cost"][0]["thousandths"].as_i64().unwrap_or(0);
    }
    // One notice has left; one reminder is to come. Each is a segment or two of 4 cents.
    assert!(
        sent >= 4_000 && sent % 4_000 == 0 && planned >= 4_000 && planned % 4_000 == 0,
        "{sent} {planned}"
    );
}

#[test]
fn clients_are_imported_with_errors_by_line_and_exported_so_that_they_import_again() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let csv = "\u{feff}Name;Phone;Email;marketing_consent\r\n\
        Мия;+351 912 345 600;mia@example.com;да\r\n\
        =HYPERLINK(\"x\");;formula@example.com;no\r\n\
        Bad;123;;\r\n\
        Maria B;;MARIA;\r\n";
    let api = salon.api.with("content-type", "text/csv");
    let before = salon.everything();
    let tried = api.send("POST", "/v1/clients/import?dry_run=true", csv).ok();
    assert_eq!(salon.everything(), before, "a trial writes nothing");
    let imported = api.with("idempotency-key", "import").send("POST", "/v1/clients/import", csv).ok();
    assert_eq!(imported, tried);
    assert_eq!((&imported["created"], &imported["updated"]), (&json!(2), &json!(0)), "{imported}");
    let errors: Vec<String> =
        list(imported["errors"].clone()).iter().map(|it| format!("{} {}", it["line"], it["field"])).collect();
    assert_eq!(errors, ["4 \"phone\"", "5 \"email\""]);
    let repeated = api.with("idempotency-key", "import").send("POST", "/v1/clients/import", csv).ok();
    assert_eq!(repeated, imported, "a repeated request is answered alike");
    let again = api.send("POST", "/v1/clients/import", csv).ok();
    assert_eq!((&again["created"], &again["unchanged"]), (&json!(0), &json!(2)), "{again}");

    let found = |query: &str| ids_of(&all_pages(&salon.api, &format!("/v1/clients?{query}"), 10)).len();
    assert_eq!(
        (found("phone=%2B351912345600"), found("email=MIA@example.com"), found("q=hyperlink")),
        (1, 1, 1)
    );
    assert_eq!(found("phone=%2B351912345699"), 0);
    let rows = all_rows(&salon.api, "/v1/clients.csv?limit=2");
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().any(|row| row.contains(",\"'=HYPERLINK(\"\"x\"\")\",")), "{rows:?}");
    assert!(rows.iter().any(|row| row.contains(",Мия,'+351912345600,mia@example.com,,,yes,")), "{rows:?}");
    let before = stack.facts();
    let whole = salon.api.get("/v1/clients.csv").text;
    let once_more = api.send("POST", "/v1/clients/import", whole).ok();
    assert_eq!((&once_more["unchanged"], &once_more["errors"]), (&json!(3), &json!([])), "{once_more}");
    stack.settle();
    assert_eq!(stack.facts(), before, "what was exported imports and changes nothing");
    let answer = api.send("POST", "/v1/clients/import", "shoe_size\n38\n");
    assert_eq!((answer.status, answer.field()), (422, "header"), "{}", answer.text);
}

#[test]
fn an_erased_client_is_found_in_neither_table_and_the_counts_stay() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let mia = json!({ "name": "Anastasia", "phone": "+351912349999", "email": "anastasia@example.com" });
    let id = salon.api.with("idempotency-key", "mia").post("/v1/clients", &mia).id();
    let device = json!({ "platform": "fcm", "token": "token-of-hers" });
    let card = salon.api.post(&format!("/v1/clients/{id}/devices"), &device).ok();
    let device_id = card["devices"][0]["id"].as_str().unwrap();
    let less = salon.api.send("DELETE", &format!("/v1/clients/{id}/devices/{device_id}"), "").ok();
    assert_eq!(less["devices"], json!([]));
    assert_eq!(salon.api.send("DELETE", &format!("/v1/clients/{id}/devices/{device_id}"), "").status, 404);
    salon.api.post(&format!("/v1/clients/{id}/devices"), &device).ok();
    let mut body = salon.booking(&salon.day(2, "15:00"));
    body["client_ids"] = json!([id]);
    body["notes"] = json!("Anastasia brings a dog");
    let booking = salon.book_with(&body);
    let letter = json!({ "channels": ["sms", "email"], "text": "Dear Anastasia, please do" });
    salon.api.post(&format!("/v1/clients/{id}/messages"), &letter).ok();
    stack.settle();
    stack
        .control
        .post("/inbound/sms", &json!({ "from": "+351912349999", "text": "Anastasia says thank you" }))
        .ok();
    stack.settle();
    let hers = ["Anastasia", "912349999", "anastasia@example.com", "token-of-hers"];
    let found = || {
        let rows = stack.rows();
        rows.into_iter().filter(|row| hers.iter().any(|it| row.contains(it))).collect::<Vec<_>>()
    };
    assert!(found().len() > 8, "{}", found().len());
    let counted = all_pages(&salon.api, &format!("/v1/clients/{id}/messages"), 50).len();

    let begun = salon.api.post(&format!("/v1/clients/{id}/erase"), &json!({}));
    assert_eq!((begun.status, &begun.json["stage"]), (202, &json!("bookings")), "{}", begun.text);
    stack.settle();
    assert_eq!(found(), [""; 0]);
    assert_eq!(salon.api.get(&format!("/v1/clients/{id}/erasure")).ok()["stage"], "done");
    let log = all_pages(&salon.api, &format!("/v1/clients/{id}/messages"), 50);
    assert_eq!(log.len(), counted);
    assert!(log.iter().all(|message| message.get("text").is_none() && message.get("address").is_none()));
    assert!(log.iter().any(|message| message["status"] == "superseded"));
    let timeline = salon.timeline(&booking);
    assert_eq!((&timeline["booking"]["client_ids"], timeline["booking"].get("notes")), (&json!([id]), None));
    let card = salon.api.get(&format!("/v1/clients/{id}")).ok();
    assert!(card["erased_at"].is_string() && card.get("phone").is_none(), "{card}");
    assert!(!ids_of(&all_pages(&salon.api, "/v1/clients", 50)).contains(&id));
    let refilled = salon.api.put(&format!("/v1/clients/{id}"), &mia);
    assert_eq!((refilled.status, refilled.problem()), (409, "erased"));
    let repeated = salon.api.with("idempotency-key", "mia").post("/v1/clients", &mia);
    assert_eq!((repeated.status, repeated.problem()), (409, "erased"), "what was answered is erased too");
    // She never came, and hears nothing of it.
    let before = stack.outbox().len();
    salon.run_to(&salon.day(4, "15:00"));
    let left = stack.outbox().split_off(before);
    assert!(left.iter().all(|sent| !sent.to_string().contains("Anastasia")), "{left:?}");
    assert!(left.iter().all(|sent| sent["to"] != "+351912349999"), "{left:?}");
    assert_eq!(found(), [""; 0]);
    assert_eq!(stack.messages_in("StreamFailures"), Vec::<String>::new());
}

#[test]
fn tasks_are_assigned_and_listed_by_who_looks_at_them() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let marta = salon.api.post("/v1/staff", &json!({ "name": "Marta" })).id();
    salon.book(&salon.day(1, "15:00"));
    salon.run_to(&salon.day(1, "15:11"));
    let task = salon.tasks()[0]["id"].as_str().unwrap().to_owned();
    let assigned = salon.api.post(&format!("/v1/tasks/{task}/assign"), &json!({ "staff_id": marta })).ok();
    assert_eq!(assigned["assignee"], *marta);
    let of = |query: &str| ids_of(&all_pages(&salon.api, &format!("/v1/tasks?{query}"), 10)).len();
    assert_eq!(
        (of(&format!("assignee={marta}")), of("status=closed"), of("kind=running_late&status=open")),
        (1, 0, 1)
    );
    for body in [json!({}), json!({ "staff_id": "nobody" })] {
        let refused = salon.api.post(&format!("/v1/tasks/{task}/assign"), &body);
        assert_eq!((refused.status, refused.field()), (422, "staff_id"), "{}", refused.text);
    }
    salon.api.post(&format!("/v1/tasks/{task}/close"), &json!({ "outcome": "done" })).ok();
    assert_eq!((of("status=open"), of("status=closed")), (0, 1));
    let closed = salon.api.post(&format!("/v1/tasks/{task}/assign"), &json!({ "staff_id": null }));
    assert_eq!((closed.status, closed.problem()), (409, "task-closed"));
}
