//! Series: bookings that repeat.

use app::create_series::{MadeSeries, NewSeries, create_series};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use runtime::RandomIds;

use super::{Answer, Store};
use crate::call::{Call, Caller};
use crate::examples;
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        BookingsWrite => post_series;
    )
}

/// Make a series
///
/// Bookings that repeat every so many days at the same wall time: all of them or none. One notice tells of all; each has reminders of its own.
#[utoipa::path(
    post, path = "/v1/series", tag = "bookings",
    request_body(content = NewSeries, example = json!({
        "location_id": examples::LOCATION, "resource_id": examples::RESOURCE, "service_id": examples::SERVICE,
        "client_ids": [examples::CLIENT], "start": "2027-03-02T10:00", "source": "staff", "every": "7d", "count": 4
    })),
    responses((status = 201, description = "The series, made.", body = MadeSeries))
)]
async fn post_series(State(store): Store, call: Call<NewSeries>) -> Answer {
    let Caller { business_id, now, .. } = &call.caller;
    let done = create_series(&*store, &RandomIds, business_id, &call.body, call.once.as_ref(), *now).await?;
    Ok((StatusCode::CREATED, Json(done.value)).into_response())
}
