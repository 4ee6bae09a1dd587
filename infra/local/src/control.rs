//! The stack's own part of the control server: faults, direct invocation, journal, queues.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::chain;
use crate::faults::{Kill, ServiceFault};
use crate::running::RunningStack;
use crate::sandbox::{Invocation, JournalEntry};

/// The routes.
pub fn router(stack: Arc<RunningStack>) -> Router {
    Router::new()
        .route("/invoke/{function}", post(invoke))
        .route("/invocations", get(invocations))
        .route("/queues", get(queues))
        .route("/queues/{id}/messages", get(peek).post(send))
        .route("/faults", axum::routing::delete(clear))
        .route("/faults/redeliver", post(redeliver))
        .route("/faults/kill", post(kill))
        .route("/faults/throttle", post(throttle))
        .route("/faults/fail", post(fail))
        .route("/faults/delay", post(delay))
        .route("/faults/shuffle", post(shuffle))
        .layer(DefaultBodyLimit::max(6 * 1024 * 1024))
        .with_state(stack)
}

/// A refused request: a status, and one line in `{"error": …}`.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redeliver {
    source: String,
}

/// Like Lambda's Invoke: the payload, and a header if it is an error.
async fn invoke(
    State(stack): State<Arc<RunningStack>>,
    Path(name): Path<String>,
    event: Bytes,
) -> Result<Response, Refused> {
    let function = stack
        .functions
        .iter()
        .find(|function| function.spec.name == name || function.spec.logical_id == name)
        .ok_or_else(|| Refused(StatusCode::NOT_FOUND, format!("there is no function {name}")))?;
    let event = if event.is_empty() { Bytes::from_static(b"{}") } else { event };
    let Invocation { request_id, outcome, .. } = function.invoke(event).await;
    let mut response = Response::new(Body::from(outcome.payload().to_vec()));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        headers.insert("x-amzn-requestid", request_id);
    }
    if outcome.answer().is_none() {
        headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
    }
    Ok(response)
}

async fn invocations(State(stack): State<Arc<RunningStack>>) -> Json<Vec<JournalEntry>> {
    Json(stack.host.journal.entries())
}

async fn queues(State(stack): State<Arc<RunningStack>>) -> Result<Response, Refused> {
    let depths = stack.queues.depths().await.map_err(|problem| Refused(StatusCode::BAD_GATEWAY, problem))?;
    Ok(Json(depths).into_response())
}

async fn peek(
    State(stack): State<Arc<RunningStack>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let messages = stack.queues.peek(&id).await.map_err(|problem| Refused(StatusCode::NOT_FOUND, problem))?;
    let shown: Vec<Value> =
        messages.into_iter().map(|(id, body)| json!({"message_id": id, "body": body})).collect();
    Ok(Json(json!(shown)))
}

async fn send(
    State(stack): State<Arc<RunningStack>>,
    Path(id): Path<String>,
    body: String,
) -> Result<StatusCode, Refused> {
    stack.queues.send(&id, body).await.map_err(|problem| Refused(StatusCode::NOT_FOUND, problem))?;
    Ok(StatusCode::ACCEPTED)
}

async fn redeliver(State(stack): State<Arc<RunningStack>>, body: Bytes) -> Result<Json<Value>, Refused> {
    let Redeliver { source } = read(&body)?;
    let invocation = stack
        .last
        .redeliver(&source)
        .await
        .ok_or_else(|| Refused(StatusCode::NOT_FOUND, format!("{source} has delivered nothing yet")))?;
    let answer: Value = serde_json::from_slice(invocation.outcome.payload()).unwrap_or(Value::Null);
    Ok(Json(json!({"outcome": invocation.outcome.word(), "answer": answer})))
}

async fn kill(State(stack): State<Arc<RunningStack>>, body: Bytes) -> Result<StatusCode, Refused> {
    let kill: Kill = read(&body)?;
    if !stack.functions.iter().any(|function| function.spec.name == kill.function) {
        return Err(Refused(StatusCode::NOT_FOUND, format!("there is no function {}", kill.function)));
    }
    stack.host.faults.kill(kill);
    Ok(StatusCode::NO_CONTENT)
}

async fn throttle(State(stack): State<Arc<RunningStack>>, body: Bytes) -> Result<StatusCode, Refused> {
    stack.host.faults.throttle(read::<ServiceFault>(&body)?);
    Ok(StatusCode::NO_CONTENT)
}

async fn fail(State(stack): State<Arc<RunningStack>>, body: Bytes) -> Result<StatusCode, Refused> {
    stack.host.faults.fail(read::<ServiceFault>(&body)?);
    Ok(StatusCode::NO_CONTENT)
}

async fn delay(State(stack): State<Arc<RunningStack>>, body: Bytes) -> Result<StatusCode, Refused> {
    stack.host.faults.delay(read::<ServiceFault>(&body)?);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shuffle {
    function: String,
}

async fn shuffle(State(stack): State<Arc<RunningStack>>, body: Bytes) -> Result<StatusCode, Refused> {
    let Shuffle { function } = read(&body)?;
    stack.host.faults.shuffle(function);
    Ok(StatusCode::NO_CONTENT)
}

async fn clear(State(stack): State<Arc<RunningStack>>) -> StatusCode {
    stack.host.faults.clear();
    StatusCode::NO_CONTENT
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused(StatusCode::BAD_REQUEST, chain(&error)))
}
