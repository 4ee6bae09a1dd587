//! Webhooks, and what was posted to them.

use app::edit_catalogue::get;
use app::edit_webhooks::{
    WebhookFields, WebhookPatch, WebhookView, create_webhook, delete_webhook as take_away,
    get_webhook as find_webhook, list_webhooks as all_webhooks, patch_webhook as edit_webhook,
    retry_delivery as ask_again, rotate_secret as new_secret, test_webhook as try_out,
};
use app::error::AppError;
use app::ports::{Key, ListDeliveries, Page};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use domain::ids::{DeliveryId, WebhookId};
use domain::webhook::Delivery;
use runtime::{RandomIds, reach};

use super::{Answer, Nothing, PageOf, PageParameters, Store, created, id, listed, ok, shown};
use crate::call::{Call, Caller, Parameters};
use crate::operations::{Target, operations};
use crate::problem::Problem;

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        WebhooksRead => list_webhooks, get_webhook, list_deliveries, get_delivery;
        WebhooksWrite => post_webhook, patch_webhook, delete_webhook, rotate_secret, test_webhook, retry_delivery;
    )
}

/// List webhooks
///
/// All of them, in the order in which they were made: a business has at most ten.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks",
    responses((status = 200, description = "The webhooks.", body = PageOf<WebhookView>))
)]
async fn list_webhooks(State(store): Store, caller: Caller) -> Answer {
    let items = all_webhooks(&*store, &caller.business_id).await?;
    Ok(Json(PageOf { items, next: None }).into_response())
}

/// Make a webhook
///
/// From now on the events it wants are posted to its URL, signed as Standard Webhooks asks. The answer says the secret they are signed with, which
/// is not shown again.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "webhooks",
    request_body(content = WebhookFields, example = json!({
        "url": "https://crm.example.com/hooks/bookings", "types": ["booking.*", "task.created"], "description": "The CRM"
    })),
    responses((status = 201, description = "The webhook, with its secret.", body = WebhookView, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_webhook(State(store): Store, call: Call<WebhookFields>) -> Answer {
    let done = create_webhook(&*store, &RandomIds, call.edit(), call.body.clone(), reach()).await?;
    Ok(created(&format!("/v1/webhooks/{}", done.value.id), done.etag, &done.value))
}

/// Get a webhook
#[utoipa::path(
    get, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = WebhookId, Path)),
    responses((status = 200, description = "The webhook.", body = WebhookView, headers(("ETag" = String))))
)]
async fn get_webhook(State(store): Store, caller: Caller, Path(webhook): Path<String>) -> Answer {
    let done = find_webhook(&*store, &caller.business_id, &id(&webhook, "webhook")?).await?;
    Ok(ok(done.etag, &done.value))
}

/// Change a webhook
///
/// What is absent stays as it is. One that was switched off, because nothing had arrived there for five days or it answered 410, is switched on again
/// by `"enabled": true`.
#[utoipa::path(
    patch, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = WebhookId, Path)),
    request_body(content = WebhookPatch, example = json!({ "enabled": true })),
    responses((status = 200, description = "The webhook.", body = WebhookView, headers(("ETag" = String))))
)]
async fn patch_webhook(State(store): Store, Path(webhook): Path<String>, call: Call<WebhookPatch>) -> Answer {
    let webhook = id(&webhook, "webhook")?;
    let done = edit_webhook(&*store, call.edit(), &webhook, call.body.clone(), reach()).await?;
    Ok(ok(done.etag, &done.value))
}

/// Take a webhook away
///
/// What is on its way there is posted no more.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = WebhookId, Path)),
    responses((status = 204, description = "It is gone."))
)]
async fn delete_webhook(State(store): Store, Path(webhook): Path<String>, call: Call<Nothing>) -> Answer {
    take_away(&*store, call.edit(), &id(&webhook, "webhook")?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Change a webhook's secret
///
/// The answer says the new one. For 24 hours more, posts are signed with the one before too.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/rotate-secret", tag = "webhooks",
    params(("id" = WebhookId, Path)),
    responses((status = 200, description = "The webhook, with its new secret.", body = WebhookView, headers(("ETag" = String))))
)]
async fn rotate_secret(State(store): Store, Path(webhook): Path<String>, call: Call<Nothing>) -> Answer {
    let done = new_secret(&*store, &RandomIds, call.edit(), &id(&webhook, "webhook")?).await?;
    Ok(ok(done.etag, &done.value))
}

/// Try a webhook out
///
/// Posts an event `webhook.test` there. What comes of it is seen at the delivery that is answered.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/test", tag = "webhooks",
    params(("id" = WebhookId, Path)),
    responses((status = 201, description = "The delivery.", body = Delivery, headers(("ETag" = String), ("Location" = String))))
)]
async fn test_webhook(State(store): Store, Path(webhook): Path<String>, call: Call<Nothing>) -> Answer {
    let done = try_out(&*store, &RandomIds, call.edit(), &id(&webhook, "webhook")?).await?;
    let Delivery { webhook_id, id, .. } = &done.value;
    Ok(created(&format!("/v1/webhooks/{webhook_id}/deliveries/{id}"), done.etag, &done.value))
}

/// List deliveries
///
/// What was posted to a webhook in the last 30 days and how it was taken, and what is to be posted, the latest first.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = WebhookId, Path), PageParameters),
    responses((status = 200, description = "A page of deliveries.", body = PageOf<Delivery>))
)]
async fn list_deliveries(
    State(store): Store,
    caller: Caller,
    Path(webhook): Path<String>,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    let webhook = id(&webhook, "webhook")?;
    let limit = page_of.limit()?;
    if page_of.cursor.as_ref().is_some_and(|cursor| cursor.parse::<DeliveryId>().is_err()) {
        return Err(Problem::invalid("cursor", "what the page before gave as next"));
    }
    find_webhook(&*store, &caller.business_id, &webhook).await?;
    let page = Page { after: page_of.cursor, limit };
    listed(store.deliveries(&caller.business_id, &webhook, page).await.map_err(AppError::from)?)
}

/// Get a delivery
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/deliveries/{delivery_id}", tag = "webhooks",
    params(("id" = WebhookId, Path), ("delivery_id" = DeliveryId, Path)),
    responses((status = 200, description = "The delivery.", body = Delivery, headers(("ETag" = String))))
)]
async fn get_delivery(
    State(store): Store,
    caller: Caller,
    Path((webhook, delivery)): Path<(String, String)>,
) -> Answer {
    let webhook = id(&webhook, "webhook")?;
    let key = Key::WebhookDelivery(caller.business_id, webhook, id(&delivery, "delivery")?);
    shown(get(&*store, key, "delivery").await?)
}

/// Post an event once more
///
/// Whatever came of it before: with the same `webhook-id`, so that whoever has it knows.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/deliveries/{delivery_id}/retry", tag = "webhooks",
    params(("id" = WebhookId, Path), ("delivery_id" = DeliveryId, Path)),
    responses((status = 200, description = "The delivery, due again.", body = Delivery, headers(("ETag" = String))))
)]
async fn retry_delivery(
    State(store): Store,
    Path((webhook, delivery)): Path<(String, String)>,
    call: Call<Nothing>,
) -> Answer {
    let (webhook, delivery) = (id(&webhook, "webhook")?, id(&delivery, "delivery")?);
    let done = ask_again(&*store, call.edit(), &webhook, &delivery).await?;
    Ok(ok(done.etag, &done.value))
}
