//! The services as the functions meet them: through the AWS SDKs, over loopback; and the control API through its router.

mod control;
mod scheduler;
mod ses;
mod sns;
mod time_machine;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::map_request;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{QueueSender, SERVICE_HEADER, Services, ServicesConfig, lock};
use crate::clock::Clock;
use crate::seams::Stack;

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:email";
const DLQ: &str = "arn:aws:sqs:us-east-1:000000000000:schedule-dlq";
const ROLE: &str = "arn:aws:iam::000000000000:role/scheduler";

/// Queues that remember what they took, and refuse when told to.
#[derive(Default)]
struct Queues {
    taken: Mutex<Vec<(String, String)>>,
    refusing: Mutex<BTreeSet<&'static str>>,
}

impl QueueSender for Queues {
    fn send(&self, queue_arn: &str, body: String) -> BoxFuture<'_, Result<(), String>> {
        let queue_arn = queue_arn.to_owned();
        Box::pin(async move {
            if lock(&self.refusing).contains(queue_arn.as_str()) {
                return Err("queue is told to refuse".to_owned());
            }
            lock(&self.taken).push((queue_arn, body));
            Ok(())
        })
    }
}

impl Queues {
    fn bodies(&self) -> Vec<String> {
        lock(&self.taken).iter().map(|(_, body)| body.clone()).collect()
    }
}

/// A stack at rest.
struct Idle;

impl Stack for Idle {
    fn drained(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn next_visible(&self) -> Option<Timestamp> {
        None
    }

    fn make_visible(&self, _: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

struct World {
    services: Arc<Services>,
    queues: Arc<Queues>,
    clock: Arc<Clock>,
    state_dir: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.state_dir);
    }
}

/// Services on an empty directory; it is just after midnight (UTC) on Saturday, 5 January 2030.
fn world() -> World {
    world_with(|_| {})
}

fn world_with(change: impl FnOnce(&mut ServicesConfig)) -> World {
    let clock = Arc::new(Clock::default());
    clock.advance_to(at("2030-01-05T00:00:00Z"));
    let queues = Arc::new(Queues::default());
    let state_dir = std::env::temp_dir().join(format!("local-stack-{}", uuid::Uuid::new_v4()));
    let mut config = ServicesConfig::new("Salon <hello@example.com>", &state_dir);
    config.schedule_groups = vec!["bookings".to_owned()];
    change(&mut config);
    let services = Services::new(clock.clone(), queues.clone(), config);
    World { services, queues, clock, state_dir }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    /// Serves one of the AWS APIs on a free port; answers its URL.
    async fn serve(&self, service: &'static str) -> String {
        let router = self.services.aws_router().layer(map_request(move |mut request: Request| async move {
            request.headers_mut().insert(SERVICE_HEADER, service.parse().unwrap());
            request
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// A call of the control API: status and JSON.
    async fn control(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let response = self.services.control_router(Arc::new(Idle)).oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Creates a schedule that deletes itself when it is done, without an SDK.
    async fn schedule(&self, name: &str, expression: &str, input: &str) {
        schedule(&self.services, name, expression, input).await;
    }
}

async fn schedule(services: &Arc<Services>, name: &str, expression: &str, input: &str) {
    let body = serde_json::json!({
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": { "Mode": "OFF" },
        "GroupName": "bookings",
        "ActionAfterCompletion": "DELETE",
        "Target": { "Arn": QUEUE, "RoleArn": ROLE, "Input": input },
    });
    let request = Request::builder()
        .method("POST")
        .uri(format!("/schedules/{name}"))
        .header(SERVICE_HEADER, "scheduler")
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = services.aws_router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

/// A client of one of the SDKs for a URL, that tries every call once.
macro_rules! client {
    ($sdk:ident, $url:expr) => {
        $sdk::Client::from_conf(
            $sdk::Config::builder()
                .behavior_version($sdk::config::BehaviorVersion::v2026_01_12())
                .region($sdk::config::Region::new("us-east-1"))
                .credentials_provider($sdk::config::Credentials::new("local", "local", None, None, "test"))
                .endpoint_url($url)
                .retry_config($sdk::config::retry::RetryConfig::disabled())
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .build(),
        )
    };
}
use client;
