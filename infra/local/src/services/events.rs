//! EventBridge: PutEvents. What is on a bus is kept to be looked at; rules there are none.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{AwsError, Services, lock};

/// The most entries of one call, and their size in bytes.
const MOST: (usize, usize) = (10, 1_048_576);

/// What was put on the buses.
#[derive(Debug, Default)]
pub(super) struct Events(Mutex<Vec<OnBus>>);

impl Events {
    /// All of it, in the order in which it got there.
    pub(super) fn all(&self) -> Vec<OnBus> {
        lock(&self.0).clone()
    }
}

/// An event on a bus.
#[derive(Debug, Clone, Serialize)]
pub(super) struct OnBus {
    bus: String,
    source: String,
    detail_type: String,
    detail: Value,
    /// Seconds since 1970.
    time: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
    time: Option<f64>,
}

/// Routes of the service.
pub(super) fn router() -> Router<Arc<Services>> {
    Router::new().route("/", post(put_events))
}

fn invalid(message: impl Into<String>) -> AwsError {
    let code = "ValidationException";
    AwsError { status: StatusCode::BAD_REQUEST, code, message: message.into(), member: "message" }
}

async fn put_events(State(services): State<Arc<Services>>, body: Bytes) -> Result<Json<Value>, AwsError> {
    let PutEvents { entries } = serde_json::from_slice(&body)
        .map_err(|error| invalid(format!("only PutEvents is known here: {error}")))?;
    if entries.is_empty() || entries.len() > MOST.0 {
        return Err(invalid("1 to 10 entries are expected"));
    }
    if body.len() > MOST.1 {
        return Err(invalid("Total size of the entries in the request is over the limit."));
    }
    let mut failed = 0;
    let answers: Vec<Value> = entries
        .into_iter()
        .map(|entry| match on_bus(entry, &services.config.event_buses) {
            Ok(event) => {
                lock(&services.events.0).push(event);
                json!({ "EventId": Uuid::new_v4() })
            }
            Err((code, message)) => {
                failed += 1;
                json!({ "ErrorCode": code, "ErrorMessage": message })
            }
        })
        .collect();
    Ok(Json(json!({ "FailedEntryCount": failed, "Entries": answers })))
}

/// An entry as it gets on its bus, or why it does not.
fn on_bus(entry: Entry, buses: &[String]) -> Result<OnBus, (&'static str, &'static str)> {
    let missing = |what| ("InvalidArgument", what);
    let bus = entry.event_bus_name.filter(|name| buses.contains(name)).ok_or(missing("no such bus"))?;
    let source = entry.source.filter(|source| !source.is_empty()).ok_or(missing("Source is missing"))?;
    let detail_type = entry.detail_type.ok_or(missing("DetailType is missing"))?;
    let detail = entry.detail.ok_or(missing("Detail is missing"))?;
    let detail = serde_json::from_str(&detail).ok().filter(Value::is_object);
    let detail = detail.ok_or(("MalformedDetail", "Detail is malformed."))?;
    Ok(OnBus { bus, source, detail_type, detail, time: entry.time })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(entry: Value) -> Result<OnBus, (&'static str, &'static str)> {
        on_bus(serde_json::from_value(entry).unwrap(), &["local-events".to_owned()])
    }

    #[test]
    fn an_event_gets_on_its_bus_and_what_is_none_is_told_apart() {
        let entry = json!({ "EventBusName": "local-events", "Source": "s", "DetailType": "t", "Detail": "{\"a\":1}" });
        assert_eq!(put(entry.clone()).unwrap().detail, json!({ "a": 1 }));
        for (field, value, code) in [
            ("EventBusName", json!("other"), "InvalidArgument"),
            ("Source", json!(""), "InvalidArgument"),
            ("DetailType", Value::Null, "InvalidArgument"),
            ("Detail", json!("[1]"), "MalformedDetail"),
            ("Detail", json!("no JSON"), "MalformedDetail"),
        ] {
            let mut wrong = entry.clone();
            wrong[field] = value;
            assert_eq!(put(wrong).unwrap_err().0, code, "{field}");
        }
    }
}
