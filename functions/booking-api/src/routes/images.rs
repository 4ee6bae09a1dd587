//! Images for the information block of e-mails.

use std::sync::Arc;

use app::upload_image::{ImageUpload, NewImage, upload_image};
use aws::images::Images;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use runtime::RandomIds;

use super::Answer;
use crate::call::Call;
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        SettingsWrite => post_image;
    )
}

/// Upload an image
///
/// Allows the upload of one image for an information block of e-mails. `PUT` the file to `upload_url`; from then on it is at `url`.
#[utoipa::path(
    post, path = "/v1/images", tag = "templates",
    request_body(content = NewImage, example = json!({ "content_type": "image/png", "bytes": 20480 })),
    responses((status = 201, description = "Where to put the image, and where it will be.", body = ImageUpload))
)]
async fn post_image(State(images): State<Arc<Images>>, call: Call<NewImage>) -> Answer {
    let upload =
        upload_image(&*images, &RandomIds, &call.caller.business_id, call.body, call.caller.now).await?;
    Ok((StatusCode::CREATED, Json(upload)).into_response())
}
