//! Editing webhooks: where a business wants to be told of events. All of a business's webhooks are one item, so that there are never more than it may
//! have, and telling them of an event takes one read.

use domain::event::{Event, EventFilter, EventType};
use domain::ids::{BusinessId, DeliveryId, EventId, WebhookId};
use domain::text::Name;
use domain::webhook::{
    Delivery, Reach, Secret, SigningKey, SwitchedOff, SwitchedOffReason, WEBHOOKS, Webhook, WebhookUrl,
    Webhooks,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::edit_catalogue::{Edit, given, present};
use crate::error::{AppError, check_version};
use crate::once::{Done, do_once};
use crate::ports::{Expect, Item, Key, NewId, PortError, Read, Stored, Write, WriteFacts, first};

/// How often a request starts over because something changed under it.
const TRIES: u32 = 5;

/// The most filters a webhook may have.
const FILTERS: usize = 20;

/// A webhook as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookFields {
    /// Where events are posted: an https URL on the public internet, with no port or one from 1024 on, of at most 500 characters.
    #[schema(min_length = 12, max_length = 500, examples("https://crm.example.com/hook"))]
    pub url: String,
    /// Which events; every event where it is absent. At most 20.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<EventFilter>, required = false, min_items = 1, max_items = 20)]
    pub types: Option<Vec<EventFilter>>,
    /// What people know it by.
    #[serde(default)]
    pub description: Option<Name>,
}

/// What is changed of a webhook; what is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookPatch {
    /// Where events are posted.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 12, max_length = 500, examples("https://crm.example.com/hook"))]
    pub url: Option<String>,
    /// Which events.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<EventFilter>, required = false, min_items = 1, max_items = 20)]
    pub types: Option<Vec<EventFilter>>,
    /// What people know it by; null takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Name>)]
    pub description: Option<Option<Name>>,
    /// Whether events are posted there. Switching on forgets for how long nothing has arrived.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    pub enabled: Option<bool>,
}

/// A webhook as callers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookView {
    /// The id.
    pub id: WebhookId,
    /// Where events are posted.
    pub url: WebhookUrl,
    /// Which events.
    pub types: Vec<EventFilter>,
    /// What people know it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Name>,
    /// When it was made (UTC).
    pub created_at: Timestamp,
    /// Whether events are posted there.
    pub enabled: bool,
    /// Since when and why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_off: Option<SwitchedOff>,
    /// Since when (UTC) nothing has arrived there that should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// What posts are signed with, as Standard Webhooks writes it. Said when it is made, and never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl From<&Webhook> for WebhookView {
    fn from(webhook: &Webhook) -> Self {
        Self {
            id: webhook.id.clone(),
            url: webhook.url.clone(),
            types: webhook.types.clone(),
            description: webhook.description.clone(),
            created_at: webhook.created_at,
            enabled: webhook.switched_off.is_none(),
            switched_off: webhook.switched_off,
            failing_since: webhook.failing_since,
            secret: None,
        }
    }
}

/// A webhook as it is answered.
fn shown(webhook: &Webhook) -> Done<WebhookView> {
    Done { etag: webhook.revision, value: WebhookView::from(webhook) }
}

/// The same with its secret.
fn shown_with_secret(webhook: &Webhook) -> Done<WebhookView> {
    let secret = webhook.secrets.first().map(|secret| secret.key.clone().into());
    Done { etag: webhook.revision, value: WebhookView { secret, ..WebhookView::from(webhook) } }
}

/// A business's webhooks, in the order in which they were made.
pub async fn list_webhooks(
    ports: &impl Read,
    business_id: &BusinessId,
) -> Result<Vec<WebhookView>, AppError> {
    let found = ports.read(vec![Key::Webhooks(business_id.clone())]).await?;
    Ok(webhooks_in(business_id, &found).0.webhooks.iter().map(WebhookView::from).collect())
}

/// Reads one webhook.
///
/// # Errors
/// [`AppError::NotFound`].
pub async fn get_webhook(
    ports: &impl Read,
    business_id: &BusinessId,
    id: &WebhookId,
) -> Result<Done<WebhookView>, AppError> {
    let found = ports.read(vec![Key::Webhooks(business_id.clone())]).await?;
    Ok(shown(find(&webhooks_in(business_id, &found).0, id)?))
}

