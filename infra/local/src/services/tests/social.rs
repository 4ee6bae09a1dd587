use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::*;
use crate::services::{Channel, MessageTemplate};

async fn send(world: &World, message: &Value) -> (u16, Value) {
    let body = json!({
        "originationPhoneNumberId": "phone-number-id-0123456789abcdef",
        "message": BASE64_STANDARD.encode(message.to_string()),
        "metaApiVersion": "v20.0",
    });
    world.call("social-messaging", "/v1/whatsapp/send", &body).await
}

/// Sends a message that is taken; tells its id.
pub(super) async fn sent(world: &World, message: &Value) -> String {
    let (status, answer) = send(world, message).await;
    assert_eq!(status, 200, "{answer}");
    answer["messageId"].as_str().unwrap().to_owned()
}

fn text(to: &str, body: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": body } })
}

#[tokio::test]
async fn a_template_leaves_readable_and_is_sent_and_delivered() {
    let world = listening_world(Vec::new());
    let message = json!({
        "messaging_product": "whatsapp",
        "to": "+15555550100",
        "type": "template",
        "biz_opaque_callback_data": "our-name",
        "template": {
            "name": "reminder",
            "language": { "code": "ru" },
            "components": [{ "type": "body", "parameters": [{ "type": "text", "text": "Ada" }] }],
        },
    });
    let id = sent(&world, &message).await;
    let [entry] = &world.services.outbox.entries(Some(Channel::Whatsapp), None)[..] else { panic!() };
    assert_eq!((entry.to.as_str(), &entry.provider_id), ("+15555550100", &id));
    let template = MessageTemplate {
        name: "reminder".to_owned(),
        language: "ru".to_owned(),
        parameters: vec!["Ada".to_owned()],
    };
    assert_eq!(entry.template, Some(template));
    world.pass(1, &Idle).await;
    let events = world.taken(FEEDBACK);
    assert_eq!(events.len(), 2);
    assert!(events[0]["whatsAppWebhookEntry"].as_str().unwrap().contains("\"status\":\"sent\""));
    let delivered = events[1]["whatsAppWebhookEntry"].as_str().unwrap();
    assert!(delivered.contains("\"status\":\"delivered\""));
    assert!(delivered.contains("\"biz_opaque_callback_data\":\"our-name\""));
}

#[tokio::test]
async fn whatsapp_messages_that_are_refused_do_not_leave() {
    let world = listening_world(Vec::new());
    let good = BASE64_STANDARD.encode(text("+15555550100", "hi").to_string());
    let phone = "phone-number-id-1";
    for (body, code, message) in [
        (
            json!({ "originationPhoneNumberId": "1", "message": good, "metaApiVersion": "v20.0" }),
            400,
            "pattern",
        ),
        (json!({ "originationPhoneNumberId": phone, "message": good, "metaApiVersion": "20" }), 400, "v20.0"),
        (
            json!({ "originationPhoneNumberId": phone, "message": "?", "metaApiVersion": "v20.0" }),
            400,
            "base64",
        ),
        (json!({ "originationPhoneNumberId": phone, "metaApiVersion": "v20.0" }), 400, "0 bytes"),
    ] {
        let (status, answer) = world.call("social-messaging", "/v1/whatsapp/send", &body).await;
        assert_eq!(status, code);
        assert!(answer["message"].as_str().unwrap().contains(message), "{answer}");
    }
    for (message, expected) in [
        (json!({ "to": "+15555550100" }), "messaging_product must be whatsapp"),
        (text("Ada", "hi"), "to is not a phone number"),
        (text("+15555550100", ""), "text.body is empty"),
        (text("+15555550100", &"x".repeat(4097)), "longer than 4096"),
        (
            json!({ "messaging_product": "whatsapp", "to": "+15555550100", "type": "template", "template": {} }),
            "template needs name and language.code",
        ),
    ] {
        let (status, answer) = send(&world, &message).await;
        assert_eq!(status, 400);
        assert!(answer["message"].as_str().unwrap().contains(expected), "{answer}");
    }
    assert!(world.services.outbox.entries(None, None).is_empty());
}

#[tokio::test]
async fn errors_come_on_demand() {
    let world = listening_world(Vec::new());
    let message = text("+15555550100", "hi");
    for (told, status) in [
        (r#"{"mode": "throttle"}"#, 429),
        (r#"{"mode": "fail"}"#, 500),
        (r#"{"mode": "refuse", "error": "AccessDeniedByMetaException"}"#, 403),
        (r#"{"mode": "refuse", "error": "InvalidParametersException"}"#, 400),
        (r#"{"mode": "refuse", "error": "DependencyException"}"#, 502),
    ] {
        assert_eq!(world.control("POST", "/providers/whatsapp", told).await.0, StatusCode::OK);
        assert_eq!(send(&world, &message).await.0, status, "{told}");
    }
    assert_eq!(
        world.control("POST", "/providers/whatsapp", r#"{"mode": "refuse"}"#).await.0,
        StatusCode::BAD_REQUEST
    );
    world.control("POST", "/providers/whatsapp", r#"{"per_second": 2}"#).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(send(&world, &message).await.0);
    }
    assert_eq!(statuses, [200, 200, 429], "above its rate it throttles");
    world.pass(2, &Idle).await;
    assert_eq!(send(&world, &message).await.0, 200);
}
