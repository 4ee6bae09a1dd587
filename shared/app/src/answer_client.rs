//! Answering a client in a conversation (S51): an individual message on the channel the client wrote on, and its entry beside it.

use domain::channel::Channel;
use domain::client::Client;
use domain::conversation::{Author, Entry, WHATSAPP_WINDOW};
use domain::ids::{BookingId, BusinessId, ClientId};
use domain::text::Letter;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::create_booking::new_id;
use crate::edit_catalogue::Edit;
use crate::error::AppError;
use crate::once::{Done, do_once};
use crate::ports::{Expect, Item, ListConversation, NewId, Page, PortError, Read, Write, WriteFacts, first};
use crate::write_occasion::{individual, keys_of, put_together};

/// How often a request starts over because another one with the same idempotency key came first.
const TRIES: u32 = 5;

/// How much of a conversation is read at once.
const PAGE: u32 = 50;

/// An answer to a client, as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerFields {
    /// How it goes.
    pub channel: ChatChannel,
    /// The text, as it is.
    pub text: Letter,
    /// Which booking it is about.
    #[serde(default)]
    pub booking_id: Option<BookingId>,
}

/// A channel on which clients can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatChannel {
    /// Text messages.
    Sms,
    /// WhatsApp.
    Whatsapp,
    /// Telegram.
    Telegram,
}

impl From<ChatChannel> for Channel {
    fn from(channel: ChatChannel) -> Channel {
        match channel {
            ChatChannel::Sms => Channel::Sms,
            ChatChannel::Whatsapp => Channel::Whatsapp,
            ChatChannel::Telegram => Channel::Telegram,
        }
    }
}

/// Writes an answer to a client down: the stream sends it.
///
/// # Errors
/// [`AppError::NotFound`] for the client; [`AppError::CannotWrite`] where the channel does not let us; [`AppError::Invalid`] names the field.
pub async fn answer_client(
    ports: &(impl Read + WriteFacts + ListConversation),
    ids: &impl NewId,
    edit: Edit<'_>,
    client_id: &ClientId,
    fields: &AnswerFields,
) -> Result<Done<Entry>, AppError> {
    let (business_id, now) = (edit.business_id, edit.now);
    let channel = fields.channel.into();
    let letter = (fields.text.clone(), fields.booking_id.clone());
    let occasion = &individual(business_id, new_id(ids)?, client_id, channel, letter, now);
    let entry = &Entry {
        business_id: business_id.clone(),
        client_id: client_id.clone(),
        id: new_id(ids)?,
        channel,
        from: Author::Staff,
        at: now,
        text: fields.text.as_str().to_owned(),
        booking_id: fields.booking_id.clone(),
        occasion_id: Some(occasion.id.clone()),
        meaning: None,
    };
    do_once(ports, TRIES, business_id, edit.once, now, keys_of(occasion), |found| async move {
        let occasion = put_together(occasion.clone(), None, &found)?;
        let client = first(&found, Item::client).map(|(client, _)| client);
        if let Some(client) = client {
            may_write(ports, client, fields.channel, now).await?;
        }
        let writes = [Item::Occasion(occasion), Item::Entry(entry.clone())]
            .map(|item| Write { item, expect: Expect::Absent });
        Ok((writes.into(), Done { value: entry.clone(), etag: 1 }))
    })
    .await
}

/// Whether the channel lets the business write to the client as it likes.
async fn may_write(
    ports: &impl ListConversation,
    client: &Client,
    channel: ChatChannel,
    now: Timestamp,
) -> Result<(), AppError> {
    match channel {
        ChatChannel::Telegram if client.telegram.is_none() => {
            Err(AppError::CannotWrite("the client has not written to the business's Telegram bot"))
        }
        ChatChannel::Sms | ChatChannel::Whatsapp if client.phone.is_none() => {
            Err(AppError::CannotWrite("the client has no phone"))
        }
        ChatChannel::Whatsapp if !wrote_lately(ports, &client.business_id, &client.id, now).await? => {
            Err(AppError::CannotWrite(
                "WhatsApp lets a business write freely for 24 hours after the client's own message",
            ))
        }
        _ => Ok(()),
    }
}

async fn wrote_lately(
    ports: &impl ListConversation,
    business_id: &BusinessId,
    client_id: &ClientId,
    now: Timestamp,
) -> Result<bool, PortError> {
    let since = now - WHATSAPP_WINDOW;
    let mut after = None;
    loop {
        let listed = ports.conversation(business_id, client_id, Page { after, limit: PAGE }).await?;
        for entry in listed.items.iter().filter_map(|stored| stored.item.entry()) {
            if entry.at <= since {
                return Ok(false);
            }
            if (entry.channel, entry.from) == (Channel::Whatsapp, Author::Client) {
                return Ok(true);
            }
        }
        match listed.next {
            Some(next) => after = Some(next),
            None => return Ok(false),
        }
    }
}
