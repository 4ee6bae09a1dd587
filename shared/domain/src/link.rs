//! Links to a client's own pages: signed, each for one purpose, and of use until a day.
//!
//! The path of a page ends in a token, which is all that the page goes by. Text messages cost money by their length, so it is short. Its bytes,
//! in base64url without padding:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the [`Purpose`] (4 bits), and whether business and subject are written as texts (1 bit each) |
//! | 1 | the id of the key it is signed with |
//! | 2 | the last day (UTC) of its use, counted from 1970 |
//! | 16 | the business's id: a UUID. Any other id is written as its length (1 byte) and its characters |
//! | 16 | the booking's id, or the client's where the page is about no booking; in the same way |
//! | 12 | the first 12 bytes of what HMAC-SHA256 makes of all that stands before and of the client's id |
//!
//! That is 48 bytes: 64 characters. The client of a booking is not in it: there are at most 40 who could be meant, and the signature is right for
//! one of them only. Twelve bytes leave a guess one chance in 2^96, for each client and key that is tried.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::ids::{BookingId, BusinessId, ClientId};

/// How long a link is of use at most, and so how long a key that no longer signs is kept.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 400);

/// How long after the visit a review is taken.
pub const REVIEW: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The most keys a business has; of more the oldest is forgotten, and the links it signed with it.
pub const KEYS: usize = 16;

/// The longest token there can be: both ids written as texts of 64 characters.
pub const LONGEST_TOKEN: usize = (4 + 2 * 65 + MAC) * 4 / 3 + 1;

/// How many bytes of the signature are kept.
const MAC: usize = 12;

/// What is signed begins so, and nothing else that may ever be signed with the same key.
const CONTEXT: &[u8] = b"client page 1";

const SECONDS_OF_A_DAY: i64 = 24 * 3600;

/// A text as others than its reader may see it: whoever has a link may do what it is for.
pub fn masked(text: &str) -> String {
    let mut parts = text.split("/c/");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked.push_str("/c/");
        let token =
            part.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).count();
        // Shorter than any token it is something else.
        if token < MAC * 4 / 3 {
            masked.push_str(part);
        } else {
            masked.push('…');
            masked.push_str(part.get(token..).unwrap_or_default());
        }
    }
    masked
}

/// What a link is for. The page of one purpose takes no link of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each says what it is")]
pub enum Purpose {
    /// To say whether the visit will take place (S53, S73).
    Confirm,
    /// To call the visit off.
    Cancel,
    /// To ask for another time.
    Reschedule,
    /// To take the visit into a calendar.
    Calendar,
    /// To say how the visit was (S74).
    Review,
    /// To choose what to hear about, and where.
    Preferences,
    /// To hear no more advertising (RFC 8058).
    Unsubscribe,
}

impl Purpose {
    /// Every purpose, at the place of its number in a token.
    pub const ALL: [Purpose; 7] = [
        Purpose::Confirm,
        Purpose::Cancel,
        Purpose::Reschedule,
        Purpose::Calendar,
        Purpose::Review,
        Purpose::Preferences,
        Purpose::Unsubscribe,
    ];

    /// Whether it is about a booking, and not about the client alone.
    pub fn is_of_booking(self) -> bool {
        !matches!(self, Purpose::Preferences | Purpose::Unsubscribe)
    }
}

/// 32 random bytes that links are signed with. Its `Debug` does not show them, so that no log does. In JSON as 64 hex digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkSecret([u8; 32]);

/// Why a text is not a [`LinkSecret`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hex digits")]
pub struct InvalidLinkSecret;

impl TryFrom<String> for LinkSecret {
    type Error = InvalidLinkSecret;
    fn try_from(text: String) -> Result<Self, InvalidLinkSecret> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidLinkSecret)?;
        Ok(Self(bytes))
    }
}

impl From<LinkSecret> for String {
    fn from(secret: LinkSecret) -> String {
        hex::encode(secret.0)
    }
}

impl std::fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkSecret(…)")
    }
}

/// A key that links are signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkKey {
    /// By which a link names it.
    pub id: u8,
    /// What it signs with.
    pub secret: LinkSecret,
    /// When it was made (UTC).
    pub made_at: Timestamp,
}

/// The keys that a business's links are signed with: the first signs, all verify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkKeys {
    /// Whose.
    pub business_id: BusinessId,
    /// The newest first; at most [`KEYS`].
    pub keys: Vec<LinkKey>,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// A client's part in a booking.
    Booking(BookingId),
    /// The client's card.
    Client(ClientId),
}

/// A link's token as it was read. Nobody has vouched for it yet: [`Token::open`] asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What for.
    pub purpose: Purpose,
    /// Whose page.
    pub business_id: BusinessId,
    /// About what.
    pub of: Of,
    key_id: u8,
    last_day: u16,
    signed: Vec<u8>,
    signature: [u8; MAC],
}

/// Why a link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefused<'a> {
    /// We have not signed it, or not for this.
    #[error("the link is not one of ours")]
    Invalid,
    /// It was one of ours, for this client.
    #[error("the link has expired")]
    Expired(&'a ClientId),
}

impl LinkKeys {
    /// A business's first key.
    pub fn first(business_id: BusinessId, secret: LinkSecret, now: Timestamp) -> Self {
        Self { business_id, keys: vec![LinkKey { id: 0, secret, made_at: now }] }
    }

    /// Keys that everybody knows: their links are as long as real ones and open nothing. For previews.
    pub fn sample(business_id: BusinessId) -> Self {
        Self::first(business_id, LinkSecret([0; 32]), Timestamp::UNIX_EPOCH)
    }

