//! Changing the key that links to clients' own pages are signed with.

use domain::link::{LinkKeys, LinkSecret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::edit_catalogue::Edit;
use crate::error::{AppError, check_version};
use crate::once::{Done, do_once};
use crate::ports::{Expect, Item, Key, NewId, PortError, Read, Write, WriteFacts, first};

/// How often a run starts over because something changed under it.
const TRIES: u32 = 5;

/// How keys are changed, as a caller gives it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkKeysRotation {
    /// Forgets every older key at once, so that no link that has left opens anything any more. Without it links go on for as long as they may live.
    #[serde(default)]
    pub forget_older: bool,
}

/// A business's keys, without what they sign with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownLinkKeys {
    /// The newest first: it signs; all verify.
    pub keys: Vec<ShownLinkKey>,
}

/// A key, without what it signs with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownLinkKey {
    /// By which a link names it.
    pub id: u8,
    /// When it was made (UTC).
    pub made_at: Timestamp,
}

/// Makes a new key, which signs from now on. Never answers a secret.
///
/// # Errors
/// [`AppError::Stale`]; [`AppError::Busy`].
pub async fn rotate_link_keys(
    ports: &(impl Read + WriteFacts),
    ids: &impl NewId,
    edit: Edit<'_>,
    fields: LinkKeysRotation,
) -> Result<Done<ShownLinkKeys>, AppError> {
    let secret = &new_secret(ids)?;
    let keys = vec![Key::LinkKeys(edit.business_id.clone())];
    do_once(ports, TRIES, edit.business_id, edit.once, edit.now, keys, |found| async move {
        let before = first(&found, Item::link_keys);
        let version = before.map_or(0, |(_, version)| version);
        check_version(edit.if_match, version)?;
        let none = LinkKeys { business_id: edit.business_id.clone(), keys: Vec::new() };
        let mut after = before.map_or(&none, |(keys, _)| keys).rotated(secret.clone(), edit.now);
        if fields.forget_older {
            after.keys.truncate(1);
        }
        let shown = after.keys.iter().map(|key| ShownLinkKey { id: key.id, made_at: key.made_at });
        let value = ShownLinkKeys { keys: shown.collect() };
        let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
        Ok((vec![Write { item: Item::LinkKeys(after), expect }], Done { value, etag: version + 1 }))
    })
    .await
}

/// A new secret.
pub(crate) fn new_secret(ids: &impl NewId) -> Result<LinkSecret, PortError> {
    let refused = |_| PortError::Permanent { operation: "making a secret", source: "it is no secret".into() };
    ids.new_secret().try_into().map_err(refused)
}
