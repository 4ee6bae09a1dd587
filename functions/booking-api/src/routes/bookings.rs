//! Bookings, and what is done to them.

use app::change_booking::{BookingPatch, Change, Manner, change_booking};
use app::create_booking::{By, MadeBooking, NewBooking, When, create_booking};
use app::dry_run::{DryRun, dry_run_booking, dry_run_change};
use app::edit_catalogue::get;
use app::list_bookings::BookingFilter;
use app::ports::{Item, Key};
use app::timeline::{Planned, Timeline, timeline};
use aws::tables::Tables;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use domain::booking::{Booking, Notify, Status};
use domain::ids::{BookingId, ClientId, LocationId, ResourceId, SeriesId};
use domain::subject::SubjectId;
use jiff::Timestamp;
use runtime::RandomIds;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{Answer, Either, PageOf, Store, created, id, limited, listed, ok};
use crate::call::{Call, Caller, Parameters, several};
use crate::examples;
use crate::operations::{Target, operations};
use crate::problem::Problem;

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        BookingsRead => list_bookings, get_booking, get_timeline;
        BookingsWrite => post_booking, patch_booking, confirm, reschedule, cancel, arrive, complete, no_show, request_confirmation, post_confirmation;
    )
}

/// Whether to say only what a request would set off.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Tried {
    /// Writes nothing: the answer is the timeline it would have.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

/// Which bookings are looked for: all that fit what is given. A page may hold fewer than `limit`, and none, although more follow: one request looks
/// at 1,000 bookings or some more.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BookingParameters {
    /// Those that start at this instant or later; without it now, or with `client_id` the first.
    #[param(nullable = false)]
    from: Option<Timestamp>,
    /// Those that start before this instant, at most 366 days after `from`; without it 31 days after `from`. With `client_id` there is no such end.
    #[param(nullable = false)]
    until: Option<Timestamp>,
    /// Those in which this client takes part.
    #[param(nullable = false)]
    client_id: Option<ClientId>,
    /// Those of this resource.
    #[param(nullable = false)]
    resource_id: Option<ResourceId>,
    /// Those at this location.
    #[param(nullable = false)]
    location_id: Option<LocationId>,
    /// Those of this series; found soonest with one of its clients beside it, which asks for no period.
    #[param(nullable = false)]
    series_id: Option<SeriesId>,
    /// Those that stand so, with commas between them.
    #[serde(default, rename = "status", deserialize_with = "several")]
    #[param(rename = "status", required = false, style = Form, explode = false)]
    statuses: Vec<Status>,
    /// What the page before gave as `next`.
    #[param(nullable = false, pattern = "^[0-9A-Za-z:.,_-]{1,120}$")]
    cursor: Option<String>,
    /// At most so many; 50 without it.
    #[param(nullable = false, minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List bookings
///
/// Bookings of the business or of a client, the earliest start first.
#[utoipa::path(
    get, path = "/v1/bookings", tag = "bookings", params(BookingParameters),
    responses((status = 200, description = "A page of bookings.", body = PageOf<Booking>))
)]
async fn list_bookings(
    State(store): Store,
    caller: Caller,
    Parameters(wanted): Parameters<BookingParameters>,
) -> Answer {
    let BookingParameters { from, until, client_id, resource_id, location_id, series_id, .. } = wanted;
    let BookingParameters { statuses, cursor, limit, .. } = wanted;
    let filter = BookingFilter { from, until, client_id, resource_id, location_id, series_id, statuses };
    let limit = usize::try_from(limited(limit, 50, 100)?).unwrap_or(usize::MAX);
    let Caller { business_id, now, .. } = &caller;
    let cursor = cursor.as_deref();
    listed(app::list_bookings::list_bookings(&*store, business_id, &filter, cursor, limit, *now).await?)
}