/// Makes a webhook. The answer says its secret.
///
/// # Errors
/// [`AppError::Invalid`], also where the business has ten.
pub async fn create_webhook(
    ports: &(impl Read + WriteFacts),
    ids: &impl NewId,
    edit: Edit<'_>,
    fields: WebhookFields,
    reach: Reach,
) -> Result<Done<WebhookView>, AppError> {
    let types = fields.types.unwrap_or_else(|| vec![EventFilter::all()]);
    check_types(&types)?;
    let webhook = Webhook {
        id: ids.new_id().parse().map_err(|_| AppError::NotFound { what: "id" })?,
        url: checked_url(&fields.url, reach)?,
        types,
        description: fields.description,
        secrets: vec![Secret { key: new_key(ids)?, until: None }],
        created_at: edit.now,
        revision: 1,
        failing_since: None,
        switched_off: None,
    };
    change(ports, edit, |mut webhooks| {
        if webhooks.webhooks.len() >= WEBHOOKS {
            return Err(AppError::invalid("url", "a business with fewer than 10 webhooks"));
        }
        webhooks.webhooks.push(webhook.clone());
        Ok((webhooks, shown_with_secret(&webhook)))
    })
    .await
}

/// Changes a webhook.
///
/// # Errors
/// [`AppError::NotFound`]; [`AppError::Invalid`]; [`AppError::Stale`].
pub async fn patch_webhook(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    id: &WebhookId,
    patch: WebhookPatch,
    reach: Reach,
) -> Result<Done<WebhookView>, AppError> {
    let url = patch.url.as_deref().map(|url| checked_url(url, reach)).transpose()?;
    patch.types.as_deref().map(check_types).transpose()?;
    change_one(ports, edit, id, |mut webhook| {
        if let Some(url) = url.as_ref().filter(|url| **url != webhook.url) {
            // What was learnt of one URL says nothing of another.
            (webhook.url, webhook.failing_since) = (url.clone(), None);
        }
        if let Some(types) = &patch.types {
            webhook.types = types.clone();
        }
        if let Some(description) = &patch.description {
            webhook.description = description.clone();
        }
        match patch.enabled {
            Some(true) => (webhook.switched_off, webhook.failing_since) = (None, None),
            Some(false) => {
                let by_request = SwitchedOff { at: edit.now, reason: SwitchedOffReason::ByRequest };
                webhook.switched_off.get_or_insert(by_request);
            }
            None => {}
        }
        (webhook, shown)
    })
    .await
}

/// Gives a webhook a new secret, which the answer says. The one before signs beside it for 24 hours more.
///
/// # Errors
/// [`AppError::NotFound`]; [`AppError::Stale`].
pub async fn rotate_secret(
    ports: &(impl Read + WriteFacts),
    ids: &impl NewId,
    edit: Edit<'_>,
    id: &WebhookId,
) -> Result<Done<WebhookView>, AppError> {
    let key = new_key(ids)?;
    change_one(ports, edit, id, |webhook| (webhook.rotated(key.clone(), edit.now), shown_with_secret)).await
}

/// Takes a webhook away. What is on its way there is posted no more.
///
/// # Errors
/// [`AppError::NotFound`]; [`AppError::Stale`].
pub async fn delete_webhook(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    id: &WebhookId,
) -> Result<(), AppError> {
    let deleted = change(ports, edit, |mut webhooks| {
        let webhook = find(&webhooks, id)?.clone();
        check_version(edit.if_match, webhook.revision)?;
        webhooks.webhooks.retain(|other| other.id != *id);
        Ok((webhooks, shown(&webhook)))
    });
    deleted.await.map(|_| ())
}

/// Has an event `webhook.test` posted to a webhook.
///
/// # Errors
/// [`AppError::NotFound`]; [`AppError::WebhookOff`].
pub async fn test_webhook(
    ports: &(impl Read + WriteFacts),
    ids: &impl NewId,
    edit: Edit<'_>,
    id: &WebhookId,
) -> Result<Done<Delivery>, AppError> {
    let event_id = ids.new_id().parse().map_err(|_| AppError::NotFound { what: "id" })?;
    let event = test_event(event_id, edit.business_id, id, edit.now);
    let made = Delivery::of(&event, json!(event).to_string(), id, edit.now).asked_again(edit.now);
    let keys = vec![Key::Webhooks(edit.business_id.clone())];
    do_once(ports, TRIES, edit.business_id, edit.once, edit.now, keys, |found| {
        let made = made.clone();
        async move {
            check_is_on(&webhooks_in(edit.business_id, &found).0, id)?;
            let write = Write { item: Item::WebhookDelivery(made.clone()), expect: Expect::Absent };
            Ok((vec![write], Done { value: made, etag: 1 }))
        }
    })
    .await
}

