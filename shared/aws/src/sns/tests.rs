use serde_json::Value;
use testkit::recorded::{Asked, Recorded};

use super::*;
use crate::testing::{config, message};

const PUBLISHED: &str =
    "<PublishResponse><PublishResult><MessageId>sns-1</MessageId></PublishResult></PublishResponse>";
const MADE: &str = "<CreatePlatformEndpointResponse><CreatePlatformEndpointResult><EndpointArn>arn:e</EndpointArn>\
                    </CreatePlatformEndpointResult></CreatePlatformEndpointResponse>";

fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}

/// The fields of a form.
fn form(asked: &Asked) -> HashMap<String, String> {
    let decode = |text: &str| {
        let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
        while let Some((first, after)) = rest.split_first() {
            let hex =
                after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
            (rest, bytes) = match (first, hex) {
                (b'%', Some(byte)) => (&after[2..], [bytes, vec![byte]].concat()),
                (b'+', _) => (after, [bytes, vec![b' ']].concat()),
                (other, _) => (after, [bytes, vec![*other]].concat()),
            };
        }
        String::from_utf8(bytes).unwrap()
    };
    asked
        .body
        .split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(k, v)| (decode(k), decode(v)))
        .collect()
}

async fn text_to(provider: &Recorded, number: Option<&str>) -> Result<Receipt, ProviderError> {
    let (to, number) = (Address::Sms("+351912345678".parse().unwrap()), number.map(|it| it.parse().unwrap()));
    let content = Content::Sms { text: "See you tomorrow".to_owned() };
    let outgoing =
        Outgoing { message: &message("sms"), to: &to, content: &content, sms_number: number.as_ref() };
    Sms::new(&config(provider)).send(outgoing).await
}

