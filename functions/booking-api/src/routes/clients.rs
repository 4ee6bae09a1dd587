//! Clients and their devices.

use app::edit_catalogue::{ClientFields, DeviceFields, get, without_device};
use app::edit_client::{create_client, edit_client};
use app::erase_client::{erase_client, erasure_of};
use app::error::AppError;
use app::import_clients::Imported;
use app::list_clients::{ClientFilter, SuppressedClient};
use app::ports::{Erasure, Key};
use app::suppress::{SuppressionEnd, SuppressionFields, suppressed, unsuppressed};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use domain::client::{Cause, Client};
use domain::contact::{Email, Phone};
use domain::ids::{ClientId, DeviceId};
use runtime::RandomIds;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Nothing, PageOf, ROWS, Store, id, limited, listed, made, new, page_by_id, sheet, shown};
use crate::call::{Call, Caller, Parameters, Upload};
use crate::examples;
use crate::operations::{Target, operations};
use crate::problem::Problem;

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        ClientsRead => list_clients, export_clients, get_client, get_erasure, list_suppressions;
        ClientsWrite => post_client, import_clients, put_client, erase, post_device, delete_device, post_suppression, remove_suppression;
    )
}

/// Which clients are looked for: all, or those that fit one of these. A page may hold fewer than `limit`, and none, although more follow: one request
/// looks at 1,000 clients or some more.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ClientParameters {
    /// Those with this phone; its `+` is written `%2B`.
    #[param(nullable = false)]
    phone: Option<Phone>,
    /// Those with this e-mail address, capital letters or not.
    #[param(nullable = false)]
    email: Option<Email>,
    /// Those whose name, phone or e-mail address has this in it, capital letters or not.
    #[param(nullable = false, min_length = 1, max_length = 200)]
    q: Option<String>,
    /// What the page before gave as `next`.
    #[param(nullable = false, pattern = "^[0-9A-Za-z_-]{1,64}$")]
    cursor: Option<String>,
    /// At most so many; 50 without it.
    #[param(nullable = false, minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List clients
///
/// Clients of the business, by id, but for those who were erased.
#[utoipa::path(
    get, path = "/v1/clients", tag = "clients", params(ClientParameters),
    responses((status = 200, description = "A page of clients.", body = PageOf<Client>))
)]
async fn list_clients(
    State(store): Store,
    caller: Caller,
    Parameters(wanted): Parameters<ClientParameters>,
) -> Answer {
    let ClientParameters { phone, email, q, cursor, limit } = wanted;
    let page = page_by_id(cursor, limited(limit, 50, 100)?)?;
    let filter = match (phone, email, q) {
        (None, None, None) => ClientFilter::All,
        (Some(phone), None, None) => ClientFilter::Phone(phone),
        (None, Some(email), None) => ClientFilter::Email(email),
        (None, None, Some(text)) if (1..=200).contains(&text.chars().count()) => ClientFilter::Text(text),
        (None, None, Some(_)) => return Err(Problem::invalid("q", "1 to 200 characters")),
        _ => return Err(Problem::invalid("q", "one of phone, email and q")),
    };
    let found = app::list_clients::list_clients(&*store, &caller.business_id, &filter, page).await;
    listed(found.map_err(AppError::from)?)
}

/// Which page of a spreadsheet.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SheetParameters {
    /// What `Link` says.
    #[param(nullable = false, pattern = "^[0-9A-Za-z_-]{1,64}$")]
    cursor: Option<String>,
    /// At most so many; 500 without it.
    #[param(nullable = false, minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Export clients
///
/// The client base as CSV (RFC 4180, UTF-8 behind a byte order mark), by id, with the columns of an import, so that it can be imported again. A cell
/// that a spreadsheet could take for a formula or a number, such as a phone, has an apostrophe in front, which an import takes away. Each page has
/// the header; `Link` leads to the next.
#[utoipa::path(
    get, path = "/v1/clients.csv", tag = "clients", params(SheetParameters),
    responses((
        status = 200, description = "A page of clients.", body = String, content_type = "text/csv",
        headers(("Link" = String, description = "Where the next page is, with `rel=\"next\"`; absent on the last.")),
        example = json!("id,name,phone,email,locale,zone,marketing_consent,tags\r\n0199c5b8f0a47c3a9d2e4b6f8a1c3e5d,Ana Martins,'+351912345678,ana@example.com,en,,yes,vip\r\n")
    ))
)]
async fn export_clients(
    State(store): Store,
    caller: Caller,
    uri: Uri,
    Parameters(SheetParameters { cursor, limit }): Parameters<SheetParameters>,
) -> Answer {
    let page = page_by_id(cursor, limited(limit, ROWS, ROWS)?)?;
    let found = app::import_clients::export_clients(&*store, &caller.business_id, page).await;
    let (text, next) = found.map_err(AppError::from)?;
    sheet(&uri, "attachment; filename=\"clients.csv\"", text, next.as_deref())
}

