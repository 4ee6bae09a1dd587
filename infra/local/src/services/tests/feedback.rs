use std::io::Read as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::*;
use crate::services::Entry;

/// Sends an e-mail by the configuration set `mail`; tells its message id.
async fn mail(world: &World, to: &str) -> String {
    let body = json!({
        "FromEmailAddress": "Salon <hello@example.com>",
        "Destination": { "ToAddresses": [to] },
        "Content": { "Simple": { "Subject": { "Data": "Visit" }, "Body": { "Text": { "Data": "See you" } } } },
        "ConfigurationSetName": "mail",
        "EmailTags": [{ "Name": "business", "Value": "b-1" }, { "Name": "message", "Value": "m_1" }],
    });
    let (status, answer) = world.call("ses", "/v2/email/outbound-emails", &body).await;
    assert_eq!(status, 200, "{answer}");
    answer["MessageId"].as_str().unwrap().to_owned()
}

async fn sms(world: &World, to: &str) -> String {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("Action", "Publish"), ("PhoneNumber", to), ("Message", "hi")])
        .finish();
    let request = Request::builder().method("POST").uri("/").header(SERVICE_HEADER, "sns");
    let response =
        world.services.aws_router().oneshot(request.body(Body::from(form)).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let text = String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
    text.split(['<', '>']).skip_while(|part| *part != "MessageId").nth(1).unwrap().to_owned()
}

