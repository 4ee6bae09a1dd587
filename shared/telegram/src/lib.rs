//! Telegram by the Bot API over HTTPS (S66): <https://core.telegram.org/bots/api>.
//!
//! A bot's token is part of every URL, so no URL goes into an error. What an error means stands in the one table for all providers,
//! [`aws::provider_error`], which is the one thing here that comes from that room.

use std::time::Duration;

use app::ports::{Address, Outgoing, Provider, ProviderError, Receipt};
use aws::provider_error::{Answer, Api, answered, refused, unanswered};
use domain::message::Message;
use domain::messenger::{BotToken, ChatId};
use domain::template::{Button, Content};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::{Value, json};

/// Where the Bot API is.
pub const ENDPOINT: &str = "https://api.telegram.org";

/// How long a connection may take, and a call in all.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5));

/// The longest answer that is read, in bytes. That to a message repeats it.
const MAX_ANSWER: usize = 65_536;

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS to Telegram could not be set up")]
pub struct TlsError(#[source] rustls::Error);

/// [`Provider`] for Telegram, and whatever else bots are asked to do.
#[derive(Debug, Clone)]
pub struct Bots {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: String,
}

impl Bots {
    /// Calls the Bot API at this endpoint, [`ENDPOINT`] unless on a local stack; there is no slash at its end.
    ///
    /// As with every provider: nothing is tried twice, and no connection is kept for later, since after the sandbox was frozen it may be
    /// dead, and a message lost on it would count as one that may have left. TLS by ring, with Mozilla's roots in the binary.
    ///
    /// # Errors
    /// [`TlsError`] when TLS cannot be set up.
    pub fn new(endpoint: String) -> Result<Self, TlsError> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(TIMEOUTS.0));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(TlsError)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(https);
        Ok(Self { client, endpoint })
    }

    /// Calls a method for a bot and answers its result.
    ///
    /// # Errors
    /// What Telegram refused, by the table of [`aws::provider_error`]; [`ProviderError::Unknown`] where its answer was lost.
    pub async fn call(&self, token: &BotToken, method: &str, fields: &Value) -> Result<Value, ProviderError> {
        let request = Request::post(format!("{}/bot{}/{method}", self.endpoint, token.as_str()))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(fields.to_string())))
            .map_err(|_| refused("the endpoint, the token or the method makes no URL"))?;
        let answer = async {
            let answer = self.client.request(request).await.map_err(unanswered)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(ProviderError::Unknown)?.to_bytes();
            read(status, &body)
        };
        match tokio::time::timeout(TIMEOUTS.1, answer).await {
            Ok(answer) => answer,
            Err(late) => Err(ProviderError::Unknown(late.into())),
        }
    }
}

/// <https://core.telegram.org/bots/api#making-requests>
#[derive(Deserialize)]
struct Reply {
    ok: bool,
    result: Option<Value>,
    error_code: Option<u16>,
    #[serde(default)]
    description: String,
}

/// The result in an answer.
fn read(status: StatusCode, body: &[u8]) -> Result<Value, ProviderError> {
    let reply: Option<Reply> = serde_json::from_slice(body).ok();
    match reply {
        Some(Reply { ok: true, result: Some(result), .. }) => Ok(result),
        // Nobody knows what an answer means that says yes and nothing else.
        _ if status.is_success() => Err(ProviderError::Unknown("it answered something else".into())),
        reply => {
            let (code, message) =
                reply.map_or((None, String::new()), |reply| (reply.error_code, reply.description));
            let code = code.unwrap_or(status.as_u16()).to_string();
            let answer = Answer { code: &code, message: &message, status: status.as_u16() };
            Err(answered(Api::TelegramSendMessage, answer))
        }
    }
}

impl Provider for Bots {
    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let Outgoing { message, to, content, .. } = outgoing;
        let (Address::Telegram { token, chat }, Content::Telegram { text, buttons }) = (to, content) else {
            return Err(refused("only Telegram messages go this way"));
        };
        let sent = self.call(token, "sendMessage", &fields(message, chat, text, buttons)?).await?;
        let number = sent.get("message_id").and_then(Value::as_i64);
        let number = number.ok_or_else(|| ProviderError::Unknown("it did not say which message".into()))?;
        // Messages are counted in each chat.
        Ok(Receipt { provider_id: format!("{}:{number}", chat.as_str()), dead_devices: vec![] })
    }
}

