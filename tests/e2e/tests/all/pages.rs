//! Clients' own pages, opened by the links that left in messages.

use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::salon::{Salon, TOKYO};
use crate::stack::Stack;

/// The pages as a browser asks for them.
fn browser(stack: &Stack) -> Http {
    Http::new(stack.api.base()).with("content-type", "application/x-www-form-urlencoded")
}

/// The paths of the pages that a text leads to, in its order.
#[track_caller]
fn paths_in(stack: &Stack, text: &str) -> Vec<String> {
    let base = stack.api.base();
    let links = text.split(|c: char| c.is_whitespace() || c == '"').filter(|word| word.contains("/c/"));
    let paths: Vec<String> = links
        .map(|link| link.strip_prefix(base).unwrap_or_else(|| panic!("{link} is not at {base}")).to_owned())
        .collect();
    assert!(!paths.is_empty(), "no link in {text}");
    paths
}

/// The path of the page behind a label of the last e-mail that a client got.
#[track_caller]
fn path_behind(salon: &Salon<'_>, label: &str) -> String {
    let left = salon.sent("email", &salon.client.email);
    let text = left.last().unwrap()["text"].as_str().unwrap().to_owned();
    let line = text.lines().find(|line| line.starts_with(&format!("{label}: ")));
    let line = line.unwrap_or_else(|| panic!("no {label} in {text}"));
    paths_in(salon.stack, line).remove(0)
}

#[track_caller]
fn opened(page: &Answer) -> &str {
    assert_eq!(page.status, 200, "{}", page.text);
    assert_eq!(page.content_type, "text/html; charset=utf-8");
    &page.text
}

/// Sends a page's form, with the time that the page shows; where the browser is led then.
#[track_caller]
fn send(pages: &Http, path: &str, fields: &str) -> String {
    let page = pages.get(path).text;
    let seen = page.split("name=\"seen\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let body = seen.map_or(fields.to_owned(), |seen| format!("{fields}&seen={seen}"));
    let answer = pages.send("POST", path, body);
    assert_eq!(answer.status, 303, "{}", answer.text);
    format!("/c/{}", answer.location)
}

fn booking(salon: &Salon<'_>, id: &str) -> Value {
    salon.api.get(&format!("/v1/bookings/{id}")).ok()
}

/// A salon whose reminders by sms ask to confirm (S73), and a visit on its third day, of which its client was reminded.
#[track_caller]
fn reminded(stack: &Stack) -> (Salon<'_>, String, String) {
    let salon = Salon::open(stack, TOKYO);
    let rule = json!({
        "enabled": true, "confirmation_link": true,
        "steps": [{ "timing": "1d before start", "channels": ["sms"] }],
    });
    salon.api.put("/v1/rules/reminder", &rule).ok();
    let id = salon.book(&salon.day(3, "15:00"));
    salon.run_to(&salon.day(2, "15:05"));
    let left = salon.sent("sms", &salon.client.phone);
    let path = paths_in(stack, left.last().unwrap()["text"].as_str().unwrap()).remove(0);
    (salon, id, path)
}

#[test]
fn s53_s73_the_link_in_a_reminder_confirms_when_its_button_is_pressed_and_not_before() {
    let stack = Stack::start();
    let (salon, id, path) = reminded(&stack);
    let pages = browser(&stack);
    let before = stack.rows();
    let page = pages.get(&path);
    assert!(opened(&page).contains("Will you come?") && page.text.contains("Haircut"), "{}", page.text);
    // Mail programs and messengers look at links before their readers do.
    pages.get(&path);
    stack.settle();
    assert_eq!(stack.rows(), before);
    let there = send(&pages, &path, "answer=yes");
    assert_eq!(booking(&salon, &id)["confirmation"], "confirmed");
    assert!(opened(&pages.get(&there)).contains("Thank you, we expect you"));
    stack.settle();
    let confirmed = stack.rows();
    send(&pages, &path, "answer=yes");
    stack.settle();
    assert_eq!(stack.rows(), confirmed, "the same again is no news");
}

#[test]
fn s53_a_visit_is_called_off_by_the_link_in_an_email_and_its_time_is_free() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let id = salon.book(&salon.day(3, "15:00"));
    let path = path_behind(&salon, "Cancel the visit");
    let pages = browser(&stack);
    assert!(opened(&pages.get(&path)).contains("Cancel your visit?"));
    // What was not seen is not called off.
    let blind = pages.send("POST", &path, "seen=77");
    assert_eq!((blind.status, booking(&salon, &id)["status"].as_str()), (303, Some("confirmed")));
    assert!(pages.get(&format!("/c/{}", blind.location)).text.contains("Please look again"));
    let there = send(&pages, &path, "");
    assert_eq!(booking(&salon, &id)["status"], "cancelled");
    assert!(opened(&pages.get(&there)).contains("Your visit is cancelled"));
    stack.settle();
    let told = salon.statuses(&id, "booking_cancelled");
    assert!(told.contains(&"email accepted".to_owned()), "{told:?}");
    // Sent again it does nothing new, and the time can be taken.
    let again = pages.send("POST", &path, "seen=1");
    assert_eq!(again.status, 303);
    salon.book(&salon.day(3, "15:00"));
}

