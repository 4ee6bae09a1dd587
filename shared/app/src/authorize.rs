//! Telling who calls: from an API key, or from a token of the issuer that the operator trusts.
//!
//! A key reads `bk_<id>_<secret>`. The id finds the record; the secret is 256 random bits, of which only the SHA-256 is kept.

use std::collections::BTreeSet;

use domain::access::{Access, ApiKey, Role};
use domain::ids::{BusinessId, KeyId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::chain;
use crate::ports::{Credential, Item, Key, NewId, NoteUse, PortError, Read, TokenClaims, VerifyToken, first};

/// By how much the clock of a token's issuer may differ from ours.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// For which business.
    pub business_id: BusinessId,
    /// What the caller may do.
    pub access: Access,
    /// Who it is.
    pub who: Who,
    /// From when on it is no longer so (UTC), whatever a cache says.
    pub until: Option<Timestamp>,
}

/// Who a caller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Somebody with an API key.
    Key(KeyId),
    /// Somebody with a token: its subject.
    Subject(String),
}

impl std::fmt::Display for Who {
    /// As logs name it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Key(id) => write!(f, "key {id}"),
            Who::Subject(subject) => write!(f, "subject {subject}"),
        }
    }
}

/// A caller as it travels from the authorizer to the API: texts only, which every gateway carries as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    business_id: String,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl From<&Principal> for Context {
    fn from(principal: &Principal) -> Self {
        let Principal { business_id, access, who, until } = principal;
        let spaced = |scopes: &BTreeSet<_>| {
            let texts: Vec<String> = scopes.iter().map(ToString::to_string).collect();
            texts.join(" ")
        };
        let (key_id, subject) = match who {
            Who::Key(id) => (Some(id.to_string()), None),
            Who::Subject(subject) => (None, Some(subject.clone())),
        };
        Self {
            business_id: business_id.to_string(),
            role: access.role.as_str().to_owned(),
            scopes: access.scopes.as_ref().map(spaced),
            key_id,
            subject,
            until: until.as_ref().map(ToString::to_string),
        }
    }
}

impl TryFrom<Context> for Principal {
    /// It is none that [`Context::from`] makes.
    type Error = ();

    fn try_from(context: Context) -> Result<Self, ()> {
        fn read<T: std::str::FromStr>(text: &str) -> Result<T, ()> {
            text.parse().map_err(|_| ())
        }
        let Context { business_id, role, scopes, key_id, subject, until } = context;
        let scopes = scopes.map(|scopes| scopes.split_whitespace().map(read).collect()).transpose()?;
        let who = match (key_id, subject) {
            (Some(id), None) => Who::Key(read(&id)?),
            (None, Some(subject)) => Who::Subject(subject),
            _ => return Err(()),
        };
        let access = Access { role: read(&role)?, scopes };
        let until = until.as_deref().map(read).transpose()?;
        Ok(Self { business_id: read(&business_id)?, access, who, until })
    }
}

/// The caller behind an `Authorization` header at `now` (UTC), or `None` when it is nobody we know.
///
/// # Errors
/// What stands behind the key or the token cannot be read. That the use of a key cannot be noted refuses nobody.
pub async fn authorize(
    ports: &(impl Read + NoteUse),
    tokens: &impl VerifyToken,
    header: &str,
    now: Timestamp,
) -> Result<Option<Principal>, PortError> {
    let Some((scheme, token)) = header.split_once(' ') else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    match token.trim() {
        key if key.starts_with("bk_") => by_key(ports, key, now).await,
        token => match tokens.verify(token, now).await? {
            Some(claims) => by_token(ports, claims, now).await,
            None => Ok(None),
        },
    }
}

async fn by_key(
    ports: &(impl Read + NoteUse),
    key: &str,
    now: Timestamp,
) -> Result<Option<Principal>, PortError> {
    let Some((id, secret)) = parse(key) else { return Ok(None) };
    let found = ports.read(vec![Key::Credential(id)]).await?;
    let Some((credential, _)) = first(&found, Item::credential) else { return Ok(None) };
    let Credential { key, business_id, .. } = credential;
    let Some(until) = secret_works_until(credential, &hash(secret), now) else { return Ok(None) };
    if key.use_is_news(now)
        && let Err(error) =
            ports.note_use(&key.id, Timestamp::from_second(now.as_second()).unwrap_or(now)).await
    {
        tracing::warn!(key.id = %key.id, error = %chain(&error), "could not note that a key is used");
    }
    Ok(Some(Principal {
        business_id: business_id.clone(),
        access: key.access.clone(),
        who: Who::Key(key.id.clone()),
        until,
    }))
}

