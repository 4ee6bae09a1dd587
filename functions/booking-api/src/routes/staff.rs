//! Staff members and their devices.

use app::edit_catalogue::{DeviceFields, StaffFields, create, get, update, without_device};
use app::error::AppError;
use app::ports::{Item, Key, Kind};
use axum::extract::{Path, State};
use domain::ids::{DeviceId, StaffId};
use domain::staff::StaffMember;

use super::{Answer, Nothing, PageOf, PageParameters, Store, id, made, new, page, shown};
use crate::call::{Call, Caller, Parameters};
use crate::examples;
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        CatalogueRead => list_staff, get_staff;
        CatalogueWrite => post_staff, put_staff, post_staff_device, delete_staff_device;
    )
}

/// List staff
///
/// Who is told about bookings on the business's side.
#[utoipa::path(
    get, path = "/v1/staff", tag = "staff", params(PageParameters),
    responses((status = 200, description = "A page of staff.", body = PageOf<StaffMember>))
)]
async fn list_staff(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Staff, page_of).await
}

/// Create a staff member
///
/// Resources name the staff who serve with them, locations their managers.
#[utoipa::path(
    post, path = "/v1/staff", tag = "staff",
    request_body(content = StaffFields, example = json!({ "name": "Marta Sousa", "phone": "+351912345670", "email": "marta@salon.example", "locale": "en" })),
    responses((status = 201, description = "The staff member, made.", body = StaffMember, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_staff(State(store): Store, call: Call<StaffFields>) -> Answer {
    let staff = call.body.clone().with_id(call.caller.business_id.clone(), new()?, Vec::new());
    made("/v1/staff".into(), create(&*store, call.edit(), Item::Staff(staff), &[]).await?)
}

/// Get a staff member
#[utoipa::path(
    get, path = "/v1/staff/{id}", tag = "staff", params(("id" = StaffId, Path)),
    responses((status = 200, description = "The staff member.", body = StaffMember, headers(("ETag" = String))))
)]
async fn get_staff(State(store): Store, caller: Caller, Path(staff): Path<String>) -> Answer {
    let key = Key::Staff(caller.business_id, id(&staff, "staff member")?);
    shown(get(&*store, key, "staff member").await?)
}

/// Change a staff member
///
/// Sets everything of the staff member but the devices: what is left out is taken away.
#[utoipa::path(
    put, path = "/v1/staff/{id}", tag = "staff", params(("id" = StaffId, Path)),
    request_body(content = StaffFields, example = json!({ "name": "Marta Sousa", "phone": "+351912345670", "email": "marta@salon.example", "locale": "en" })),
    responses((status = 200, description = "The staff member, changed.", body = StaffMember, headers(("ETag" = String))))
)]
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

/// Register a staff member's device
///
/// A phone or tablet that can receive push messages; at most 20. One that is known already stays as it is.
#[utoipa::path(
    post, path = "/v1/staff/{id}/devices", tag = "staff", params(("id" = StaffId, Path)),
    request_body(content = DeviceFields, example = json!({ "platform": "apns", "token": examples::DEVICE_TOKEN })),
    responses((status = 200, description = "The staff member, with the device.", body = StaffMember, headers(("ETag" = String))))
)]
async fn post_staff_device(
    State(store): Store,
    Path(staff): Path<String>,
    call: Call<DeviceFields>,
) -> Answer {
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

/// Remove a staff member's device
///
/// It gets no push messages any more.
#[utoipa::path(
    delete, path = "/v1/staff/{id}/devices/{device}", tag = "staff",
    params(("id" = StaffId, Path), ("device" = DeviceId, Path)),
    responses((status = 200, description = "The staff member, without the device.", body = StaffMember, headers(("ETag" = String))))
)]
async fn delete_staff_device(
    State(store): Store,
    Path((staff, device)): Path<(String, String)>,
    call: Call<Nothing>,
) -> Answer {
    let key = Key::Staff(call.caller.business_id.clone(), id(&staff, "staff member")?);
    let device: DeviceId = id(&device, "device")?;
    let change = |before: Option<Item>| match before {
        Some(Item::Staff(staff)) => {
            let devices = without_device(staff.devices.clone(), &device)?;
            Ok(Item::Staff(StaffMember { devices, ..staff }))
        }
        _ => Err(AppError::NotFound { what: "staff member" }),
    };
    shown(update(&*store, call.edit(), key, &[], change).await?)
}