#[tokio::test(flavor = "current_thread")]
async fn s51_an_sms_comes_from_the_number_that_answers_go_to() {
    let provider = Recorded::answering(&[(200, PUBLISHED), (200, PUBLISHED)]);
    assert_eq!(text_to(&provider, Some("+351961000000")).await.unwrap().provider_id, "sns-1");
    text_to(&provider, None).await.unwrap();
    let asked: Vec<_> = provider.asked().iter().map(form).collect();
    let attributes = |form: &HashMap<String, String>| {
        let of = |end: &str| {
            let mut found: Vec<_> = form
                .iter()
                .filter(|(name, _)| name.starts_with("MessageAttributes.") && name.ends_with(end))
                .map(|(_, value)| value.clone())
                .collect();
            found.sort();
            found
        };
        (of(".Name"), of(".StringValue"))
    };
    let (names, values) = attributes(&asked[0]);
    assert_eq!(names, ["AWS.MM.SMS.OriginationNumber", "AWS.SNS.SMS.SMSType"]);
    assert_eq!(values, ["+351961000000", "Transactional"]);
    assert_eq!(attributes(&asked[1]).0, ["AWS.SNS.SMS.SMSType"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_good_phone_is_not_given_up_for_a_bad_text() {
    let long = error("InvalidParameter", "Invalid parameter: Message too long");
    let phone =
        error("InvalidParameter", "Invalid parameter: PhoneNumber Reason: +351 is not valid to publish to");
    let provider = Recorded::answering(&[(400, &long), (400, &phone)]);
    assert!(matches!(text_to(&provider, None).await, Err(ProviderError::Refused(_))));
    assert!(matches!(text_to(&provider, None).await, Err(ProviderError::InvalidAddress(_))));
}

fn device(id: &str, platform: Platform) -> Device {
    Device { id: id.parse().unwrap(), platform, token: format!("token-{id}").parse().unwrap() }
}

fn push(provider: &Recorded) -> Push {
    let applications = Applications { apns: Some("arn:apns".to_owned()), fcm: Some("arn:fcm".to_owned()) };
    Push::new(&config(provider), applications)
}

async fn push_to(push: &Push, devices: &[Device]) -> Result<Receipt, ProviderError> {
    let content = Content::Push {
        title: "Aurora".to_owned(),
        body: "See you tomorrow".to_owned(),
        link: Some("https://aurora.example/app/k".to_owned()),
    };
    let to = Address::Push(devices.to_vec());
    push.send(Outgoing { message: &message("push"), to: &to, content: &content, sms_number: None }).await
}

fn payload_of(asked: &Asked, platform: &str) -> Value {
    let message: Value = serde_json::from_str(&form(asked)["Message"]).unwrap();
    serde_json::from_str(message[platform].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "current_thread")]
async fn a_push_opens_the_booking_in_the_app() {
    let provider = Recorded::answering(&[(200, MADE), (200, PUBLISHED), (200, MADE), (200, PUBLISHED)]);
    let push = push(&provider);
    push_to(&push, &[device("a", Platform::Apns)]).await.unwrap();
    push_to(&push, &[device("f", Platform::Fcm)]).await.unwrap();
    let asked = provider.asked();
    let apns = payload_of(&asked[1], "APNS");
    assert_eq!(
        apns,
        json!({
            "aps": {
                "alert": { "title": "Aurora", "body": "See you tomorrow" }, "sound": "default", "thread-id": "k",
            },
            "link": "https://aurora.example/app/k",
            "data": { "booking_id": "k", "message_id": "m", "type": "reminder" },
        })
    );
    assert_eq!(payload_of(&asked[1], "APNS_SANDBOX"), apns);
    assert_eq!(form(&asked[1])["MessageAttributes.entry.1.Name"], "AWS.SNS.MOBILE.APNS.COLLAPSE_ID");
    let fcm = payload_of(&asked[3], "GCM");
    assert_eq!(
        fcm["fcmV1Message"]["message"],
        json!({
            "notification": { "title": "Aurora", "body": "See you tomorrow" },
            "data": {
                "link": "https://aurora.example/app/k", "booking_id": "k", "message_id": "m", "type": "reminder",
            },
            "android": { "notification": { "tag": "m" } },
        })
    );
}

#[test]
fn a_push_fits_what_apns_and_fcm_take() {
    let message = message("push");
    for body in ["я".repeat(1000), "👍".repeat(1000), "\"\u{1}".repeat(500), "short".to_owned()] {
        let link = format!("https://aurora.example/{}", "x".repeat(1900));
        let note = Note { message: &message, title: "Aurora", body: &body, link: Some(&link) };
        for (platform, name) in [(Platform::Apns, "APNS"), (Platform::Fcm, "GCM")] {
            let payload: Value = serde_json::from_str(&note.payload(platform)).unwrap();
            let length = payload[name].as_str().unwrap().len();
            assert!(length <= MAX_PAYLOAD, "{length}");
            let cut = payload["default"].as_str().unwrap();
            assert!(cut == body || cut.ends_with('…') && length > MAX_PAYLOAD - 64, "{length}: {cut}");
        }
    }
}

/// SNS with one endpoint for each token: those of dead devices are disabled, and `bad` is no token.
fn sns() -> Recorded {
    Recorded::deciding(|asked| {
        let form = form(asked);
        match (form.get("Token").map(String::as_str), form.get("TargetArn")) {
            (Some("token-bad"), _) => {
                (400, error("InvalidParameter", "Invalid parameter: Token Reason: too short"))
            }
            (Some(token), _) => (200, MADE.replace("arn:e", token)),
            (_, Some(arn)) if arn.contains("dead") => {
                (400, error("EndpointDisabled", "Endpoint is disabled"))
            }
            (_, Some(arn)) if arn.contains("slow") => (400, error("Throttled", "Rate exceeded")),
            _ => (200, PUBLISHED.to_owned()),
        }
    })
}

#[tokio::test(flavor = "current_thread")]
async fn one_device_is_enough_and_dead_ones_are_told() {
    let of = |ids: &[&str]| ids.iter().map(|id| device(id, Platform::Apns)).collect::<Vec<_>>();
    let provider = sns();
    let push = push(&provider);
    let receipt = push_to(&push, &of(&["dead", "slow", "alive", "bad"])).await.unwrap();
    let dead: Vec<_> = receipt.dead_devices.iter().map(|id| id.as_str()).collect();
    assert_eq!((receipt.provider_id.as_str(), dead), ("sns-1", vec!["dead", "bad"]));
    assert!(matches!(push_to(&push, &of(&["dead", "bad"])).await, Err(ProviderError::InvalidAddress(_))));
    assert!(matches!(push_to(&push, &of(&["dead", "slow"])).await, Err(ProviderError::Throttled(_))));
    let known: Vec<_> = push.endpoints.lock().unwrap().values().cloned().collect();
    assert!(
        known.len() == 2 && !known.contains(&"token-dead".to_owned()),
        "a dead endpoint is not kept: {known:?}"
    );
}
