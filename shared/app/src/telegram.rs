//! Telegram: a business's own bot, and which client a chat with it is (S66). A bot cannot begin a chat, so a client is invited to.

use domain::business::{Business, Locale};
use domain::channel::Channel;
use domain::client::Client;
use domain::ids::{BusinessId, ClientId};
use domain::messenger::{BotName, BotToken, ChatId};
use domain::recipient::Person;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::edit_catalogue::Edit;
use crate::error::AppError;
use crate::once::{Done, do_once};
use crate::ports::{
    Expect, Item, Key, NewId, PortError, Read, Stored, TelegramBot, TelegramChat, TelegramInvitation, Write,
    WriteError, WriteFacts, first,
};
use crate::take_reply::without_stop;

/// How often a run starts over because something changed under it.
const TRIES: u32 = 5;

/// How long an invitation holds.
const INVITED: SignedDuration = SignedDuration::from_hours(24 * 7);

/// A business's bot, as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BotFields {
    /// Its name, without the `@`.
    pub name: BotName,
    /// What Telegram gave for it.
    pub token: BotToken,
}

/// Sets a business's bot. The answer is the secret that Telegram has to send along with every update: 64 hex digits, shown this once. Each
/// call makes a new one.
///
/// # Errors
/// [`AppError::NotFound`] for the business; [`AppError::Busy`].
pub async fn set_bot(
    ports: &(impl Read + WriteFacts),
    ids: &impl NewId,
    business_id: &BusinessId,
    fields: &BotFields,
) -> Result<String, AppError> {
    let secret = ids.new_secret();
    for _ in 0..TRIES {
        let keys = vec![Key::Business(business_id.clone()), Key::TelegramBot(business_id.clone())];
        let found = ports.read(keys).await?;
        let (business, version) =
            first(&found, Item::business).ok_or(AppError::NotFound { what: "business" })?;
        let business = Business { telegram_bot: Some(fields.name.clone()), ..business.clone() };
        let bot = TelegramBot {
            business_id: business_id.clone(),
            token: fields.token.clone(),
            webhook_secret_hash: hash(&secret),
        };
        let writes = vec![
            Write { item: Item::Business(business), expect: Expect::Version(version) },
            over(&found, Item::TelegramBot(bot)),
        ];
        match ports.write_facts(writes).await {
            Ok(()) => return Ok(secret),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(AppError::Busy)
}

/// A write of an item over what was found in its place.
fn over(found: &[Stored], item: Item) -> Write {
    let there = found.iter().find(|stored| stored.item.key() == item.key());
    let expect = there.map_or(Expect::Absent, |stored| Expect::Version(stored.version));
    Write { item, expect }
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// Whether a secret is the one that the business's bot was given.
pub async fn is_from_telegram(
    read: &impl Read,
    business_id: &BusinessId,
    secret: &str,
) -> Result<bool, PortError> {
    let found = read.read(vec![Key::TelegramBot(business_id.clone())]).await?;
    let expected = first(&found, Item::telegram_bot).map(|(bot, _)| bot.webhook_secret_hash.as_bytes());
    let given = hash(secret);
    // Every byte is looked at, whatever the ones before it were.
    let differ = |expected: &[u8]| {
        let pairs = expected.iter().zip(given.as_bytes());
        expected.len() != given.len() || pairs.fold(0, |sum, (one, other)| sum | (one ^ other)) != 0
    };
    Ok(expected.is_some_and(|expected| !differ(expected)))
}

/// An invitation to write to the bot, as the caller hands it to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invited {
    /// What the client opens.
    pub url: String,
    /// Until when it can be used, once (UTC).
    pub expires_at: Timestamp,
}

/// Invites a client to write to the business's bot.
///
/// # Errors
/// [`AppError::NotFound`] for the client; [`AppError::CannotWrite`] where the business has no bot.
pub async fn invite(
    ports: &(impl Read + WriteFacts),
    ids: &impl NewId,
    edit: Edit<'_>,
    client_id: &ClientId,
) -> Result<Done<Invited>, AppError> {
    let business_id = edit.business_id;
    let keys = vec![Key::Business(business_id.clone()), Key::Client(business_id.clone(), client_id.clone())];
    // 64 characters, as a bot's link takes at most. https://core.telegram.org/bots/features#deep-linking
    let code = &ids.new_secret();
    do_once(ports, TRIES, business_id, edit.once, edit.now, keys, |found| async move {
        first(&found, Item::known_client).ok_or(AppError::NotFound { what: "client" })?;
        let bot = first(&found, Item::business).and_then(|(business, _)| business.telegram_bot.as_ref());
        let bot = bot.ok_or(AppError::CannotWrite("the business has no Telegram bot"))?;
        let invitation = TelegramInvitation {
            business_id: business_id.clone(),
            code: code.clone(),
            client_id: client_id.clone(),
            expires_at: edit.now + INVITED,
        };
        let url = format!("https://t.me/{}?start={code}", bot.as_str());
        let invited = Invited { url, expires_at: invitation.expires_at };
        let write = Write { item: Item::TelegramInvitation(invitation), expect: Expect::Absent };
        Ok((vec![write], Done { value: invited, etag: 1 }))
    })
    .await
}

/// Makes the chat in which an invitation's code was written the client's, at `now` (UTC). An invitation links one chat; the same chat again
/// changes nothing. The answer is the client's language, or `None` where nobody was invited so.
pub async fn link_chat(
    store: &(impl Read + WriteFacts),
    business_id: &BusinessId,
    code: &str,
    chat_id: &ChatId,
    now: Timestamp,
) -> Result<Option<Locale>, PortError> {
    for _ in 0..TRIES {
        let keys = vec![
            Key::Business(business_id.clone()),
            Key::TelegramInvitation(business_id.clone(), code.to_owned()),
            Key::TelegramChat(business_id.clone(), chat_id.clone()),
        ];
        let found = store.read(keys).await?;
        let Some((invitation, version)) = first(&found, Item::telegram_invitation) else { return Ok(None) };
        let before = first(&found, Item::telegram_chat).map(|(chat, _)| chat.client_id.clone());
        let mut clients = vec![invitation.client_id.clone()];
        clients.extend(before.clone().filter(|before| *before != invitation.client_id));
        let keys = clients.into_iter().map(|id| Key::Client(business_id.clone(), id)).collect();
        let cards = store.read(keys).await?;
        let card =
            |id: &ClientId| first(&cards, |item| item.known_client().filter(|client| client.id == *id));
        let Some((client, at)) = card(&invitation.client_id) else { return Ok(None) };
        let locale = client.locale.or(first(&found, Item::business).map(|(business, _)| business.locale));
        let linked = client.telegram.as_ref() == Some(chat_id) && before.as_ref() == Some(&client.id);
        if linked {
            return Ok(locale);
        }
        if invitation.expires_at <= now {
            return Ok(None);
        }
        let chat = TelegramChat {
            business_id: business_id.clone(),
            chat_id: chat_id.clone(),
            client_id: client.id.clone(),
        };
        let used = TelegramInvitation { expires_at: now, ..invitation.clone() };
        let mut writes = vec![
            over(&found, Item::TelegramChat(chat)),
            Write { item: Item::Client(with_chat(client, chat_id)), expect: Expect::Version(at) },
            Write { item: Item::TelegramInvitation(used), expect: Expect::Version(version) },
        ];
        // A chat is one client's: who had it before is written to there no more.
        if let Some((other, at)) = before.as_ref().filter(|before| **before != client.id).and_then(card)
            && other.telegram.as_ref() == Some(chat_id)
        {
            let other = Client { telegram: None, ..other.clone() };
            writes.push(Write { item: Item::Client(other), expect: Expect::Version(at) });
        }
        match store.write_facts(writes).await {
            Ok(()) => return Ok(locale),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error),
        }
    }
    Err(PortError::Retryable { operation: "linking a chat", source: "the client kept changing".into() })
}

/// The client with the chat, in which to be written to: a STOP from before no longer stands.
fn with_chat(client: &Client, chat_id: &ChatId) -> Client {
    let client = Client { telegram: Some(chat_id.clone()), ..client.clone() };
    let address = Person::Client(&client).address(Channel::Telegram);
    address.and_then(|address| without_stop(&client, &address)).unwrap_or(client)
}
