//! API keys.

use app::api_keys::{
    KeyFields, KeyPatch, MadeKey, RotateFields, change_key, create_key, get_key, list_keys, revoke_key,
    rotate_key,
};
use app::once::Done;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use domain::access::ApiKey;
use domain::ids::KeyId;
use runtime::RandomIds;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, Nothing, PageOf, Store, created, id, ok};
use crate::call::{Call, Caller};
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        KeysRead => list_api_keys, get_api_key;
        KeysWrite => post_api_key, patch_api_key, rotate_api_key, revoke_api_key;
    )
}

/// A key and, this once, the text to call with.
#[derive(Serialize, ToSchema)]
struct NewApiKey {
    #[serde(flatten)]
    key: ApiKey,
    /// What stands after `Bearer` in the header `Authorization`. Only its hash is kept: in the answer to a repeated request it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^bk_[0-9a-f]{16}_[0-9a-f]{64}$")]
    api_key: Option<String>,
}

impl From<MadeKey> for NewApiKey {
    fn from(MadeKey { key, secret }: MadeKey) -> Self {
        Self { key, api_key: secret }
    }
}

/// List API keys
///
/// All of them, revoked and expired ones too, in the order they were made: at most 100.
#[utoipa::path(
    get, path = "/v1/api-keys", tag = "api-keys",
    responses((status = 200, description = "The keys, without their secrets.", body = PageOf<ApiKey>))
)]
async fn list_api_keys(State(store): Store, caller: Caller) -> Answer {
    let items = list_keys(&*store, &caller.business_id).await?;
    Ok(Json(PageOf { items, next: None }).into_response())
}

/// Make an API key
///
/// The answer shows the key this once. Nobody makes a key that allows more than their own. Beyond 100 keys the oldest that does not work any
/// more is forgotten.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "api-keys",
    request_body(
        content = KeyFields,
        example = json!({ "name": "Till", "role": "staff", "scopes": ["bookings:read", "bookings:write"] })
    ),
    responses((
        status = 201, description = "The key, with the text to call with.", body = NewApiKey,
        headers(("ETag" = String), ("Location" = String))
    ))
)]
async fn post_api_key(State(store): Store, call: Call<KeyFields>) -> Answer {
    let by = &call.caller.principal.access;
    let Done { value, etag } = create_key(&*store, &RandomIds, call.edit(), by, &call.body).await?;
    Ok(created(&format!("/v1/api-keys/{}", value.key.id), etag, NewApiKey::from(value)))
}

/// Get an API key
///
/// Its `ETag` changes with every change of any key of the business.
#[utoipa::path(
    get, path = "/v1/api-keys/{id}", tag = "api-keys", params(("id" = KeyId, Path)),
    responses((status = 200, description = "The key, without its secret.", body = ApiKey, headers(("ETag" = String))))
)]
async fn get_api_key(State(store): Store, caller: Caller, Path(key): Path<String>) -> Answer {
    let key = id(&key, "API key")?;
    let Done { value, etag } = get_key(&*store, &caller.business_id, &key).await?;
    Ok(ok(etag, value))
}

/// Change an API key
///
/// Its name, its scopes, when it expires. A change holds within a minute. The last owner's key that works, never expires and has no scopes
/// stays so.
#[utoipa::path(
    patch, path = "/v1/api-keys/{id}", tag = "api-keys", params(("id" = KeyId, Path)),
    request_body(content = KeyPatch, example = json!({ "name": "Till, ground floor", "expires_at": "2099-12-31T23:59:59Z" })),
    responses((status = 200, description = "The key as it is now.", body = ApiKey, headers(("ETag" = String))))
)]
async fn patch_api_key(State(store): Store, Path(key): Path<String>, call: Call<KeyPatch>) -> Answer {
    let (key, by) = (id(&key, "API key")?, &call.caller.principal.access);
    let Done { value, etag } = change_key(&*store, call.edit(), by, &key, &call.body).await?;
    Ok(ok(etag, value))
}

/// Rotate an API key
///
/// Gives it a new secret, which the answer shows this once. The one before works for `grace_hours` longer. Where the answer got lost, rotate
/// again: of the secrets before only the last one still works.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/rotate", tag = "api-keys",
    params(("id" = KeyId, Path)),
    request_body(content = RotateFields, example = json!({ "grace_hours": 24 })),
    responses((
        status = 200, description = "The key, with the text to call with from now on.", body = NewApiKey,
        headers(("ETag" = String))
    ))
)]
async fn rotate_api_key(State(store): Store, Path(key): Path<String>, call: Call<RotateFields>) -> Answer {
    let (key, by) = (id(&key, "API key")?, &call.caller.principal.access);
    let Done { value, etag } = rotate_key(&*store, &RandomIds, call.edit(), by, &key, &call.body).await?;
    Ok(ok(etag, NewApiKey::from(value)))
}

/// Revoke an API key
///
/// It stops working within a minute, and for good. The last owner's key that works, never expires and has no scopes cannot be revoked.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/revoke", tag = "api-keys",
    params(("id" = KeyId, Path)),
    responses((status = 200, description = "The key, revoked.", body = ApiKey, headers(("ETag" = String))))
)]
async fn revoke_api_key(State(store): Store, Path(key): Path<String>, call: Call<Nothing>) -> Answer {
    let (key, by) = (id(&key, "API key")?, &call.caller.principal.access);
    let Done { value, etag } = revoke_key(&*store, call.edit(), by, &key).await?;
    Ok(ok(etag, value))
}
