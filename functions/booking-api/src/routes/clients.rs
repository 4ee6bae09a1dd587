//! Clients and their devices.

use app::edit_catalogue::{ClientFields, DeviceFields, create, get, update};
use app::error::AppError;
use app::ports::{Item, Key, Kind};
use app::suppress::{SuppressionEnd, SuppressionFields, suppressed, unsuppressed};
use aws::tables::Tables;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get as reading, post};
use domain::client::Client;
use domain::ids::{ClientId, DeviceId};

use super::{Answer, PageParameters, Routes, Store, id, made, new, page, shown};
use crate::call::{Call, Caller, Parameters};

pub fn routes() -> Routes {
    Router::new()
        .route("/v1/clients", reading(list_clients).post(post_client))
        .route("/v1/clients/{id}", reading(get_client).put(put_client))
        .route("/v1/clients/{id}/devices", post(post_device))
        .route("/v1/clients/{id}/suppressions", post(post_suppression))
        .route("/v1/clients/{id}/suppressions/remove", post(remove_suppression))
}

async fn list_clients(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Clients, page_of).await
}

async fn post_client(State(store): Store, call: Call<ClientFields>) -> Answer {
    let client = call.body.clone().with_id(call.caller.business_id.clone(), new()?, None);
    made("/v1/clients".into(), create(&*store, call.edit(), Item::Client(client), &[]).await?)
}

async fn get_client(State(store): Store, caller: Caller, Path(client): Path<String>) -> Answer {
    let key = Key::Client(caller.business_id, id(&client, "client")?);
    shown(get(&*store, key, "client").await?)
}

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

async fn post_suppression(
    State(store): Store,
    Path(client): Path<String>,
    call: Call<SuppressionFields>,
) -> Answer {
    let now = call.caller.now;
    edit_client(&store, &client, call, |client, fields| suppressed(client, fields, now)).await
}

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