    /// The keys with a new first one, at `now` (UTC). An older one is kept for as long as a link may live that it signed, until another took its place.
    pub fn rotated(&self, secret: LinkSecret, now: Timestamp) -> Self {
        let id = self.keys.first().map_or(0, |key| key.id.wrapping_add(1));
        let mut keys = vec![LinkKey { id, secret, made_at: now }];
        let mut signed_until = now;
        for key in &self.keys {
            if signed_until.checked_add(LONGEST).is_ok_and(|end| now < end) {
                keys.push(key.clone());
            }
            signed_until = key.made_at;
        }
        keys.truncate(KEYS);
        Self { business_id: self.business_id.clone(), keys }
    }

    /// Signs a link for `client`, of use until `until` (UTC; by the day, and [`LONGEST`] from `now` at most). `None` where that is over, or there is no key.
    pub fn sign(
        &self,
        purpose: Purpose,
        of: &Of,
        client: &ClientId,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<String> {
        let until = until.min(now.checked_add(LONGEST).ok()?);
        let key = self.keys.first().filter(|_| now < until)?;
        let day = u16::try_from(until.as_second().div_euclid(SECONDS_OF_A_DAY)).ok()?;
        let of = match of {
            Of::Booking(id) => id.as_str(),
            Of::Client(id) => id.as_str(),
        };
        let (business, business_flag) = packed(self.business_id.as_str(), BUSINESS_AS_TEXT)?;
        let (of, of_flag) = packed(of, SUBJECT_AS_TEXT)?;
        let number = u8::try_from(Purpose::ALL.iter().position(|known| *known == purpose)?).ok()?;
        let mut bytes = vec![number | business_flag | of_flag, key.id];
        bytes.extend(day.to_be_bytes());
        bytes.extend(business);
        bytes.extend(of);
        let mac = mac(&key.secret, &bytes, client)?.finalize().into_bytes();
        bytes.extend(mac.get(..MAC)?);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }
}

const BUSINESS_AS_TEXT: u8 = 0x10;
const SUBJECT_AS_TEXT: u8 = 0x20;

fn mac(secret: &LinkSecret, signed: &[u8], client: &ClientId) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).ok()?;
    mac.update(CONTEXT);
    mac.update(signed);
    mac.update(client.as_str().as_bytes());
    Some(mac)
}

/// An id in as few bytes as it takes, and the flag where that is its text.
fn packed(id: &str, as_text: u8) -> Option<(Vec<u8>, u8)> {
    let mut uuid = [0; 16];
    let is_uuid =
        hex::decode_to_slice(id, &mut uuid).is_ok() && !id.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_uuid {
        return Some((uuid.to_vec(), 0));
    }
    let mut bytes = vec![u8::try_from(id.len()).ok()?];
    bytes.extend(id.as_bytes());
    Some((bytes, as_text))
}

/// Takes an id from the front of what is left.
fn unpacked(rest: &mut &[u8], as_text: bool) -> Option<String> {
    let mut take = |count: usize| {
        let (taken, after) = rest.split_at_checked(count)?;
        *rest = after;
        Some(taken)
    };
    match as_text {
        false => take(16).map(hex::encode),
        true => {
            let length = usize::from(*take(1)?.first()?);
            String::from_utf8(take(length)?.to_vec()).ok()
        }
    }
}

impl Token {
    /// Reads a token. `None` where it can be none.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > LONGEST_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (signed, signature) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
        let (&[head, key_id, high, low], mut rest) = signed.split_first_chunk::<4>()?;
        if head & 0xC0 != 0 {
            return None;
        }
        let purpose = *Purpose::ALL.get(usize::from(head & 0x0F))?;
        let business_id = unpacked(&mut rest, head & BUSINESS_AS_TEXT != 0)?.parse().ok()?;
        let of = unpacked(&mut rest, head & SUBJECT_AS_TEXT != 0)?;
        let of = match purpose.is_of_booking() {
            true => Of::Booking(of.parse().ok()?),
            false => Of::Client(of.parse().ok()?),
        };
        if !rest.is_empty() {
            return None;
        }
        Some(Self {
            purpose,
            business_id,
            of,
            key_id,
            last_day: u16::from_be_bytes([high, low]),
            signed: signed.to_vec(),
            signature: signature.try_into().ok()?,
        })
    }

    /// Which of the clients it was signed for, by `keys`, if its day is not over at `now` (UTC).
    ///
    /// # Errors
    /// [`LinkRefused`]. That it has expired is said only of a link that we signed.
    pub fn open<'a>(
        &self,
        keys: &LinkKeys,
        clients: impl IntoIterator<Item = &'a ClientId>,
        now: Timestamp,
    ) -> Result<&'a ClientId, LinkRefused<'a>> {
        let named = |key: &&LinkKey| key.id == self.key_id && keys.business_id == self.business_id;
        let key = keys.keys.iter().find(named).ok_or(LinkRefused::Invalid)?;
        // In constant time, so that nobody learns a signature byte by byte.
        let signed_for = |client: &&ClientId| {
            mac(&key.secret, &self.signed, client)
                .is_some_and(|mac| mac.verify_truncated_left(&self.signature).is_ok())
        };
        let client = clients.into_iter().find(signed_for).ok_or(LinkRefused::Invalid)?;
        let end = (i64::from(self.last_day) + 1) * SECONDS_OF_A_DAY;
        if now.as_second() < end { Ok(client) } else { Err(LinkRefused::Expired(client)) }
    }
}

#[cfg(test)]
mod tests;
