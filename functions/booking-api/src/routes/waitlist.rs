//! The waitlist.

use app::edit_catalogue::get;
use app::ports::{Key, Kind};
use app::waitlist::{WaitlistFields, accept_offer, close_entry as give_up, join_waitlist};
use axum::extract::{Path, State};
use domain::booking::Booking;
use domain::ids::WaitlistEntryId;
use domain::waitlist::WaitlistEntry;
use runtime::RandomIds;

use super::{Answer, Nothing, PageOf, PageParameters, Store, created, id, ok, page, shown};
use crate::call::{Call, Caller, Parameters};
use crate::examples;
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        BookingsRead => list_entries, get_entry;
        BookingsWrite => post_entry, close_entry, accept_entry;
    )
}

/// List places on the waitlist
///
/// Every place on it, by id: who came first is first.
#[utoipa::path(
    get, path = "/v1/waitlist", tag = "waitlist", params(PageParameters),
    responses((status = 200, description = "A page of places on the waitlist.", body = PageOf<WaitlistEntry>))
)]
async fn list_entries(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Waitlist, page_of).await
}

/// Join the waitlist
///
/// A client waits for a time. One that comes free is offered to one after the other, and held for each.
#[utoipa::path(
    post, path = "/v1/waitlist", tag = "waitlist",
    request_body(content = WaitlistFields, example = json!({
        "client_id": examples::CLIENT, "location_id": examples::LOCATION, "service_id": examples::SERVICE,
        "from": "2027-03-02T09:00", "until": "2027-03-02T18:00"
    })),
    responses((status = 201, description = "The place on the waitlist.", body = WaitlistEntry, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_entry(State(store): Store, call: Call<WaitlistFields>) -> Answer {
    let Caller { business_id, now, .. } = &call.caller;
    let done = join_waitlist(&*store, &RandomIds, business_id, &call.body, call.once.as_ref(), *now).await?;
    Ok(created(&format!("/v1/waitlist/{}", done.value.id), done.etag, &done.value))
}

/// Get a place on the waitlist
#[utoipa::path(
    get, path = "/v1/waitlist/{id}", tag = "waitlist", params(("id" = WaitlistEntryId, Path)),
    responses((status = 200, description = "The place on the waitlist.", body = WaitlistEntry, headers(("ETag" = String))))
)]
async fn get_entry(State(store): Store, caller: Caller, Path(entry): Path<String>) -> Answer {
    let key = Key::WaitlistEntry(caller.business_id, id(&entry, "place on the waitlist")?);
    shown(get(&*store, key, "place on the waitlist").await?)
}

/// Leave the waitlist
///
/// Gives the place up. A time that is held for it goes to the next in turn.
#[utoipa::path(
    post, path = "/v1/waitlist/{id}/close", tag = "waitlist", params(("id" = WaitlistEntryId, Path)),
    responses((status = 200, description = "The place on the waitlist, closed.", body = WaitlistEntry, headers(("ETag" = String))))
)]
async fn close_entry(State(store): Store, Path(entry): Path<String>, call: Call<Nothing>) -> Answer {
    let entry = id(&entry, "place on the waitlist")?;
    let done = give_up(&*store, call.edit(), &entry).await?;
    Ok(ok(done.etag, &done.value))
}

/// Take an offer
///
/// Books the time that is held for this place.
#[utoipa::path(
    post, path = "/v1/waitlist/{id}/accept", tag = "waitlist", params(("id" = WaitlistEntryId, Path)),
    responses((status = 201, description = "The booking, made.", body = Booking, headers(("ETag" = String), ("Location" = String))))
)]
async fn accept_entry(State(store): Store, Path(entry): Path<String>, call: Call<Nothing>) -> Answer {
    let entry = id(&entry, "place on the waitlist")?;
    let done = accept_offer(&*store, &RandomIds, call.edit(), &entry).await?;
    Ok(created(&format!("/v1/bookings/{}", done.value.id), done.etag, &done.value))
}
