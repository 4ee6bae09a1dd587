//! Bookings, what is done to them, and the tasks that come of them.

use app::change_booking::{Change, Manner, change_booking};
use app::create_booking::{By, NewBooking, When, create_booking};
use app::edit_catalogue::get;
use app::ports::{Item, Key, Kind};
use app::timeline::timeline;
use aws::tables::Tables;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get as reading, post};
use domain::booking::Notify;
use domain::ids::BookingId;
use runtime::RandomIds;
use serde::Deserialize;

use super::{Answer, PageParameters, Routes, Store, created, id, ok, page};
use crate::call::{Call, Caller, Parameters};
use crate::problem::Problem;

pub fn routes() -> Routes {
    Router::new()
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
}

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
