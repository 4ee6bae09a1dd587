//! Letting a business upload an image for its e-mails (S11). The file goes straight to storage; type and size are part of what is allowed, so
//! that storage refuses anything else.

use domain::ids::BusinessId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::AppError;
use crate::ports::{AllowUpload, NewId, Upload};

/// The largest image, in bytes.
const LARGEST: u64 = 1_000_000;

/// How long an upload is allowed.
const ALLOWED: SignedDuration = SignedDuration::from_mins(10);

/// An image to be uploaded.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewImage {
    /// Of which type.
    pub content_type: ImageType,
    /// How large, in bytes: 1 to 1 000 000.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub bytes: u64,
}

/// The types of images that mail programs show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ImageType {
    /// PNG.
    #[serde(rename = "image/png")]
    Png,
    /// JPEG.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// GIF.
    #[serde(rename = "image/gif")]
    Gif,
    /// WebP.
    #[serde(rename = "image/webp")]
    Webp,
}

/// An upload that is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImageUpload {
    /// Where to `PUT` the file, with exactly the content type and the length that were asked for.
    pub upload_url: String,
    /// Until when (UTC).
    pub expires_at: Timestamp,
    /// Where the image is from then on.
    pub url: String,
}

/// Allows the upload of one image at `now` (UTC).
///
/// # Errors
/// [`AppError::Invalid`] when it is too large.
pub async fn upload_image(
    ports: &impl AllowUpload,
    ids: &impl NewId,
    business_id: &BusinessId,
    image: NewImage,
    now: Timestamp,
) -> Result<ImageUpload, AppError> {
    if !(1..=LARGEST).contains(&image.bytes) {
        return Err(AppError::invalid("bytes", "1 to 1000000"));
    }
    let (content_type, extension) = match image.content_type {
        ImageType::Png => ("image/png", "png"),
        ImageType::Jpeg => ("image/jpeg", "jpg"),
        ImageType::Gif => ("image/gif", "gif"),
        ImageType::Webp => ("image/webp", "webp"),
    };
    let path = format!("images/{business_id}/{}.{extension}", ids.new_id());
    let upload = Upload { path, content_type, bytes: image.bytes, from: now, lasts: ALLOWED };
    let upload_url = ports.allow_upload(&upload).await?;
    Ok(ImageUpload { upload_url, expires_at: now + ALLOWED, url: ports.url_of(&upload.path) })
}
