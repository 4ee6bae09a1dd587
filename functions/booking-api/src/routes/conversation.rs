//! Conversations with clients, and how a client comes to Telegram.

use app::answer_client::{AnswerFields, answer_client};
use app::edit_catalogue::get;
use app::error::AppError;
use app::ports::{Key, ListConversation, Page};
use app::telegram::{BotFields, Invited, invite, set_bot};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use domain::conversation::Entry;
use domain::ids::{ClientId, EntryId};
use domain::messenger::BotName;
use runtime::RandomIds;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, Nothing, PageOf, PageParameters, Store, created, id, listed, ok};
use crate::call::{Call, Caller, Parameters};
use crate::examples;
use crate::operations::{Target, operations};
use crate::problem::Problem;

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        MessagesRead => list_conversation;
        MessagesWrite => post_answer, post_invitation;
        SettingsWrite => put_bot;
    )
}

/// List a conversation
///
/// What a client and the business have written to each other by sms and messengers, the latest first.
#[utoipa::path(
    get, path = "/v1/clients/{id}/conversation", tag = "conversations",
    params(
        ("id" = ClientId, Path),
        ("cursor" = Option<String>, Query, description = "What the page before gave as `next`.", pattern = "^[0-9A-Za-z:.-]+#[0-9A-Za-z_-]{1,64}$"),
        ("limit" = Option<u32>, Query, description = "At most so many; 50 without it.", minimum = 1, maximum = 100)
    ),
    responses((status = 200, description = "A page of the conversation.", body = PageOf<Entry>))
)]
async fn list_conversation(
    State(store): Store,
    caller: Caller,
    Path(client): Path<String>,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    let client: ClientId = id(&client, "client")?;
    let limit = page_of.limit()?;
    if page_of.cursor.as_deref().is_some_and(|cursor| !is_place(cursor)) {
        return Err(Problem::invalid("cursor", "what the page before gave as next"));
    }
    get(&*store, Key::Client(caller.business_id.clone(), client.clone()), "client").await?;
    let page = Page { after: page_of.cursor, limit };
    listed(store.conversation(&caller.business_id, &client, page).await.map_err(AppError::from)?)
}

/// Whether a cursor is the place of something in a conversation: when it was written, in the table's words, and its id.
fn is_place(cursor: &str) -> bool {
    let fits =
        |at: &str| !at.is_empty() && at.bytes().all(|b| b.is_ascii_alphanumeric() || b"-:.".contains(&b));
    cursor.split_once('#').is_some_and(|(at, id)| fits(at) && id.parse::<EntryId>().is_ok())
}

/// Answer a client
///
/// By sms, WhatsApp or Telegram. WhatsApp takes an answer for 24 hours after the client has written.
#[utoipa::path(
    post, path = "/v1/clients/{id}/conversation", tag = "conversations", params(("id" = ClientId, Path)),
    request_body(content = AnswerFields, example = json!({
        "channel": "sms", "text": "Yes, you can bring your dog.", "booking_id": examples::BOOKING
    })),
    responses((status = 201, description = "What was written, on its way.", body = Entry, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_answer(State(store): Store, Path(client): Path<String>, call: Call<AnswerFields>) -> Answer {
    let client_id = id(&client, "client")?;
    let done = answer_client(&*store, &RandomIds, call.edit(), &client_id, &call.body).await?;
    let path = format!("/v1/clients/{client_id}/conversation");
    Ok(created(&path, done.etag, &done.value))
}

/// Invite a client to Telegram
///
/// A link by which the client begins a chat with the business's bot. It holds for a week, once.
#[utoipa::path(
    post, path = "/v1/clients/{id}/telegram-invitation", tag = "conversations", params(("id" = ClientId, Path)),
    responses((status = 200, description = "The link.", body = Invited, headers(("ETag" = String))))
)]
async fn post_invitation(State(store): Store, Path(client): Path<String>, call: Call<Nothing>) -> Answer {
    let client_id = id(&client, "client")?;
    let done = invite(&*store, &RandomIds, call.edit(), &client_id).await?;
    Ok(ok(done.etag, &done.value))
}

/// What Telegram's `setWebhook` needs to be told. <https://core.telegram.org/bots/api#setwebhook>
#[derive(Debug, Serialize, ToSchema)]
struct Webhook {
    /// Where Telegram sends what happens in the bot's chats.
    url: String,
    /// What it has to send along, 64 hex digits. Shown this once.
    secret_token: String,
    /// What it has to send.
    allowed_updates: Vec<String>,
}

/// The business's bot, as it was set.
#[derive(Debug, Serialize, ToSchema)]
struct Bot {
    /// Its name, without the `@`.
    name: BotName,
    /// What to tell Telegram.
    webhook: Webhook,
}

/// Set the Telegram bot
///
/// The business's own bot. The answer is what Telegram's `setWebhook` needs to be told; each call makes a new secret.
#[utoipa::path(
    put, path = "/v1/telegram-bot", tag = "conversations",
    request_body(content = BotFields, example = json!({
        "name": "aurora_salon_bot", "token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
    })),
    responses((status = 200, description = "The bot, and what to tell Telegram.", body = Bot))
)]
async fn put_bot(State(store): Store, headers: HeaderMap, call: Call<BotFields>) -> Answer {
    let business_id = &call.caller.business_id;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = header("host").ok_or_else(|| Problem::invalid("Host", "the API's host name"))?;
    let scheme = header("x-forwarded-proto").unwrap_or("https");
    let secret = set_bot(&*store, &RandomIds, business_id, &call.body).await?;
    let url = format!("{scheme}://{host}/telegram/{business_id}");
    let allowed_updates = ["message", "callback_query", "my_chat_member"].map(str::to_owned).to_vec();
    let webhook = Webhook { url, secret_token: secret, allowed_updates };
    Ok(Json(Bot { name: call.body.name, webhook }).into_response())
}
