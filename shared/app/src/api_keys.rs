//! The API keys of a business: making, changing, rotating and revoking them.
//!
//! A secret is shown once, in the answer to the request that made it. Of that answer, all but the secret is kept for the request's repetition:
//! whose first answer got lost rotates the key.

use std::collections::BTreeSet;

use domain::access::{Access, ApiKey, ApiKeys, Role, Scope};
use domain::ids::{BusinessId, KeyId};
use domain::text::Name;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authorize::NewSecret;
use crate::edit_catalogue::{Edit, given, present};
use crate::error::{AppError, check_version};
use crate::once::{Done, do_once};
use crate::ports::{
    Credential, Expect, Item, Key, NewId, PreviousSecret, Read, Stored, Write, WriteFacts, first,
};

/// How often a request starts over because the keys changed under it.
const TRIES: u32 = 5;

/// What is no key of the business.
const WHAT: &str = "API key";

/// An API key as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyFields {
    /// What people know it by.
    pub name: Name,
    /// What its holder is to the business.
    pub role: Role,
    /// Of what the role allows, only this, at least one; without it, all of it.
    #[serde(default)]
    #[schema(min_items = 1)]
    pub scopes: Option<BTreeSet<Scope>>,
    /// From when on it does not work (UTC).
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Changes of an API key; what is absent stays as it is, what can be without is taken away by null.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPatch {
    /// What people know it by.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub name: Option<Name>,
    /// Of what the role allows, only this, at least one; null is all of it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<BTreeSet<Scope>>, min_items = 1)]
    pub scopes: Option<Option<BTreeSet<Scope>>>,
    /// From when on it does not work (UTC); null is never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Timestamp>)]
    pub expires_at: Option<Option<Timestamp>>,
}

/// How an API key is rotated.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateFields {
    /// For how many hours the secret before still works: 24 without it, none with 0.
    #[serde(default = "a_day")]
    #[schema(default = 24, maximum = 168)]
    pub grace_hours: u8,
}

fn a_day() -> u8 {
    24
}

/// The longest that a rotated secret still works, in hours.
const LONGEST_GRACE: u8 = 168;

/// A key with the only sight of its secret. Kept answers, which are made of the serialized form, have none.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeKey {
    /// The key.
    pub key: ApiKey,
    /// `bk_<id>_<secret>`; absent where the request was done before.
    #[serde(skip)]
    pub secret: Option<String>,
}

/// Makes a key that allows no more than `by`, who makes it.
///
/// # Errors
/// [`AppError::Invalid`] names the field; [`AppError::Forbidden`]; [`AppError::NotFound`] for the business.
pub async fn create_key(
    ports: &(impl Read + WriteFacts),
    ids: &impl NewId,
    edit: Edit<'_>,
    by: &Access,
    fields: &KeyFields,
) -> Result<Done<MadeKey>, AppError> {
    let KeyFields { name, role, scopes, expires_at } = fields;
    let access = Access { role: *role, scopes: scopes.clone() };
    check_access(&access)?;
    check_expiry(*expires_at, edit.now)?;
    covers(by, &access)?;
    let secret = &NewSecret::new(ids);
    let key = &ApiKey { expires_at: *expires_at, ..new_key(ids, name.clone(), access, edit.now)? };
    let keys = vec![Key::Business(edit.business_id.clone()), Key::ApiKeys(edit.business_id.clone())];
    do_once(ports, TRIES, edit.business_id, edit.once, edit.now, keys, |found| async move {
        first(&found, Item::business).ok_or(AppError::NotFound { what: "business" })?;
        let (keys, version) = keys_of(edit.business_id, &found);
        let full = |_| AppError::invalid("name", "a business with fewer than 100 API keys that work");
        let keys = keys.with(key.clone(), edit.now).map_err(full)?;
        let writes = writes_of(keys, version, secret.credential(edit.business_id, key.clone()));
        let made = MadeKey { key: key.clone(), secret: Some(secret.text(&key.id)) };
        Ok((writes, Done { value: made, etag: version + 1 }))
    })
    .await
}