/// Make a booking
///
/// One that the client makes online is pending until staff confirms it; one that staff makes is confirmed. Two bookings never share a
/// resource's time beyond its capacity. The answer to staff warns where a client was told of another booking like it a short time ago.
#[utoipa::path(
    post, path = "/v1/bookings", tag = "bookings", params(Tried),
    request_body(content = NewBooking, example = json!({
        "location_id": examples::LOCATION, "resource_id": examples::RESOURCE, "service_id": examples::SERVICE,
        "client_ids": [examples::CLIENT], "start": "2027-03-02T10:00", "source": "staff", "notify": true,
        "notes": "First visit", "price": { "minor": 3500, "currency": "EUR" }, "reminders": ["24h before start", "2h before start"]
    })),
    responses(
        (status = 201, description = "The booking, made.", body = MadeBooking, headers(("ETag" = String), ("Location" = String))),
        (status = 200, description = "With `dry_run`: the timeline it would have.", body = DryRun)
    )
)]
async fn post_booking(
    State(store): Store,
    Parameters(tried): Parameters<Tried>,
    call: Call<NewBooking>,
) -> Answer {
    let Caller { business_id, now, pages, .. } = &call.caller;
    if tried.dry_run {
        let dry_run = dry_run_booking(&*store, business_id, &call.body, *now, pages).await?;
        return Ok(Json(dry_run).into_response());
    }
    let done = create_booking(&*store, &RandomIds, business_id, &call.body, call.once.as_ref(), *now).await?;
    Ok(created(&format!("/v1/bookings/{}", done.value.booking.id), done.etag, &done.value))
}

/// Get a booking
///
/// Its `ETag` is its revision, which rises with every change that matters to messages.
#[utoipa::path(
    get, path = "/v1/bookings/{id}", tag = "bookings", params(("id" = BookingId, Path)),
    responses((status = 200, description = "The booking.", body = Booking, headers(("ETag" = String))))
)]
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
    let Call { caller: Caller { business_id, now, pages, .. }, once, if_match, body } = call;
    if tried.dry_run {
        let about = (&business_id, &booking);
        let dry_run = dry_run_change(store, about, change, body, if_match, now, &pages).await?;
        return Ok(Json(dry_run).into_response());
    }
    let done =
        change_booking(store, (&business_id, &booking), change, body, if_match, once.as_ref(), now).await?;
    Ok(ok(done.etag, &done.value))
}

/// Confirm a booking
///
/// By staff: from `pending`.
#[utoipa::path(
    post, path = "/v1/bookings/{id}/confirm", tag = "bookings", params(("id" = BookingId, Path), Tried),
    request_body(content = Manner, example = json!({ "notify": true })),
    responses((status = 200, description = "The booking, changed; or with `dry_run` the timeline it would have.", body = Either<Booking, DryRun>, headers(("ETag" = String))))
)]
async fn confirm(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::Confirm).await
}

/// Cancel a booking
///
/// From `pending` or `confirmed`. The time that comes free is offered to the waitlist.
#[utoipa::path(
    post, path = "/v1/bookings/{id}/cancel", tag = "bookings", params(("id" = BookingId, Path), Tried),
    request_body(content = Manner, example = json!({ "by": "online" })),
    responses((status = 200, description = "The booking, changed; or with `dry_run` the timeline it would have.", body = Either<Booking, DryRun>, headers(("ETag" = String))))
)]
async fn cancel(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::Cancel).await
}

/// Mark a client arrived
///
/// From `pending` or `confirmed`; corrects a no-show too.
#[utoipa::path(
    post, path = "/v1/bookings/{id}/arrive", tag = "bookings", params(("id" = BookingId, Path), Tried),
    request_body(content = Manner, example = json!({ "by": "staff" })),
    responses((status = 200, description = "The booking, changed; or with `dry_run` the timeline it would have.", body = Either<Booking, DryRun>, headers(("ETag" = String))))
)]
async fn arrive(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::Arrive).await
}

/// Complete a booking
///
/// The visit is over: from `arrived`.
#[utoipa::path(
    post, path = "/v1/bookings/{id}/complete", tag = "bookings", params(("id" = BookingId, Path), Tried),
    request_body(content = Manner, example = json!({ "notify": "none" })),
    responses((status = 200, description = "The booking, changed; or with `dry_run` the timeline it would have.", body = Either<Booking, DryRun>, headers(("ETag" = String))))
)]
async fn complete(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::Complete).await
}

