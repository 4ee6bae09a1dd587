use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::ProvideErrorMetadata as _;
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{
    Attachment, Body, Content, Destination, EmailContent, Message, MessageHeader, RawMessage,
};

use super::*;

async fn connected() -> (World, Client) {
    let world = world();
    let url = world.serve("ses").await;
    (world, client!(aws_sdk_sesv2, url))
}

fn text(text: &str) -> Content {
    Content::builder().data(text).build().unwrap()
}

fn message() -> aws_sdk_sesv2::types::builders::MessageBuilder {
    Message::builder()
        .subject(text("Your visit"))
        .body(Body::builder().text(text("See you")).html(text("<p>See you</p>")).build())
}

fn send(client: &Client, message: Message, to: &[&str]) -> SendEmailFluentBuilder {
    let to = to.iter().map(|&address| address.to_owned()).collect();
    client
        .send_email()
        .from_email_address("Salon <hello@example.com>")
        .destination(Destination::builder().set_to_addresses(Some(to)).build())
        .content(EmailContent::builder().simple(message).build())
}

async fn refused(call: SendEmailFluentBuilder) -> (u16, String, String) {
    let error = call.send().await.unwrap_err();
    let status = error.raw_response().unwrap().status().as_u16();
    (status, error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
}

fn header(name: &str, value: &str) -> MessageHeader {
    MessageHeader::builder().name(name).value(value).build().unwrap()
}

#[tokio::test]
async fn an_email_leaves_with_all_it_has() {
    let (world, client) = connected().await;
    let attachment = Attachment::builder()
        .file_name("visit.ics")
        .content_type("text/calendar")
        .raw_content(Blob::new("BEGIN:VCALENDAR"))
        .build()
        .unwrap();
    let message = message().headers(header("X-Message", "m-1")).attachments(attachment).build();
    let sent = send(&client, message, &["Ada <ada@example.net>"])
        .reply_to_addresses("desk@example.com")
        .send()
        .await
        .unwrap();
    let entries = world.services.outbox.entries(None, None);
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(entry.provider_id, sent.message_id().unwrap());
    assert_eq!(
        (entry.to.as_str(), entry.from.as_deref()),
        ("Ada <ada@example.net>", Some("Salon <hello@example.com>"))
    );
    assert_eq!(entry.subject.as_deref(), Some("Your visit"));
    assert_eq!((entry.text.as_deref(), entry.html.as_deref()), (Some("See you"), Some("<p>See you</p>")));
    assert_eq!(entry.attachments[0].name, "visit.ics");
    assert_eq!(entry.attachments[0].content, "QkVHSU46VkNBTEVOREFS");
    let headers: Vec<_> = entry.headers.iter().map(|h| (h.name.as_str(), h.value.as_str())).collect();
    assert_eq!(headers, [("X-Message", "m-1"), ("Reply-To", "desk@example.com")]);
    assert!(entry.at >= at("2030-01-05T00:00:00Z"));
}

#[tokio::test]
async fn a_raw_message_is_read_as_mail_programs_do() {
    let (world, client) = connected().await;
    let raw = "From: Salon <hello@example.com>\r\nTo: ada@example.net\r\nSubject: =?utf-8?B?0JLQuNC30LjRgg==?=\r\n\
               X-Message: m-2\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nUntil tomorrow";
    let content =
        EmailContent::builder().raw(RawMessage::builder().data(Blob::new(raw)).build().unwrap()).build();
    client.send_email().content(content).send().await.unwrap();
    let entry = world.services.outbox.entries(None, Some("ada@example.net")).remove(0);
    assert_eq!(
        (entry.subject.as_deref(), entry.text.as_deref(), entry.html),
        (Some("Визит"), Some("Until tomorrow"), None)
    );
    assert!(entry.headers.iter().any(|h| h.name == "X-Message" && h.value == "m-2"));
}

#[tokio::test]
async fn what_ses_refuses_is_refused_and_does_not_leave() {
    let (world, client) = connected().await;
    let many: Vec<String> = (0..51).map(|n| format!("c{n}@example.net")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let ada = &["ada@example.net"][..];
    let with_header =
        |name: &str, value: &str| send(&client, message().headers(header(name, value)).build(), ada);
    let cases = [
        (send(&client, message().build(), &[]), "BadRequestException", "at least one recipient"),
        (send(&client, message().build(), &many), "BadRequestException", "Recipient count exceeds 50."),
        (send(&client, message().build(), &["ada"]), "BadRequestException", "Missing final '@domain'"),
        (send(&client, message().build(), &["a da@example.net"]), "BadRequestException", "Local address"),
        (
            send(&client, message().build(), ada).from_email_address("boss@elsewhere.org"),
            "MessageRejected",
            "Email address is not verified. The following identities failed the check in region US-EAST-1: boss@elsewhere.org",
        ),
        (with_header("X-Long", &"v".repeat(996)), "BadRequestException", "X-Long"),
        (with_header("X-Text", "Привет"), "BadRequestException", "printable ASCII"),
        (with_header("X:Colon", "v"), "BadRequestException", "X:Colon"),
        (
            send(
                &client,
                message().body(Body::builder().text(text(&"x".repeat(41 << 20))).build()).build(),
                ada,
            ),
            "BadRequestException",
            "Message length",
        ),
    ];
    for (call, code, expected) in cases {
        let (status, told, message) = refused(call).await;
        assert_eq!((status, told.as_str()), (400, code), "{message}");
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
    assert!(world.services.outbox.entries(None, None).is_empty());
    with_header("X-Full", &"v".repeat(990)).send().await.unwrap();
    send(&client, message().build(), ada).from_email_address("other@example.com").send().await.unwrap();
}

#[tokio::test]
async fn rate_and_quota_are_counted_in_the_time_of_the_stack() {
    let (world, client) = connected().await;
    let settings = r#"{"per_second": 2, "daily_quota": 3}"#;
    assert_eq!(world.control("POST", "/providers/email", settings).await.0, StatusCode::OK);
    let mail = || send(&client, message().build(), &["ada@example.net"]);
    let later =
        |seconds: i64| world.clock.advance_to(world.clock.now() + jiff::SignedDuration::from_secs(seconds));
    mail().send().await.unwrap();
    mail().send().await.unwrap();
    let fast = refused(mail()).await;
    assert_eq!(fast, (429, "TooManyRequestsException".into(), "Maximum sending rate exceeded.".into()));
    later(2);
    mail().send().await.unwrap();
    later(2);
    assert_eq!(refused(mail()).await.2, "Daily message quota exceeded.");
    later(86_400);
    mail().send().await.unwrap();
    assert_eq!(world.services.outbox.entries(None, None).len(), 4);
}

#[tokio::test]
async fn ses_fails_throttles_and_loses_answers_when_told_to() {
    let (world, client) = connected().await;
    let mail = || send(&client, message().build(), &["ada@example.net"]);
    let left = || world.services.outbox.entries(None, None).len();
    let tell = |json: &'static str| world.control("POST", "/providers/email", json);

    tell(r#"{"mode": "fail", "for_next": 1}"#).await;
    let failed = refused(mail()).await;
    assert_eq!((failed.0, failed.1.as_str(), left()), (500, "InternalFailure", 0));
    mail().send().await.unwrap();
    assert_eq!(left(), 1);

    tell(r#"{"mode": "throttle"}"#).await;
    assert_eq!(refused(mail()).await.1, "TooManyRequestsException");
    assert_eq!(left(), 1);

    tell(r#"{"mode": "accept_then_fail"}"#).await;
    assert_eq!(refused(mail()).await.0, 500);
    assert_eq!(left(), 2);

    tell(r#"{"mode": "slow", "delay_ms": 300}"#).await;
    let started = std::time::Instant::now();
    mail().send().await.unwrap();
    assert!(started.elapsed().as_millis() >= 300);
    assert_eq!(left(), 3);
}
