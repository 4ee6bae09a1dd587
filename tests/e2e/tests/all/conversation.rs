//! What clients write back, messengers, and what staff sends by hand.

use serde_json::{Value, json};

use crate::salon::{Salon, TOKYO};
use crate::stack::{Stack, list};

/// Asks every client to confirm a day before, on one channel.
fn ask_by(salon: &Salon<'_>, channel: &str) {
    let rule = json!({ "enabled": true, "steps": [{ "timing": "1d before start", "channels": [channel] }] });
    salon.api.put("/v1/rules/confirmation_request", &rule).ok();
}

/// A booking whose client was asked to confirm.
#[track_caller]
fn asked(salon: &Salon<'_>, day: i64, time: &str) -> String {
    let booking = salon.book(&salon.day(day, time));
    salon.change(&booking, "request-confirmation", json!({}));
    assert_eq!(salon.timeline(&booking)["booking"]["confirmation"], "requested");
    booking
}

#[track_caller]
fn write(stack: &Stack, channel: &str, from: &str, text: &str) {
    stack.control.post(&format!("/inbound/{channel}"), &json!({ "from": from, "text": text })).ok();
    stack.settle();
}

#[track_caller]
fn conversation(salon: &Salon<'_>) -> Vec<Value> {
    list(salon.api.get(&format!("/v1/clients/{}/conversation", salon.client.id)).ok()["items"].take())
}

#[test]
fn s51_a_client_answers_by_sms_and_staff_writes_back() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    ask_by(&salon, "sms");
    let comes = asked(&salon, 2, "15:00");
    write(&stack, "sms", &salon.client.phone, "Yes!");
    assert_eq!(salon.timeline(&comes)["booking"]["confirmation"], "confirmed");
    let stays = asked(&salon, 3, "15:00");
    write(&stack, "sms", &salon.client.phone, "нет");
    assert_eq!(salon.timeline(&stays)["booking"]["status"], "cancelled");
    write(&stack, "sms", &salon.client.phone, "no");
    assert_eq!(salon.timeline(&comes)["booking"]["status"], "confirmed", "of that nobody asked any more");

    write(&stack, "sms", &salon.client.phone, "Is there parking?");
    let tasks = salon.tasks();
    let task = tasks.iter().find(|task| task["text"] == "Is there parking?").expect("a task");
    assert_eq!(task["kind"], "client_reply");
    let said = conversation(&salon);
    let texts: Vec<&str> = said.iter().map(|entry| entry["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Is there parking?", "no", "нет", "Yes!"], "the latest first");
    assert_eq!(said[3]["booking_id"], comes);

    let path = format!("/v1/clients/{}/conversation", salon.client.id);
    salon.api.post(&path, &json!({ "channel": "sms", "text": "Behind the house." })).ok();
    stack.settle();
    let left = salon.sent("sms", &salon.client.phone);
    assert!(left.last().unwrap()["text"].as_str().unwrap().contains("Behind the house."), "{left:?}");
    assert_eq!(conversation(&salon)[0]["from"], "staff");
    assert_eq!(stack.messages_in("FeedbackDlq"), Vec::<String>::new());
}

#[test]
fn a_stop_holds_until_a_start() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    write(&stack, "sms", &salon.client.phone, "STOP");
    let first = salon.book(&salon.day(2, "15:00"));
    assert!(
        salon.statuses(&first, "booking_created").contains(&"sms suppressed address_suppressed".to_owned())
    );
    write(&stack, "sms", &salon.client.phone, "Start");
    let second = salon.book(&salon.day(3, "15:00"));
    assert!(salon.statuses(&second, "booking_created").contains(&"sms accepted".to_owned()));
    assert_eq!(salon.sent("sms", &salon.client.phone).len(), 1);
}

const TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const CHAT: &str = "700100200";

/// The salon's bot, and a chat of its client with it.
#[track_caller]
fn with_telegram(salon: &Salon<'_>) {
    let bot = json!({ "name": "aurora_salon_bot", "token": TOKEN });
    let set = salon.api.put("/v1/telegram-bot", &bot).ok();
    let webhook = json!({ "token": TOKEN, "url": set["webhook"]["url"], "secret_token": set["webhook"]["secret_token"] });
    salon.stack.control.put("/telegram/webhook", &webhook).ok();
    let path = format!("/v1/clients/{}/telegram-invitation", salon.client.id);
    let invitation = salon.api.post(&path, &json!({})).ok();
    let url = invitation["url"].as_str().unwrap();
    let code = url.strip_prefix("https://t.me/aurora_salon_bot?start=").expect("a link to the bot");
    let hello = json!({ "from": CHAT, "to": TOKEN, "text": format!("/start {code}") });
    salon.stack.control.post("/inbound/telegram", &hello).ok();
    salon.stack.settle();
}

/// Presses a button under the last message to the chat.
#[track_caller]
fn press(stack: &Stack, sent: &Value, button: &str) {
    let id = sent["provider_id"].as_str().unwrap();
    stack.control.post(&format!("/outbox/{id}/press"), &json!({ "button": button })).ok();
    stack.settle();
}

