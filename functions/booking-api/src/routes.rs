//! The routes: each reads a request, calls a use case, and answers.

use std::sync::Arc;

use app::change_booking::{Change, Manner, change_booking};
use app::create_booking::{By, NewBooking, When, create_booking};
use app::edit_catalogue::{
    BusinessPatch, ClientFields, DeviceFields, LocationFields, ResourceFields, ServiceFields, create, get,
    update,
};
use app::edit_rules::{Apply, edit_rules};
use app::error::AppError;
use app::once::Done;
use app::ports::{Item, Key, Kind, List, NewId, Page, Stored};
use app::timeline::timeline;
use aws::tables::Tables;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get as reading, post};
use axum::{Json, Router};
use domain::booking::Notify;
use domain::client::Client;
use domain::ids::{BookingId, BusinessId, ClientId, DeviceId, LocationId, ResourceId, ServiceId};
use domain::notification_type::NotificationType;
use domain::rule::{Rule, Rules};
use runtime::RandomIds;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{Call, Caller, Parameters};
use crate::problem::Problem;

type Store = State<Arc<Tables>>;
type Answer = Result<Response, Problem>;

/// Every route of the API.
pub fn router(tables: Arc<Tables>) -> Router {
    Router::new()
        .route("/v1/business", reading(get_business).patch(patch_business))
        .route("/v1/rules", reading(get_rules))
        .route("/v1/rules/{type}", reading(get_rule).put(put_rule))
        .route("/v1/locations", reading(list_locations).post(post_location))
        .route("/v1/locations/{id}", reading(get_location).put(put_location))
        .route("/v1/resources", reading(list_resources).post(post_resource))
        .route("/v1/resources/{id}", reading(get_resource).put(put_resource))
        .route("/v1/services", reading(list_services).post(post_service))
        .route("/v1/services/{id}", reading(get_service).put(put_service))
        .route("/v1/clients", reading(list_clients).post(post_client))
        .route("/v1/clients/{id}", reading(get_client).put(put_client))
        .route("/v1/clients/{id}/devices", post(post_device))
        .route("/v1/bookings", post(post_booking))
        .route("/v1/bookings/{id}", reading(get_booking))
        .route("/v1/bookings/{id}/confirm", post(confirm))
        .route("/v1/bookings/{id}/reschedule", post(reschedule))
        .route("/v1/bookings/{id}/cancel", post(cancel))
        .route("/v1/bookings/{id}/arrive", post(arrive))
        .route("/v1/bookings/{id}/complete", post(complete))
        .route("/v1/bookings/{id}/no-show", post(no_show))
        .route("/v1/bookings/{id}/timeline", reading(get_timeline))
        .route("/v1/tasks", reading(list_tasks))
        .fallback(|| async { Problem::no_route() })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .with_state(tables)
}

// ------------------------------------------------------------------ answers

fn ok(etag: u64, body: impl Serialize) -> Response {
    ([(header::ETAG, format!("\"{etag}\""))], Json(body)).into_response()
}

fn created(path: &str, etag: u64, body: impl Serialize) -> Response {
    let headers = [(header::ETAG, format!("\"{etag}\"")), (header::LOCATION, path.to_owned())];
    (StatusCode::CREATED, headers, Json(body)).into_response()
}

/// A thing without the tag that tells what it is: the path says so.
fn plain(item: &Item) -> Value {
    let mut value = json!(item);
    if let Some(fields) = value.as_object_mut() {
        fields.remove("entity");
    }
    value
}

fn shown(done: Done<Item>) -> Answer {
    Ok(ok(done.etag, plain(&done.value)))
}

fn made(path: String, done: Done<Item>) -> Answer {
    let body = plain(&done.value);
    let id = body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(created(&format!("{path}/{id}"), done.etag, body))
}

/// Reads an id from a path; one that cannot be is not found.
fn id<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, AppError> {
    text.parse().map_err(|_| AppError::NotFound { what })
}

fn new<T: std::str::FromStr>() -> Result<T, AppError> {
    id(&RandomIds.new_id(), "id")
}

/// Which page of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageParameters {
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn page(store: &Tables, caller: &Caller, kind: Kind, parameters: PageParameters) -> Answer {
    let limit = parameters.limit.unwrap_or(50);
    if !(1..=100).contains(&limit) {
        return Err(Problem::invalid("limit", "1 to 100"));
    }
    // A cursor is the last id of the page before.
    if parameters.cursor.as_ref().is_some_and(|cursor| cursor.parse::<BookingId>().is_err()) {
        return Err(Problem::invalid("cursor", "what the page before gave as next"));
    }
    let page = Page { after: parameters.cursor, limit };
    let listed = store.list(&caller.business_id, kind, page).await.map_err(AppError::from)?;
    let items: Vec<Value> = listed.items.iter().map(|Stored { item, .. }| plain(item)).collect();
    Ok(Json(json!({ "items": items, "next": listed.next })).into_response())
}

// ------------------------------------------------------------------ business and rules

async fn get_business(State(store): Store, caller: Caller) -> Answer {
    shown(get(&*store, Key::Business(caller.business_id), "business").await?)
}

async fn patch_business(State(store): Store, call: Call<BusinessPatch>) -> Answer {
    let key = Key::Business(call.caller.business_id.clone());
    let change = |before: Option<Item>| match before {
        Some(Item::Business(business)) => Ok(Item::Business(call.body.apply(business))),
        _ => Err(AppError::NotFound { what: "business" }),
    };
    shown(update(&*store, call.edit(), key, &[], change).await?)
}