/// What CloudWatch Logs hands to a function.
fn logged(event: &Value) -> Value {
    let bytes = BASE64_STANDARD.decode(event["awslogs"]["data"].as_str().unwrap()).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The line of the only log event.
fn line(event: &Value) -> Value {
    let data = logged(event);
    assert_eq!(data["logEvents"].as_array().unwrap().len(), 1);
    serde_json::from_str(data["logEvents"][0]["message"].as_str().unwrap()).unwrap()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["eventType"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_accepted_email_is_sent_and_delivered_with_its_tags() {
    let world = listening_world(Vec::new());
    let id = mail(&world, "Ada <ada@example.net>").await;
    assert!(world.taken(FEEDBACK).is_empty(), "not before the function could write down what it sent");
    world.pass(1, &Idle).await;
    let events = world.taken(FEEDBACK);
    assert_eq!(kinds(&events), ["Send", "Delivery"]);
    for event in &events {
        let mail = &event["mail"];
        assert_eq!((&mail["messageId"], &mail["destination"]), (&json!(id), &json!(["ada@example.net"])));
        assert_eq!(mail["tags"]["business"], json!(["b-1"]));
        assert_eq!(mail["tags"]["message"], json!(["m_1"]));
        assert_eq!(mail["tags"]["ses:configuration-set"], json!(["mail"]));
        assert_eq!(mail["commonHeaders"]["subject"], "Visit");
        assert!(mail["timestamp"].as_str().unwrap().starts_with("2030-01-05T00:00:0"));
    }
    assert_eq!(events[0]["send"], json!({}));
    assert_eq!(events[1]["delivery"]["recipients"], json!(["ada@example.net"]));
    let (_, entry) = world.control("GET", &format!("/outbox/{id}"), "").await;
    assert_eq!(entry["feedback"], json!(["sent", "delivered"]));
}

#[tokio::test]
async fn every_event_of_an_email_can_be_told_on_demand() {
    let world = listening_world(Vec::new());
    world.control("POST", "/feedback/email", r#"{"events": []}"#).await;
    let id = mail(&world, "ada@example.net").await;
    world.pass(1, &Idle).await;
    assert!(world.taken(FEEDBACK).is_empty(), "told to tell nothing");
    for (body, kind, path, expected) in [
        (r#"{"event": "bounced"}"#, "Bounce", "/bounce/bounceType", "Permanent"),
        (r#"{"event": "bounced", "reason": "NoEmail"}"#, "Bounce", "/bounce/bounceSubType", "NoEmail"),
        (r#"{"event": "soft_bounced"}"#, "Bounce", "/bounce/bounceType", "Transient"),
        (
            r#"{"event": "soft_bounced", "reason": "MailboxFull"}"#,
            "Bounce",
            "/bounce/bounceSubType",
            "MailboxFull",
        ),
        (r#"{"event": "complained"}"#, "Complaint", "/complaint/complaintFeedbackType", "abuse"),
        (r#"{"event": "rejected"}"#, "Reject", "/reject/reason", "Bad content"),
        (r#"{"event": "opened"}"#, "Open", "/open/ipAddress", "192.0.2.1"),
    ] {
        let (status, answer) = world.control("POST", &format!("/outbox/{id}/feedback"), body).await;
        assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "told": 1 })), "{body}");
        let events = world.taken(FEEDBACK);
        assert_eq!(kinds(&events), [kind], "{body}");
        assert_eq!(events[0].pointer(path).unwrap(), expected, "{body}");
    }
    for (body, expected) in [
        (r#"{"event": "bounced", "reason": "MailboxFull"}"#, "a Permanent bounce is General, NoEmail"),
        (r#"{"event": "opened", "tmes": 2}"#, "unknown field tmes"),
        (r#"{"event": "read"}"#, "email knows sent, delivered, bounced, soft_bounced"),
    ] {
        let (status, answer) = world.control("POST", &format!("/outbox/{id}/feedback"), body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["error"].as_str().unwrap().starts_with(expected), "{answer}");
    }
    let (status, _) = world.control("POST", "/outbox/nothing/feedback", r#"{"event": "opened"}"#).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn feedback_comes_late_twice_and_in_the_wrong_order_when_told_to() {
    let world = listening_world(Vec::new());
    let policy = r#"{"reverse": true, "times": 2, "after_ms": 60000}"#;
    assert_eq!(world.control("POST", "/feedback/email", policy).await.0, StatusCode::OK);
    mail(&world, "ada@example.net").await;
    world.pass(50, &Idle).await;
    assert!(world.taken(FEEDBACK).is_empty());
    world.pass(20, &Idle).await;
    assert_eq!(kinds(&world.taken(FEEDBACK)), ["Delivery", "Delivery", "Send", "Send"]);

    let id = mail(&world, "ada@example.net").await;
    let late = r#"{"event": "opened", "at": "2030-01-05T00:00:30Z", "after_ms": 3600000, "times": 3}"#;
    world.control("POST", &format!("/outbox/{id}/feedback"), late).await;
    assert_eq!(world.control("GET", "/feedback", "").await.1["pending"], 3 + 4);
    world.pass(3_700, &Idle).await;
    let opened: Vec<Value> =
        world.taken(FEEDBACK).into_iter().filter(|event| event["eventType"] == "Open").collect();
    assert_eq!(opened.len(), 3);
    assert_eq!(opened[0]["open"]["timestamp"], "2030-01-05T00:00:30.000Z", "it tells when it happened");
}

#[tokio::test]
async fn a_share_of_the_emails_bounces_by_a_seed() {
    let world = listening_world(Vec::new());
    let policy = r#"{"events": ["bounced"], "share": 0.5, "seed": 3}"#;
    world.control("POST", "/feedback/email", policy).await;
    for _ in 0..14 {
        mail(&world, "ada@example.net").await;
    }
    world.pass(1, &Idle).await;
    let events = world.taken(FEEDBACK);
    let count = |kind: &str| kinds(&events).iter().filter(|one| **one == kind).count();
    assert_eq!(count("Bounce") + count("Delivery"), 14, "the rest is delivered");
    assert!((3..=11).contains(&count("Bounce")), "{}", count("Bounce"));
}

#[tokio::test]
async fn ses_test_addresses_bounce_and_complain() {
    let world = listening_world(Vec::new());
    for (to, expected) in [
        ("bounce@simulator.amazonses.com", &["Send", "Bounce"][..]),
        ("complaint@simulator.amazonses.com", &["Send", "Delivery", "Complaint"]),
    ] {
        mail(&world, to).await;
        world.pass(2, &Idle).await;
        assert_eq!(kinds(&world.taken(FEEDBACK)), expected);
    }
}

#[tokio::test]
async fn a_configuration_set_must_exist_and_tags_be_plain() {
    let world = listening_world(Vec::new());
    let body = |set: Option<&str>, tag: &str| {
        json!({
            "FromEmailAddress": "hello@example.com",
            "Destination": { "ToAddresses": ["ada@example.net"] },
            "Content": { "Simple": { "Subject": { "Data": "x" }, "Body": { "Text": { "Data": "x" } } } },
            "ConfigurationSetName": set,
            "EmailTags": [{ "Name": "message", "Value": tag }],
        })
    };
    let path = "/v2/email/outbound-emails";
    let (status, answer) = world.call("ses", path, &body(Some("none"), "m")).await;
    assert_eq!((status, &answer["message"]), (404, &json!("Configuration set <none> does not exist.")));
    assert_eq!(world.call("ses", path, &body(Some("mail"), "a b")).await.0, 400);
    assert_eq!(world.call("ses", path, &body(None, "m")).await.0, 200);
    world.pass(1, &Idle).await;
    assert!(world.taken(FEEDBACK).is_empty(), "no configuration set, no events");
}

#[tokio::test]
async fn a_text_message_is_logged_and_the_function_gets_the_line() {
    let world = listening_world(Vec::new());
    let stack = Watching::default();
    let id = sms(&world, "+15555550100").await;
    world.pass(1, &stack).await;
    let [(function, event)] = &stack.invoked()[..] else { panic!("{:?}", stack.invoked()) };
    assert_eq!(function, FUNCTION);
    let data = logged(event);
    assert_eq!(data["messageType"], "DATA_MESSAGE");
    assert_eq!(data["owner"], "000000000000");
    assert_eq!(data["logGroup"], "sns/us-east-1/000000000000/DirectPublishToPhoneNumber");
    assert_eq!(data["subscriptionFilters"], json!(["lines"]));
    assert_eq!(data["logEvents"][0]["id"].as_str().unwrap().len(), 56);
    let line = line(event);
    assert_eq!(line["status"], "SUCCESS");
    assert_eq!(line["notification"]["messageId"], id.as_str());
    assert!(line["notification"]["timestamp"].as_str().unwrap().starts_with("2030-01-05 00:00:0"));
    assert_eq!(line["delivery"]["destination"], "+15555550100");
    assert_eq!(line["delivery"]["providerResponse"], "Message has been accepted by phone carrier");
}

#[tokio::test]
async fn a_text_message_that_is_not_delivered_is_logged_with_the_reason() {
    let world = listening_world(Vec::new());
    let stack = Watching::default();
    let policy = r#"{"events": ["failed"], "reason": "Blocked as spam by phone carrier"}"#;
    for (channel, told, reason) in [
        ("providers", r#"{"opted_out": ["+15555550100"]}"#, "Phone number is opted out"),
        ("providers", r#"{"per_month": 0, "opted_out": []}"#, "No quota left for account"),
        ("providers", r#"{"per_month": 9}"#, ""),
        ("feedback", policy, "Blocked as spam by phone carrier"),
    ] {
        assert_eq!(world.control("POST", &format!("/{channel}/sms"), told).await.0, StatusCode::OK);
        if reason.is_empty() {
            continue;
        }
        sms(&world, "+15555550100").await;
        world.pass(1, &stack).await;
        let (_, event) = stack.invoked().pop().unwrap();
        assert!(logged(&event)["logGroup"].as_str().unwrap().ends_with("/Failure"));
        let line = line(&event);
        assert_eq!(
            (&line["status"], &line["delivery"]["providerResponse"]),
            (&json!("FAILURE"), &json!(reason))
        );
    }
    assert_eq!(world.services.outbox.entries(None, None).len(), 1, "only the last one left");
}

#[tokio::test]
async fn lines_of_one_moment_reach_the_function_together() {
    let world = listening_world(Vec::new());
    let stack = Watching::default();
    let id = sms(&world, "+15555550100").await;
    let body = r#"{"event": "delivered", "after_ms": 1000, "times": 150}"#;
    world.control_around(Arc::new(Idle), "POST", &format!("/outbox/{id}/feedback"), body).await;
    world.pass(2, &stack).await;
    let sizes: Vec<usize> = stack
        .invoked()
        .iter()
        .map(|(_, event)| logged(event)["logEvents"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [1, 100, 50]);
}

#[tokio::test]
async fn a_failed_invocation_is_tried_twice_more_and_then_told() {
    let world = listening_world(Vec::new());
    let stack = Watching::default();
    stack.fail(true);
    sms(&world, "+15555550100").await;
    for (seconds, invocations) in [(1, 1), (58, 1), (3, 2), (115, 2), (10, 3), (600, 3)] {
        world.pass(seconds, &stack).await;
        assert_eq!(stack.invoked().len(), invocations, "after {seconds} s more");
    }
    let [record] = &world.taken(FAILURES)[..] else { panic!("not one record") };
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(record["requestPayload"], stack.invoked()[0].1);
    assert_eq!(record["responsePayload"]["errorMessage"], "no");
}

#[tokio::test]
async fn a_device_that_cannot_be_reached_is_told_and_disabled() {
    let world = listening_world(Vec::new());
    let url = world.serve("sns").await;
    let client = client!(aws_sdk_sns, url);
    let application = "arn:aws:sns:us-east-1:000000000000:app/APNS/local";
    let created =
        client.create_platform_endpoint().platform_application_arn(application).token("t").send().await;
    let endpoint = created.unwrap().endpoint_arn().unwrap().to_owned();
    let sent = client.publish().target_arn(&endpoint).message("hi").send().await.unwrap();
    let id = sent.message_id().unwrap();
    world.pass(1, &Idle).await;
    assert!(world.taken(FEEDBACK).is_empty(), "nothing is told of a push that went well");
    world.control("POST", &format!("/outbox/{id}/feedback"), r#"{"event": "failed"}"#).await;
    let [event] = &world.taken(FEEDBACK)[..] else { panic!("not one event") };
    assert_eq!((&event["EventType"], &event["EndpointArn"]), (&json!("DeliveryFailure"), &json!(endpoint)));
    assert_eq!((&event["Resource"], &event["MessageId"]), (&json!(application), &json!(id)));
    assert_eq!(event["FailureType"], "InvalidPlatformToken");
    let again = client.publish().target_arn(&endpoint).message("hi").send().await.unwrap_err();
    assert!(again.into_service_error().is_endpoint_disabled_exception());

    // Also by itself, while SNS still holds the message.
    client
        .set_endpoint_attributes()
        .endpoint_arn(&endpoint)
        .attributes("Enabled", "true")
        .send()
        .await
        .unwrap();
    world.control("POST", "/feedback/push", r#"{"events": ["failed"]}"#).await;
    client.publish().target_arn(&endpoint).message("hi").send().await.unwrap();
    world.pass(1, &Idle).await;
    assert_eq!(world.taken(FEEDBACK).len(), 1);
}

#[tokio::test]
async fn without_raw_delivery_a_queue_gets_the_envelope_of_sns() {
    let world = world_with(|config| {
        config.topics = vec![Topic {
            logical_id: "Feedback".to_owned(),
            arn: TOPIC.to_owned(),
            subscriptions: vec![Subscription {
                logical_id: "ToQueue".to_owned(),
                queue_arn: FEEDBACK.to_owned(),
                raw: false,
            }],
        }];
    });
    world.control("POST", "/inbound/sms", r#"{"from": "+15555550100", "text": "yes"}"#).await;
    let [envelope] = &world.taken(FEEDBACK)[..] else { panic!("not one message") };
    assert_eq!((&envelope["Type"], &envelope["TopicArn"]), (&json!("Notification"), &json!(TOPIC)));
    let message: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    assert_eq!(message["messageBody"], "yes");
}

#[tokio::test]
async fn a_journey_waits_for_the_feedback_of_what_left_on_it() {
    let world = listening_world(Vec::new());
    mail(&world, "ada@example.net").await;
    let soon = world.clock.now() + jiff::SignedDuration::from_millis(50);
    let fired = world.services.run_to(&Idle, soon).await.unwrap();
    assert!(fired.is_empty());
    assert_eq!(kinds(&world.taken(FEEDBACK)), ["Send", "Delivery"]);
}

#[tokio::test]
async fn the_page_shows_what_became_of_a_message_and_what_more_may() {
    let world = listening_world(Vec::new());
    let id = sms(&world, "+15555550100").await;
    let entry: Entry = world.services.outbox.find(&id).unwrap();
    let request = Request::builder()
        .method("POST")
        .uri(format!("/outbox/{}/reply", entry.id))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("text=yes+please"))
        .unwrap();
    let response = world.services.control_router(Arc::new(Idle)).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "a form leads back to the page");
    assert_eq!(world.taken(FEEDBACK)[0]["messageBody"], "yes please");
    let request = Request::builder().uri("/").body(Body::empty()).unwrap();
    let response = world.services.control_router(Arc::new(Idle)).oneshot(request).await.unwrap();
    let page = String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
    assert!(page.contains("delivered · replied: yes please"), "{page}");
    assert!(page.contains(&format!("action=\"/outbox/{}/feedback\"", entry.id)));
    assert!(page.contains("name=\"event\" value=\"failed\""));
}