/// The fields of `sendMessage`. A button that is pressed sends back what it does, a colon and the message's id: at most 64 bytes.
/// <https://core.telegram.org/bots/api#sendmessage>, <https://core.telegram.org/bots/api#inlinekeyboardbutton>
fn fields(message: &Message, chat: &ChatId, text: &str, buttons: &[Button]) -> Result<Value, ProviderError> {
    let chat: i64 = chat.as_str().parse().map_err(|_| refused("the chat is no number"))?;
    let mut fields = json!({
        "chat_id": chat,
        "text": text,
        // A preview would have Telegram open the client's own links.
        "link_preview_options": { "is_disabled": true },
    });
    if !buttons.is_empty() {
        let row: Vec<Value> = buttons
            .iter()
            .map(|button| {
                json!({ "text": button.label, "callback_data": format!("{}:{}", button.action.name(), message.id) })
            })
            .collect();
        fields["reply_markup"] = json!({ "inline_keyboard": [row] });
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::error::chain;
    use domain::template::Action;
    use testkit::recorded::Recorded;

    const TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
    const SENT: &str = r#"{"ok":true,"result":{"message_id":7,"chat":{"id":4711}}}"#;

    async fn sent(endpoint: &str, buttons: Vec<Button>) -> Result<Receipt, ProviderError> {
        let message: Message = serde_json::from_str(
            r#"{"business_id":"b","booking_id":"k","id":"0123456789abcdef0123456789abcdef","type":"reminder",
                "step":"24h before start","revision":1,"client_id":"c","channel":"telegram","status":"sending",
                "due":"2026-11-23T10:00:00Z","attempts":1,"traces":[]}"#,
        )
        .unwrap();
        let to = Address::Telegram { token: TOKEN.parse().unwrap(), chat: "4711".parse().unwrap() };
        let content = Content::Telegram { text: "See you tomorrow <3".to_owned(), buttons };
        let outgoing = Outgoing { message: &message, to: &to, content: &content, sms_number: None };
        Bots::new(endpoint.to_owned()).unwrap().send(outgoing).await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn s66_a_message_goes_to_its_chat_with_buttons_that_answer_for_it() {
        let provider = Recorded::answering(&[(200, SENT), (200, SENT)]);
        let button = |action, label: &str| Button { action, label: label.to_owned() };
        let buttons = vec![button(Action::Confirm, "I will come"), button(Action::Cancel, "Cancel")];
        assert_eq!(sent(provider.url(), buttons).await.unwrap().provider_id, "4711:7");
        sent(provider.url(), vec![]).await.unwrap();
        let asked = provider.asked();
        assert!(asked[0].head.starts_with(&format!("POST /bot{TOKEN}/sendMessage ")));
        let fields: Value = serde_json::from_str(&asked[0].body).unwrap();
        let expected = json!({
            "chat_id": 4711, "text": "See you tomorrow <3", "link_preview_options": { "is_disabled": true },
            "reply_markup": { "inline_keyboard": [[
                { "text": "I will come", "callback_data": "confirm:0123456789abcdef0123456789abcdef" },
                { "text": "Cancel", "callback_data": "cancel:0123456789abcdef0123456789abcdef" },
            ]] },
        });
        assert_eq!(fields, expected);
        let plain: Value = serde_json::from_str(&asked[1].body).unwrap();
        assert_eq!(plain.get("reply_markup"), None);
    }

    fn error(code: u16, description: &str) -> String {
        json!({ "ok": false, "error_code": code, "description": description }).to_string()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn s66_what_telegram_answers_is_classed_by_the_table() {
        let said = |code, text| sent_to(vec![(code, error(code, text))]);
        assert!(matches!(
            said(403, "Forbidden: bot was blocked by the user").await,
            ProviderError::OptedOut(_)
        ));
        assert!(matches!(said(400, "Bad Request: chat not found").await, ProviderError::InvalidAddress(_)));
        assert!(matches!(said(400, "Bad Request: message is too long").await, ProviderError::Refused(_)));
        assert!(matches!(said(429, "Too Many Requests: retry after 3").await, ProviderError::Throttled(_)));
        assert!(matches!(said(401, "Unauthorized").await, ProviderError::Refused(_)));
        assert!(matches!(said(404, "Not Found").await, ProviderError::Refused(_)));
        assert!(matches!(said(500, "Internal Server Error").await, ProviderError::Unknown(_)));
        assert!(matches!(sent_to(vec![(502, "<html>".to_owned())]).await, ProviderError::Unknown(_)));
        assert!(matches!(sent_to(vec![(200, "{}".to_owned())]).await, ProviderError::Unknown(_)));
        assert!(matches!(sent_to(vec![(0, String::new())]).await, ProviderError::Unknown(_)), "no answer");
        assert!(
            matches!(sent("http://127.0.0.1:9", vec![]).await, Err(ProviderError::Again(_))),
            "nobody there"
        );
    }

    async fn sent_to(answers: Vec<(u16, String)>) -> ProviderError {
        let answers: Vec<_> = answers.iter().map(|(status, body)| (*status, body.as_str())).collect();
        let provider = Recorded::answering(&answers);
        let error = sent(provider.url(), vec![]).await.unwrap_err();
        assert_eq!(provider.asked().len(), 1, "nothing is tried twice");
        error
    }

    #[tokio::test(flavor = "current_thread")]
    async fn s66_a_token_never_reaches_a_log() {
        let words = error(400, &format!("Bad Request: /bot{TOKEN}/sendMessage, chat 4711"));
        for answers in [vec![(400, words)], vec![(0, String::new())], vec![(200, TOKEN.to_owned())]] {
            let error = sent_to(answers).await;
            let shown = format!("{} {error:?}", chain(&error));
            assert!(!shown.contains("AAHdqTcv") && !shown.contains("4711"), "{shown}");
        }
        for endpoint in ["http://127.0.0.1:9", "https://127.0.0.1:9", "no endpoint"] {
            let error = sent(endpoint, vec![]).await.unwrap_err();
            let shown = format!("{} {error:?}", chain(&error));
            assert!(!shown.contains("AAHdqTcv") && !shown.contains("4711"), "{shown}");
        }
        let bots = Bots::new(ENDPOINT.to_owned()).unwrap();
        assert!(!format!("{bots:?}").contains("AAHdqTcv"));
    }
}
