//! Occasions: what a client is told beside bookings, and codes that prove an address.

use app::error::AppError;
use app::timeline::timeline;
use app::write_occasion::{
    AccountOperationFields, BonusFields, IndividualFields, NewOccasion, VerificationCodeFields,
    write_occasion,
};
use aws::tables::Tables;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::{get as reading, post};
use axum::{Json, Router};
use domain::subject::SubjectId;
use runtime::RandomIds;

use super::{Answer, Routes, Store, created, id};
use crate::call::{Call, Caller};

pub fn routes() -> Routes {
    Router::new()
        .route("/v1/clients/{id}/account-operations", post(post_account_operation))
        .route("/v1/clients/{id}/bonuses", post(post_bonus))
        .route("/v1/clients/{id}/messages", post(post_message))
        .route("/v1/verification-codes", post(post_verification_code))
        .route("/v1/occasions/{id}/timeline", reading(get_timeline))
}

async fn write<T>(store: &Tables, call: &Call<T>, new: Result<NewOccasion, AppError>) -> Answer {
    let Caller { business_id, now } = &call.caller;
    let done = write_occasion(store, &RandomIds, business_id, &new?, call.once.as_ref(), *now).await?;
    Ok(created(&format!("/v1/occasions/{}/timeline", done.value.id), done.etag, &done.value))
}

async fn post_account_operation(
    State(store): Store,
    Path(client): Path<String>,
    call: Call<AccountOperationFields>,
) -> Answer {
    let new = call.body.clone().to(id(&client, "client")?);
    write(&store, &call, new).await
}

async fn post_bonus(State(store): Store, Path(client): Path<String>, call: Call<BonusFields>) -> Answer {
    let new = call.body.clone().to(id(&client, "client")?);
    write(&store, &call, new).await
}

async fn post_message(
    State(store): Store,
    Path(client): Path<String>,
    call: Call<IndividualFields>,
) -> Answer {
    let new = call.body.clone().to(id(&client, "client")?);
    write(&store, &call, Ok(new)).await
}

async fn post_verification_code(State(store): Store, call: Call<VerificationCodeFields>) -> Answer {
    let new = call.body.clone().occasion();
    write(&store, &call, new).await
}

async fn get_timeline(State(store): Store, caller: Caller, Path(occasion): Path<String>) -> Answer {
    let subject = SubjectId::Occasion(id(&occasion, "occasion")?);
    Ok(Json(timeline(&*store, &caller.business_id, &subject, caller.now).await?).into_response())
}