#[test]
fn s53_a_wish_for_another_time_is_a_task_and_the_visit_can_be_taken_into_a_calendar() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let id = salon.book(&salon.day(3, "15:00"));
    let pages = browser(&stack);
    let path = path_behind(&salon, "Ask for another time");
    let wrong = pages.send("POST", &path, "date=&words=");
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains("Please choose a day") && wrong.text.contains("aria-invalid=\"true\""));
    let wished = salon.day(4, "18:30");
    let there = send(&pages, &path, &format!("date={}&time=18:30&words=or+later", wished.date()));
    assert!(opened(&pages.get(&there)).contains("We have your request"));
    let tasks = salon.tasks();
    let task = tasks.iter().find(|task| task["kind"] == "reschedule_request").expect("a task");
    assert_eq!(task["text"], format!("{} 18:30, or later", wished.date()));
    assert_eq!(task["booking_id"], id);
    assert_eq!(booking(&salon, &id)["revision"], 1);

    let file = pages.get(&path_behind(&salon, "Add to calendar"));
    assert_eq!((file.status, file.content_type.as_str()), (200, "text/calendar; charset=utf-8"));
    let starts = salon.day(3, "15:00").timestamp().strftime("DTSTART:%Y%m%dT%H%M%SZ").to_string();
    assert!(file.text.contains(&format!("UID:{id}@")) && file.text.contains(&starts), "{}", file.text);
}

#[test]
fn s74_a_low_review_is_kept_once_and_is_a_task() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    salon.api.patch("/v1/business", &json!({ "tip_url": "https://tips.example/aurora" })).ok();
    let id = salon.book(&salon.day(1, "15:00"));
    salon.run_to(&salon.day(1, "15:00"));
    salon.change(&id, "arrive", json!({}));
    salon.run_to(&salon.day(1, "15:45"));
    salon.change(&id, "complete", json!({}));
    salon.run_to(&salon.day(1, "18:00"));
    let pages = browser(&stack);
    let path = path_behind(&salon, "Leave a review");
    assert!(opened(&pages.get(&path)).contains("How was your visit?"));
    assert_eq!(pages.send("POST", &path, "text=cold+coffee").status, 422, "no rating");
    let there = send(&pages, &path, "rating=2&text=cold+coffee");
    let page = pages.get(&there);
    assert!(opened(&page).contains("Thank you for your review"));
    assert!(page.text.contains("https://tips.example/aurora"));
    let rows = stack.rows();
    send(&pages, &path, "rating=5&text=no");
    assert_eq!(stack.rows(), rows, "what was said stands");
    let tasks = salon.tasks();
    let low: Vec<&Value> = tasks.iter().filter(|task| task["kind"] == "low_rating").collect();
    assert_eq!(low.len(), 1);
    assert_eq!(low[0]["text"], "2/5 cold coffee");
}

/// The links to the client's own settings that a text of the salon's own brings.
#[track_caller]
fn own_links(salon: &Salon<'_>) -> (String, String) {
    let text = "{{ links.preferences }} {{ links.unsubscribe }}";
    let template = json!({ "texts": [{ "channel": "sms", "locale": "en", "text": text }], "blocks": [] });
    salon.api.put("/v1/templates/booking_created", &template).ok();
    salon.book(&salon.day(3, "15:00"));
    let left = salon.sent("sms", &salon.client.phone);
    let mut paths = paths_in(salon.stack, left.last().unwrap()["text"].as_str().unwrap());
    let unsubscribe = paths.remove(1);
    (paths.remove(0), unsubscribe)
}

