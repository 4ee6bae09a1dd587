//! The message log, and what its messages cost.

use app::edit_catalogue::get;
use app::error::AppError;
use app::message_log::{LogFilter, RecipientRole, log_sheet, message_log};
use app::ports::{Key, Listed};
use app::spending::{Spending, spending};
use aws::tables::Tables;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::IntoResponse;
use domain::channel::Channel;
use domain::ids::{BookingId, ClientId, OccasionId, StaffId};
use domain::message::{Message, MessageStatus};
use domain::notification_type::NotificationType;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, PageOf, ROWS, Store, id, limited, listed, sheet};
use crate::call::{Caller, Parameters, several};
use crate::operations::{Target, operations};
use crate::problem::Problem;

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        MessagesRead => list_messages, export_messages, list_client_messages, get_spending;
    )
}

/// Which messages are looked for: all that fit what is given. A page may hold fewer than `limit`, and none, although more follow: one request looks
/// at 1,000 messages or some more.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogParameters {
    /// Those that are due at this instant or later.
    #[param(nullable = false)]
    from: Option<Timestamp>,
    /// Those that are due before this instant. Without it, what is planned is looked for too.
    #[param(nullable = false)]
    until: Option<Timestamp>,
    /// Of these types, with commas between them.
    #[serde(default, rename = "type", deserialize_with = "several")]
    #[param(rename = "type", required = false, style = Form, explode = false)]
    types: Vec<NotificationType>,
    /// On these channels.
    #[serde(default, rename = "channel", deserialize_with = "several")]
    #[param(rename = "channel", required = false, style = Form, explode = false)]
    channels: Vec<Channel>,
    /// That stand so.
    #[serde(default, rename = "status", deserialize_with = "several")]
    #[param(rename = "status", required = false, style = Form, explode = false)]
    statuses: Vec<MessageStatus>,
    /// To clients or to staff.
    #[param(inline, nullable = false)]
    recipient: Option<RecipientRole>,
    /// To this client.
    #[param(nullable = false)]
    client_id: Option<ClientId>,
    /// To this staff member.
    #[param(nullable = false)]
    staff_id: Option<StaffId>,
    /// About this booking.
    #[param(nullable = false)]
    booking_id: Option<BookingId>,
    /// For this occasion.
    #[param(nullable = false)]
    occasion_id: Option<OccasionId>,
    /// What the page before gave as `next`.
    #[param(nullable = false, pattern = "^[0-9A-Za-z:.,_-]{1,120}$")]
    cursor: Option<String>,
    /// At most so many; without it 50, of a spreadsheet 500.
    #[param(nullable = false, minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

async fn found(
    store: &Tables,
    caller: &Caller,
    wanted: LogParameters,
    limit: u32,
) -> Result<Listed, Problem> {
    let filter = LogFilter {
        from: wanted.from,
        until: wanted.until,
        types: wanted.types,
        channels: wanted.channels,
        statuses: wanted.statuses,
        recipient: wanted.recipient,
        client_id: wanted.client_id,
        staff_id: wanted.staff_id,
        booking_id: wanted.booking_id,
        occasion_id: wanted.occasion_id,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(message_log(store, &caller.business_id, &filter, wanted.cursor.as_deref(), limit).await?)
}

/// List messages
///
/// What was sent, is planned and was withheld, the latest due first, each with its text, what became of it, and why.
#[utoipa::path(
    get, path = "/v1/messages", tag = "messages", params(LogParameters),
    responses((status = 200, description = "A page of messages.", body = PageOf<Message>))
)]
async fn list_messages(
    State(store): Store,
    caller: Caller,
    Parameters(wanted): Parameters<LogParameters>,
) -> Answer {
    let limit = limited(wanted.limit, 50, ROWS)?;
    listed(found(&store, &caller, wanted, limit).await?)
}

/// Export messages
///
/// The same as CSV (RFC 4180, UTF-8 behind a byte order mark): instants in UTC, the cost of sms in thousandths of a minor unit. A cell that a
/// spreadsheet could take for a formula or a number, such as a phone, has an apostrophe in front. Each page has the header; `Link` leads to the next.
#[utoipa::path(
    get, path = "/v1/messages.csv", tag = "messages", params(LogParameters),
    responses((
        status = 200, description = "A page of messages.", body = String, content_type = "text/csv",
        headers(("Link" = String, description = "Where the next page is, with `rel=\"next\"`; absent on the last.")),
        example = json!("due,type,channel,status,reason,recipient,recipient_id,address,text,…\r\n2027-03-01T10:00:00Z,reminder,sms,delivered,,client,0199c5b8f0a47c3a9d2e4b6f8a1c3e5d,'+351912345678,See you tomorrow,…\r\n")
    ))
)]
async fn export_messages(
    State(store): Store,
    caller: Caller,
    uri: Uri,
    Parameters(wanted): Parameters<LogParameters>,
) -> Answer {
    let limit = limited(wanted.limit, ROWS, ROWS)?;
    let found = found(&store, &caller, wanted, limit).await?;
    let text = log_sheet(&found).map_err(AppError::from)?;
    sheet(&uri, "attachment; filename=\"messages.csv\"", text, found.next.as_deref())
}

/// Which page of a client's messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ClientLogParameters {
    /// What the page before gave as `next`.
    #[param(nullable = false, pattern = "^[0-9A-Za-z:.,_-]{1,120}$")]
    cursor: Option<String>,
    /// At most so many; 50 without it.
    #[param(nullable = false, minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List a client's messages
///
/// What was sent to a client, is planned and was withheld, the latest due first. `GET /v1/messages?client_id=…` takes filters too.
#[utoipa::path(
    get, path = "/v1/clients/{id}/messages", tag = "messages", params(("id" = ClientId, Path), ClientLogParameters),
    responses((status = 200, description = "A page of messages.", body = PageOf<Message>))
)]
async fn list_client_messages(
    State(store): Store,
    caller: Caller,
    Path(client): Path<String>,
    Parameters(page_of): Parameters<ClientLogParameters>,
) -> Answer {
    let client: ClientId = id(&client, "client")?;
    let limit = limited(page_of.limit, 50, 100)?;
    get(&*store, Key::Client(caller.business_id.clone(), client.clone()), "client").await?;
    let wanted =
        LogParameters { client_id: Some(client), cursor: page_of.cursor, ..LogParameters::default() };
    listed(found(&store, &caller, wanted, limit).await?)
}

/// Of which month.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SpendingParameters {
    /// The month (UTC).
    #[param(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$", example = "2027-03")]
    month: String,
    /// What the answer before gave as `next`.
    #[param(nullable = false, pattern = "^[0-9A-Za-z:.,_-]{1,120}$")]
    cursor: Option<String>,
}

/// Get what a month costs
///
/// What was spent on the messages that are due in a month, and what those that are planned will cost with the texts, addresses and prices there are
/// now, for each type and channel. One request counts 1,000 messages or some more: where `complete` is false, `next` goes on, and the answers add up.
#[utoipa::path(
    get, path = "/v1/spending", tag = "messages", params(SpendingParameters),
    responses((status = 200, description = "What the month costs.", body = Spending))
)]
async fn get_spending(
    State(store): Store,
    caller: Caller,
    Parameters(wanted): Parameters<SpendingParameters>,
) -> Answer {
    let cursor = wanted.cursor.as_deref();
    let Caller { business_id, now, pages, .. } = &caller;
    Ok(Json(spending(&*store, business_id, &wanted.month, cursor, *now, pages).await?).into_response())
}
