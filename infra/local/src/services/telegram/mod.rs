//! The Telegram Bot API, as far as a bot that sends and hears needs it.
//!
//! <https://core.telegram.org/bots/api>; a method is called by `/bot<token>/<method>`, its parameters are JSON or a form.
//! Every chat with a positive id is there and open, unless the control API says that it is not.

mod updates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::outbox::{Button, Entry};
use super::providers::ProviderError;
use super::{Channel, Services, lock};

pub(super) use updates::{Happening, Update};

/// Characters of one message.
const MAX_TEXT: usize = 4096;
/// Bytes of what a button sends back.
const MAX_BUTTON_DATA: usize = 64;
/// What a bot that is called too often is told to wait, in seconds.
const RETRY_AFTER: u32 = 3;

/// A bot's webhook, as `setWebhook` left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    /// Where updates go. Its path is taken from the stack's own HTTP API, wherever the URL leads.
    pub url: String,
    /// What comes along in `X-Telegram-Bot-Api-Secret-Token`.
    #[serde(default)]
    pub secret_token: Option<String>,
    /// The kinds of updates that are wanted; all if empty.
    #[serde(default)]
    pub allowed_updates: Vec<String>,
}

/// Whether a chat can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ChatState {
    /// It can.
    Open,
    /// Its person has blocked the bot.
    Blocked,
    /// Nobody ever wrote to the bot from it.
    Unknown,
}

#[derive(Default)]
struct Store {
    /// By token.
    webhooks: BTreeMap<String, Webhook>,
    /// The token of the bot that was called last.
    last_bot: Option<String>,
    /// Those that are not open.
    chats: BTreeMap<i64, ChatState>,
    /// Presses of buttons that wait for an answer.
    queries: BTreeSet<String>,
    message_id: i64,
    update_id: i64,
}

/// The bots and their chats.
#[derive(Default)]
pub(super) struct Telegram(Mutex<Store>);

/// What the Bot API answers when it refuses.
#[derive(Debug)]
struct Refusal {
    code: u16,
    description: String,
    parameters: Option<Value>,
}

impl Refusal {
    fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), parameters: None }
    }

    fn bad_request(what: &str) -> Self {
        Self::new(400, format!("Bad Request: {what}"))
    }

    fn too_many() -> Self {
        Self {
            parameters: Some(json!({ "retry_after": RETRY_AFTER })),
            ..Self::new(429, format!("Too Many Requests: retry after {RETRY_AFTER}"))
        }
    }

    /// The refusals that the provider can be told to answer with.
    fn told(word: &str) -> Self {
        match word {
            "unauthorized" => Self::new(401, "Unauthorized"),
            "blocked" => Self::new(403, "Forbidden: bot was blocked by the user"),
            "deactivated" => Self::new(403, "Forbidden: user is deactivated"),
            "chat_not_found" => Self::bad_request("chat not found"),
            other => Self::bad_request(other),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::BAD_REQUEST);
        let mut body = json!({ "ok": false, "error_code": self.code, "description": self.description });
        if let Some(parameters) = self.parameters {
            body["parameters"] = parameters;
        }
        (status, Json(body)).into_response()
    }
}

/// Routes of the service.
pub(super) fn router() -> Router<Arc<Services>> {
    Router::new().route("/{bot}/{method}", any(call)).fallback(|| async { Refusal::new(404, "Not Found") })
}

