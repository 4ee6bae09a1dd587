//! Doing a request once: the same `Idempotency-Key` with the same request gets the first answer again.
//!
//! The answer is written in the same transaction as the change itself, so there is no moment at which one exists without the other.

use domain::ids::BusinessId;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::AppError;
use crate::ports::{
    Answer, Expect, Item, Key, PortError, Read, Stored, Write, WriteError, WriteFacts, first,
};

/// How often an item is written that may be there.
const TRIES: u32 = 5;

/// How long answers to callers are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// A request's idempotency key, hashed, with the hash of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    key_hash: String,
    request_hash: String,
    kept: SignedDuration,
}

/// A thing that was made or changed, with what its `ETag` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<T> {
    /// The thing as it is now, or was when the request was first done.
    pub value: T,
    /// Its revision or version.
    pub etag: u64,
}

impl Once {
    /// For the header's text, and the request's method, path and body in any fixed encoding.
    pub fn new(header: &str, request: &[u8]) -> Self {
        Self::kept_for(header, request, KEPT)
    }

    /// The same, its answer kept for as long as the request may be repeated.
    pub(crate) fn kept_for(header: &str, request: &[u8], kept: SignedDuration) -> Self {
        let hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
        Self { key_hash: hash(header.as_bytes()), request_hash: hash(request), kept }
    }

    /// An id for the thing of this number that the request makes: the same however often the request is repeated.
    pub(crate) fn id_of(&self, number: u64) -> String {
        hex::encode(&Sha256::digest(format!("{}|{}|{number}", self.key_hash, self.request_hash))[..16])
    }

    /// The key its answer is stored under.
    pub fn key(&self, business_id: &BusinessId) -> Key {
        Key::Answer(business_id.clone(), self.key_hash.clone())
    }
}

/// Does a request once, at `now` (UTC): `attempt` gets what is found at `keys`, and says what to write and what to answer. Starts over, up to
/// `tries` times, where another request wrote first.
///
/// # Errors
/// What `attempt` refuses; [`AppError::KeyReused`]; [`AppError::Busy`] when every try came too late.
pub(crate) async fn do_once<T: Serialize + DeserializeOwned, F>(
    ports: &(impl Read + WriteFacts),
    tries: u32,
    business_id: &BusinessId,
    once: Option<&Once>,
    now: Timestamp,
    mut keys: Vec<Key>,
    attempt: impl Fn(Vec<Stored>) -> F,
) -> Result<Done<T>, AppError>
where
    F: Future<Output = Result<(Vec<Write>, Done<T>), AppError>>,
{
    keys.extend(once.map(|once| once.key(business_id)));
    for _ in 0..tries {
        let found = if keys.is_empty() { Vec::new() } else { ports.read(keys.clone()).await? };
        if let Some(done) = answered(once, &found, now)? {
            return Ok(done);
        }
        let place = place_of_answer(once, &found);
        let (writes, done) = attempt(found).await?;
        match write_once(ports, business_id, once, writes, &done, place, now).await {
            Ok(()) => return Ok(done),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(AppError::Busy)
}

/// The answer given before, if it is among `found`.
///
/// # Errors
/// [`AppError::KeyReused`]; [`AppError::Erased`] where it told of a client who was erased since.
pub(crate) fn answered<T: DeserializeOwned>(
    once: Option<&Once>,
    found: &[Stored],
    now: Timestamp,
) -> Result<Option<Done<T>>, AppError> {
    let Some(once) = once else { return Ok(None) };
    let of_this_key = |item: &Answer| item.key_hash == once.key_hash && item.expires_at > now;
    let answer =
        first(found, |item| item.answer().filter(|answer| of_this_key(answer))).map(|(answer, _)| answer);
    let Some(answer) = answer else { return Ok(None) };
    if answer.request_hash != once.request_hash {
        return Err(AppError::KeyReused);
    }
    if answer.body.is_empty() {
        return Err(AppError::Erased);
    }
    // By way of a `Value`, as items are read.
    let value = serde_json::from_str::<Value>(&answer.body)
        .and_then(serde_json::from_value)
        .map_err(|error| PortError::Permanent { operation: "reading a kept answer", source: error.into() })?;
    Ok(Some(Done { value, etag: answer.etag }))
}

/// What the new answer is written over, by what was `found` before: an expired one gives way to it, since DynamoDB forgets expired rows only
/// within days.
pub(crate) fn place_of_answer(once: Option<&Once>, found: &[Stored]) -> Expect {
    let of_this_key = |answer: &&Answer| once.is_some_and(|once| answer.key_hash == once.key_hash);
    let expired = first(found, |item| item.answer().filter(of_this_key));
    expired.map_or(Expect::Absent, |(_, version)| Expect::Version(version))
}

/// Writes a change and its answer together, the answer at its `place`.
///
/// # Errors
/// [`WriteError::Conflict`] also when the same request is being done by somebody else at this moment.
pub(crate) async fn write_once<T: Serialize>(
    store: &impl WriteFacts,
    business_id: &BusinessId,
    once: Option<&Once>,
    mut writes: Vec<Write>,
    done: &Done<T>,
    place: Expect,
    now: Timestamp,
) -> Result<(), WriteError> {
    if let Some(once) = once {
        let body = serde_json::to_value(&done.value)
            .map(|value| value.to_string())
            .map_err(|error| PortError::Permanent { operation: "keeping an answer", source: error.into() })?;
        let answer = Answer {
            business_id: business_id.clone(),
            key_hash: once.key_hash.clone(),
            request_hash: once.request_hash.clone(),
            body,
            etag: done.etag,
            expires_at: now + once.kept,
        };
        writes.push(Write { item: Item::Answer(answer), expect: place });
    }
    store.write_facts(writes).await
}

/// Writes an item unless something stands in its place. A conflict alone does not tell that: where two transactions meet, nothing may stand there.
///
/// # Errors
/// [`PortError::Retryable`] where others kept writing there.
pub(crate) async fn write_unless_there(
    store: &(impl Read + WriteFacts),
    item: Item,
) -> Result<(), PortError> {
    let key = item.key();
    for _ in 0..TRIES {
        match store.write_facts(vec![Write { item: item.clone(), expect: Expect::Absent }]).await {
            Ok(()) => return Ok(()),
            Err(WriteError::Conflict) => {}
            Err(WriteError::Port(error)) => return Err(error),
        }
        if !store.read(vec![key.clone()]).await?.is_empty() {
            return Ok(());
        }
    }
    Err(PortError::Retryable {
        operation: "writing what may be there",
        source: "others kept writing there at the same time".into(),
    })
}
