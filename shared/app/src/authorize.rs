//! Telling from an API key which business calls.
//!
//! A key reads `bk_<prefix>_<secret>`. The prefix finds the record; the secret is 256 random bits, of which only the SHA-256 is kept.

use domain::ids::BusinessId;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::ports::{ApiKey, Item, Key, NewId, PortError, Read};

/// The caller behind an `Authorization` header, or `None` when it is nobody we know.
pub async fn authorize(read: &impl Read, header: &str) -> Result<Option<BusinessId>, PortError> {
    let Some((prefix, secret)) = parse(header) else {
        return Ok(None);
    };
    let found = read.read(vec![Key::ApiKey(prefix.to_owned())]).await?;
    Ok(found.into_iter().find_map(|stored| match stored.item {
        // What is compared is the hash of a random secret: how fast the comparison ends tells nothing of the secret.
        Item::ApiKey(key) if key.secret_hash == hash(secret) => Some(key.business_id),
        _ => None,
    }))
}

/// A new key for a business: the text to hand out, and the record to keep.
pub(crate) fn new_key(ids: &impl NewId, business_id: &BusinessId, now: Timestamp) -> (String, ApiKey) {
    let secret = ids.new_secret();
    let prefix: String = ids.new_secret().chars().take(16).collect();
    let text = format!("bk_{prefix}_{secret}");
    (text, ApiKey { prefix, secret_hash: hash(&secret), business_id: business_id.clone(), created_at: now })
}

fn parse(header: &str) -> Option<(&str, &str)> {
    let (scheme, key) = header.split_once(' ')?;
    let (prefix, secret) = key.trim().strip_prefix("bk_")?.split_once('_')?;
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    (scheme.eq_ignore_ascii_case("bearer")
        && prefix.len() == 16
        && secret.len() == 64
        && is_hex(prefix)
        && is_hex(secret))
    .then_some((prefix, secret))
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}
