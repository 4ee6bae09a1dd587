//! The waitlist.

use app::edit_catalogue::get;
use app::ports::{Key, Kind};
use app::waitlist::{WaitlistFields, accept_offer, close_entry, join_waitlist};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get as reading, post};
use runtime::RandomIds;

use super::{Answer, Nothing, PageParameters, Routes, Store, created, id, ok, page, shown};
use crate::call::{Call, Caller, Parameters};

pub fn routes() -> Routes {
    Router::new()
        .route("/v1/waitlist", reading(list_entries).post(post_entry))
        .route("/v1/waitlist/{id}", reading(get_entry))
        .route("/v1/waitlist/{id}/close", post(close))
        .route("/v1/waitlist/{id}/accept", post(accept))
}

async fn list_entries(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Waitlist, page_of).await
}

async fn post_entry(State(store): Store, call: Call<WaitlistFields>) -> Answer {
    let Caller { business_id, now } = &call.caller;
    let done = join_waitlist(&*store, &RandomIds, business_id, &call.body, call.once.as_ref(), *now).await?;
    Ok(created(&format!("/v1/waitlist/{}", done.value.id), done.etag, &done.value))
}

async fn get_entry(State(store): Store, caller: Caller, Path(entry): Path<String>) -> Answer {
    let key = Key::WaitlistEntry(caller.business_id, id(&entry, "place on the waitlist")?);
    shown(get(&*store, key, "place on the waitlist").await?)
}

async fn close(State(store): Store, Path(entry): Path<String>, call: Call<Nothing>) -> Answer {
    let entry = id(&entry, "place on the waitlist")?;
    let done = close_entry(&*store, call.edit(), &entry).await?;
    Ok(ok(done.etag, &done.value))
}

async fn accept(State(store): Store, Path(entry): Path<String>, call: Call<Nothing>) -> Answer {
    let entry = id(&entry, "place on the waitlist")?;
    let done = accept_offer(&*store, &RandomIds, call.edit(), &entry).await?;
    Ok(created(&format!("/v1/bookings/{}", done.value.id), done.etag, &done.value))
}
