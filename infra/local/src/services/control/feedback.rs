//! The control API of what comes back: feedback of providers, replies of people, and the clock's calls of functions.
//!
//! What is due at once has reached its queue or function when the call is answered. The page's forms send the same
//! fields as the JSON, and are led back to the page.

use std::collections::BTreeMap;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post, put};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Control, Problem, Shared};
use crate::services::feedback::{Event, InboundSms, InboundWhatsapp, Policy, Telling};
use crate::services::telegram::{ChatState, Happening, Webhook};
use crate::services::ticks::Mode;
use crate::services::{Channel, Entry};

/// The number that people text, unless they are said to text another.
const OUR_NUMBER: &str = "+12065550100";

pub(super) fn routes() -> Router<std::sync::Arc<Control>> {
    Router::new()
        .route("/feedback", get(report).delete(clear))
        .route("/feedback/{channel}", post(set_policy))
        .route("/outbox/{id}", get(message))
        .route("/outbox/{id}/feedback", post(tell))
        .route("/outbox/{id}/reply", post(reply))
        .route("/outbox/{id}/press", post(press))
        .route("/inbound/{channel}", post(receive))
        .route("/telegram", get(telegram))
        .route("/telegram/webhook", put(set_webhook))
        .route("/telegram/chats/{chat}", post(set_chat))
        .route("/function-schedules", get(schedules).post(set_mode))
}

/// How something is told: fields that several calls have.
#[derive(Default, Deserialize)]
#[serde(default)]
struct How {
    reason: Option<String>,
    at: Option<Timestamp>,
    after_ms: u64,
    times: Option<u32>,
    topic: Option<String>,
}

impl From<How> for Telling {
    fn from(How { reason, at, after_ms, times, topic }: How) -> Self {
        Self { reason, at, after_ms, times, topic }
    }
}

#[derive(Deserialize)]
struct Tell {
    event: Event,
    #[serde(flatten)]
    how: How,
}

#[derive(Deserialize)]
struct Reply {
    text: String,
    #[serde(flatten)]
    how: How,
}

#[derive(Deserialize)]
struct Press {
    /// What the button sends back, or what is written on it.
    button: String,
    #[serde(flatten)]
    how: How,
}

#[derive(Deserialize)]
struct Receive {
    /// A phone number, or a chat's id.
    from: String,
    /// Our number, or a bot's id or token.
    to: Option<String>,
    text: Option<String>,
    /// Blocks the bot, or lets it write again. A form has it as a text.
    #[serde(default, deserialize_with = "flag")]
    blocks: Option<bool>,
    #[serde(flatten)]
    how: How,
}

fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag)),
        Value::String(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
        _ => Err(serde::de::Error::custom("blocks is true or false")),
    }
}

/// The fields of [`How`].
const HOW: [&str; 5] = ["reason", "at", "after_ms", "times", "topic"];

/// A body in JSON, or the fields of a form, with these `fields` and those of [`How`]; and whether it was a form.
fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: &Bytes,
    fields: &[&str],
) -> Result<(T, bool), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let may_be_form = kind.starts_with("application/x-www-form-urlencoded");
    let (given, is_form): (BTreeMap<String, Value>, bool) = match serde_json::from_slice(body) {
        // Programs that do not say what they send, as curl, call it a form.
        Ok(json) => (json, false),
        Err(_) if may_be_form => {
            let fields = form_urlencoded::parse(body).into_owned();
            (fields.map(|(name, value)| (name, Value::String(value))).collect(), true)
        }
        Err(error) => return Err(Problem::bad_request(error)),
    };
    if let Some(unknown) = given.keys().find(|name| !fields.iter().chain(&HOW).any(|known| known == name)) {
        return Err(Problem::bad_request(format!("unknown field {unknown}")));
    }
    Ok((serde_json::from_value(json!(given)).map_err(Problem::bad_request)?, is_form))
}

impl Control {
    /// Lets arrive what is due, and answers how many notices there are.
    async fn done(&self, told: Result<usize, String>, is_form: bool) -> Result<Response, Problem> {
        let told = told.map_err(Problem::bad_request)?;
        self.services.arrive_due(self.stack.as_ref()).await;
        Ok(match is_form {
            true => Redirect::to("/").into_response(),
            false => (StatusCode::ACCEPTED, Json(json!({ "told": told }))).into_response(),
        })
    }

    fn entry(&self, id: &str) -> Result<Entry, Problem> {
        let found = self.services.outbox.find(id);
        found.ok_or_else(|| Problem(StatusCode::NOT_FOUND, format!("there is no message {id}")))
    }
}

fn channel_of(text: &str) -> Result<Channel, Problem> {
    text.parse().map_err(|e: String| Problem(StatusCode::NOT_FOUND, e))
}

fn chat_of(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::bad_request(format!("{text:?} is not a chat's id")))
}

async fn report(State(control): Shared) -> Json<Value> {
    Json(control.services.feedback.report())
}

async fn clear(State(control): Shared) -> StatusCode {
    control.services.feedback.clear();
    StatusCode::NO_CONTENT
}

async fn set_policy(
    State(control): Shared,
    Path(channel): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let channel = channel_of(&channel)?;
    let policy: Policy = serde_json::from_slice(&body).map_err(Problem::bad_request)?;
    control.services.set_policy(channel, policy).map_err(Problem::bad_request)?;
    Ok(Json(control.services.feedback.report()["policies"][channel.to_string()].take()))
}

