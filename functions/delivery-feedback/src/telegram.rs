//! What Telegram tells of a business's bot: its webhook. <https://core.telegram.org/bots/api#update>

use std::collections::BTreeMap;

use app::error::chain;
use app::ports::{ClientBookings, FindClients, FindMessage, PortError, Read, WriteFacts};
use app::take_reply::{Heard, Reply, Said, Writer, take_reply};
use app::take_report::AboutMessage;
use app::telegram::{is_from_telegram, link_chat};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::channel::Channel;
use domain::conversation::Answered;
use domain::ids::BusinessId;
use domain::messenger::ChatId;
use domain::template::Action;
use jiff::Timestamp;
use runtime::now;
use serde::Deserialize;
use serde_json::{Value, json};

/// A request to `POST /telegram/{business_id}`. <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// By their names in small letters.
    headers: BTreeMap<String, String>,
    path_parameters: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Debug, Deserialize)]
struct Raw {
    message: Option<Message>,
    callback_query: Option<Pressed>,
    my_chat_member: Option<Membership>,
}

#[derive(Debug, Deserialize)]
struct Message {
    message_id: i64,
    chat: Chat,
    /// Seconds since 1970; 0 of a message that the bot can no longer see.
    date: i64,
    text: Option<String>,
    caption: Option<String>,
    reply_to_message: Option<Box<Message>>,
    reply_markup: Option<Buttons>,
}

