//! What integrations are told: a receiver on this machine that checks signatures by itself, and the bus.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::Sha256;
use testkit::recorded::{Asked, Recorded};

use crate::http::Http;
use crate::salon::{Salon, TOKYO};
use crate::stack::{Stack, list, wait_until};

/// What a receiver got.
struct Got {
    id: String,
    second: i64,
    body: Value,
}

/// Reads a post, whose signature must be by one of these secrets.
#[track_caller]
fn got(asked: &Asked, secrets: &[&str]) -> Got {
    let header = |name: &str| {
        let line =
            asked.head.lines().find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name));
        line.unwrap_or_else(|| panic!("no {name}: {}", asked.head)).1.to_owned()
    };
    let (id, second) = (header("webhook-id"), header("webhook-timestamp"));
    let signed = |secret: &&str| {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{second}.{}", asked.body).as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    let expected: BTreeSet<String> = secrets.iter().map(signed).collect();
    let signatures = header("webhook-signature");
    assert_eq!(signatures.split(' ').map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    Got { second: second.parse().unwrap(), body: serde_json::from_str(&asked.body).unwrap(), id }
}

#[track_caller]
fn webhook(api: &Http, receiver: &Recorded, types: Value) -> (String, String) {
    let made =
        api.post("/v1/webhooks", &json!({ "url": format!("{}/hook", receiver.url()), "types": types })).ok();
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

#[track_caller]
fn deliveries(api: &Http, webhook: &str) -> Vec<Value> {
    list(api.get(&format!("/v1/webhooks/{webhook}/deliveries")).ok()["items"].clone())
}

#[test]
fn a_receiver_is_told_signed_and_again_until_it_takes_it_and_so_is_the_bus() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let mut answers = vec![500, 503, 301, 204].into_iter();
    let receiver = Recorded::deciding(move |_| (answers.next().unwrap_or(204), String::new()));
    let (id, secret) = webhook(&salon.api, &receiver, json!(["booking.*"]));
    let booking = salon.book(&salon.day(2, "15:00"));
    stack.run_on(SignedDuration::from_hours(1));
    let asked = receiver.asked();
    let told: Vec<Got> = asked.iter().map(|asked| got(asked, &[&secret])).collect();
    assert_eq!(told.len(), 4, "three were not taken");
    for (again, first) in told[1..].iter().zip(&told) {
        assert_eq!((&again.id, &again.body), (&first.id, &first.body));
        assert!(again.second > first.second, "each attempt has its own time");
    }
    let waited: Vec<i64> = told.windows(2).map(|pair| pair[1].second - pair[0].second).collect();
    for (waited, (least, most)) in waited.iter().zip([(4, 7), (240, 361), (1440, 2161)]) {
        assert!((least..=most).contains(waited), "{waited} seconds");
    }
    let event = &told[0].body;
    assert_eq!((&event["type"], &event["id"]), (&json!("booking.created"), &json!(told[0].id)));
    assert_eq!(event["data"]["id"], json!(booking));
    let read = salon.api.get(&format!("/v1/bookings/{booking}")).ok();
    assert_eq!(event["data"], read, "the thing as the API shows it");

    let [delivery] = &deliveries(&salon.api, &id)[..] else { panic!("one delivery") };
    let statuses: Vec<&Value> =
        delivery["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(
        (&delivery["state"], statuses),
        (&json!("delivered"), vec![&json!(500), &json!(503), &json!(301), &json!(204)])
    );

    let on_bus = list(stack.control.get("/events").ok());
    let created: Vec<&Value> =
        on_bus.iter().filter(|event| event["detail_type"] == "booking.created").collect();
    assert_eq!(created.len(), 1);
    assert_eq!((&created[0]["detail"], &created[0]["source"]), (event, &json!("booking-notifications")));
    assert_eq!(created[0]["bus"], "local-events");
    let accepted = on_bus.iter().find(|event| event["detail_type"] == "message.accepted").unwrap();
    assert!(!accepted["detail"].to_string().contains(&salon.client.phone), "{accepted}");

    // Both secrets sign while one is changed.
    let rotated = salon.api.post(&format!("/v1/webhooks/{id}/rotate-secret"), &json!({})).ok();
    let new = rotated["secret"].as_str().unwrap();
    salon.try_to(&booking, "cancel", json!({})).ok();
    stack.settle();
    let told: Vec<Got> = receiver.asked().iter().map(|asked| got(asked, &[&secret, new])).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].body["type"], "booking.cancelled");
    assert_eq!(salon.api.get(&format!("/v1/webhooks/{id}")).ok().get("secret"), None);
}