async fn message(State(control): Shared, Path(id): Path<String>) -> Result<Json<Entry>, Problem> {
    control.entry(&id).map(Json)
}

async fn tell(
    State(control): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let (Tell { event, how }, is_form) = read(&headers, &body, &["event"])?;
    let told = control.services.tell_of(&control.entry(&id)?, event, &how.into());
    control.done(told, is_form).await
}

async fn reply(
    State(control): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let (Reply { text, how }, is_form) = read(&headers, &body, &["text"])?;
    let (entry, how) = (control.entry(&id)?, how.into());
    let services = &control.services;
    let told = match entry.channel {
        Channel::Sms => {
            let to = entry.from.as_deref().filter(|from| from.starts_with('+')).unwrap_or(OUR_NUMBER);
            let previous = Some(entry.provider_id.as_str());
            services.receive_sms(&InboundSms { from: &entry.to, to, text: &text, previous }, &how)
        }
        Channel::Whatsapp => {
            let reply_to = Some(entry.provider_id.as_str());
            services.receive_whatsapp(
                &InboundWhatsapp {
                    from: &entry.to,
                    to: entry.from.as_deref(),
                    text: &text,
                    button: None,
                    reply_to,
                },
                &how,
            )
        }
        Channel::Telegram => {
            services.happen(entry.token.as_deref(), chat_of(&entry.to)?, &Happening::Writes(&text), &how)
        }
        Channel::Email | Channel::Push => Err(format!("nobody replies to {}", entry.channel)),
    };
    if told.is_ok() {
        services.outbox.note(&entry.id, format!("replied: {text}"));
    }
    control.done(told, is_form).await
}

async fn press(
    State(control): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let (Press { button, how }, is_form) = read(&headers, &body, &["button"])?;
    let (entry, how) = (control.entry(&id)?, how.into());
    let services = &control.services;
    let meant = entry.buttons.iter().find(|one| one.data.as_ref() == Some(&button) || one.text == button);
    let (text, data) = match meant.and_then(|one| Some((one.text.clone(), one.data.clone()?))) {
        Some(pressed) => pressed,
        None => {
            return Err(Problem::bad_request(format!(
                "the message has no button {button:?} that sends anything"
            )));
        }
    };
    let told = match entry.channel {
        Channel::Whatsapp => {
            let reply_to = Some(entry.provider_id.as_str());
            let inbound = InboundWhatsapp {
                from: &entry.to,
                to: entry.from.as_deref(),
                text: &text,
                button: Some(&data),
                reply_to,
            };
            services.receive_whatsapp(&inbound, &how)
        }
        Channel::Telegram => services.happen(
            entry.token.as_deref(),
            chat_of(&entry.to)?,
            &Happening::Presses(&entry, &data),
            &how,
        ),
        _ => Err(format!("{} has no buttons", entry.channel)),
    };
    if told.is_ok() {
        services.outbox.note(&entry.id, format!("pressed: {text}"));
    }
    control.done(told, is_form).await
}

async fn receive(
    State(control): Shared,
    Path(channel): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let fields = ["from", "to", "text", "blocks"];
    let (Receive { from, to, text, blocks, how }, is_form) = read(&headers, &body, &fields)?;
    let (services, how) = (&control.services, how.into());
    let text_of = || text.as_deref().ok_or_else(|| Problem::bad_request("text is missing"));
    let told = match channel_of(&channel)? {
        Channel::Sms => {
            let to = to.as_deref().unwrap_or(OUR_NUMBER);
            services.receive_sms(&InboundSms { from: &from, to, text: text_of()?, previous: None }, &how)
        }
        Channel::Whatsapp => {
            let inbound = InboundWhatsapp {
                from: &from,
                to: to.as_deref(),
                text: text_of()?,
                button: None,
                reply_to: None,
            };
            services.receive_whatsapp(&inbound, &how)
        }
        Channel::Telegram => {
            let happening = match blocks {
                Some(true) => Happening::Blocks,
                Some(false) => Happening::Unblocks,
                None => Happening::Writes(text_of()?),
            };
            services.happen(to.as_deref(), chat_of(&from)?, &happening, &how)
        }
        channel => Err(format!("nobody writes by {channel}")),
    };
    control.done(told, is_form).await
}

async fn telegram(State(control): Shared) -> Json<Value> {
    Json(control.services.telegram_report())
}

#[derive(Deserialize)]
struct SetWebhook {
    token: String,
    #[serde(flatten)]
    webhook: Webhook,
}

async fn set_webhook(State(control): Shared, body: Bytes) -> Result<StatusCode, Problem> {
    let SetWebhook { token, webhook } = serde_json::from_slice(&body).map_err(Problem::bad_request)?;
    control.services.set_telegram_webhook(token, webhook);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetChat {
    state: ChatState,
}

async fn set_chat(
    State(control): Shared,
    Path(chat): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let SetChat { state } = serde_json::from_slice(&body).map_err(Problem::bad_request)?;
    control.services.set_chat(chat_of(&chat)?, state);
    Ok(StatusCode::NO_CONTENT)
}

async fn schedules(State(control): Shared) -> Json<Value> {
    Json(control.services.ticks.report())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetMode {
    mode: Mode,
}

async fn set_mode(State(control): Shared, body: Bytes) -> Result<Json<Value>, Problem> {
    let SetMode { mode } = serde_json::from_slice(&body).map_err(Problem::bad_request)?;
    control.services.ticks.set_mode(mode);
    Ok(Json(control.services.ticks.report()))
}
