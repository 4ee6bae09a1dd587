//! Occasions: what a client is told beside bookings, and codes that prove an address.

use app::error::AppError;
use app::timeline::{Timeline, timeline};
use app::write_occasion::{
    AccountOperationFields, BonusFields, IndividualFields, NewOccasion, VerificationCodeFields,
    write_occasion,
};
use aws::tables::Tables;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use domain::ids::{ClientId, OccasionId};
use domain::occasion::Occasion;
use domain::subject::SubjectId;
use runtime::RandomIds;

use super::{Answer, Store, created, id};
use crate::call::{Call, Caller};
use crate::examples;
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        MessagesWrite => post_account_operation, post_bonus, post_message, post_verification_code;
        MessagesRead => get_occasion_timeline;
    )
}

async fn write<T>(store: &Tables, call: &Call<T>, new: Result<NewOccasion, AppError>) -> Answer {
    let Caller { business_id, now, .. } = &call.caller;
    let done = write_occasion(store, &RandomIds, business_id, &new?, call.once.as_ref(), *now).await?;
    Ok(created(&format!("/v1/occasions/{}/timeline", done.value.id), done.etag, &done.value))
}

/// Tell of an account operation
///
/// A prepayment, a penalty or a deposit: the client is told as the rules say.
#[utoipa::path(
    post, path = "/v1/clients/{id}/account-operations", tag = "messages", params(("id" = ClientId, Path)),
    request_body(content = AccountOperationFields, example = json!({
        "operation": "prepayment_received", "amount": { "minor": 1500, "currency": "EUR" },
        "balance": { "minor": 1500, "currency": "EUR" }, "booking_id": examples::BOOKING
    })),
    responses((status = 201, description = "The occasion, whose timeline says what became of it.", body = Occasion, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_account_operation(
    State(store): Store,
    Path(client): Path<String>,
    call: Call<AccountOperationFields>,
) -> Answer {
    let new = call.body.clone().to(id(&client, "client")?);
    write(&store, &call, new).await
}

/// Tell of a bonus
///
/// Points or money that the client got.
#[utoipa::path(
    post, path = "/v1/clients/{id}/bonuses", tag = "messages", params(("id" = ClientId, Path)),
    request_body(content = BonusFields, example = json!({ "bonus": "accrued", "amount": { "points": 150 }, "balance": { "points": 420 } })),
    responses((status = 201, description = "The occasion, whose timeline says what became of it.", body = Occasion, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_bonus(State(store): Store, Path(client): Path<String>, call: Call<BonusFields>) -> Answer {
    let new = call.body.clone().to(id(&client, "client")?);
    write(&store, &call, new).await
}

/// Write to a client
///
/// One message, on the channels that are chosen.
#[utoipa::path(
    post, path = "/v1/clients/{id}/messages", tag = "messages", params(("id" = ClientId, Path)),
    request_body(content = IndividualFields, example = json!({
        "channels": ["sms", "email"], "subject": "Your visit", "text": "The lift is out of order, please take the stairs.",
        "booking_id": examples::BOOKING
    })),
    responses((status = 201, description = "The occasion, whose timeline says what became of it.", body = Occasion, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_message(
    State(store): Store,
    Path(client): Path<String>,
    call: Call<IndividualFields>,
) -> Answer {
    let new = call.body.clone().to(id(&client, "client")?);
    write(&store, &call, Ok(new)).await
}

/// Send a verification code
///
/// A code of yours that proves an address, to a client or to a staff member: at once, whatever is switched off, and forgotten after a day.
#[utoipa::path(
    post, path = "/v1/verification-codes", tag = "messages",
    request_body(content = VerificationCodeFields, example = json!({ "client_id": examples::CLIENT, "channel": "sms", "code": "4711" })),
    responses((status = 201, description = "The occasion, whose timeline says what became of it.", body = Occasion, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_verification_code(State(store): Store, call: Call<VerificationCodeFields>) -> Answer {
    let new = call.body.clone().occasion();
    write(&store, &call, new).await
}

/// Get an occasion's timeline
///
/// Every message of an account operation, a bonus, a letter, a code or an offer, with the checks it went through.
#[utoipa::path(
    get, path = "/v1/occasions/{id}/timeline", tag = "messages", params(("id" = OccasionId, Path)),
    responses((status = 200, description = "The timeline.", body = Timeline))
)]
async fn get_occasion_timeline(State(store): Store, caller: Caller, Path(occasion): Path<String>) -> Answer {
    let subject = SubjectId::Occasion(id(&occasion, "occasion")?);
    Ok(Json(timeline(&*store, &caller.business_id, &subject, caller.now).await?).into_response())
}
