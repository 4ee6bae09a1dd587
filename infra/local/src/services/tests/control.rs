use serde_json::json;

use super::*;
use crate::services::{Channel, Entry};

fn sms(world: &World, to: &str, text: &str) {
    let mut entry = Entry::new(world.clock.now(), Channel::Sms, to.to_owned(), "id".to_owned());
    entry.text = Some(text.to_owned());
    world.services.outbox.record(entry);
}

#[tokio::test]
async fn time_is_told_and_moved() {
    let world = world();
    world.schedule("one", "at(2030-01-05T08:00:00)", "hello").await;
    let (status, answer) = world.control("POST", "/time/run-to", r#"{"to": "2030-01-06T00:00:00Z"}"#).await;
    assert_eq!(status, StatusCode::OK);
    let fired = json!([{
        "name": "one", "group": "bookings", "scheduled_at": "2030-01-05T08:00:00Z", "queue": QUEUE, "outcome": "sent",
    }]);
    assert_eq!(answer["fired"], fired);
    let (_, answer) = world.control("GET", "/time", "").await;
    assert!(answer["now"].as_str().unwrap().starts_with("2030-01-06T00:00:0"), "{answer}");
    let (status, answer) = world.control("POST", "/time/run-to", r#"{"to": "2030-01-05T00:00:00Z"}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["error"].as_str().unwrap().contains("has passed already"), "{answer}");
}

#[tokio::test]
async fn the_pages_buttons_move_time_and_lead_back() {
    let world = world();
    world.schedule("one", "at(2030-01-09T08:00:00)", "hello").await;
    assert_eq!(world.control("POST", "/time/advance", "by=1d").await.0, StatusCode::SEE_OTHER);
    assert!(world.clock.now() >= at("2030-01-06T00:00:00Z"));
    assert_eq!(world.control("POST", "/time/advance", "by=next").await.0, StatusCode::SEE_OTHER);
    assert_eq!(world.queues.bodies(), ["hello"]);
    assert_eq!(world.control("POST", "/time/advance", "by=year").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pending_schedules_are_listed_by_time() {
    let world = world();
    world.schedule("later", "at(2030-01-07T08:00:00)", "2").await;
    world.schedule("sooner", "cron(0 8 * * ? *)", "1").await;
    let (_, answer) = world.control("GET", "/schedules", "").await;
    let expected = json!([
        { "name": "sooner", "group": "bookings", "next_fire": "2030-01-05T08:00:00Z", "expression": "cron(0 8 * * ? *)", "target": QUEUE, "input": "1" },
        { "name": "later", "group": "bookings", "next_fire": "2030-01-07T08:00:00Z", "expression": "at(2030-01-07T08:00:00)", "target": QUEUE, "input": "2" },
    ]);
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn the_outbox_is_filtered_and_cleared() {
    let world = world();
    sms(&world, "+1", "first");
    sms(&world, "+2", "second");
    sms(&world, "+1", "third");
    let texts = |answer: Value| -> Vec<String> {
        answer.as_array().unwrap().iter().map(|entry| entry["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(world.control("GET", "/outbox", "").await.1), ["first", "second", "third"]);
    assert_eq!(texts(world.control("GET", "/outbox?channel=sms&to=%2B1", "").await.1), ["first", "third"]);
    assert!(texts(world.control("GET", "/outbox?channel=email", "").await.1).is_empty());
    let (status, answer) = world.control("GET", "/outbox?channel=fax", "").await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::BAD_REQUEST, &json!("channel is email, sms, push, whatsapp or telegram, not \"fax\""))
    );
    assert_eq!(world.control("DELETE", "/outbox", "").await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.control("GET", "/outbox", "").await.1, json!([]));
}

#[tokio::test]
async fn the_outbox_is_written_to_a_file_and_read_back_when_kept() {
    let world = world();
    sms(&world, "+1", "kept");
    let again = |keep| {
        let mut config = world.services.config.clone();
        config.keep = keep;
        Services::new(world.clock.clone(), world.queues.clone(), config).outbox.entries(None, None)
    };
    assert_eq!(again(true), world.services.outbox.entries(None, None));
    assert!(again(false).is_empty());
    assert!(again(true).is_empty());
}

#[tokio::test]
async fn providers_are_shown_as_they_were_told() {
    let world = world();
    let told = r#"{"mode": "fail", "share": 0.5, "for_next": 3, "delay_ms": 10}"#;
    let (status, answer) = world.control("POST", "/providers/sms", told).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["mode"], "fail");
    let (_, report) = world.control("GET", "/providers", "").await;
    assert_eq!(report["sms"]["share"], 0.5);
    assert_eq!(report["email"]["mode"], "ok");
    assert_eq!(report["email"]["daily_quota"], 50_000);
    for (path, body, status) in [
        ("/providers/fax", "{}", StatusCode::NOT_FOUND),
        ("/providers/sms", r#"{"mode": "explode"}"#, StatusCode::BAD_REQUEST),
        ("/providers/sms", r#"{"shere": 1}"#, StatusCode::BAD_REQUEST),
        ("/providers/sms", r#"{"share": 2}"#, StatusCode::BAD_REQUEST),
        ("/providers/sms", r#"{"daily_quota": 2}"#, StatusCode::BAD_REQUEST),
        ("/nowhere", "", StatusCode::NOT_FOUND),
        ("/time", "", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (told, answer) = world.control("POST", path, body).await;
        assert_eq!(told, status, "{path} {body}");
        assert!(answer["error"].as_str().is_some_and(|error| !error.contains('\n')), "{answer}");
    }
}

#[tokio::test]
async fn a_request_for_no_known_service_is_told_so() {
    let world = world();
    let request = Request::builder().uri("/").body(Body::empty()).unwrap();
    let response = world.services.aws_router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}
