//! What people do in a chat, and how the bot hears of it: <https://core.telegram.org/bots/api#update>

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ChatState, Webhook, bot_id, bot_user};
use crate::seams::Stack;
use crate::services::feedback::{Notice, Telling};
use crate::services::{Entry, Services, lock};

/// Telegram tries an update that was not taken again, "a reasonable amount of attempts".
const ATTEMPTS: u32 = 5;

/// An update on its way to a bot.
#[derive(Clone, Debug)]
pub(in crate::services) struct Update {
    token: String,
    body: Value,
    /// Counts from 1.
    attempt: u32,
}

/// What a person does.
pub(in crate::services) enum Happening<'a> {
    /// Writes a text, such as `/start` with a payload.
    Writes(&'a str),
    /// Presses a button below a message; by what it sends back.
    Presses(&'a Entry, &'a str),
    /// Blocks the bot.
    Blocks,
    /// Lets the bot write again.
    Unblocks,
}

impl Happening<'_> {
    /// The name of the update's own object.
    fn kind(&self) -> &'static str {
        match self {
            Self::Writes(_) => "message",
            Self::Presses(..) => "callback_query",
            Self::Blocks | Self::Unblocks => "my_chat_member",
        }
    }
}

impl Services {
    /// Lets something happen in a chat with a bot, by default the one that was called last.
    ///
    /// # Errors
    /// There is no such bot, it has no webhook, or it does not want to hear of this.
    pub(in crate::services) fn happen(
        &self,
        bot: Option<&str>,
        chat: i64,
        happening: &Happening<'_>,
        how: &Telling,
    ) -> Result<usize, String> {
        let now = self.clock.now();
        let mut store = lock(&self.telegram.0);
        let by_id = |wanted: &str| {
            store.webhooks.keys().find(|token| token.split(':').next() == Some(wanted)).cloned()
        };
        let token = match bot {
            Some(bot) => Some(by_id(bot).unwrap_or_else(|| bot.to_owned())),
            None => store.last_bot.clone().or_else(|| store.webhooks.keys().next().cloned()),
        };
        let token = token.ok_or("no bot was ever called: say which")?;
        let id = bot_id(&token).ok_or_else(|| format!("{token} is no bot"))?;
        let webhook = store.webhooks.get(&token).ok_or_else(|| format!("bot {id} has no webhook"))?;
        let kind = happening.kind();
        if !webhook.allowed_updates.is_empty() && !webhook.allowed_updates.iter().any(|one| one == kind) {
            return Err(format!("bot {id} does not want updates of kind {kind}"));
        }
        let person = json!({ "id": chat, "is_bot": false, "first_name": "Local", "language_code": "en" });
        let private = json!({ "id": chat, "first_name": "Local", "type": "private" });
        let at = how.at.unwrap_or(now).as_second();
        let body = match happening {
            Happening::Writes(text) => {
                // Who writes has found the bot.
                store.chats.insert(chat, ChatState::Open);
                store.message_id += 1;
                let mut message = json!({
                    "message_id": store.message_id,
                    "from": person,
                    "chat": private,
                    "date": at,
                    "text": text,
                });
                if text.starts_with('/') {
                    let length = text.split_whitespace().next().unwrap_or_default().encode_utf16().count();
                    message["entities"] = json!([{ "offset": 0, "length": length, "type": "bot_command" }]);
                }
                message
            }
            Happening::Presses(entry, data) => {
                let query = (Uuid::new_v4().as_u128() % 10_u128.pow(18)).to_string();
                store.queries.insert(query.clone());
                json!({
                    "id": query,
                    "from": person,
                    "message": {
                        "message_id": message_id(entry),
                        "from": bot_user(id),
                        "chat": private,
                        "date": entry.at.as_second(),
                        "text": entry.text,
                    },
                    "chat_instance": chat.to_string(),
                    "data": data,
                })
            }
            Happening::Blocks | Happening::Unblocks => {
                let (state, old, new) = match happening {
                    Happening::Blocks => (ChatState::Blocked, "member", "kicked"),
                    _ => (ChatState::Open, "kicked", "member"),
                };
                store.chats.insert(chat, state);
                let member = |status: &str| {
                    let mut member = json!({ "user": bot_user(id), "status": status });
                    if status == "kicked" {
                        member["until_date"] = json!(0);
                    }
                    member
                };
                json!({
                    "chat": private,
                    "from": person,
                    "date": at,
                    "old_chat_member": member(old),
                    "new_chat_member": member(new),
                })
            }
        };
        store.update_id += 1;
        let body = json!({ "update_id": store.update_id, kind: body });
        drop(store);
        let times = how.times.unwrap_or(1);
        for _ in 0..times {
            let update = Update { token: token.clone(), body: body.clone(), attempt: 1 };
            self.feedback.tell(Notice::Update(update), now, how.after_ms);
        }
        Ok(times as usize)
    }

    /// Posts an update to its bot's webhook; what is not taken is posted again after 1, 2, 4 and 8 seconds.
    pub(in crate::services) async fn deliver_update(&self, update: Update, stack: &dyn Stack) {
        let Some(webhook) = lock(&self.telegram.0).webhooks.get(&update.token).cloned() else { return };
        let Some(request) = request(&webhook, &update.body) else {
            tracing::warn!(webhook.url, "is not a URL");
            return;
        };
        let status = stack.request(request).await.status();
        if status.is_success() {
            return;
        }
        tracing::warn!(%status, update.attempt, "a webhook did not take an update");
        if update.attempt < ATTEMPTS {
            let after_ms = 1000 << (update.attempt - 1);
            let again = Update { attempt: update.attempt + 1, ..update };
            self.feedback.tell(Notice::Update(again), self.clock.now(), after_ms);
        }
    }
}

/// The number in `77:12`, the chat's id and the message's.
fn message_id(entry: &Entry) -> i64 {
    entry.provider_id.rsplit(':').next().and_then(|id| id.parse().ok()).unwrap_or_default()
}

fn request(webhook: &Webhook, body: &Value) -> Option<Request<Body>> {
    let (_, rest) = webhook.url.split_once("://")?;
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let mut request =
        Request::post(path).header(header::HOST, "local").header(header::CONTENT_TYPE, "application/json");
    if let Some(secret) = &webhook.secret_token {
        request = request.header("X-Telegram-Bot-Api-Secret-Token", secret);
    }
    request.body(Body::from(body.to_string())).ok()
}