async fn rules_of(store: &Tables, business_id: &BusinessId) -> Result<Done<Rules>, AppError> {
    match get(store, Key::Rules(business_id.clone()), "rules").await {
        Ok(Done { value: Item::Rules(rules), etag }) => Ok(Done { value: rules, etag }),
        Ok(_) | Err(AppError::NotFound { .. }) => {
            Ok(Done { value: Rules::defaults(business_id.clone()), etag: 0 })
        }
        Err(error) => Err(error),
    }
}

async fn get_rules(State(store): Store, caller: Caller) -> Answer {
    let rules = rules_of(&store, &caller.business_id).await?;
    let items: Vec<Value> = NotificationType::ALL
        .iter().copied()
        .map(|kind| json!({ "type": kind, "rule": rules.value.of(kind), "changed": rules.value.changed.contains_key(&kind) }))
        .collect();
    Ok(ok(rules.etag, json!({ "version": rules.value.version, "items": items })))
}

async fn get_rule(State(store): Store, caller: Caller, Path(kind): Path<String>) -> Answer {
    let kind: NotificationType = id(&kind, "notification type")?;
    let rules = rules_of(&store, &caller.business_id).await?;
    Ok(ok(rules.etag, rules.value.of(kind)))
}

async fn put_rule(State(store): Store, Path(kind): Path<String>, call: Call<Rule>) -> Answer {
    let kind: NotificationType = id(&kind, "notification type")?;
    let rule = &call.body;
    rule.check(kind).map_err(|invalid| AppError::invalid(invalid.field, invalid.expected))?;
    let change = |mut rules: Rules| {
        rules.changed.insert(kind, rule.clone());
        Ok(rules)
    };
    let done = edit_rules(&*store, call.edit(), Apply::default(), change).await?;
    Ok(ok(done.etag, rule))
}

// ------------------------------------------------------------------ locations, resources, services

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
    call: Call<LocationFields>,
) -> Answer {
    let location: LocationId = id(&location, "location")?;
    let business_id = &call.caller.business_id;
    let key = Key::Location(business_id.clone(), location.clone());
    let change = |before: Option<Item>| {
        before.ok_or(AppError::NotFound { what: "location" })?;
        Ok(Item::Location(call.body.clone().with_id(business_id.clone(), location.clone())))
    };
    shown(update(&*store, call.edit(), key, &call.body.needs(business_id)?, change).await?)
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
    made("/v1/resources".into(), create(&*store, call.edit(), Item::Resource(resource), &needs).await?)
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

// ------------------------------------------------------------------ clients

async fn list_clients(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Clients, page_of).await
}

async fn post_client(State(store): Store, call: Call<ClientFields>) -> Answer {
    let client = call.body.clone().with_id(call.caller.business_id.clone(), new()?, Vec::new(), Vec::new());
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
            let Client { devices, suppressions, .. } = before;
            Ok(Item::Client(call.body.clone().with_id(business_id, id, devices, suppressions)))
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

// ------------------------------------------------------------------ bookings

async fn post_booking(State(store): Store, call: Call<NewBooking>) -> Answer {
    let Caller { business_id, now } = &call.caller;
    let done = create_booking(&*store, &RandomIds, business_id, &call.body, call.once.as_ref(), *now).await?;
    Ok(created(&format!("/v1/bookings/{}", done.value.id), done.etag, &done.value))
}

async fn get_booking(State(store): Store, caller: Caller, Path(booking): Path<String>) -> Answer {
    let key = Key::Booking(caller.business_id, id(&booking, "booking")?);
    match get(&*store, key, "booking").await?.value {
        // A booking's ETag is its revision: what matters to messages.
        Item::Booking(booking) => Ok(ok(booking.revision, &booking)),
        _ => Err(Problem::not_found("booking")),
    }
}

async fn change(store: &Tables, booking: &str, call: Call<Manner>, change: Change) -> Answer {
    let booking: BookingId = id(booking, "booking")?;
    let Call { caller: Caller { business_id, now }, once, if_match, body } = call;
    let done =
        change_booking(store, (&business_id, &booking), change, body, if_match, once.as_ref(), now).await?;
    Ok(ok(done.etag, &done.value))
}

async fn confirm(State(store): Store, Path(booking): Path<String>, call: Call<Manner>) -> Answer {
    change(&store, &booking, call, Change::Confirm).await
}

async fn cancel(State(store): Store, Path(booking): Path<String>, call: Call<Manner>) -> Answer {
    change(&store, &booking, call, Change::Cancel).await
}

async fn arrive(State(store): Store, Path(booking): Path<String>, call: Call<Manner>) -> Answer {
    change(&store, &booking, call, Change::Arrive).await
}

async fn complete(State(store): Store, Path(booking): Path<String>, call: Call<Manner>) -> Answer {
    change(&store, &booking, call, Change::Complete).await
}

async fn no_show(State(store): Store, Path(booking): Path<String>, call: Call<Manner>) -> Answer {
    change(&store, &booking, call, Change::NoShow).await
}

/// A new time for a booking.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTime {
    start: When,
    #[serde(default)]
    end: Option<When>,
    #[serde(default)]
    notify: Notify,
    #[serde(default)]
    by: By,
}

async fn reschedule(State(store): Store, Path(booking): Path<String>, call: Call<NewTime>) -> Answer {
    let Call { caller, once, if_match, body: NewTime { start, end, notify, by } } = call;
    let call = Call { caller, once, if_match, body: Manner { notify, by } };
    change(&store, &booking, call, Change::Reschedule { start, end }).await
}

async fn get_timeline(State(store): Store, caller: Caller, Path(booking): Path<String>) -> Answer {
    let timeline = timeline(&*store, &caller.business_id, &id(&booking, "booking")?).await?;
    Ok(ok(timeline.booking.revision, &timeline))
}

async fn list_tasks(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Tasks, page_of).await
}
