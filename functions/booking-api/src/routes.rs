//! The routes: each reads a request, calls a use case, and answers. A file for each theme.

mod api_keys;
mod bookings;
mod campaigns;
mod catalogue;
mod clients;
mod conversation;
mod images;
mod messages;
mod occasions;
mod reviews;
mod series;
mod settings;
mod staff;
mod tasks;
mod templates;
mod waitlist;
mod webhooks;

use std::marker::PhantomData;
use std::sync::Arc;

use app::error::AppError;
use app::limit_requests::RequestLimit;
use app::once::Done;
use app::ports::{Item, Kind, List, Listed, NewId, Page, PortError, Stored};
use aws::images::Images;
use aws::tables::Tables;
use axum::extract::{self, FromRef, Request};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use domain::ids::BookingId;
use runtime::RandomIds;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tower::{Layer, ServiceExt, service_fn};
use utoipa::__dev::ComposeSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{OneOfBuilder, Ref, RefOr};
use utoipa::{IntoParams, ToSchema};

use crate::call::Caller;
use crate::limit;
use crate::operations::{Operations, Target};
use crate::problem::Problem;

type Store = extract::State<Arc<Tables>>;
type Answer = Result<Response, Problem>;

/// What handlers work with: each takes its part.
#[derive(Debug, Clone)]
pub(crate) struct State {
    tables: Arc<Tables>,
    images: Arc<Images>,
}

impl FromRef<State> for Arc<Tables> {
    fn from_ref(state: &State) -> Self {
        state.tables.clone()
    }
}

impl FromRef<State> for Arc<Images> {
    fn from_ref(state: &State) -> Self {
        state.images.clone()
    }
}

/// The whole API, within a limit on the requests of each business.
pub fn router(tables: Arc<Tables>, images: Arc<Images>, limit: RequestLimit) -> Router {
    let limit = from_fn_with_state((Arc::new(limit), tables.clone()), limit::limited);
    let (operations, state) = (Arc::new(operations(Operations::default())), State { tables, images });
    let operations = service_fn(move |request: Request| {
        let router = operations.router(request.uri().path(), &state).cloned();
        async move {
            match router {
                Some(router) => router.oneshot(request).await,
                None => Ok(Problem::no_route().into_response()),
            }
        }
    });
    Router::new().fallback_service(limit.layer(operations))
}

/// Every operation of the API. A function for each theme.
pub(crate) fn operations<T: Target>(target: T) -> T {
    let target = settings::operations(target);
    let target = templates::operations(target);
    let target = api_keys::operations(target);
    let target = images::operations(target);
    let target = catalogue::operations(target);
    let target = staff::operations(target);
    let target = clients::operations(target);
    let target = bookings::operations(target);
    let target = series::operations(target);
    let target = waitlist::operations(target);
    let target = occasions::operations(target);
    let target = campaigns::operations(target);
    let target = conversation::operations(target);
    let target = reviews::operations(target);
    let target = tasks::operations(target);
    let target = messages::operations(target);
    webhooks::operations(target)
}

fn ok(etag: u64, body: impl Serialize) -> Response {
    ([(header::ETAG, format!("\"{etag}\""))], Json(body)).into_response()
}

fn created(path: &str, etag: u64, body: impl Serialize) -> Response {
    let headers = [(header::ETAG, format!("\"{etag}\"")), (header::LOCATION, path.to_owned())];
    (StatusCode::CREATED, headers, Json(body)).into_response()
}

/// A thing without the tag that tells what it is: the path says so.
fn plain(item: &Item) -> Result<Map<String, Value>, AppError> {
    let refused =
        |error: serde_json::Error| PortError::Permanent { operation: "showing a fact", source: error.into() };
    Ok(item.fields().map_err(refused)?)
}

fn shown(done: Done<Item>) -> Answer {
    Ok(ok(done.etag, plain(&done.value)?))
}

fn made(path: String, done: Done<Item>) -> Answer {
    let body = plain(&done.value)?;
    let id = body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(created(&format!("{path}/{id}"), done.etag, body))
}

/// Reads an id from a path; one that cannot be is not found.
fn id<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, AppError> {
    text.parse().map_err(|_| AppError::NotFound { what })
}

