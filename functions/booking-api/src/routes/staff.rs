//! Staff members and their devices.

use app::edit_catalogue::{DeviceFields, StaffFields, create, get, update};
use app::error::AppError;
use app::ports::{Item, Key, Kind};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get as reading, post};
use domain::ids::{DeviceId, StaffId};
use domain::staff::StaffMember;

use super::{Answer, PageParameters, Routes, Store, id, made, new, page, shown};
use crate::call::{Call, Caller, Parameters};

pub fn routes() -> Routes {
    Router::new()
        .route("/v1/staff", reading(list_staff).post(post_staff))
        .route("/v1/staff/{id}", reading(get_staff).put(put_staff))
        .route("/v1/staff/{id}/devices", post(post_device))
}

async fn list_staff(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Staff, page_of).await
}

async fn post_staff(State(store): Store, call: Call<StaffFields>) -> Answer {
    let staff = call.body.clone().with_id(call.caller.business_id.clone(), new()?, Vec::new());
    made("/v1/staff".into(), create(&*store, call.edit(), Item::Staff(staff), &[]).await?)
}

async fn get_staff(State(store): Store, caller: Caller, Path(staff): Path<String>) -> Answer {
    let key = Key::Staff(caller.business_id, id(&staff, "staff member")?);
    shown(get(&*store, key, "staff member").await?)
}

async fn put_staff(State(store): Store, Path(staff): Path<String>, call: Call<StaffFields>) -> Answer {
    let staff: StaffId = id(&staff, "staff member")?;
    let business_id = &call.caller.business_id;
    let key = Key::Staff(business_id.clone(), staff.clone());
    let change = |before: Option<Item>| match before {
        Some(Item::Staff(before)) => {
            Ok(Item::Staff(call.body.clone().with_id(business_id.clone(), staff.clone(), before.devices)))
        }
        _ => Err(AppError::NotFound { what: "staff member" }),
    };
    shown(update(&*store, call.edit(), key, &[], change).await?)
}

async fn post_device(State(store): Store, Path(staff): Path<String>, call: Call<DeviceFields>) -> Answer {
    let key = Key::Staff(call.caller.business_id.clone(), id(&staff, "staff member")?);
    let device: DeviceId = new()?;
    let change = |before: Option<Item>| match before {
        Some(Item::Staff(staff)) => {
            let devices = call.body.clone().added_to(staff.devices.clone(), device.clone())?;
            Ok(Item::Staff(StaffMember { devices, ..staff }))
        }
        _ => Err(AppError::NotFound { what: "staff member" }),
    };
    shown(update(&*store, call.edit(), key, &[], change).await?)
}
