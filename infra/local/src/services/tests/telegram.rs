use serde_json::json;

use super::*;
use crate::services::Channel;

const BOT: &str = "/bot123:AB-c";

async fn bot(world: &World, method: &str, body: Value) -> (u16, Value) {
    world.call("telegram", &format!("{BOT}/{method}"), &body).await
}

async fn hooked() -> (World, Arc<Watching>) {
    let world = listening_world(Vec::new());
    let hook = json!({ "url": "https://api.example.com/telegram/b-1?x=1", "secret_token": "s-1" });
    let (status, answer) = bot(&world, "setWebhook", hook).await;
    assert_eq!((status, &answer["description"]), (200, &json!("Webhook was set")));
    (world, Arc::new(Watching::default()))
}

fn question() -> Value {
    json!({
        "chat_id": 77,
        "text": "Will you come?",
        "reply_markup": { "inline_keyboard": [[
            { "text": "Yes", "callback_data": "confirm:1" },
            { "text": "No", "callback_data": "cancel:1" },
        ]] },
    })
}

#[tokio::test]
async fn a_message_leaves_with_its_buttons() {
    let world = listening_world(Vec::new());
    let (status, answer) = bot(&world, "sendMessage", question()).await;
    assert_eq!((status, &answer["ok"]), (200, &json!(true)));
    let result = &answer["result"];
    assert_eq!((&result["chat"]["id"], &result["text"]), (&json!(77), &json!("Will you come?")));
    assert_eq!(result["from"]["username"], "local_123_bot");
    let [entry] = &world.services.outbox.entries(Some(Channel::Telegram), Some("77"))[..] else { panic!() };
    assert_eq!(entry.provider_id, format!("77:{}", result["message_id"]));
    let buttons: Vec<_> =
        entry.buttons.iter().map(|b| (b.text.as_str(), b.data.as_deref().unwrap())).collect();
    assert_eq!(buttons, [("Yes", "confirm:1"), ("No", "cancel:1")]);
    let (_, me) = bot(&world, "getMe", json!({})).await;
    assert_eq!((&me["result"]["id"], &me["result"]["is_bot"]), (&json!(123), &json!(true)));
}