/// Changes a key that allows no more than `by`, who changes it, to one that does not either.
///
/// # Errors
/// [`AppError::Invalid`] names the field; [`AppError::Forbidden`]; [`AppError::NotFound`]; [`AppError::LastOwnerKey`]; [`AppError::Stale`].
pub async fn change_key(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    by: &Access,
    id: &KeyId,
    patch: &KeyPatch,
) -> Result<Done<ApiKey>, AppError> {
    if let Some(expires_at) = patch.expires_at {
        check_expiry(expires_at, edit.now)?;
    }
    change(ports, edit, id, |credential| {
        let before = credential.key.clone();
        covers(by, &before.access)?;
        let patch = patch.clone();
        let access = Access { scopes: patch.scopes.unwrap_or(before.access.scopes), ..before.access };
        check_access(&access)?;
        covers(by, &access)?;
        let key = ApiKey {
            name: patch.name.unwrap_or(before.name),
            access,
            expires_at: patch.expires_at.unwrap_or(before.expires_at),
            ..before
        };
        Ok((Credential { key: key.clone(), ..credential }, key))
    })
    .await
}

/// Gives a key that allows no more than `by`, who asks for it, a new secret. The one before works for some time yet, the one before that no
/// more.
///
/// # Errors
/// [`AppError::Invalid`] names the field; [`AppError::Forbidden`]; [`AppError::NotFound`]; [`AppError::KeyEnded`]; [`AppError::Stale`].
pub async fn rotate_key(
    ports: &(impl Read + WriteFacts),
    ids: &impl NewId,
    edit: Edit<'_>,
    by: &Access,
    id: &KeyId,
    fields: &RotateFields,
) -> Result<Done<MadeKey>, AppError> {
    if fields.grace_hours > LONGEST_GRACE {
        return Err(AppError::invalid("grace_hours", "0 to 168 hours"));
    }
    let secret = &NewSecret::new(ids);
    change(ports, edit, id, |credential| {
        covers(by, &credential.key.access)?;
        if !credential.key.works(edit.now) {
            return Err(AppError::KeyEnded);
        }
        let key = ApiKey { rotated_at: Some(edit.now), ..credential.key };
        let grace = SignedDuration::from_hours(i64::from(fields.grace_hours));
        let previous = PreviousSecret { secret_hash: credential.secret_hash, until: edit.now + grace };
        let previous = Some(previous).filter(|_| fields.grace_hours > 0);
        let rotated = Credential { previous, ..secret.credential(edit.business_id, key.clone()) };
        Ok((rotated, MadeKey { key, secret: Some(secret.text(id)) }))
    })
    .await
}

/// Revokes a key that allows no more than `by`, who asks for it. One that is revoked stays as it is.
///
/// # Errors
/// [`AppError::Forbidden`]; [`AppError::NotFound`]; [`AppError::LastOwnerKey`]; [`AppError::Stale`].
pub async fn revoke_key(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    by: &Access,
    id: &KeyId,
) -> Result<Done<ApiKey>, AppError> {
    change(ports, edit, id, |credential| {
        covers(by, &credential.key.access)?;
        let revoked_at = credential.key.revoked_at.or(Some(edit.now));
        let key = ApiKey { revoked_at, ..credential.key };
        Ok((Credential { key: key.clone(), previous: None, ..credential }, key))
    })
    .await
}

/// All keys of a business, in the order they were made.
///
/// # Errors
/// The store fails.
pub async fn list_keys(read: &impl Read, business_id: &BusinessId) -> Result<Vec<ApiKey>, AppError> {
    let found = read.read(vec![Key::ApiKeys(business_id.clone())]).await?;
    let (keys, _) = keys_of(business_id, &found);
    if keys.keys.is_empty() {
        return Ok(Vec::new());
    }
    let credentials = keys.keys.iter().map(|key| Key::Credential(key.id.clone())).collect();
    let used = read.read(credentials).await?;
    Ok(keys.keys.into_iter().map(|key| with_last_use(key, &used)).collect())
}

/// One key of a business.
///
/// # Errors
/// [`AppError::NotFound`].
pub async fn get_key(
    read: &impl Read,
    business_id: &BusinessId,
    id: &KeyId,
) -> Result<Done<ApiKey>, AppError> {
    let found = read.read(vec![Key::ApiKeys(business_id.clone()), Key::Credential(id.clone())]).await?;
    let (keys, version) = keys_of(business_id, &found);
    let key = keys.find(id).ok_or(AppError::NotFound { what: WHAT })?;
    Ok(Done { value: with_last_use(key.clone(), &found), etag: version })
}

