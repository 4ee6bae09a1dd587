//! Series: bookings that repeat.

use app::create_series::{NewSeries, create_series};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use runtime::RandomIds;

use super::{Answer, Routes, Store};
use crate::call::{Call, Caller};

pub fn routes() -> Routes {
    Router::new().route("/v1/series", post(post_series))
}

async fn post_series(State(store): Store, call: Call<NewSeries>) -> Answer {
    let Caller { business_id, now } = &call.caller;
    let done = create_series(&*store, &RandomIds, business_id, &call.body, call.once.as_ref(), *now).await?;
    Ok((StatusCode::CREATED, Json(done.value)).into_response())
}
