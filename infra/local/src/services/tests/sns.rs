use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata as _;
use aws_sdk_sns::types::MessageAttributeValue;

use super::*;
use crate::services::Channel;

const APNS: &str = "arn:aws:sns:us-east-1:000000000000:app/APNS/local";
const GCM: &str = "arn:aws:sns:us-east-1:000000000000:app/GCM/local";

async fn connected() -> (World, Client) {
    let world = world();
    let url = world.serve("sns").await;
    (world, client!(aws_sdk_sns, url))
}

/// Status, error code and message.
macro_rules! refused {
    ($call:expr) => {{
        let error = $call.send().await.unwrap_err();
        let status = error.raw_response().unwrap().status().as_u16();
        (status, error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
    }};
}

async fn endpoint(client: &Client, application: &str, token: &str) -> String {
    let created =
        client.create_platform_endpoint().platform_application_arn(application).token(token).send().await;
    created.unwrap().endpoint_arn().unwrap().to_owned()
}

#[tokio::test]
async fn a_text_message_leaves_with_its_sender() {
    let (world, client) = connected().await;
    let sender = MessageAttributeValue::builder().data_type("String").string_value("SALON").build().unwrap();
    let sent = client
        .publish()
        .phone_number("+15555550100")
        .message("See you <soon> & safely ☀")
        .message_attributes("AWS.SNS.SMS.SenderID", sender)
        .send()
        .await
        .unwrap();
    let entry = world.services.outbox.entries(Some(Channel::Sms), None).remove(0);
    assert_eq!(entry.provider_id, sent.message_id().unwrap());
    assert_eq!((entry.to.as_str(), entry.from.as_deref()), ("+15555550100", Some("SALON")));
    assert_eq!(entry.text.as_deref(), Some("See you <soon> & safely ☀"));
}

#[tokio::test]
async fn text_messages_that_sns_refuses_do_not_leave() {
    let (world, client) = connected().await;
    let wrong_kind =
        MessageAttributeValue::builder().data_type("String").string_value("Urgent").build().unwrap();
    let sms = || client.publish().phone_number("+15555550100");
    let cases = [
        (
            client.publish().phone_number("abc").message("hi"),
            "Invalid parameter: PhoneNumber Reason: abc is not valid to publish to",
        ),
        (client.publish().phone_number("+1234567890123456").message("hi"), "is not valid to publish to"),
        (sms().message(""), "Invalid parameter: Empty message"),
        (sms().message("x".repeat(1601)), "Invalid parameter: Message too long"),
        (sms().message("x").message_attributes("AWS.SNS.SMS.SMSType", wrong_kind), "SMSType"),
        (
            sms().message("not json").message_structure("json"),
            "Message Structure - JSON message body failed to parse",
        ),
        (sms().message(r#"{"sms":"x"}"#).message_structure("json"), "No default entry in JSON message body"),
        (client.publish().message("x"), "TopicArn or TargetArn Reason: no value for required parameter"),
    ];
    for (call, expected) in cases {
        let (status, code, message) = refused!(call);
        assert_eq!((status, code.as_str()), (400, "InvalidParameter"), "{message}");
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
    assert!(world.services.outbox.entries(None, None).is_empty());
    sms().message("я".repeat(1600)).send().await.unwrap();
}

#[tokio::test]
async fn opted_out_numbers_and_the_spend_limit_are_accepted_and_silent() {
    let (world, client) = connected().await;
    let settings = r#"{"per_month": 2, "opted_out": ["+15555550100"]}"#;
    assert_eq!(world.control("POST", "/providers/sms", settings).await.0, StatusCode::OK);
    let sms = |number: &str| client.publish().phone_number(number).message("hi").send();
    let left = || world.services.outbox.entries(None, None).len();

    assert!(
        client
            .check_if_phone_number_is_opted_out()
            .phone_number("+15555550100")
            .send()
            .await
            .unwrap()
            .is_opted_out()
    );
    assert!(sms("+15555550100").await.unwrap().message_id().is_some());
    assert_eq!(left(), 0);
    client.opt_in_phone_number().phone_number("+15555550100").send().await.unwrap();
    assert!(
        !client
            .check_if_phone_number_is_opted_out()
            .phone_number("+15555550100")
            .send()
            .await
            .unwrap()
            .is_opted_out()
    );
    for _ in 0..3 {
        sms("+15555550100").await.unwrap();
    }
    assert_eq!(left(), 2);
    world.clock.advance_to(at("2030-02-01T00:00:00Z"));
    sms("+15555550100").await.unwrap();
    assert_eq!(left(), 3);
}

#[tokio::test]
async fn endpoints_are_created_once_per_token_and_attributes() {
    let (_world, client) = connected().await;
    let first = endpoint(&client, APNS, "token-1").await;
    assert!(first.starts_with("arn:aws:sns:us-east-1:000000000000:endpoint/APNS/local/"), "{first}");
    assert_eq!(endpoint(&client, APNS, "token-1").await, first);
    assert_ne!(endpoint(&client, GCM, "token-1").await, first);
    let other_data = client
        .create_platform_endpoint()
        .platform_application_arn(APNS)
        .token("token-1")
        .custom_user_data("client 7");
    let (status, code, message) = refused!(other_data);
    assert_eq!((status, code.as_str()), (400, "InvalidParameter"));
    assert_eq!(
        message,
        format!(
            "Invalid parameter: Token Reason: Endpoint {first} already exists with the same Token, but different attributes."
        )
    );
    let nowhere = client.create_platform_endpoint().platform_application_arn(format!("{APNS}-2")).token("t");
    assert_eq!(refused!(nowhere), (404, "NotFound".into(), "PlatformApplication does not exist".into()));
}

#[tokio::test]
async fn endpoint_attributes_are_read_changed_and_deleted() {
    let (_world, client) = connected().await;
    let arn = endpoint(&client, GCM, "token-1").await;
    client
        .set_endpoint_attributes()
        .endpoint_arn(&arn)
        .attributes("Token", "token-2")
        .attributes("Enabled", "false")
        .attributes("CustomUserData", "a & b")
        .send()
        .await
        .unwrap();
    let shown = client.get_endpoint_attributes().endpoint_arn(&arn).send().await.unwrap();
    let attributes = shown.attributes().unwrap();
    assert_eq!(
        ["Token", "Enabled", "CustomUserData"].map(|name| attributes[name].as_str()),
        ["token-2", "false", "a & b"]
    );
    client.delete_endpoint().endpoint_arn(&arn).send().await.unwrap();
    client.delete_endpoint().endpoint_arn(&arn).send().await.unwrap();
    let missing = refused!(client.get_endpoint_attributes().endpoint_arn(&arn));
    assert_eq!(missing, (404, "NotFound".into(), "Endpoint does not exist".into()));
    let missing = refused!(client.publish().target_arn(&arn).message("hi"));
    let expected = "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified";
    assert_eq!(missing, (400, "InvalidParameter".into(), expected.into()));
}

#[tokio::test]
async fn a_push_message_is_shown_as_its_platform_gets_it() {
    let (world, client) = connected().await;
    let message = serde_json::json!({
        "default": "Your visit",
        "APNS": r#"{"aps":{"alert":{"title":"Tomorrow","body":"At 10:00"}}}"#,
        "GCM": r#"{"fcmV1Message":{"message":{"notification":{"title":"Morgen","body":"Um 10"}}}}"#,
    });
    for (application, token) in [(APNS, "apple"), (GCM, "android")] {
        let arn = endpoint(&client, application, token).await;
        client
            .publish()
            .target_arn(arn)
            .message(message.to_string())
            .message_structure("json")
            .send()
            .await
            .unwrap();
    }
    let apple = world.services.outbox.entries(Some(Channel::Push), Some("apple")).remove(0);
    assert_eq!(
        (apple.platform.as_deref(), apple.subject.as_deref(), apple.text.as_deref()),
        (Some("APNS"), Some("Tomorrow"), Some("At 10:00"))
    );
    assert_eq!(apple.payload.unwrap()["aps"]["alert"]["body"], "At 10:00");
    let android = world.services.outbox.entries(None, Some("android")).remove(0);
    assert_eq!((android.subject.as_deref(), android.text.as_deref()), (Some("Morgen"), Some("Um 10")));
}

#[tokio::test]
async fn push_messages_that_sns_refuses_do_not_leave() {
    let (world, client) = connected().await;
    let arn = endpoint(&client, APNS, "token-1").await;
    let push = |message: String| client.publish().target_arn(&arn).message(message);
    let malformed = push(r#"{"default":"x","APNS":"not json"}"#.to_owned()).message_structure("json");
    assert!(refused!(malformed).2.contains("Invalid notification for protocol APNS"));
    assert_eq!(refused!(push("x".repeat(262_145))).2, "Invalid parameter: Message too long");
    client.set_endpoint_attributes().endpoint_arn(&arn).attributes("Enabled", "false").send().await.unwrap();
    assert_eq!(
        refused!(push("hi".to_owned())),
        (400, "EndpointDisabled".into(), "Endpoint is disabled".into())
    );
    assert!(world.services.outbox.entries(None, None).is_empty());
}

#[tokio::test]
async fn sms_and_push_fail_apart_from_each_other() {
    let (world, client) = connected().await;
    world.control("POST", "/providers/sms", r#"{"mode": "throttle"}"#).await;
    world.control("POST", "/providers/push", r#"{"mode": "fail"}"#).await;
    let arn = endpoint(&client, APNS, "token-1").await;
    let sms = refused!(client.publish().phone_number("+15555550100").message("hi"));
    assert_eq!(sms, (400, "Throttling".into(), "Rate exceeded".into()));
    let push = refused!(client.publish().target_arn(arn).message("hi"));
    assert_eq!((push.0, push.1.as_str()), (500, "InternalFailure"));
    assert!(world.services.outbox.entries(None, None).is_empty());
}