#[test]
fn a_receiver_is_tried_out_asked_again_switched_off_and_taken_away() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let api = &salon.api;
    let mut answers = vec![204, 204, 410].into_iter();
    let receiver = Recorded::deciding(move |_| (answers.next().unwrap_or(204), String::new()));
    let (id, secret) = webhook(api, &receiver, json!(["task.*"]));
    let tried = api.post(&format!("/v1/webhooks/{id}/test"), &json!({})).ok();
    stack.settle();
    let told = got(&receiver.asked()[0], &[&secret]);
    assert_eq!((told.body["type"].as_str(), &tried["event_id"]), (Some("webhook.test"), &json!(told.id)));
    let delivery = format!("/v1/webhooks/{id}/deliveries/{}", tried["id"].as_str().unwrap());
    assert_eq!(api.get(&delivery).ok()["state"], "delivered");
    api.post(&format!("{delivery}/retry"), &json!({})).ok();
    stack.settle();
    assert_eq!(got(&receiver.asked()[0], &[&secret]).id, told.id, "the same event");

    api.post(&format!("{delivery}/retry"), &json!({})).ok();
    stack.settle();
    let off = api.get(&format!("/v1/webhooks/{id}")).ok();
    assert_eq!((&off["enabled"], &off["switched_off"]["reason"]), (&json!(false), &json!("gone")));
    assert_eq!(receiver.asked().len(), 1);
    let tasks = list(api.get("/v1/tasks").ok()["items"].clone());
    let kinds: Vec<&Value> = tasks.iter().map(|task| &task["kind"]).collect();
    assert_eq!(kinds, [&json!("webhook_switched_off")]);
    let refused = api.post(&format!("/v1/webhooks/{id}/test"), &json!({}));
    assert_eq!((refused.status, refused.problem()), (409, "webhook-off"));
    assert_eq!(receiver.asked().len(), 0, "not even of the task");

    assert_eq!(
        api.patch(&format!("/v1/webhooks/{id}"), &json!({ "enabled": true })).ok()["enabled"],
        json!(true)
    );
    api.post(&format!("/v1/webhooks/{id}/test"), &json!({})).ok();
    stack.settle();
    assert_eq!(receiver.asked().len(), 1);
    assert_eq!(api.send("DELETE", &format!("/v1/webhooks/{id}"), "").status, 204);
    assert_eq!(api.send("DELETE", &format!("/v1/webhooks/{id}"), "").status, 404);
    assert_eq!(api.get("/v1/webhooks").ok()["items"], json!([]));
}

#[test]
fn who_dies_after_the_post_has_it_posted_again_with_the_same_id() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let receiver = Recorded::deciding(|_| (204, String::new()));
    let (id, secret) = webhook(&salon.api, &receiver, json!(["booking.created"]));
    stack.fault("kill", json!({ "function": "deliver-webhook", "when": "before", "operation": "PutItem" }));
    salon.post_booking(&salon.booking(&salon.day(2, "15:00")));
    stack.wait_for_deaths("deliver-webhook", 1);
    wait_until("it has been posted", || deliveries(&salon.api, &id).len() == 1);
    assert_eq!(deliveries(&salon.api, &id)[0]["state"], "pending");
    stack.run_on(SignedDuration::from_mins(10));
    let told: Vec<Got> = receiver.asked().iter().map(|asked| got(asked, &[&secret])).collect();
    assert_eq!((told.len(), &told[0].id), (2, &told[1].id));
    assert_eq!(deliveries(&salon.api, &id)[0]["state"], "delivered");
}

#[test]
fn what_leads_into_a_private_network_is_refused_and_nobody_sees_anothers_webhooks() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let stranger = stack.api.with_key(&stack.business("Another", TOKYO));
    for url in [
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/",
        "https://[fd00::1]/",
        "https://printer.local/",
        "http://crm.example.com/",
        "https://user@crm.example.com/",
        "nonsense",
    ] {
        let refused = salon.api.post("/v1/webhooks", &json!({ "url": url }));
        assert_eq!((refused.status, refused.field()), (422, "url"), "{url}");
    }
    let receiver = Recorded::deciding(|_| (204, String::new()));
    let (id, _) = webhook(&salon.api, &receiver, json!(["*"]));
    for (method, path) in [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/rotate-secret"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
        ("GET", "/deliveries/1795428000-x"),
        ("POST", "/deliveries/1795428000-x/retry"),
    ] {
        let answer = stranger.send(method, &format!("/v1/webhooks/{id}{path}"), "{}");
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
    }
    salon.book(&salon.day(2, "15:00"));
    assert!(receiver.asked().len() > 1, "messages too");
}
