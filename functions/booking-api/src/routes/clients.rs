//! Clients and their devices.

use app::edit_catalogue::{ClientFields, DeviceFields, create, get, update};
use app::error::AppError;
use app::ports::{Item, Key, Kind};
use app::suppress::{SuppressionEnd, SuppressionFields, suppressed, unsuppressed};
use aws::tables::Tables;
use axum::extract::{Path, State};
use domain::client::Client;
use domain::ids::{ClientId, DeviceId};

use super::{Answer, PageOf, PageParameters, Store, id, made, new, page, shown};
use crate::call::{Call, Caller, Parameters};
use crate::examples;
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(target; list_clients, post_client, get_client, put_client, post_device, post_suppression, remove_suppression)
}

/// List clients
///
/// Clients of the business, by id.
#[utoipa::path(
    get, path = "/v1/clients", tag = "clients", security(("key" = ["clients:read"])), params(PageParameters),
    responses((status = 200, description = "A page of clients.", body = PageOf<Client>))
)]
async fn list_clients(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Clients, page_of).await
}

/// Create a client
///
/// How a client is reached, and what is never sent. Without consent a client gets no campaigns, and everything else.
#[utoipa::path(
    post, path = "/v1/clients", tag = "clients", security(("key" = ["clients:write"])),
    request_body(content = ClientFields, example = json!({
        "name": "Ana Martins", "phone": "+351912345678", "email": "ana@example.com", "locale": "en", "zone": "Europe/Lisbon",
        "bans": { "channels": ["whatsapp"], "types": ["review_request"] }, "marketing_consent": true
    })),
    responses((status = 201, description = "The client, made.", body = Client, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_client(State(store): Store, call: Call<ClientFields>) -> Answer {
    let client = call.body.clone().with_id(call.caller.business_id.clone(), new()?, None);
    made("/v1/clients".into(), create(&*store, call.edit(), Item::Client(client), &[]).await?)
}

/// Get a client
#[utoipa::path(
    get, path = "/v1/clients/{id}", tag = "clients", security(("key" = ["clients:read"])), params(("id" = ClientId, Path)),
    responses((status = 200, description = "The client.", body = Client, headers(("ETag" = String))))
)]
async fn get_client(State(store): Store, caller: Caller, Path(client): Path<String>) -> Answer {
    let key = Key::Client(caller.business_id, id(&client, "client")?);
    shown(get(&*store, key, "client").await?)
}

/// Change a client
///
/// Sets everything of the client but devices, the Telegram chat and suppressed addresses: what is left out is taken away. Messages that wait
/// are planned anew.
#[utoipa::path(
    put, path = "/v1/clients/{id}", tag = "clients", security(("key" = ["clients:write"])), params(("id" = ClientId, Path)),
    request_body(content = ClientFields, example = json!({
        "name": "Ana Martins", "phone": "+351912345678", "email": "ana@example.com", "locale": "en", "zone": "Europe/Lisbon",
        "bans": { "channels": ["whatsapp"], "types": ["review_request"] }, "marketing_consent": true
    })),
    responses((status = 200, description = "The client, changed.", body = Client, headers(("ETag" = String))))
)]
async fn put_client(State(store): Store, Path(client): Path<String>, call: Call<ClientFields>) -> Answer {
    let client: ClientId = id(&client, "client")?;
    let business_id = &call.caller.business_id;
    let key = Key::Client(business_id.clone(), client.clone());
    let change = |before: Option<Item>| match before {
        Some(Item::Client(before)) => {
            let (business_id, id) = (business_id.clone(), client.clone());
            Ok(Item::Client(call.body.clone().with_id(business_id, id, Some(&before))))
        }
        _ => Err(AppError::NotFound { what: "client" }),
    };
    shown(update(&*store, call.edit(), key, &[], change).await?)
}

/// Register a client's device
///
/// A phone or tablet that can receive push messages; at most 20. One that is known already stays as it is.
#[utoipa::path(
    post, path = "/v1/clients/{id}/devices", tag = "clients", security(("key" = ["clients:write"])), params(("id" = ClientId, Path)),
    request_body(content = DeviceFields, example = json!({ "platform": "fcm", "token": examples::DEVICE_TOKEN })),
    responses((status = 200, description = "The client, with the device.", body = Client, headers(("ETag" = String))))
)]
async fn post_device(State(store): Store, Path(client): Path<String>, call: Call<DeviceFields>) -> Answer {
    let key = Key::Client(call.caller.business_id.clone(), id(&client, "client")?);
    let device: DeviceId = new()?;
    let change = |before: Option<Item>| match before {
        Some(Item::Client(client)) => {
            let devices = call.body.clone().added_to(client.devices.clone(), device.clone())?;
            Ok(Item::Client(Client { devices, ..client }))
        }
        _ => Err(AppError::NotFound { what: "client" }),
    };
    shown(update(&*store, call.edit(), key, &[], change).await?)
}

/// Suppress an address
///
/// The client's present address on a channel must not be written to any more, whatever anybody sets.
#[utoipa::path(
    post, path = "/v1/clients/{id}/suppressions", tag = "clients", security(("key" = ["clients:write"])), params(("id" = ClientId, Path)),
    request_body(content = SuppressionFields, example = json!({ "channel": "sms", "cause": "stop" })),
    responses((status = 200, description = "The client, with the suppression.", body = Client, headers(("ETag" = String))))
)]
async fn post_suppression(
    State(store): Store,
    Path(client): Path<String>,
    call: Call<SuppressionFields>,
) -> Answer {
    let now = call.caller.now;
    edit_client(&store, &client, call, |client, fields| suppressed(client, fields, now)).await
}

/// Take a suppression back
///
/// The client's present address on a channel may be written to again.
#[utoipa::path(
    post, path = "/v1/clients/{id}/suppressions/remove", tag = "clients", security(("key" = ["clients:write"])), params(("id" = ClientId, Path)),
    request_body(content = SuppressionEnd, example = json!({ "channel": "sms" })),
    responses((status = 200, description = "The client, without the suppression.", body = Client, headers(("ETag" = String))))
)]
async fn remove_suppression(
    State(store): Store,
    Path(client): Path<String>,
    call: Call<SuppressionEnd>,
) -> Answer {
    edit_client(&store, &client, call, unsuppressed).await
}

async fn edit_client<T: Copy>(
    store: &Tables,
    client: &str,
    call: Call<T>,
    edited: impl Fn(Client, T) -> Result<Client, AppError>,
) -> Answer {
    let key = Key::Client(call.caller.business_id.clone(), id(client, "client")?);
    let change = |before: Option<Item>| match before {
        Some(Item::Client(client)) => edited(client, call.body).map(Item::Client),
        _ => Err(AppError::NotFound { what: "client" }),
    };
    shown(update(store, call.edit(), key, &[], change).await?)
}