/// A key that never expires, of which nothing but its making has happened yet. Its id has 64 random bits: what finds it tells nothing.
pub(crate) fn new_key(
    ids: &impl NewId,
    name: Name,
    access: Access,
    now: Timestamp,
) -> Result<ApiKey, AppError> {
    let id: String = ids.new_secret().chars().take(16).collect();
    Ok(ApiKey {
        id: id.parse().map_err(|_| AppError::NotFound { what: "id" })?,
        name,
        access,
        created_at: now,
        rotated_at: None,
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    })
}

/// Changes a key and what it is known by. `make` gets both as they are, and says how they shall be and what to answer.
async fn change<T: Serialize + serde::de::DeserializeOwned>(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    id: &KeyId,
    make: impl Fn(Credential) -> Result<(Credential, T), AppError>,
) -> Result<Done<T>, AppError> {
    let make = &make;
    let keys = vec![Key::ApiKeys(edit.business_id.clone()), Key::Credential(id.clone())];
    do_once(ports, TRIES, edit.business_id, edit.once, edit.now, keys, |found| async move {
        let (keys, version) = keys_of(edit.business_id, &found);
        // The business's own list says whose key it is, not what was found by the id.
        let key = keys.find(id).ok_or(AppError::NotFound { what: WHAT })?;
        let gone = AppError::NotFound { what: WHAT };
        let (credential, _) = first(&found, Item::credential).ok_or(gone)?;
        check_version(edit.if_match, version)?;
        let last_used_at = credential.key.last_used_at;
        let before = Credential { key: ApiKey { last_used_at, ..key.clone() }, ..credential.clone() };
        let (credential, answer) = make(before)?;
        let full = |_| AppError::NotFound { what: WHAT };
        let after = keys.with(credential.key.clone(), edit.now).map_err(full)?;
        if keys.can_make_keys() && !after.can_make_keys() {
            return Err(AppError::LastOwnerKey);
        }
        Ok((writes_of(after, version, credential), Done { value: answer, etag: version + 1 }))
    })
    .await
}

/// The keys of a business among what was found, with their version; none at version 0.
fn keys_of(business_id: &BusinessId, found: &[Stored]) -> (ApiKeys, u64) {
    match first(found, Item::api_keys) {
        Some((keys, version)) => (keys.clone(), version),
        None => (ApiKeys { business_id: business_id.clone(), keys: Vec::new() }, 0),
    }
}

/// The keys at a version and what one of them is known by, which follows from them.
pub(crate) fn writes_of(keys: ApiKeys, version: u64, credential: Credential) -> Vec<Write> {
    let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
    vec![
        Write { item: Item::ApiKeys(keys), expect },
        Write { item: Item::Credential(credential), expect: Expect::Any },
    ]
}

fn with_last_use(key: ApiKey, found: &[Stored]) -> ApiKey {
    let known = |stored: &&Stored| stored.item.credential().is_some_and(|known| known.key.id == key.id);
    let credential = found.iter().find(known).and_then(|stored| stored.item.credential());
    ApiKey { last_used_at: credential.and_then(|credential| credential.key.last_used_at), ..key }
}

/// That the scopes narrow the role and leave something.
fn check_access(access: &Access) -> Result<(), AppError> {
    let Some(scopes) = &access.scopes else { return Ok(()) };
    if scopes.is_empty() {
        return Err(AppError::invalid("scopes", "at least one scope, or none for all that the role allows"));
    }
    match scopes.iter().find(|scope| !access.role.allows(**scope)) {
        None => Ok(()),
        Some(scope) => {
            let role = access.role.as_str();
            Err(AppError::invalid("scopes", format!("scopes that the role {role} allows; {scope} is none")))
        }
    }
}

fn check_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), AppError> {
    match expires_at {
        Some(expires_at) if expires_at <= now => {
            Err(AppError::invalid("expires_at", "an instant in the future"))
        }
        _ => Ok(()),
    }
}

/// That nobody gets by a key what he has not.
fn covers(by: &Access, access: &Access) -> Result<(), AppError> {
    match by.lacks_of(access) {
        None => Ok(()),
        Some(scope) => Err(AppError::Forbidden(scope)),
    }
}