/// Whether to say only what a request would do.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Tried {
    /// Writes nothing: the answer is the one the import would get.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

/// Import clients
///
/// From CSV in UTF-8, with commas or semicolons, at most 1 MiB and 2,000 lines. The header names the columns, in any order: `id`, `name`, `phone`,
/// `email`, `locale`, `zone`, `marketing_consent` (`yes` or `no`; no `yes` for who has unsubscribed), `tags` (with commas between them). A client is known again by the id, else by the phone, else by the e-mail address,
/// and is made where nobody is found. What a line leaves empty stays as it is. Good lines are taken even where others are not: `errors` names those
/// with line, column and what was expected. Importing the same again changes nothing.
#[utoipa::path(
    post, path = "/v1/clients/import", tag = "clients", params(Tried),
    request_body(
        content = String, content_type = "text/csv",
        example = "name,phone,email,marketing_consent\r\nAna Martins,+351912345678,ana@example.com,yes\r\n"
    ),
    responses((status = 200, description = "What came of it.", body = Imported))
)]
async fn import_clients(
    State(store): Store,
    Parameters(Tried { dry_run }): Parameters<Tried>,
    Upload(call): Upload,
) -> Answer {
    let imported =
        app::import_clients::import_clients(&*store, &RandomIds, call.edit(), &call.body, dry_run).await?;
    Ok(Json(imported).into_response())
}

/// Erase a client
///
/// On the client's request: what tells who it was goes, the counts stay. The card is reduced at once, and nobody is written to from then on; texts
/// and addresses in the message log, the conversation, notes of bookings, tasks and kept answers follow within minutes. It cannot be taken back.
#[utoipa::path(
    post, path = "/v1/clients/{id}/erase", tag = "clients", params(("id" = ClientId, Path)),
    responses((status = 202, description = "The erasure, begun.", body = Erasure))
)]
async fn erase(State(store): Store, Path(client): Path<String>, call: Call<Nothing>) -> Answer {
    let client: ClientId = id(&client, "client")?;
    let erasure = erase_client(&*store, call.edit(), &client).await?;
    Ok((StatusCode::ACCEPTED, Json(told(erasure))).into_response())
}

/// Get a client's erasure
///
/// How far it has come.
#[utoipa::path(
    get, path = "/v1/clients/{id}/erasure", tag = "clients", params(("id" = ClientId, Path)),
    responses((status = 200, description = "The erasure.", body = Erasure))
)]
async fn get_erasure(State(store): Store, caller: Caller, Path(client): Path<String>) -> Answer {
    let client: ClientId = id(&client, "client")?;
    Ok(Json(told(erasure_of(&*store, &caller.business_id, &client).await?)).into_response())
}

/// An erasure without what is still to be erased.
fn told(erasure: Erasure) -> Erasure {
    Erasure { chat: None, ..erasure }
}

/// Create a client
///
/// How a client is reached, and what is never sent. Without consent a client gets no campaigns, and everything else.
#[utoipa::path(
    post, path = "/v1/clients", tag = "clients",
    request_body(content = ClientFields, example = json!({
        "name": "Ana Martins", "phone": "+351912345678", "email": "ana@example.com", "locale": "en", "zone": "Europe/Lisbon",
        "bans": { "channels": ["whatsapp"], "types": ["review_request"] }, "marketing_consent": true
    })),
    responses((status = 201, description = "The client, made.", body = Client, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_client(State(store): Store, call: Call<ClientFields>) -> Answer {
    let client = call.body.clone().with_id(call.caller.business_id.clone(), new()?, None);
    made("/v1/clients".into(), create_client(&*store, call.edit(), client).await?)
}

/// Get a client
#[utoipa::path(
    get, path = "/v1/clients/{id}", tag = "clients", params(("id" = ClientId, Path)),
    responses((status = 200, description = "The client.", body = Client, headers(("ETag" = String))))
)]
async fn get_client(State(store): Store, caller: Caller, Path(client): Path<String>) -> Answer {
    let key = Key::Client(caller.business_id, id(&client, "client")?);
    shown(get(&*store, key, "client").await?)
}

/// Change a client
///
/// Sets everything of the client but devices, the Telegram chat and suppressed addresses: what is left out is taken away. Messages that wait
/// are planned anew.
#[utoipa::path(
    put, path = "/v1/clients/{id}", tag = "clients", params(("id" = ClientId, Path)),
    request_body(content = ClientFields, example = json!({
        "name": "Ana Martins", "phone": "+351912345678", "email": "ana@example.com", "locale": "en", "zone": "Europe/Lisbon",
        "bans": { "channels": ["whatsapp"], "types": ["review_request"] }, "marketing_consent": true
    })),
    responses((status = 200, description = "The client, changed.", body = Client, headers(("ETag" = String))))
)]
async fn put_client(State(store): Store, Path(client): Path<String>, call: Call<ClientFields>) -> Answer {
    let client: ClientId = id(&client, "client")?;
    shown(app::edit_client::put_client(&*store, call.edit(), &client, &call.body).await?)
}