fn new<T: std::str::FromStr>() -> Result<T, AppError> {
    id(&RandomIds.new_id(), "id")
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageParameters {
    /// What the page before gave as `next`.
    #[param(pattern = "^[0-9A-Za-z_-]{1,64}$")]
    cursor: Option<String>,
    /// At most so many; 50 without it.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
struct PageOf<T> {
    /// What is on it.
    items: Vec<T>,
    /// The cursor of the next page; null where this is the last.
    next: Option<String>,
}

impl<T: ToSchema> ComposeSchema for PageOf<T> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let next = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("The cursor of the next page; null where this is the last."));
        ObjectBuilder::new()
            .description(Some("A page of a list."))
            .property("items", ArrayBuilder::new().items(Ref::from_schema_name(T::name())))
            .property("next", next)
            .required("items")
            .required("next")
            .into()
    }
}

impl<T: ToSchema> ToSchema for PageOf<T> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// One of two answers. Only their schema.
struct Either<A, B>(PhantomData<(A, B)>);

impl<A: ToSchema, B: ToSchema> ComposeSchema for Either<A, B> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(A::name()))
            .item(Ref::from_schema_name(B::name()))
            .into()
    }
}

impl<A: ToSchema, B: ToSchema> ToSchema for Either<A, B> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((A::name().into_owned(), A::schema()));
        schemas.push((B::name().into_owned(), B::schema()));
        A::schemas(schemas);
        B::schemas(schemas);
    }
}

impl PageParameters {
    fn limit(&self) -> Result<u32, Problem> {
        limited(self.limit, 50, 100)
    }
}

/// A request that says all it has to say by its path.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// One page of things that were found, as JSON.
fn listed(listed: Listed) -> Answer {
    let items = listed.items.iter().map(|Stored { item, .. }| plain(item)).collect::<Result<_, _>>()?;
    Ok(Json(PageOf { items, next: listed.next }).into_response())
}

/// One page of a spreadsheet. Where the next one begins, its `Link` says.
fn sheet(uri: &Uri, name: &'static str, text: String, next: Option<&str>) -> Answer {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    if let Some(link) = next.and_then(|next| HeaderValue::try_from(linked(uri, next)).ok()) {
        headers.insert(header::LINK, link);
    }
    Ok(response)
}

/// The same request for the page that begins at a cursor, as a `Link` says it. <https://www.rfc-editor.org/rfc/rfc8288>
fn linked(uri: &Uri, cursor: &str) -> String {
    let given = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(given.filter(|(name, _)| name != "cursor"));
    query.append_pair("cursor", cursor);
    format!("<{}?{}>; rel=\"next\"", uri.path(), query.finish())
}

/// The most messages of one page, and the most rows of one page of a spreadsheet, which are as many without a limit: a Lambda function answers with 6 MB at the most.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const ROWS: u32 = 500;

/// How many things a request asks for: `usual` without a limit, and `most` at the most.
fn limited(limit: Option<u32>, usual: u32, most: u32) -> Result<u32, Problem> {
    let limit = limit.unwrap_or(usual);
    if (1..=most).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::invalid("limit", format!("1 to {most}")))
    }
}

/// The page of a list by id.
fn page_by_id(cursor: Option<String>, limit: u32) -> Result<Page, Problem> {
    // A cursor is the last id of the page before.
    if cursor.as_ref().is_some_and(|cursor| cursor.parse::<BookingId>().is_err()) {
        return Err(Problem::invalid("cursor", "what the page before gave as next"));
    }
    Ok(Page { after: cursor, limit })
}

async fn page(store: &Tables, caller: &Caller, kind: Kind, parameters: PageParameters) -> Answer {
    let limit = parameters.limit()?;
    let page = page_by_id(parameters.cursor, limit)?;
    listed(store.list(&caller.business_id, kind, page).await.map_err(AppError::from)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_next_page_of_a_spreadsheet_is_the_same_request_with_another_cursor() {
        let uri = "/v1/messages.csv?type=reminder,review_request&cursor=old&limit=5".parse().unwrap();
        let link = super::linked(&uri, "2026-11-23T10:00:00Z,0a");
        let expected = "</v1/messages.csv?type=reminder%2Creview_request&limit=5&cursor=2026-11-23T10%3A00%3A00Z%2C0a>; rel=\"next\"";
        assert_eq!(link, expected);
    }
}