/// Mark a no-show
///
/// The client did not come: from `pending` or `confirmed`.
#[utoipa::path(
    post, path = "/v1/bookings/{id}/no-show", tag = "bookings", params(("id" = BookingId, Path), Tried),
    request_body(content = Manner, example = json!({ "notify": "by_rules" })),
    responses((status = 200, description = "The booking, changed; or with `dry_run` the timeline it would have.", body = Either<Booking, DryRun>, headers(("ETag" = String))))
)]
async fn no_show(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::NoShow).await
}

/// A new time for a booking.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTime {
    /// When it starts.
    start: When,
    /// When it ends; without it, it stays as long as it was.
    #[serde(default)]
    end: Option<When>,
    /// Whether the client is told.
    #[serde(default)]
    notify: Notify,
    /// Who does it.
    #[serde(default)]
    by: By,
}

/// Move a booking
///
/// To another time of its resource. What was planned for the old time is planned anew.
#[utoipa::path(
    post, path = "/v1/bookings/{id}/reschedule", tag = "bookings", params(("id" = BookingId, Path), Tried),
    request_body(content = NewTime, example = json!({ "start": "2027-03-03T15:30", "by": "online" })),
    responses((status = 200, description = "The booking, changed; or with `dry_run` the timeline it would have.", body = Either<Booking, DryRun>, headers(("ETag" = String))))
)]
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

/// Ask the client to confirm
///
/// Now, whatever the rule says.
#[utoipa::path(
    post, path = "/v1/bookings/{id}/request-confirmation", tag = "bookings", params(("id" = BookingId, Path), Tried),
    request_body(content = Manner, example = json!({ "notify": true })),
    responses((status = 200, description = "The booking, changed; or with `dry_run` the timeline it would have.", body = Either<Booking, DryRun>, headers(("ETag" = String))))
)]
async fn request_confirmation(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<Manner>,
) -> Answer {
    change(&store, &booking, tried, call, Change::RequestConfirmation).await
}

/// What the client says when asked to confirm.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClientAnswer {
    /// Whether the client will come.
    confirmed: bool,
    /// Who says so.
    #[serde(default)]
    by: By,
}

/// Take the client's answer
///
/// What the client says when asked to confirm. A client who declines still has the booking until somebody cancels it.
#[utoipa::path(
    post, path = "/v1/bookings/{id}/confirmation", tag = "bookings", params(("id" = BookingId, Path), Tried),
    request_body(content = ClientAnswer, example = json!({ "confirmed": true, "by": "online" })),
    responses((status = 200, description = "The booking, changed; or with `dry_run` the timeline it would have.", body = Either<Booking, DryRun>, headers(("ETag" = String))))
)]
async fn post_confirmation(
    State(store): Store,
    Path(booking): Path<String>,
    Parameters(tried): Parameters<Tried>,
    call: Call<ClientAnswer>,
) -> Answer {
    let ClientAnswer { confirmed, by } = call.body;
    let call = call.with(Manner { notify: Notify::default(), by });
    change(&store, &booking, tried, call, Change::Answer(confirmed)).await
}

/// Change a booking
///
/// What it consists of at its present time; what is left out stays as it is, and what can be without is taken away by null. Notes and
/// price tell nobody anything.
#[utoipa::path(
    patch, path = "/v1/bookings/{id}", tag = "bookings", params(("id" = BookingId, Path), Tried),
    request_body(content = BookingPatch, example = json!({ "service_id": examples::SERVICE, "notes": "Allergic to ammonia", "notify": false })),
    responses((status = 200, description = "The booking, changed; or with `dry_run` the timeline it would have.", body = Either<Booking, DryRun>, headers(("ETag" = String))))
)]
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

/// Get a booking's timeline
///
/// Every message sent, planned and withheld, with the checks it went through, and the checks that are to come.
#[utoipa::path(
    get, path = "/v1/bookings/{id}/timeline", tag = "bookings", params(("id" = BookingId, Path)),
    responses((status = 200, description = "The timeline.", body = Timeline, headers(("ETag" = String))))
)]
async fn get_timeline(State(store): Store, caller: Caller, Path(booking): Path<String>) -> Answer {
    let subject = SubjectId::Booking(id(&booking, "booking")?);
    let timeline = timeline(&*store, &caller.business_id, &subject, caller.now).await?;
    let revision = match &timeline.subject {
        Planned::Booking(booking) => booking.revision,
        Planned::Occasion(_) => 0,
    };
    Ok(ok(revision, &timeline))
}