#[derive(Debug, Deserialize)]
struct Chat {
    id: i64,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Buttons {
    #[serde(default)]
    inline_keyboard: Vec<Vec<Button>>,
}

#[derive(Debug, Deserialize)]
struct Button {
    text: String,
    callback_data: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Pressed {
    id: String,
    message: Option<Message>,
    #[serde(default)]
    data: String,
}

#[derive(Debug, Deserialize)]
struct Membership {
    chat: Chat,
    date: i64,
    new_chat_member: Member,
}

#[derive(Debug, Deserialize)]
struct Member {
    status: String,
}

/// What an update says.
#[derive(Debug, PartialEq)]
enum Update {
    /// A client writes, or has closed the chat.
    Reply(Reply),
    /// A client has pressed a button, and waits for an answer to this query.
    Pressed(Reply, String),
    /// Somebody comes with an invitation's code.
    Start(ChatId, String),
    /// Nothing to us.
    Nothing,
}

/// Answers a request. Telegram brings an update again, and holds back those after it, until the answer is 200.
pub async fn answer(
    store: &(impl Read + WriteFacts + ClientBookings + FindClients + FindMessage),
    request: &Request,
) -> Value {
    match take(store, request).await {
        Ok(Some(body)) => json!({
            "statusCode": 200,
            "headers": { "content-type": "application/json" },
            "body": body.to_string(),
        }),
        Ok(None) => json!({ "statusCode": 401 }),
        Err(error) => {
            tracing::error!(error = %chain(&error), "an update of Telegram could not be taken");
            json!({ "statusCode": 500 })
        }
    }
}

/// What Telegram is to do: a call of one of its methods, or nothing. `None` where the request is not from Telegram.
/// <https://core.telegram.org/bots/api#making-requests-when-getting-updates>
async fn take(
    store: &(impl Read + WriteFacts + ClientBookings + FindClients + FindMessage),
    request: &Request,
) -> Result<Option<Value>, PortError> {
    let business: Option<BusinessId> =
        request.path_parameters.get("business_id").and_then(|id| id.parse().ok());
    let secret = request.headers.get("x-telegram-bot-api-secret-token");
    let (Some(business), Some(secret)) = (business, secret) else { return Ok(None) };
    if !is_from_telegram(store, &business, secret).await? {
        tracing::warn!(business.id = %business, "a request with a wrong secret");
        return Ok(None);
    }
    let read = body(request).and_then(|body| read(&business, &body, now()));
    match read {
        Some(Update::Reply(reply)) => {
            let heard = Box::pin(take_reply(store, &reply, now())).await?;
            tracing::info!(business.id = %business, ?heard, "a reply by Telegram");
            Ok(Some(json!({})))
        }
        Some(Update::Pressed(reply, query)) => {
            let heard = Box::pin(take_reply(store, &reply, now())).await?;
            tracing::info!(business.id = %business, ?heard, "a button in Telegram");
            let text = match heard {
                Heard::Taken(came) => came.what.text(came.locale),
                Heard::Stranger => "",
                Heard::Again => {
                    return Err(PortError::Retryable {
                        operation: "finding the message under a button",
                        source: "it cannot be found yet".into(),
                    });
                }
            };
            let method = "answerCallbackQuery";
            Ok(Some(json!({ "method": method, "callback_query_id": query, "text": text })))
        }
        Some(Update::Start(chat, code)) => {
            let locale = link_chat(store, &business, &code, &chat, now()).await?;
            tracing::info!(business.id = %business, linked = locale.is_some(), "a chat begins");
            Ok(Some(match locale {
                Some(locale) => json!({
                    "method": "sendMessage", "chat_id": chat.as_str(), "text": Answered::Started.text(locale),
                }),
                None => json!({}),
            }))
        }
        Some(Update::Nothing) => Ok(Some(json!({}))),
        // Brought again it would be no different, and would hold back what comes after it.
        None => {
            tracing::error!(business.id = %business, "an update of Telegram could not be read");
            Ok(Some(json!({})))
        }
    }
}

fn body(request: &Request) -> Option<String> {
    if !request.is_base64_encoded {
        return Some(request.body.clone());
    }
    String::from_utf8(STANDARD.decode(&request.body).ok()?).ok()
}

/// Reads an update that came at `now` (UTC). `None` where it cannot be read.
fn read(business: &BusinessId, body: &str, now: Timestamp) -> Option<Update> {
    let update: Raw = serde_json::from_str(body).ok()?;
    let writer = |chat: &Chat| {
        let chat = chat.id.to_string().parse().ok()?;
        Some(Writer::Telegram { business_id: business.clone(), chat })
    };
    if let Some(message) = update.message {
        if message.chat.kind != "private" {
            return Some(Update::Nothing);
        }
        // A picture or a voice comes with no text, or a caption.
        let text = message.text.or(message.caption).unwrap_or_else(|| "[…]".to_owned());
        if let Some(code) = text.strip_prefix("/start ") {
            let chat = message.chat.id.to_string().parse().ok()?;
            return Some(Update::Start(chat, code.trim().to_owned()));
        }
        return Some(Update::Reply(Reply {
            from: writer(&message.chat)?,
            id: called(message.chat.id, message.message_id),
            said: Said::Text(text),
            about: message.reply_to_message.as_deref().map(about),
            at: second(message.date)?,
        }));
    }
    if let Some(Pressed { id, message, data }) = update.callback_query {
        let action = data.split(':').next().and_then(Action::named);
        let (Some(message), Some(action)) = (message, action) else { return Some(Update::Nothing) };
        let buttons = message.reply_markup.iter().flat_map(|markup| markup.inline_keyboard.iter().flatten());
        let mut labels = buttons.filter(|button| button.callback_data.as_deref() == Some(data.as_str()));
        let label = labels.next().map_or(action.name(), |button| button.text.as_str()).to_owned();
        let reply = Reply {
            from: writer(&message.chat)?,
            id: id.clone(),
            said: Said::Button { action, label },
            about: Some(about(&message)),
            at: now,
        };
        return Some(Update::Pressed(reply, id));
    }
    match update.my_chat_member {
        Some(Membership { chat, date, new_chat_member })
            if chat.kind == "private" && new_chat_member.status == "kicked" =>
        {
            Some(Update::Reply(Reply {
                from: writer(&chat)?,
                id: format!("kicked:{date}"),
                said: Said::Blocked,
                about: None,
                at: second(date)?,
            }))
        }
        _ => Some(Update::Nothing),
    }
}

/// The message as we call it in the ledger, and when it was sent.
fn about(message: &Message) -> (AboutMessage, Timestamp) {
    let id = called(message.chat.id, message.message_id);
    (AboutMessage::Called(Channel::Telegram, id), second(message.date).unwrap_or_default())
}

fn called(chat: i64, message: i64) -> String {
    format!("{chat}:{message}")
}

fn second(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: &str = "2026-11-20T12:01:00Z";

    fn update(request: &str) -> Option<Update> {
        let request: Request = serde_json::from_str(request).unwrap();
        let business = request.path_parameters["business_id"].parse().unwrap();
        read(&business, &body(&request).unwrap(), NOW.parse().unwrap())
    }

    fn reply(id: &str, said: Said, about: Option<i64>, at: i64) -> Reply {
        let about = about.map(|sent| {
            (AboutMessage::Called(Channel::Telegram, "77:4".into()), Timestamp::from_second(sent).unwrap())
        });
        let from = Writer::Telegram { business_id: "salon".parse().unwrap(), chat: "77".parse().unwrap() };
        Reply { from, id: id.into(), said, about, at: Timestamp::from_second(at).unwrap() }
    }

    #[test]
    fn s66_a_text_is_a_reply_to_what_it_quotes() {
        let expected = reply("77:5", Said::Text("Да".into()), Some(1_795_176_000), 1_795_176_043);
        assert_eq!(update(include_str!("../tests/telegram_text.json")), Some(Update::Reply(expected)));
    }

    #[test]
    fn s66_a_button_acts_for_the_message_it_is_under() {
        let now: Timestamp = NOW.parse().unwrap();
        let said = Said::Button { action: Action::Confirm, label: "I will come".into() };
        let expected = reply("4382bfdwdsb323b2d9", said, Some(1_795_176_000), now.as_second());
        let pressed = Update::Pressed(expected, "4382bfdwdsb323b2d9".into());
        assert_eq!(update(include_str!("../tests/telegram_button.json")), Some(pressed));
    }

    #[test]
    fn s66_a_chat_begins_with_a_code_and_ends_when_the_bot_is_blocked() {
        let start = Update::Start("77".parse().unwrap(), "abc123".into());
        assert_eq!(update(include_str!("../tests/telegram_start.json")), Some(start));
        let blocked = reply("kicked:1795176043", Said::Blocked, None, 1_795_176_043);
        assert_eq!(update(include_str!("../tests/telegram_kicked.json")), Some(Update::Reply(blocked)));
    }

    #[test]
    fn s66_what_is_said_in_a_group_is_not_said_to_us() {
        assert_eq!(update(include_str!("../tests/telegram_group.json")), Some(Update::Nothing));
    }

    #[rstest]
    #[case("{")]
    #[case("[]")]
    fn what_cannot_be_read_is_none(#[case] body: &str) {
        assert_eq!(read(&"salon".parse().unwrap(), body, NOW.parse().unwrap()), None);
    }
}
