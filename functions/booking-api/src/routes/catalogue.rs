//! The catalogue: locations, resources and services.

use app::edit_catalogue::{
    LocationFields, ResourceFields, ServiceFields, create, create_resource, get, update,
};
use app::edit_settings::Settings;
use app::error::AppError;
use app::ports::{Item, Key, Kind};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get as reading;
use domain::ids::{LocationId, ResourceId, ServiceId};

use super::settings::{Changed, How, change_settings};
use super::{Answer, PageParameters, Routes, Store, id, made, new, page, shown};
use crate::call::{Call, Caller, Parameters};

pub fn routes() -> Routes {
    Router::new()
        .route("/v1/locations", reading(list_locations).post(post_location))
        .route("/v1/locations/{id}", reading(get_location).put(put_location))
        .route("/v1/resources", reading(list_resources).post(post_resource))
        .route("/v1/resources/{id}", reading(get_resource).put(put_resource))
        .route("/v1/services", reading(list_services).post(post_service))
        .route("/v1/services/{id}", reading(get_service).put(put_service))
}

async fn list_locations(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Locations, page_of).await
}

async fn post_location(State(store): Store, call: Call<LocationFields>) -> Answer {
    let location = call.body.clone().with_id(call.caller.business_id.clone(), new()?);
    let needs = call.body.needs(&call.caller.business_id)?;
    made("/v1/locations".into(), create(&*store, call.edit(), Item::Location(location), &needs).await?)
}

async fn get_location(State(store): Store, caller: Caller, Path(location): Path<String>) -> Answer {
    let key = Key::Location(caller.business_id, id(&location, "location")?);
    shown(get(&*store, key, "location").await?)
}

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
    match change_settings(&store, call.edit(), &how, (&about, &needs), change).await? {
        Changed::Is(done) => shown(done),
        Changed::WouldBe(preview) => Ok(preview),
    }
}

async fn list_resources(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Resources, page_of).await
}

async fn post_resource(State(store): Store, call: Call<ResourceFields>) -> Answer {
    let needs = call.body.needs(&call.caller.business_id)?;
    let resource = call.body.clone().with_id(call.caller.business_id.clone(), new()?, Vec::new())?;
    made("/v1/resources".into(), create_resource(&*store, call.edit(), resource, &needs).await?)
}

async fn get_resource(State(store): Store, caller: Caller, Path(resource): Path<String>) -> Answer {
    let key = Key::Resource(caller.business_id, id(&resource, "resource")?);
    shown(get(&*store, key, "resource").await?)
}

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

async fn list_services(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Services, page_of).await
}

async fn post_service(State(store): Store, call: Call<ServiceFields>) -> Answer {
    let service = call.body.clone().with_id(call.caller.business_id.clone(), new()?)?;
    made("/v1/services".into(), create(&*store, call.edit(), Item::Service(service), &[]).await?)
}

async fn get_service(State(store): Store, caller: Caller, Path(service): Path<String>) -> Answer {
    let key = Key::Service(caller.business_id, id(&service, "service")?);
    shown(get(&*store, key, "service").await?)
}

async fn put_service(State(store): Store, Path(service): Path<String>, call: Call<ServiceFields>) -> Answer {
    let service: ServiceId = id(&service, "service")?;
    let business_id = &call.caller.business_id;
    let key = Key::Service(business_id.clone(), service.clone());
    let change = |before: Option<Item>| {
        before.ok_or(AppError::NotFound { what: "service" })?;
        Ok(Item::Service(call.body.clone().with_id(business_id.clone(), service.clone())?))
    };
    shown(update(&*store, call.edit(), key, &[], change).await?)
}