async fn call(
    State(services): State<Arc<Services>>,
    Path((bot, method)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let token = bot.strip_prefix("bot").ok_or_else(|| Refusal::new(404, "Not Found"))?;
    let id = bot_id(token).ok_or_else(|| Refusal::new(404, "Not Found"))?;
    let fields = fields(query.as_deref().unwrap_or_default(), &headers, &body)?;
    lock(&services.telegram.0).last_bot = Some(token.to_owned());
    let answer = services
        .call_provider(Channel::Telegram, || match method.to_lowercase().as_str() {
            "getme" => Ok(json!({ "ok": true, "result": bot_user(id) })),
            "sendmessage" => send_message(&services, token, id, &fields),
            "setwebhook" => set_webhook(&services, token, &fields),
            "answercallbackquery" => answer_query(&services, &fields),
            _ => Err(Refusal::new(404, "Not Found: method not found")),
        })
        .await;
    answer.map(Json).map_err(|e| match e {
        ProviderError::Refused(refused) => refused,
        ProviderError::Throttled => Refusal::too_many(),
        ProviderError::Failed => Refusal::new(500, "Internal Server Error"),
        ProviderError::Told(word) => Refusal::told(&word),
    })
}

/// The number before the colon of a token, such as `123456:ABC-DEF`.
fn bot_id(token: &str) -> Option<i64> {
    let (id, secret) = token.split_once(':')?;
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!secret.is_empty() && secret.chars().all(known)).then(|| id.parse().ok())?
}

fn bot_user(id: i64) -> Value {
    json!({
        "id": id,
        "is_bot": true,
        "first_name": "Local",
        "username": format!("local_{id}_bot"),
        "can_join_groups": true,
        "can_read_all_group_messages": false,
        "supports_inline_queries": false,
    })
}

/// The parameters, from the query, a form or JSON. In a form, objects are JSON texts.
fn fields(query: &str, headers: &HeaderMap, body: &Bytes) -> Result<Map<String, Value>, Refusal> {
    let of_form = |bytes: &[u8]| -> Map<String, Value> {
        form_urlencoded::parse(bytes)
            .map(|(name, value)| {
                let object =
                    value.starts_with(['{', '[']).then(|| serde_json::from_str(&value).ok()).flatten();
                (name.into_owned(), object.unwrap_or_else(|| Value::String(value.into_owned())))
            })
            .collect()
    };
    let mut fields = of_form(query.as_bytes());
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") && !body.is_empty() {
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => fields.extend(object),
            _ => return Err(Refusal::bad_request("can't parse request JSON object")),
        }
    } else {
        fields.extend(of_form(body));
    }
    Ok(fields)
}

fn text_of<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

/// <https://core.telegram.org/bots/api#sendmessage>
fn send_message(
    services: &Services,
    token: &str,
    bot: i64,
    fields: &Map<String, Value>,
) -> Result<Value, Refusal> {
    let chat = fields.get("chat_id").filter(|chat| !chat.is_null());
    let chat = chat.ok_or_else(|| Refusal::bad_request("chat_id is empty"))?;
    let chat_id = chat.as_i64().or_else(|| chat.as_str()?.parse().ok()).filter(|id| *id > 0);
    let chat_id = chat_id.ok_or_else(|| Refusal::told("chat_not_found"))?;
    match lock(&services.telegram.0).chats.get(&chat_id) {
        Some(ChatState::Unknown) => return Err(Refusal::told("chat_not_found")),
        Some(ChatState::Blocked) => return Err(Refusal::told("blocked")),
        _ => {}
    }
    let text = text_of(fields, "text").filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| Refusal::bad_request("message text is empty"))?;
    if text.chars().count() > MAX_TEXT {
        return Err(Refusal::bad_request("message is too long"));
    }
    let buttons = buttons(fields.get("reply_markup"))?;
    let now = services.clock.now();
    let message_id = {
        let mut store = lock(&services.telegram.0);
        store.message_id += 1;
        store.message_id
    };
    let provider_id = format!("{chat_id}:{message_id}");
    let mut entry = Entry::new(now, Channel::Telegram, chat_id.to_string(), provider_id);
    entry.from = Some(bot.to_string());
    entry.text = Some(text.to_owned());
    entry.buttons = buttons;
    entry.token = Some(token.to_owned());
    let mut result = json!({
        "message_id": message_id,
        "from": bot_user(bot),
        "chat": { "id": chat_id, "first_name": "Local", "type": "private" },
        "date": now.as_second(),
        "text": text,
    });
    if let Some(markup) = fields.get("reply_markup").filter(|_| !entry.buttons.is_empty()) {
        result["reply_markup"] = markup.clone();
    }
    services.leave(entry);
    Ok(json!({ "ok": true, "result": result }))
}