/// Register a client's device
///
/// A phone or tablet that can receive push messages; at most 20. One that is known already stays as it is.
#[utoipa::path(
    post, path = "/v1/clients/{id}/devices", tag = "clients", params(("id" = ClientId, Path)),
    request_body(content = DeviceFields, example = json!({ "platform": "fcm", "token": examples::DEVICE_TOKEN })),
    responses((status = 200, description = "The client, with the device.", body = Client, headers(("ETag" = String))))
)]
async fn post_device(State(store): Store, Path(client): Path<String>, call: Call<DeviceFields>) -> Answer {
    let client: ClientId = id(&client, "client")?;
    let device: DeviceId = new()?;
    let added = |client: Client| {
        let devices = call.body.clone().added_to(client.devices.clone(), device.clone())?;
        Ok(Client { devices, ..client })
    };
    shown(edit_client(&*store, call.edit(), &client, added).await?)
}

/// Remove a client's device
///
/// It gets no push messages any more.
#[utoipa::path(
    delete, path = "/v1/clients/{id}/devices/{device}", tag = "clients",
    params(("id" = ClientId, Path), ("device" = DeviceId, Path)),
    responses((status = 200, description = "The client, without the device.", body = Client, headers(("ETag" = String))))
)]
async fn delete_device(
    State(store): Store,
    Path((client, device)): Path<(String, String)>,
    call: Call<Nothing>,
) -> Answer {
    let device: DeviceId = id(&device, "device")?;
    let client: ClientId = id(&client, "client")?;
    let removed =
        |client: Client| Ok(Client { devices: without_device(client.devices.clone(), &device)?, ..client });
    shown(edit_client(&*store, call.edit(), &client, removed).await?)
}

/// Suppress an address
///
/// The client's present address on a channel must not be written to any more, whatever anybody sets.
#[utoipa::path(
    post, path = "/v1/clients/{id}/suppressions", tag = "clients", params(("id" = ClientId, Path)),
    request_body(content = SuppressionFields, example = json!({ "channel": "sms", "cause": "stop" })),
    responses((status = 200, description = "The client, with the suppression.", body = Client, headers(("ETag" = String))))
)]
async fn post_suppression(
    State(store): Store,
    Path(client): Path<String>,
    call: Call<SuppressionFields>,
) -> Answer {
    let (client, now): (ClientId, _) = (id(&client, "client")?, call.caller.now);
    let edited = |client| suppressed(client, call.body, now);
    shown(edit_client(&*store, call.edit(), &client, edited).await?)
}

/// Take a suppression back
///
/// The client's present address on a channel may be written to again.
#[utoipa::path(
    post, path = "/v1/clients/{id}/suppressions/remove", tag = "clients", params(("id" = ClientId, Path)),
    request_body(content = SuppressionEnd, example = json!({ "channel": "sms" })),
    responses((status = 200, description = "The client, without the suppression.", body = Client, headers(("ETag" = String))))
)]
async fn remove_suppression(
    State(store): Store,
    Path(client): Path<String>,
    call: Call<SuppressionEnd>,
) -> Answer {
    let client: ClientId = id(&client, "client")?;
    let edited = |client| unsuppressed(client, call.body);
    shown(edit_client(&*store, call.edit(), &client, edited).await?)
}

/// Which clients with suppressed addresses are looked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SuppressionParameters {
    /// Those suppressed for this.
    #[param(nullable = false)]
    cause: Option<Cause>,
    /// What the page before gave as `next`.
    #[param(nullable = false, pattern = "^[0-9A-Za-z_-]{1,64}$")]
    cursor: Option<String>,
    /// At most so many clients; 50 without it.
    #[param(nullable = false, minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List suppressions
///
/// Clients with addresses that must not be written to, by id. A page may hold fewer than `limit`, and none, although more follow: one request looks
/// at 1,000 clients or some more.
#[utoipa::path(
    get, path = "/v1/suppressions", tag = "clients", params(SuppressionParameters),
    responses((status = 200, description = "A page of clients.", body = PageOf<SuppressedClient>))
)]
async fn list_suppressions(
    State(store): Store,
    caller: Caller,
    Parameters(SuppressionParameters { cause, cursor, limit }): Parameters<SuppressionParameters>,
) -> Answer {
    let page = page_by_id(cursor, limited(limit, 50, 100)?)?;
    let found = app::list_clients::list_suppressions(&*store, &caller.business_id, cause, page).await;
    let (items, next) = found.map_err(AppError::from)?;
    Ok(Json(PageOf { items, next }).into_response())
}
