//! The catalogue: locations, resources and services.

use app::edit_catalogue::{
    LocationFields, ResourceFields, ServiceFields, create, create_resource, get, update,
};
use app::edit_settings::Settings;
use app::error::AppError;
use app::ports::{Item, Key, Kind};
use app::preview_settings::Preview;
use axum::extract::{Path, State};
use domain::business::Location;
use domain::ids::{LocationId, ResourceId, ServiceId};
use domain::resource::{Resource, Service};

use super::settings::{Changed, How, change_settings};
use super::{Answer, Either, PageOf, PageParameters, Store, id, made, new, page, shown};
use crate::call::{Call, Caller, Parameters};
use crate::examples;
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        CatalogueRead => list_locations, get_location, list_resources, get_resource, list_services, get_service;
        CatalogueWrite => post_location, put_location, post_resource, put_resource, post_service, put_service;
    )
}

/// List locations
///
/// Branches of the business.
#[utoipa::path(
    get, path = "/v1/locations", tag = "locations", params(PageParameters),
    responses((status = 200, description = "A page of locations.", body = PageOf<Location>))
)]
async fn list_locations(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Locations, page_of).await
}

/// Create a location
///
/// A branch of the business. Without a zone it has that of the business.
#[utoipa::path(
    post, path = "/v1/locations", tag = "locations",
    request_body(content = LocationFields, example = json!({
        "name": "Chiado", "zone": "Europe/Lisbon", "address": "Rua Garrett 12, Lisboa", "map_url": "https://maps.example/aurora",
        "quiet_hours": { "from": "22:00", "until": "09:00" }, "manager_ids": [examples::STAFF]
    })),
    responses((status = 201, description = "The location, made.", body = Location, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_location(State(store): Store, call: Call<LocationFields>) -> Answer {
    let location = call.body.clone().with_id(call.caller.business_id.clone(), new()?);
    let needs = call.body.needs(&call.caller.business_id)?;
    made("/v1/locations".into(), create(&*store, call.edit(), Item::Location(location), &needs).await?)
}

/// Get a location
#[utoipa::path(
    get, path = "/v1/locations/{id}", tag = "locations", params(("id" = LocationId, Path)),
    responses((status = 200, description = "The location.", body = Location, headers(("ETag" = String))))
)]
async fn get_location(State(store): Store, caller: Caller, Path(location): Path<String>) -> Answer {
    let key = Key::Location(caller.business_id, id(&location, "location")?);
    shown(get(&*store, key, "location").await?)
}

/// Change a location
///
/// Sets everything of the location: what is left out is taken away. With `dry_run` nothing is written, and the answer says what would become of
/// the messages of bookings ahead.
#[utoipa::path(
    put, path = "/v1/locations/{id}", tag = "locations", params(("id" = LocationId, Path), How),
    request_body(content = LocationFields, example = json!({
        "name": "Chiado", "zone": "Europe/Lisbon", "address": "Rua Garrett 12, Lisboa", "map_url": "https://maps.example/aurora",
        "quiet_hours": { "from": "22:00", "until": "09:00" }, "manager_ids": [examples::STAFF]
    })),
    responses((status = 200, description = "The location, changed; or what the change would do.", body = Either<Location, Preview>, headers(("ETag" = String))))
)]
async fn put_location(
    State(store): Store,
    Path(location): Path<String>,
    Parameters(how): Parameters<How>,
    call: Call<LocationFields>,
) -> Answer {
    let location: LocationId = id(&location, "location")?;
    let business_id = &call.caller.business_id;
    let about = Key::Location(business_id.clone(), location.clone());
    let change = |settings: Settings| {
        let location = call.body.clone().with_id(business_id.clone(), location.clone());
        Ok(Settings { item: Some(Item::Location(location)), ..settings })
    };
    let needs = call.body.needs(business_id)?;
    match change_settings(&store, (call.edit(), &call.caller.pages), &how, (&about, &needs), change).await? {
        Changed::Is(done) => shown(done),
        Changed::WouldBe(preview) => Ok(preview),
    }
}

/// List resources
///
/// Specialists, equipment and rooms.
#[utoipa::path(
    get, path = "/v1/resources", tag = "resources", params(PageParameters),
    responses((status = 200, description = "A page of resources.", body = PageOf<Resource>))
)]
async fn list_resources(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Resources, page_of).await
}