/// The buttons below a message: <https://core.telegram.org/bots/api#inlinekeyboardbutton>
fn buttons(markup: Option<&Value>) -> Result<Vec<Button>, Refusal> {
    let Some(markup) = markup else { return Ok(Vec::new()) };
    let rows = markup.get("inline_keyboard").and_then(Value::as_array);
    let rows = rows.ok_or_else(|| Refusal::bad_request("object expected as reply markup"))?;
    rows.iter()
        .flat_map(|row| row.as_array().into_iter().flatten())
        .map(|button| {
            let text = |key: &str| button[key].as_str().map(str::to_owned);
            let label = text("text").filter(|label| !label.is_empty());
            let label = label.ok_or_else(|| Refusal::bad_request("inline keyboard button text is empty"))?;
            let (data, url) = (text("callback_data"), text("url"));
            match &data {
                Some(data) if !(1..=MAX_BUTTON_DATA).contains(&data.len()) => {
                    Err(Refusal::bad_request("BUTTON_DATA_INVALID"))
                }
                None if url.is_none() => {
                    Err(Refusal::bad_request("text buttons are unallowed in the inline keyboard"))
                }
                _ => Ok(Button { text: label, data, url }),
            }
        })
        .collect()
}

/// <https://core.telegram.org/bots/api#setwebhook>
fn set_webhook(services: &Services, token: &str, fields: &Map<String, Value>) -> Result<Value, Refusal> {
    let url = text_of(fields, "url").unwrap_or_default();
    let secret_token = text_of(fields, "secret_token").map(str::to_owned);
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if secret_token
        .as_ref()
        .is_some_and(|secret| secret.is_empty() || secret.len() > 256 || !secret.chars().all(known))
    {
        return Err(Refusal::bad_request("secret token contains unallowed characters"));
    }
    // Telegram wants https; the stack's own API has none.
    if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://127.0.0.1") {
        return Err(Refusal::bad_request("bad webhook: An HTTPS URL must be provided for webhook"));
    }
    let allowed = fields.get("allowed_updates").and_then(Value::as_array);
    let allowed_updates =
        allowed.into_iter().flatten().filter_map(|kind| kind.as_str().map(str::to_owned)).collect();
    let mut store = lock(&services.telegram.0);
    let description = if url.is_empty() {
        store.webhooks.remove(token);
        "Webhook was deleted"
    } else {
        store
            .webhooks
            .insert(token.to_owned(), Webhook { url: url.to_owned(), secret_token, allowed_updates });
        "Webhook was set"
    };
    Ok(json!({ "ok": true, "result": true, "description": description }))
}

/// <https://core.telegram.org/bots/api#answercallbackquery>
fn answer_query(services: &Services, fields: &Map<String, Value>) -> Result<Value, Refusal> {
    let id = text_of(fields, "callback_query_id").unwrap_or_default();
    if !lock(&services.telegram.0).queries.remove(id) {
        return Err(Refusal::bad_request(
            "query is too old and response timeout expired or query ID is invalid",
        ));
    }
    Ok(json!({ "ok": true, "result": true }))
}

impl Services {
    /// Sets a bot's webhook, as `setWebhook` does.
    pub(super) fn set_telegram_webhook(&self, token: String, webhook: Webhook) {
        let mut store = lock(&self.telegram.0);
        store.last_bot = Some(token.clone());
        store.webhooks.insert(token, webhook);
    }

    /// Opens, blocks or hides a chat.
    pub(super) fn set_chat(&self, chat: i64, state: ChatState) {
        lock(&self.telegram.0).chats.insert(chat, state);
    }

    /// The webhooks by token, and the chats that are not open.
    pub(super) fn telegram_report(&self) -> Value {
        let store = lock(&self.telegram.0);
        json!({ "webhooks": store.webhooks, "chats": store.chats })
    }
}
