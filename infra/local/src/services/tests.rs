//! The services as the functions meet them: through the AWS SDKs, over loopback; and the control API through its router.

mod control;
mod feedback;
mod inbound;
mod scheduler;
mod ses;
mod sns;
mod social;
mod telegram;
mod ticks;
mod time_machine;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::map_request;
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{QueueSender, SERVICE_HEADER, Services, ServicesConfig, lock};
use crate::clock::Clock;
use crate::sandbox::{Invocation, Outcome};
use crate::seams::Stack;
use crate::template::{
    EventDestination, FunctionSpec, LogSubscription, ScheduleMapping, Subscription, Topic,
};

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

    fn invoke(&self, _: &str, _: String) -> BoxFuture<'_, Option<Invocation>> {
        Box::pin(async { None })
    }

    fn request(&self, _: Request<Body>) -> BoxFuture<'_, Response> {
        Box::pin(async { StatusCode::NOT_FOUND.into_response() })
    }
}

/// A stack whose functions and HTTP API write down what they get, and fail when told.
#[derive(Default)]
struct Watching {
    invoked: Mutex<Vec<(String, Value)>>,
    requests: Mutex<Vec<(String, Option<String>, Value)>>,
    failing: std::sync::atomic::AtomicBool,
    writing: std::sync::atomic::AtomicBool,
    drained: std::sync::atomic::AtomicUsize,
}

impl Watching {
    fn fail(&self, fails: bool) {
        self.failing.store(fails, SeqCst);
    }

    fn invoked(&self) -> Vec<(String, Value)> {
        lock(&self.invoked).clone()
    }

    fn requests(&self) -> Vec<(String, Option<String>, Value)> {
        lock(&self.requests).clone()
    }
}

impl Stack for Watching {
    fn drained(&self) -> BoxFuture<'_, Result<(), String>> {
        self.drained.fetch_add(1, SeqCst);
        Box::pin(async { Ok(()) })
    }

    fn next_visible(&self) -> Option<Timestamp> {
        None
    }

    fn make_visible(&self, _: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn invoke(&self, function_arn: &str, event: String) -> BoxFuture<'_, Option<Invocation>> {
        lock(&self.invoked).push((function_arn.to_owned(), serde_json::from_str(&event).unwrap()));
        let outcome = match self.failing.load(SeqCst) {
            true => Outcome::FunctionError(r#"{"errorMessage":"no"}"#.into()),
            false => Outcome::Ok("null".into()),
        };
        let wrote = self.writing.load(SeqCst);
        Box::pin(async move { Some(Invocation { request_id: "r".to_owned(), outcome, wrote }) })
    }

    fn request(&self, request: Request<Body>) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let secret = request.headers().get("x-telegram-bot-api-secret-token");
            let secret = secret.map(|secret| secret.to_str().unwrap().to_owned());
            let path = request.uri().path().to_owned();
            let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
            lock(&self.requests).push((path, secret, serde_json::from_slice(&body).unwrap()));
            match self.failing.load(SeqCst) {
                true => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                false => StatusCode::OK.into_response(),
            }
        })
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

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:local-Feedback";
const FEEDBACK: &str = "arn:aws:sqs:us-east-1:000000000000:feedback";
const FAILURES: &str = "arn:aws:sqs:us-east-1:000000000000:failures";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:feedback";

/// A world with all that feedback passes on its way: a topic and its queue, a configuration set, log subscriptions and a
/// function with these schedules.
fn listening_world(schedules: Vec<ScheduleMapping>) -> World {
    world_with(|config| {
        let alarms = Topic {
            logical_id: "Alarms".to_owned(),
            arn: format!("{TOPIC}-alarms"),
            subscriptions: Vec::new(),
        };
        let feedback = Topic {
            logical_id: "Feedback".to_owned(),
            arn: TOPIC.to_owned(),
            subscriptions: vec![Subscription {
                logical_id: "ToQueue".to_owned(),
                queue_arn: FEEDBACK.to_owned(),
                raw: true,
            }],
        };
        config.topics = vec![alarms, feedback];
        config.configuration_sets = vec!["mail".to_owned()];
        let types = ["send", "delivery", "bounce", "complaint", "reject", "open"];
        config.event_destinations = vec![EventDestination {
            configuration_set: "mail".to_owned(),
            topic_arn: TOPIC.to_owned(),
            types: types.map(str::to_owned).to_vec(),
        }];
        config.log_subscriptions = ["", "/Failure"]
            .map(|end| LogSubscription {
                name: format!("lines{end}"),
                log_group: format!("sns/us-east-1/000000000000/DirectPublishToPhoneNumber{end}"),
                function_arn: FUNCTION.to_owned(),
            })
            .to_vec();
        config.functions = vec![FunctionSpec {
            policy: Default::default(),
            logical_id: "Feedback".to_owned(),
            name: "feedback".to_owned(),
            lambda_name: "local-Feedback".to_owned(),
            arn: FUNCTION.to_owned(),
            timeout: std::time::Duration::from_secs(3),
            memory: 128,
            reserved_concurrency: None,
            json_logs: true,
            environment: std::collections::BTreeMap::new(),
            routes: Vec::new(),
            streams: Vec::new(),
            queues: Vec::new(),
            schedules,
            async_retries: 2,
            async_on_failure: Some(FAILURES.to_owned()),
        }];
    })
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
        self.control_around(Arc::new(Idle), method, path, body).await
    }

    /// Like [`World::control`], with a stack of the test's own.
    async fn control_around(
        &self,
        stack: Arc<dyn Stack>,
        method: &str,
        path: &str,
        body: &str,
    ) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let response = self.services.control_router(stack).oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Lets this many seconds pass, and what is due arrive.
    async fn pass(&self, seconds: i64, stack: &dyn Stack) {
        self.clock.advance_to(self.clock.now() + jiff::SignedDuration::from_secs(seconds));
        self.services.arrive_due(stack).await;
    }

    /// What came into a queue since the last look, as JSON.
    fn taken(&self, queue: &str) -> Vec<Value> {
        let mut taken = lock(&self.queues.taken);
        let (these, others) = std::mem::take(&mut *taken).into_iter().partition(|(to, _)| to == queue);
        *taken = others;
        let these: Vec<(String, String)> = these;
        these.into_iter().map(|(_, body)| serde_json::from_str(&body).unwrap()).collect()
    }

    /// Calls one of the services without an SDK: status and JSON.
    async fn call(&self, service: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header(SERVICE_HEADER, service)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.services.aws_router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
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
