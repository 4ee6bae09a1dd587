//! Bookings, and what is done to them.

use app::change_booking::{BookingPatch, Change, Manner, change_booking};
use app::create_booking::{By, NewBooking, When, create_booking};
use app::dry_run::{dry_run_booking, dry_run_change};
use app::edit_catalogue::get;
use app::ports::{Item, Key};
use app::timeline::{Planned, timeline};
use aws::tables::Tables;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::{get as reading, post};
use axum::{Json, Router};
use domain::booking::Notify;
use domain::ids::BookingId;
use domain::subject::SubjectId;
use runtime::RandomIds;
use serde::Deserialize;

use super::{Answer, Routes, Store, created, id, ok};
use crate::call::{Call, Caller, Parameters};
use crate::problem::Problem;

pub fn routes() -> Routes {
    Router::new()
        .route("/v1/bookings", post(post_booking))
        .route("/v1/bookings/{id}", reading(get_booking).patch(patch_booking))
        .route("/v1/bookings/{id}/confirm", post(confirm))
        .route("/v1/bookings/{id}/reschedule", post(reschedule))
        .route("/v1/bookings/{id}/cancel", post(cancel))
        .route("/v1/bookings/{id}/arrive", post(arrive))
        .route("/v1/bookings/{id}/complete", post(complete))
        .route("/v1/bookings/{id}/no-show", post(no_show))
        .route("/v1/bookings/{id}/request-confirmation", post(request_confirmation))
        .route("/v1/bookings/{id}/confirmation", post(post_confirmation))
        .route("/v1/bookings/{id}/timeline", reading(get_timeline))
}

/// Whether to say only what a request would set off.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tried {
    #[serde(default)]
    dry_run: bool,
}

async fn post_booking(
    State(store): Store,
    Parameters(tried): Parameters<Tried>,
    call: Call<NewBooking>,
) -> Answer {
    let Caller { business_id, now } = &call.caller;
    if tried.dry_run {
        return Ok(Json(dry_run_booking(&*store, business_id, &call.body, *now).await?).into_response());
    }
    let done = create_booking(&*store, &RandomIds, business_id, &call.body, call.once.as_ref(), *now).await?;
    Ok(created(&format!("/v1/bookings/{}", done.value.booking.id), done.etag, &done.value))
}

async fn get_booking(State(store): Store, caller: Caller, Path(booking): Path<String>) -> Answer {
    let key = Key::Booking(caller.business_id, id(&booking, "booking")?);
    match get(&*store, key, "booking").await?.value {
        // A booking's ETag is its revision: what matters to messages.
        Item::Booking(booking) => Ok(ok(booking.revision, &booking)),
        _ => Err(Problem::not_found("booking")),
    }
}

async fn change(store: &Tables, booking: &str, tried: Tried, call: Call<Manner>, change: Change) -> Answer {
    let booking: BookingId = id(booking, "booking")?;
    let Call { caller: Caller { business_id, now }, once, if_match, body } = call;
    if tried.dry_run {
        let dry_run = dry_run_change(store, (&business_id, &booking), change, body, if_match, now).await?;
        return Ok(Json(dry_run).into_response());
    }
    let done =
        change_booking(store, (&business_id, &booking), change, body, if_match, once.as_ref(), now).await?;
    Ok(ok(done.etag, &done.value))
}

async fn confirm(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::Confirm).await
}

async fn cancel(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::Cancel).await
}

async fn arrive(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::Arrive).await
}

async fn complete(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::Complete).await
}

async fn no_show(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::NoShow).await
}

/// A new time for a booking.
#[derive(Debug, Clone, Copy, Deserialize)]
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

async fn reschedule(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<NewTime>,
) -> Answer {
    let NewTime { start, end, notify, by } = call.body;
    let call = call.with(Manner { notify, by });
    change(&store, &booking, tried, call, Change::Reschedule { start, end }).await
}

async fn request_confirmation(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::RequestConfirmation).await
}

/// What the client says when asked to confirm.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    confirmed: bool,
    #[serde(default)]
    by: By,
}

async fn post_confirmation(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Confirmation>,
) -> Answer {
    let Confirmation { confirmed, by } = call.body;
    let call = call.with(Manner { notify: Notify::default(), by });
    change(&store, &booking, tried, call, Change::Answer(confirmed)).await
}

async fn patch_booking(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<BookingPatch>,
) -> Answer {
    let patch = call.body.clone();
    let call = call.with(Manner { notify: patch.notify, by: patch.by });
    change(&store, &booking, tried, call, Change::Edit(Box::new(patch))).await
}

async fn get_timeline(State(store): Store, caller: Caller, Path(booking): Path<String>) -> Answer {
    let subject = SubjectId::Booking(id(&booking, "booking")?);
    let timeline = timeline(&*store, &caller.business_id, &subject, caller.now).await?;
    let revision = match &timeline.subject {
        Planned::Booking(booking) => booking.revision,
        Planned::Occasion(_) => 0,
    };
    Ok(ok(revision, &timeline))
}