#[tokio::test]
async fn the_bot_api_refuses_as_telegram_does() {
    let world = listening_world(Vec::new());
    world.control("POST", "/telegram/chats/5", r#"{"state": "unknown"}"#).await;
    world.control("POST", "/telegram/chats/6", r#"{"state": "blocked"}"#).await;
    let with_button = |button: Value| json!({ "chat_id": 1, "text": "x", "reply_markup": { "inline_keyboard": [[button]] } });
    for (body, code, description) in [
        (json!({ "chat_id": 5, "text": "x" }), 400, "Bad Request: chat not found"),
        (json!({ "chat_id": "@nobody", "text": "x" }), 400, "Bad Request: chat not found"),
        (json!({ "text": "x" }), 400, "Bad Request: chat_id is empty"),
        (json!({ "chat_id": 6, "text": "x" }), 403, "Forbidden: bot was blocked by the user"),
        (json!({ "chat_id": 1, "text": " " }), 400, "Bad Request: message text is empty"),
        (json!({ "chat_id": 1, "text": "x".repeat(4097) }), 400, "Bad Request: message is too long"),
        (
            with_button(json!({ "text": "b", "callback_data": "x".repeat(65) })),
            400,
            "Bad Request: BUTTON_DATA_INVALID",
        ),
    ] {
        let (status, answer) = bot(&world, "sendMessage", body).await;
        let expected = json!({ "ok": false, "error_code": code, "description": description });
        assert_eq!((status, answer), (code, expected));
    }
    assert!(world.services.outbox.entries(None, None).is_empty());
    assert_eq!(world.call("telegram", "/botabc/getMe", &json!({})).await.0, 404);
    assert_eq!(bot(&world, "getNothing", json!({})).await.0, 404);
    world.control("POST", "/providers/telegram", r#"{"mode": "refuse", "error": "unauthorized"}"#).await;
    assert_eq!(bot(&world, "getMe", json!({})).await.0, 401);
    world.control("POST", "/providers/telegram", r#"{"mode": "throttle"}"#).await;
    let (status, answer) = bot(&world, "sendMessage", question()).await;
    assert_eq!((status, &answer["parameters"]), (429, &json!({ "retry_after": 3 })));
    let url = json!({ "url": "http://example.com/hook" });
    world.control("POST", "/providers/telegram", "{}").await;
    assert_eq!(bot(&world, "setWebhook", url).await.0, 400);
}

#[tokio::test]
async fn a_pressed_button_is_posted_to_the_webhook_with_its_secret() {
    let (world, stack) = hooked().await;
    let (_, answer) = bot(&world, "sendMessage", question()).await;
    let id = format!("77:{}", answer["result"]["message_id"]);
    let press = |button: &str| json!({ "button": button }).to_string();
    let path = format!("/outbox/{id}/press");
    assert_eq!(
        world.control_around(stack.clone(), "POST", &path, &press("Yes")).await.0,
        StatusCode::ACCEPTED
    );
    let [(path, secret, update)] = &stack.requests()[..] else { panic!("{:?}", stack.requests()) };
    assert_eq!((path.as_str(), secret.as_deref()), ("/telegram/b-1", Some("s-1")));
    let query = &update["callback_query"];
    assert_eq!((&query["data"], &query["from"]["id"]), (&json!("confirm:1"), &json!(77)));
    assert_eq!(query["message"]["message_id"], answer["result"]["message_id"]);
    assert_eq!(query["message"]["chat"]["id"], 77);

    let answer_query = json!({ "callback_query_id": query["id"], "text": "Thank you" });
    assert_eq!(bot(&world, "answerCallbackQuery", answer_query.clone()).await.1["result"], true);
    let (status, again) = bot(&world, "answerCallbackQuery", answer_query).await;
    assert_eq!(status, 400);
    assert!(again["description"].as_str().unwrap().contains("query is too old"), "{again}");
}

#[tokio::test]
async fn texts_and_blocks_are_posted_to_the_webhook() {
    let (world, stack) = hooked().await;
    let inbound = |body: Value| {
        let (world, stack) = (&world, stack.clone());
        async move { world.control_around(stack, "POST", "/inbound/telegram", &body.to_string()).await }
    };
    inbound(json!({ "from": "77", "text": "/start client-1" })).await;
    inbound(json!({ "from": "77", "blocks": true })).await;
    assert_eq!(bot(&world, "sendMessage", question()).await.0, 403);
    inbound(json!({ "from": "77", "blocks": false, "to": "123" })).await;
    assert_eq!(bot(&world, "sendMessage", question()).await.0, 200);
    let updates: Vec<Value> = stack.requests().into_iter().map(|(_, _, update)| update).collect();
    let [start, blocked, unblocked] = &updates[..] else { panic!("{updates:?}") };
    assert_eq!(start["message"]["text"], "/start client-1");
    assert_eq!(start["message"]["entities"], json!([{ "offset": 0, "length": 6, "type": "bot_command" }]));
    assert_eq!(blocked["my_chat_member"]["new_chat_member"]["status"], "kicked");
    assert_eq!(unblocked["my_chat_member"]["new_chat_member"]["status"], "member");
    assert!(start["update_id"].as_i64() < blocked["update_id"].as_i64());
    let (status, answer) = inbound(json!({ "from": "77", "text": "x", "to": "9:unknown" })).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("bot 9 has no webhook")));
}

#[tokio::test]
async fn the_page_s_button_blocks_the_bot() {
    let (world, stack) = hooked().await;
    let request = Request::builder()
        .method("POST")
        .uri("/inbound/telegram")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("from=77&to=123&blocks=true"))
        .unwrap();
    let response = world.services.control_router(stack.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(stack.requests()[0].2["my_chat_member"]["new_chat_member"]["status"], "kicked");
}

#[tokio::test]
async fn an_update_that_is_not_taken_is_posted_again() {
    let (world, stack) = hooked().await;
    stack.fail(true);
    let body = r#"{"from": "77", "text": "hello"}"#;
    world.control_around(stack.clone(), "POST", "/inbound/telegram", body).await;
    assert_eq!(stack.requests().len(), 1);
    for expected in [2, 3] {
        world.pass(3, stack.as_ref()).await;
        assert_eq!(stack.requests().len(), expected);
    }
    stack.fail(false);
    for _ in 0..5 {
        world.pass(20, stack.as_ref()).await;
    }
    let requests = stack.requests();
    assert_eq!(requests.len(), 4, "no more once it is taken");
    assert!(requests.iter().all(|request| *request == requests[0]), "it stays the same update");
}

#[tokio::test]
async fn a_webhook_can_be_set_without_the_bot() {
    let world = listening_world(Vec::new());
    let stack = Arc::new(Watching::default());
    let hook =
        r#"{"token": "5:x", "url": "http://127.0.0.1:4600/telegram/b-2", "allowed_updates": ["message"]}"#;
    assert_eq!(world.control("PUT", "/telegram/webhook", hook).await.0, StatusCode::NO_CONTENT);
    let send = |body: &'static str| world.control_around(stack.clone(), "POST", "/inbound/telegram", body);
    assert_eq!(send(r#"{"from": "1", "text": "hi", "times": 2}"#).await.1, json!({ "told": 2 }));
    assert_eq!(send(r#"{"from": "1", "blocks": true}"#).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(stack.requests().len(), 2);
    assert_eq!(stack.requests()[0].0, "/telegram/b-2");
}
