//! Images for the information block of e-mails.

use std::sync::Arc;

use app::upload_image::{NewImage, upload_image};
use aws::images::Images;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use runtime::RandomIds;

use super::{Answer, Routes};
use crate::call::Call;

pub fn routes(images: Arc<Images>) -> Routes {
    Router::new().route("/v1/images", post(post_image)).with_state(images)
}

async fn post_image(State(images): State<Arc<Images>>, call: Call<NewImage>) -> Answer {
    let upload =
        upload_image(&*images, &RandomIds, &call.caller.business_id, call.body, call.caller.now).await?;
    Ok((StatusCode::CREATED, Json(upload)).into_response())
}