/// Create a resource
///
/// Whom or what bookings take up, at a location. It gets the rules that were set for every new resource.
#[utoipa::path(
    post, path = "/v1/resources", tag = "resources",
    request_body(content = ResourceFields, example = json!({
        "location_id": examples::LOCATION, "name": "Marta", "kind": "specialist", "capacity": 1, "staff_ids": [examples::STAFF]
    })),
    responses((status = 201, description = "The resource, made.", body = Resource, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_resource(State(store): Store, call: Call<ResourceFields>) -> Answer {
    let needs = call.body.needs(&call.caller.business_id)?;
    let resource = call.body.clone().with_id(call.caller.business_id.clone(), new()?, Vec::new())?;
    made("/v1/resources".into(), create_resource(&*store, call.edit(), resource, &needs).await?)
}

/// Get a resource
#[utoipa::path(
    get, path = "/v1/resources/{id}", tag = "resources", params(("id" = ResourceId, Path)),
    responses((status = 200, description = "The resource.", body = Resource, headers(("ETag" = String))))
)]
async fn get_resource(State(store): Store, caller: Caller, Path(resource): Path<String>) -> Answer {
    let key = Key::Resource(caller.business_id, id(&resource, "resource")?);
    shown(get(&*store, key, "resource").await?)
}

/// Change a resource
///
/// Sets everything of the resource but its own rules: what is left out is taken away.
#[utoipa::path(
    put, path = "/v1/resources/{id}", tag = "resources", params(("id" = ResourceId, Path)),
    request_body(content = ResourceFields, example = json!({
        "location_id": examples::LOCATION, "name": "Marta", "kind": "specialist", "capacity": 1, "staff_ids": [examples::STAFF]
    })),
    responses((status = 200, description = "The resource, changed.", body = Resource, headers(("ETag" = String))))
)]
async fn put_resource(
    State(store): Store,
    Path(resource): Path<String>,
    call: Call<ResourceFields>,
) -> Answer {
    let resource: ResourceId = id(&resource, "resource")?;
    let business_id = &call.caller.business_id;
    let key = Key::Resource(business_id.clone(), resource.clone());
    let change = |before: Option<Item>| match before {
        Some(Item::Resource(before)) => {
            let (business_id, id) = (business_id.clone(), resource.clone());
            Ok(Item::Resource(call.body.clone().with_id(business_id, id, before.overrides)?))
        }
        _ => Err(AppError::NotFound { what: "resource" }),
    };
    shown(update(&*store, call.edit(), key, &call.body.needs(business_id)?, change).await?)
}

/// List services
///
/// What is booked.
#[utoipa::path(
    get, path = "/v1/services", tag = "services", params(PageParameters),
    responses((status = 200, description = "A page of services.", body = PageOf<Service>))
)]
async fn list_services(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Services, page_of).await
}

/// Create a service
///
/// What is booked: how long a visit takes, its price, and after how long clients are invited again.
#[utoipa::path(
    post, path = "/v1/services", tag = "services",
    request_body(content = ServiceFields, example = json!({
        "name": "Haircut", "duration_minutes": 45, "price": { "minor": 3500, "currency": "EUR" }, "rebooking_after": "28d"
    })),
    responses((status = 201, description = "The service, made.", body = Service, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_service(State(store): Store, call: Call<ServiceFields>) -> Answer {
    let service = call.body.clone().with_id(call.caller.business_id.clone(), new()?)?;
    made("/v1/services".into(), create(&*store, call.edit(), Item::Service(service), &[]).await?)
}

/// Get a service
#[utoipa::path(
    get, path = "/v1/services/{id}", tag = "services", params(("id" = ServiceId, Path)),
    responses((status = 200, description = "The service.", body = Service, headers(("ETag" = String))))
)]
async fn get_service(State(store): Store, caller: Caller, Path(service): Path<String>) -> Answer {
    let key = Key::Service(caller.business_id, id(&service, "service")?);
    shown(get(&*store, key, "service").await?)
}

/// Change a service
///
/// Sets everything of the service: what is left out is taken away. Bookings that are made keep their end and their price.
#[utoipa::path(
    put, path = "/v1/services/{id}", tag = "services", params(("id" = ServiceId, Path)),
    request_body(content = ServiceFields, example = json!({
        "name": "Haircut", "duration_minutes": 45, "price": { "minor": 3500, "currency": "EUR" }, "rebooking_after": "28d"
    })),
    responses((status = 200, description = "The service, changed.", body = Service, headers(("ETag" = String))))
)]
async fn put_service(State(store): Store, Path(service): Path<String>, call: Call<ServiceFields>) -> Answer {
    let service: ServiceId = id(&service, "service")?;
    let business_id = &call.caller.business_id;
    let key = Key::Service(business_id.clone(), service.clone());
    let after = Item::Service(call.body.clone().with_id(business_id.clone(), service)?);
    let change = |before: Option<Item>| {
        before.ok_or(AppError::NotFound { what: "service" })?;
        Ok(after.clone())
    };
    shown(update(&*store, call.edit(), key, &[], change).await?)
}
