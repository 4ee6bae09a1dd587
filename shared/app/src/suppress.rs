//! Suppressing a client's address by hand, and taking that back: staff learned by phone that the client wants no more, or does again.

use domain::channel::Channel;
use domain::client::{Cause, Client, Suppression};
use domain::recipient::Person;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::AppError;

/// A channel whose address can be suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddressChannel {
    /// The e-mail address.
    Email,
    /// The phone.
    Sms,
}

impl From<AddressChannel> for Channel {
    fn from(channel: AddressChannel) -> Channel {
        match channel {
            AddressChannel::Email => Channel::Email,
            AddressChannel::Sms => Channel::Sms,
        }
    }
}

/// An address not to be written to, as a caller gives it.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuppressionFields {
    /// Whose address: the client's present one on this channel.
    pub channel: AddressChannel,
    /// Why.
    pub cause: Cause,
}

/// An address that may be written to again, as a caller gives it.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuppressionEnd {
    /// Whose address: the client's present one on this channel.
    pub channel: AddressChannel,
}

/// The client with the present address suppressed from `now` (UTC) on. One that is suppressed for the same cause stays as it is.
///
/// # Errors
/// [`AppError::Invalid`] where the client has no address on the channel.
pub fn suppressed(client: Client, fields: SuppressionFields, now: Timestamp) -> Result<Client, AppError> {
    let (client, address) = address(client, fields.channel)?;
    let alike = |known: &Suppression| known.address == address && known.cause == fields.cause;
    if client.suppressions.iter().any(alike) {
        return Ok(client);
    }
    let mut suppressions = client.suppressions;
    suppressions.retain(|known| known.address != address);
    suppressions.push(Suppression { address, cause: fields.cause, since: now });
    Ok(Client { suppressions, ..client })
}

/// The client with the present address suppressed no longer.
///
/// # Errors
/// [`AppError::Invalid`] where the client has no address on the channel.
pub fn unsuppressed(client: Client, fields: SuppressionEnd) -> Result<Client, AppError> {
    let (mut client, address) = address(client, fields.channel)?;
    client.suppressions.retain(|known| known.address != address);
    Ok(client)
}

fn address(client: Client, channel: AddressChannel) -> Result<(Client, String), AppError> {
    let address = Person::Client(&client).address(channel.into());
    let expected = || AppError::invalid("channel", "a channel on which the client has an address");
    address.map(|address| (client, address)).ok_or_else(expected)
}