#[test]
fn s43_a_mail_program_unsubscribes_with_one_click_and_a_client_chooses_what_to_hear() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let client = || salon.api.get(&format!("/v1/clients/{}", salon.client.id)).ok();
    let mut card = json!({ "name": "Maria Silva", "phone": salon.client.phone, "email": salon.client.email });
    card["marketing_consent"] = json!(true);
    salon.api.put(&format!("/v1/clients/{}", salon.client.id), &card).ok();
    let (preferences, unsubscribe) = own_links(&salon);
    let pages = browser(&stack);
    assert!(opened(&pages.get(&unsubscribe)).contains("No more news and offers?"));
    assert_eq!(client()["marketing_consent"], true, "looking at the page does nothing");
    // RFC 8058 §3.2: no cookie, no confirmation, and either encoding.
    let boundary = "multipart/form-data; boundary=x";
    let parts =
        "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    for (encoding, body) in
        [("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"), (boundary, parts)]
    {
        let done =
            Http::new(stack.api.base()).with("content-type", encoding).send("POST", &unsubscribe, body);
        assert!(opened(&done).contains("You are unsubscribed"));
        assert_eq!(client()["marketing_consent"], false);
    }

    let there = send(&pages, &preferences, "marketing=on&channel=email&channel=push");
    assert!(opened(&pages.get(&there)).contains("Your settings are saved."));
    assert_eq!(client()["marketing_consent"], true);
    assert_eq!(client()["opt_outs"], json!(["sms", "whatsapp"]));
    // Staff edits the card, and the client's own choice stays.
    salon.api.put(&format!("/v1/clients/{}", salon.client.id), &card).ok();
    assert_eq!(client()["opt_outs"], json!(["sms", "whatsapp"]));
    stack.settle();
    let reminders = salon.book(&salon.day(4, "15:00"));
    let told = salon.statuses(&reminders, "reminder");
    assert!(told.contains(&"sms suppressed opt_out".to_owned()), "{told:?}");
    assert!(told.contains(&"push planned".to_owned()), "{told:?}");
}

#[test]
fn s53_a_link_that_was_changed_is_anothers_or_is_over_opens_nothing() {
    let stack = Stack::start();
    let (salon, id, path) = reminded(&stack);
    let pages = browser(&stack);
    let flip = |at: usize| {
        let mut changed: Vec<char> = path.chars().collect();
        changed[at] = if changed[at] == 'A' { 'B' } else { 'A' };
        changed.into_iter().collect::<String>()
    };
    let all: Vec<String> = ["/c/".len(), "/c/".len() + 8, path.len() - 1].map(flip).into();
    for changed in all.iter().map(String::as_str).chain(["/c/x", "/c/%2E%2E"]) {
        for method in ["GET", "POST"] {
            let answer = pages.send(method, changed, "answer=no&seen=1");
            assert_eq!(answer.status, 404, "{method} {changed}");
            assert!(answer.text.contains("This link does not work"), "{}", answer.text);
            assert!(!answer.text.contains("Aurora"), "it says nothing of what there is");
        }
    }
    // In the reader's own language, where nothing is known of the reader.
    let russian = pages.with("accept-language", "ru-RU,ru;q=0.9").get("/c/x");
    assert!(russian.text.contains("Эта ссылка не работает") && russian.text.contains("lang=\"ru\""));
    assert_eq!(booking(&salon, &id)["status"], "confirmed");
    assert_eq!(pages.send("POST", &path, "x".repeat(40_000)).status, 413);

    // When the visit has begun there is nothing to confirm, and when its day is over no page.
    salon.run_to(&salon.day(3, "15:01"));
    assert!(opened(&pages.get(&path)).contains("This cannot be changed here any more"));
    salon.run_to(&salon.day(4, "12:00"));
    let over = pages.get(&path);
    assert_eq!(over.status, 410);
    assert!(over.text.contains("This link has expired") && over.text.contains("Salon Aurora"));
    assert_eq!(pages.send("POST", &path, "answer=no&seen=1").status, 410);

    // A neighbour's links are signed with the neighbour's keys.
    let neighbour = Salon::open(&stack, TOKYO);
    neighbour.book(&neighbour.day(3, "15:00"));
    let theirs = path_behind(&neighbour, "Cancel the visit");
    assert_eq!(pages.get(&theirs).status, 200);
    let signature = theirs.len() - 16;
    let mixed = format!("{}{}", &path[..path.len() - 16], &theirs[signature..]);
    assert_eq!(pages.get(&mixed).status, 404);
}