/// Until when a secret of this hash works, if it does at `now` (UTC); the inner `None` is without end.
fn secret_works_until(credential: &Credential, hash: &str, now: Timestamp) -> Option<Option<Timestamp>> {
    let Credential { key, secret_hash, previous, .. } = credential;
    if !key.works(now) {
        return None;
    }
    // What is compared is the hash of a random secret: how fast the comparison ends tells nothing of the secret.
    if secret_hash == hash {
        return Some(key.expires_at);
    }
    let previous =
        previous.as_ref().filter(|previous| previous.secret_hash == hash && now < previous.until)?;
    Some(Some(key.expires_at.map_or(previous.until, |expires| expires.min(previous.until))))
}

async fn by_token(
    read: &impl Read,
    claims: TokenClaims,
    now: Timestamp,
) -> Result<Option<Principal>, PortError> {
    let TokenClaims { subject, business, role, not_before, expires_at } = claims;
    let until = expires_at.checked_add(LEEWAY).unwrap_or(expires_at);
    let is_early = not_before.is_some_and(|from| now + LEEWAY < from);
    let (Ok(business_id), Ok(role)) = (business.parse::<BusinessId>(), role.parse::<Role>()) else {
        return Ok(None);
    };
    if is_early || now >= until {
        return Ok(None);
    }
    let found = read.read(vec![Key::Business(business_id.clone())]).await?;
    let access = Access::all_of(role);
    let principal = Principal { business_id, access, who: Who::Subject(subject), until: Some(until) };
    Ok(first(&found, Item::business).map(|_| principal))
}

/// A secret that a key gets.
pub(crate) struct NewSecret(String);

impl NewSecret {
    /// A new one.
    pub fn new(ids: &impl NewId) -> Self {
        Self(ids.new_secret())
    }

    /// The text to hand out for the key of this id.
    pub fn text(&self, id: &KeyId) -> String {
        format!("bk_{id}_{}", self.0)
    }

    /// What `key`, whose secret it is, will be known by.
    pub fn credential(&self, business_id: &BusinessId, key: ApiKey) -> Credential {
        Credential { business_id: business_id.clone(), key, secret_hash: hash(&self.0), previous: None }
    }
}

fn parse(key: &str) -> Option<(KeyId, &str)> {
    let (id, secret) = key.strip_prefix("bk_")?.split_once('_')?;
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    (id.len() == 16 && secret.len() == 64 && is_hex(id) && is_hex(secret)).then_some(())?;
    Some((id.parse().ok()?, secret))
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::access::Scope;

    #[test]
    fn a_caller_travels_to_the_api_as_it_is() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let narrowed = Some([Scope::BookingsRead, Scope::TasksRead].into());
        let callers = [
            (Role::Owner, None, Who::Key("0123456789abcdef".parse().unwrap()), None),
            (Role::ReadOnly, narrowed, Who::Key("0123456789abcdef".parse().unwrap()), Some(now)),
            (Role::Manager, None, Who::Subject("auth0|4711".to_owned()), Some(now)),
        ];
        for (role, scopes, who, until) in callers {
            let access = Access { role, scopes };
            let principal = Principal { business_id: "b".parse().unwrap(), access, who, until };
            let context = serde_json::to_value(Context::from(&principal)).unwrap();
            assert!(context.as_object().unwrap().values().all(serde_json::Value::is_string), "{context}");
            let read: Context = serde_json::from_value(context).unwrap();
            assert_eq!(Principal::try_from(read), Ok(principal));
        }
    }

    #[test]
    fn a_context_that_says_less_is_nobody() {
        let whole = serde_json::json!({ "business_id": "b", "role": "owner", "key_id": "k" });
        let read = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut context = whole.clone();
            change(&mut context);
            serde_json::from_value(context)
                .ok()
                .and_then(|context: Context| Principal::try_from(context).ok())
        };
        assert!(read(&|_| ()).is_some());
        assert!(read(&|context| context["role"] = "king".into()).is_none());
        assert!(read(&|context| context["key_id"] = serde_json::Value::Null).is_none());
        assert!(read(&|context| context["subject"] = "both".into()).is_none());
        assert!(read(&|context| context["scopes"] = "bookings:read everything".into()).is_none());
        assert!(read(&|context| context["until"] = "soon".into()).is_none());
        assert!(read(&|context| context["business_id"] = "a#b".into()).is_none());
        // No scopes at all are not all of them.
        assert_eq!(
            read(&|context| context["scopes"] = "".into()).unwrap().access.scopes,
            Some(BTreeSet::new())
        );
    }
}
