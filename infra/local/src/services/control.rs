//! The control API: the clock, the outbox, the providers, and the page that shows them.
//!
//! Whatever goes wrong is answered with `{"error": "one line"}`.

mod feedback;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::events::OnBus;
use super::providers::Instruction;
use super::{Channel, Entry, Fired, PendingSchedule, RunToError, Services, page};
use crate::seams::Stack;

struct Control {
    services: Arc<Services>,
    stack: Arc<dyn Stack>,
}

type Shared = State<Arc<Control>>;

struct Problem(StatusCode, String);

impl Problem {
    fn bad_request(error: impl ToString) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1.replace('\n', " ") }))).into_response()
    }
}

impl From<RunToError> for Problem {
    fn from(error: RunToError) -> Self {
        let status = match error {
            RunToError::Past { .. } => StatusCode::BAD_REQUEST,
            RunToError::StillBusy { .. } | RunToError::TooMany { .. } => StatusCode::CONFLICT,
        };
        Self(status, error.to_string())
    }
}

pub(super) fn router(services: Arc<Services>, stack: Arc<dyn Stack>) -> Router {
    Router::new()
        .route("/", get(show_page))
        .route("/page.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], page::CSS) }))
        .route("/page.js", get(|| async { ([(header::CONTENT_TYPE, "text/javascript")], page::JS) }))
        .route("/page-state", get(page_state))
        .route("/time", get(time))
        .route("/time/run-to", post(run_to))
        .route("/time/advance", post(advance))
        .route("/schedules", get(schedules))
        .route("/events", get(events))
        .route("/outbox", get(outbox).delete(clear_outbox))
        .route("/providers", get(providers))
        .route("/providers/{channel}", post(instruct))
        .merge(feedback::routes())
        .fallback(|| async { Problem(StatusCode::NOT_FOUND, "no such path".to_owned()) })
        .method_not_allowed_fallback(|| async {
            Problem(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method".to_owned())
        })
        .layer(DefaultBodyLimit::max(1 << 20))
        .with_state(Arc::new(Control { services, stack }))
}

async fn time(State(control): Shared) -> Json<Value> {
    Json(json!({ "now": control.services.clock.now() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunTo {
    to: Timestamp,
}

async fn run_to(State(control): Shared, body: Bytes) -> Result<Json<Value>, Problem> {
    let RunTo { to } = serde_json::from_slice(&body).map_err(Problem::bad_request)?;
    let fired: Vec<Fired> = control.services.run_to(control.stack.as_ref(), to).await?;
    Ok(Json(json!({ "now": control.services.clock.now(), "fired": fired })))
}

/// What the page's buttons send: a form with `by` = `1h`, `1d` or `next`. Goes back to the page.
async fn advance(State(control): Shared, body: Bytes) -> Result<Redirect, Problem> {
    let by =
        form_urlencoded::parse(&body).find(|(name, _)| name == "by").map(|(_, value)| value.into_owned());
    let now = control.services.clock.now();
    let to = match by.as_deref() {
        Some("1h") => now + SignedDuration::from_hours(1),
        Some("1d") => now + SignedDuration::from_hours(24),
        Some("next") => control.services.scheduler.next_due().unwrap_or(now).max(now),
        _ => return Err(Problem::bad_request("by is 1h, 1d or next")),
    };
    match control.services.run_to(control.stack.as_ref(), to).await {
        Ok(_) | Err(RunToError::Past { .. }) => Ok(Redirect::to("/")),
        Err(error) => Err(error.into()),
    }
}

async fn schedules(State(control): Shared) -> Json<Vec<PendingSchedule>> {
    Json(control.services.scheduler.pending())
}

async fn events(State(control): Shared) -> Json<Vec<OnBus>> {
    Json(control.services.events.all())
}

#[derive(Deserialize)]
struct OutboxQuery {
    channel: Option<String>,
    to: Option<String>,
}

async fn outbox(
    State(control): Shared,
    Query(query): Query<OutboxQuery>,
) -> Result<Json<Vec<Entry>>, Problem> {
    let channel: Option<Channel> = query
        .channel
        .map(|channel| channel.parse())
        .transpose()
        .map_err(|e: String| Problem::bad_request(e))?;
    Ok(Json(control.services.outbox.entries(channel, query.to.as_deref())))
}

async fn clear_outbox(State(control): Shared) -> StatusCode {
    control.services.outbox.clear();
    StatusCode::NO_CONTENT
}

async fn providers(State(control): Shared) -> Json<Value> {
    Json(control.services.provider_report())
}

async fn instruct(
    State(control): Shared,
    Path(channel): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let channel: Channel = channel.parse().map_err(|e: String| Problem(StatusCode::NOT_FOUND, e))?;
    let instruction: Instruction = serde_json::from_slice(&body).map_err(Problem::bad_request)?;
    control.services.instruct(channel, instruction).map_err(Problem::bad_request)?;
    Ok(Json(control.services.provider_report()[channel.to_string()].take()))
}

async fn show_page(State(control): Shared) -> Response {
    let services = &control.services;
    let html = page::render(
        services.clock.now(),
        &services.page_revision(),
        &services.outbox.entries(None, None),
        &services.scheduler.pending(),
    );
    // Mail is shown as it is, so nothing on the page may run or load but what belongs to it.
    let policy = "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; \
                  img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html.into_string())).into_response()
}

async fn page_state(State(control): Shared) -> Json<Value> {
    Json(
        json!({ "now": page::clock_text(control.services.clock.now()), "revision": control.services.page_revision() }),
    )
}

impl Services {
    /// Changes when the page would look different, but for its clock.
    fn page_revision(&self) -> String {
        format!("{}-{}", self.outbox.revision(), self.scheduler.revision())
    }
}
