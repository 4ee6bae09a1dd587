//! Conversations with clients, and how a client comes to Telegram.

use app::answer_client::{AnswerFields, answer_client};
use app::edit_catalogue::get;
use app::error::AppError;
use app::ports::{Key, ListConversation, Page, Stored};
use app::telegram::{BotFields, invite, set_bot};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::{get as reading, post, put};
use axum::{Json, Router};
use domain::ids::{ClientId, EntryId};
use runtime::RandomIds;
use serde_json::{Value, json};

use super::{Answer, Nothing, PageParameters, Routes, Store, created, id, ok, plain};
use crate::call::{Call, Caller, Parameters};
use crate::problem::Problem;

pub fn routes() -> Routes {
    Router::new()
        .route("/v1/clients/{id}/conversation", reading(list_conversation).post(post_answer))
        .route("/v1/clients/{id}/telegram-invitation", post(post_invitation))
        .route("/v1/telegram-bot", put(put_bot))
}

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
    let listed = store.conversation(&caller.business_id, &client, page).await.map_err(AppError::from)?;
    let items: Vec<Value> = listed.items.iter().map(|Stored { item, .. }| plain(item)).collect();
    Ok(Json(json!({ "items": items, "next": listed.next })).into_response())
}

/// Whether a cursor is the place of something in a conversation: when it was written, in the table's words, and its id.
fn is_place(cursor: &str) -> bool {
    let fits =
        |at: &str| !at.is_empty() && at.bytes().all(|b| b.is_ascii_alphanumeric() || b"-:.".contains(&b));
    cursor.split_once('#').is_some_and(|(at, id)| fits(at) && id.parse::<EntryId>().is_ok())
}

async fn post_answer(State(store): Store, Path(client): Path<String>, call: Call<AnswerFields>) -> Answer {
    let client_id = id(&client, "client")?;
    let done = answer_client(&*store, &RandomIds, call.edit(), &client_id, &call.body).await?;
    let path = format!("/v1/clients/{client_id}/conversation");
    Ok(created(&path, done.etag, &done.value))
}

async fn post_invitation(State(store): Store, Path(client): Path<String>, call: Call<Nothing>) -> Answer {
    let client_id = id(&client, "client")?;
    let done = invite(&*store, &RandomIds, call.edit(), &client_id).await?;
    Ok(ok(done.etag, &done.value))
}

/// The answer is what Telegram's `setWebhook` needs to be told, shown this once. <https://core.telegram.org/bots/api#setwebhook>
async fn put_bot(State(store): Store, headers: HeaderMap, call: Call<BotFields>) -> Answer {
    let business_id = &call.caller.business_id;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = header("host").ok_or_else(|| Problem::invalid("Host", "the API's host name"))?;
    let scheme = header("x-forwarded-proto").unwrap_or("https");
    let secret = set_bot(&*store, &RandomIds, business_id, &call.body).await?;
    let url = format!("{scheme}://{host}/telegram/{business_id}");
    let updates = ["message", "callback_query", "my_chat_member"];
    let webhook = json!({ "url": url, "secret_token": secret, "allowed_updates": updates });
    Ok(Json(json!({ "name": call.body.name, "webhook": webhook })).into_response())
}