/// The event that tries a webhook out, at `now` (UTC).
pub(crate) fn test_event(
    id: EventId,
    business_id: &BusinessId,
    webhook_id: &WebhookId,
    now: Timestamp,
) -> Event {
    Event {
        id,
        kind: EventType::WebhookTest,
        at: now,
        business_id: business_id.clone(),
        data: json!({ "webhook_id": webhook_id }),
    }
}

/// Has a delivery posted once more, whatever came of it before.
///
/// # Errors
/// [`AppError::NotFound`]; [`AppError::WebhookOff`]; [`AppError::Stale`].
pub async fn retry_delivery(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    id: &WebhookId,
    delivery_id: &DeliveryId,
) -> Result<Done<Delivery>, AppError> {
    let business_id = edit.business_id;
    let keys = vec![
        Key::Webhooks(business_id.clone()),
        Key::WebhookDelivery(business_id.clone(), id.clone(), delivery_id.clone()),
    ];
    do_once(ports, TRIES, business_id, edit.once, edit.now, keys, |found| async move {
        check_is_on(&webhooks_in(business_id, &found).0, id)?;
        let delivery = first(&found, Item::webhook_delivery);
        let (delivery, version) = delivery.ok_or(AppError::NotFound { what: "delivery" })?;
        check_version(edit.if_match, version)?;
        let again = delivery.clone().asked_again(edit.now);
        let write = Write { item: Item::WebhookDelivery(again.clone()), expect: Expect::Version(version) };
        Ok((vec![write], Done { value: again, etag: version + 1 }))
    })
    .await
}

/// The webhooks that were found, or none, and what is to be written over.
fn webhooks_in(business_id: &BusinessId, found: &[Stored]) -> (Webhooks, Expect) {
    match first(found, Item::webhooks) {
        Some((webhooks, version)) => (webhooks.clone(), Expect::Version(version)),
        None => (Webhooks { business_id: business_id.clone(), webhooks: Vec::new() }, Expect::Absent),
    }
}

fn find<'a>(webhooks: &'a Webhooks, id: &WebhookId) -> Result<&'a Webhook, AppError> {
    webhooks.find(id).ok_or(AppError::NotFound { what: "webhook" })
}

fn check_is_on(webhooks: &Webhooks, id: &WebhookId) -> Result<(), AppError> {
    if find(webhooks, id)?.switched_off.is_some() { Err(AppError::WebhookOff) } else { Ok(()) }
}

/// Changes a business's webhooks: `make` gets them as they are, and says how they shall be and what is answered.
async fn change<T: Serialize + DeserializeOwned>(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    make: impl Fn(Webhooks) -> Result<(Webhooks, Done<T>), AppError>,
) -> Result<Done<T>, AppError> {
    let make = &make;
    let keys = vec![Key::Webhooks(edit.business_id.clone())];
    do_once(ports, TRIES, edit.business_id, edit.once, edit.now, keys, |found| async move {
        let (webhooks, expect) = webhooks_in(edit.business_id, &found);
        let (webhooks, done) = make(webhooks)?;
        Ok((vec![Write { item: Item::Webhooks(webhooks), expect }], done))
    })
    .await
}

/// Changes one webhook: `make` gets it as it is, and says how it shall be and how that is shown.
async fn change_one(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    id: &WebhookId,
    make: impl Fn(Webhook) -> (Webhook, fn(&Webhook) -> Done<WebhookView>),
) -> Result<Done<WebhookView>, AppError> {
    change(ports, edit, |webhooks| {
        let webhook = find(&webhooks, id)?.clone();
        check_version(edit.if_match, webhook.revision)?;
        let revision = webhook.revision + 1;
        let (webhook, show) = make(webhook);
        let webhook = Webhook { revision, ..webhook };
        let done = show(&webhook);
        Ok((webhooks.with(webhook), done))
    })
    .await
}

fn checked_url(text: &str, reach: Reach) -> Result<WebhookUrl, AppError> {
    WebhookUrl::parse(text, reach).map_err(|error| AppError::invalid("url", error.0))
}

fn check_types(types: &[EventFilter]) -> Result<(), AppError> {
    let fits = (1..=FILTERS).contains(&types.len());
    if fits { Ok(()) } else { Err(AppError::invalid("types", "1 to 20 types of events")) }
}

/// A new key of 256 random bits.
fn new_key(ids: &impl NewId) -> Result<SigningKey, AppError> {
    let refused = |source| PortError::Permanent { operation: "making a secret", source };
    let bytes = hex::decode(ids.new_secret()).map_err(|error| refused(error.into()))?;
    Ok(SigningKey::new(bytes).map_err(|error| refused(error.into()))?)
}
