use serde_json::json;

use super::*;
use crate::services::{Channel, Entry};

fn left(world: &World, channel: Channel, to: &str) -> String {
    let entry = Entry::new(world.clock.now(), channel, to.to_owned(), "m-1-a".to_owned());
    let id = entry.id.clone();
    world.services.outbox.record(entry);
    id
}

fn meta(event: &Value) -> Value {
    let entry: Value = serde_json::from_str(event["whatsAppWebhookEntry"].as_str().unwrap()).unwrap();
    entry["changes"][0]["value"].clone()
}

#[tokio::test]
async fn a_reply_by_sms_says_which_message_it_follows() {
    let world = listening_world(Vec::new());
    let id = left(&world, Channel::Sms, "+15555550100");
    let (status, _) = world.control("POST", &format!("/outbox/{id}/reply"), r#"{"text": "Yes"}"#).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let [message] = &world.taken(FEEDBACK)[..] else { panic!("not one message") };
    assert_eq!(
        (&message["originationNumber"], &message["messageBody"]),
        (&json!("+15555550100"), &json!("Yes"))
    );
    assert_eq!(message["previousPublishedMessageId"], "m-1-a");
    assert_eq!(message["destinationNumber"], "+12065550100");
    assert!(message["inboundMessageId"].is_string() && message["messageKeyword"].is_string());
}

#[tokio::test]
async fn stop_opts_a_number_out_and_start_in_again() {
    let world = listening_world(Vec::new());
    let send = |text: &str| {
        let body = json!({ "from": "+15555550100", "text": text, "times": 2 }).to_string();
        let world = &world;
        async move { world.control("POST", "/inbound/sms", &body).await }
    };
    for (text, opted_out) in [("stop", true), ("hello", true), (" START ", false), ("please stop", false)] {
        assert_eq!(send(text).await.1, json!({ "told": 2 }));
        assert_eq!(world.services.sns.opted_out().contains("+15555550100"), opted_out, "{text}");
        let messages = world.taken(FEEDBACK);
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0], messages[1], "a duplicate is the same message");
        assert_eq!(messages[0]["messageBody"], text);
    }
}

#[tokio::test]
async fn the_topic_is_the_only_one_or_the_one_named() {
    let world = world();
    let body = r#"{"from": "+15555550100", "text": "yes"}"#;
    let (status, answer) = world.control("POST", "/inbound/sms", body).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("no queue listens to a topic")));
    let world = listening_world(Vec::new());
    assert_eq!(world.control("POST", "/inbound/sms", body).await.0, StatusCode::ACCEPTED);
    for (topic, status) in [("Feedback", StatusCode::ACCEPTED), ("Other", StatusCode::BAD_REQUEST)] {
        let body = json!({ "from": "+15555550100", "text": "yes", "topic": topic }).to_string();
        assert_eq!(world.control("POST", "/inbound/sms", &body).await.0, status);
    }
}

#[tokio::test]
async fn whatsapp_statuses_name_the_message_by_both_its_ids() {
    let world = listening_world(Vec::new());
    let id = left(&world, Channel::Whatsapp, "+15555550100");
    for status in ["sent", "delivered", "read", "failed"] {
        let body = json!({ "event": status, "reason": "131049" }).to_string();
        world.control("POST", &format!("/outbox/{id}/feedback"), &body).await;
        let [event] = &world.taken(FEEDBACK)[..] else { panic!("not one event") };
        assert_eq!(
            (&event["messageId"], &event["aws_account_id"]),
            (&json!("m-1-a"), &json!("000000000000"))
        );
        let told = &meta(event)["statuses"][0];
        assert_eq!((&told["status"], &told["recipient_id"]), (&json!(status), &json!("15555550100")));
        assert_eq!(told["id"], "wamid.M1A");
        let code = told.pointer("/errors/0/code");
        assert_eq!(code, (status == "failed").then(|| json!(131_049)).as_ref());
    }
}

#[tokio::test]
async fn whatsapp_replies_carry_text_or_a_pressed_button() {
    let world = listening_world(Vec::new());
    let message = json!({
        "messaging_product": "whatsapp",
        "to": "+15555550100",
        "type": "template",
        "template": {
            "name": "reminder",
            "language": { "code": "en_US" },
            "components": [
                { "type": "body", "parameters": [{ "type": "text", "text": "Ada" }, { "type": "text", "text": "10:00" }] },
                { "type": "button", "sub_type": "quick_reply", "index": "0",
                  "parameters": [{ "type": "payload", "payload": "confirm:1" }] },
            ],
        },
    });
    let id = super::social::sent(&world, &message).await;
    world.pass(1, &Idle).await;
    world.taken(FEEDBACK);
    world.control("POST", &format!("/outbox/{id}/press"), r#"{"button": "confirm:1"}"#).await;
    world.control("POST", &format!("/outbox/{id}/reply"), r#"{"text": "thanks"}"#).await;
    let [pressed, replied] = &world.taken(FEEDBACK)[..] else { panic!("not two events") };
    let pressed = &meta(pressed)["messages"][0];
    assert_eq!(pressed["button"], json!({ "payload": "confirm:1", "text": "button 0" }));
    assert_eq!((&pressed["type"], &pressed["from"]), (&json!("button"), &json!("15555550100")));
    let wamid = format!("wamid.{}", id.replace('-', "").to_uppercase());
    assert_eq!(pressed["context"]["id"], wamid.as_str());
    let replied = &meta(replied)["messages"][0];
    assert_eq!((&replied["text"]["body"], &replied["context"]["id"]), (&json!("thanks"), &json!(wamid)));
    let (status, _) = world.control("POST", &format!("/outbox/{id}/press"), r#"{"button": "no"}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    world.control("POST", "/inbound/whatsapp", r#"{"from": "+15555550177", "text": "hi"}"#).await;
    let unasked = &meta(&world.taken(FEEDBACK)[0])["messages"][0];
    assert_eq!((&unasked["from"], unasked.get("context")), (&json!("15555550177"), None));
}