#[test]
fn s66_a_client_confirms_and_cancels_by_buttons_in_telegram() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    with_telegram(&salon);
    ask_by(&salon, "telegram");
    let comes = asked(&salon, 2, "15:00");
    assert_eq!(salon.statuses(&comes, "confirmation_request")[0], "telegram accepted");
    let sent = salon.sent("telegram", CHAT);
    press(&stack, sent.last().unwrap(), "Confirm the visit");
    assert_eq!(salon.timeline(&comes)["booking"]["confirmation"], "confirmed");
    let stays = asked(&salon, 3, "15:00");
    let sent = salon.sent("telegram", CHAT);
    press(&stack, sent.last().unwrap(), "Cancel the visit");
    press(&stack, sent.last().unwrap(), "Cancel the visit");
    assert_eq!(salon.timeline(&stays)["booking"]["status"], "cancelled");

    let wrong = stack.api.with("x-telegram-bot-api-secret-token", "guessed");
    let business = salon.api.get("/v1/business").ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(wrong.post(&format!("/telegram/{business}"), &json!({ "update_id": 1 })).status, 401);

    stack.control.post("/inbound/telegram", &json!({ "from": CHAT, "to": TOKEN, "blocks": true })).ok();
    stack.settle();
    let next = salon.book(&salon.day(4, "15:00"));
    salon.change(&next, "request-confirmation", json!({}));
    assert!(
        salon
            .statuses(&next, "confirmation_request")
            .contains(&"telegram suppressed address_suppressed".to_owned()),
        "{:?}",
        salon.statuses(&next, "confirmation_request")
    );
}

#[test]
fn s66_a_client_is_written_to_by_whatsapp_and_answers() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let business = salon.api.get("/v1/business").ok()["id"].as_str().unwrap().to_owned();
    stack.admin(&[
        "assign-number",
        "--business",
        &business,
        "--whatsapp",
        "phone-number-id-976c72a700aac43eaf573ae050example",
    ]);
    let template = json!({ "confirmation_request": {
        "name": "visit_confirmation", "languages": { "en": "en_GB" }, "asks": true,
        "parameters": ["{{ client.name }}", "{{ booking.date }}"],
    } });
    salon.api.patch("/v1/business", &json!({ "whatsapp_templates": template })).ok();
    ask_by(&salon, "whatsapp");
    let comes = asked(&salon, 2, "15:00");
    let sent = salon.sent("whatsapp", &salon.client.phone);
    assert_eq!(sent.len(), 1, "{:?}", stack.outbox());
    let template = sent[0]["template"].to_string();
    assert!(template.contains("visit_confirmation") && template.contains("Maria Silva"), "{template}");
    let tell = |event: &str| {
        let id = sent[0]["provider_id"].as_str().unwrap();
        stack.control.post(&format!("/outbox/{id}/feedback"), &json!({ "event": event })).ok();
        stack.settle();
    };
    tell("read");
    tell("delivered");
    let status = |booking: &str| salon.statuses(booking, "confirmation_request")[0].clone();
    assert_eq!(status(&comes), "whatsapp read");
    let path = format!("/v1/clients/{}/conversation", salon.client.id);
    let answer = json!({ "channel": "whatsapp", "text": "You are welcome." });
    assert_eq!(
        salon.api.post(&path, &answer).status,
        409,
        "the client has not written: only a template may begin"
    );
    let id = sent[0]["provider_id"].as_str().unwrap();
    stack.control.post(&format!("/outbox/{id}/reply"), &json!({ "text": "yes" })).ok();
    stack.settle();
    assert_eq!(salon.timeline(&comes)["booking"]["confirmation"], "confirmed");
    salon.api.post(&path, &answer).ok();
    stack.settle();
    let sent = salon.sent("whatsapp", &salon.client.phone);
    assert_eq!(sent.last().unwrap()["text"], "You are welcome.");
}

#[test]
fn s67_staff_sends_by_hand_what_we_have_written() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    ask_by(&salon, "assisted");
    let booking = asked(&salon, 2, "15:00");
    let status = || salon.statuses(&booking, "confirmation_request")[0].clone();
    assert_eq!(status(), "assisted accepted");
    let tasks = salon.tasks();
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    let links: Vec<&str> =
        tasks[0]["links"].as_array().unwrap().iter().map(|it| it["app"].as_str().unwrap()).collect();
    assert_eq!(links, ["whatsapp", "telegram", "sms", "email"]);
    let text = tasks[0]["text"].as_str().unwrap();
    assert!(text.starts_with("Salon Aurora: Will you come for Haircut"), "{text}");
    let task = tasks[0]["id"].as_str().unwrap();
    salon.api.post(&format!("/v1/tasks/{task}/close"), &json!({ "outcome": "done" })).ok();
    stack.settle();
    assert_eq!(status(), "assisted delivered");
}
