//! Reviews, and the keys of the links to the pages that they are given on.

use app::edit_catalogue::get;
use app::ports::{Key, Kind};
use app::rotate_link_keys::{LinkKeysRotation, ShownLinkKeys, rotate_link_keys};
use axum::extract::{Path, State};
use domain::ids::ReviewId;
use domain::review::Review;
use runtime::RandomIds;

use super::{Answer, PageOf, PageParameters, Store, id, ok, page, shown};
use crate::call::{Call, Caller, Parameters};
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        BookingsRead => list_reviews, get_review;
        KeysWrite => rotate_keys_of_links;
    )
}

/// List reviews
///
/// What clients have said of their visits, the latest visit first.
#[utoipa::path(
    get, path = "/v1/reviews", tag = "reviews", params(PageParameters),
    responses((status = 200, description = "A page of reviews.", body = PageOf<Review>))
)]
async fn list_reviews(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Reviews, page_of).await
}

/// Get a review
#[utoipa::path(
    get, path = "/v1/reviews/{id}", tag = "reviews",
    params(("id" = ReviewId, Path)),
    responses((status = 200, description = "The review.", body = Review, headers(("ETag" = String))))
)]
async fn get_review(State(store): Store, caller: Caller, Path(review): Path<String>) -> Answer {
    shown(get(&*store, Key::Review(caller.business_id, id(&review, "review")?), "review").await?)
}

/// Change the key of links
///
/// Links to clients' own pages are signed with a new key from now on. Those that have left go on opening for as long as they would have, unless the
/// older keys are forgotten.
#[utoipa::path(
    post, path = "/v1/link-keys/rotate", tag = "link-keys",
    request_body(content = LinkKeysRotation, example = json!({ "forget_older": false })),
    responses((status = 200, description = "The keys there are, without their secrets.", body = ShownLinkKeys, headers(("ETag" = String))))
)]
async fn rotate_keys_of_links(State(store): Store, call: Call<LinkKeysRotation>) -> Answer {
    let done = rotate_link_keys(&*store, &RandomIds, call.edit(), call.body).await?;
    Ok(ok(done.etag, done.value))
}
