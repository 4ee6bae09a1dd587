//! Real processes on the real Lambda runtime, in sandboxes of the stack; only AWS is played by the test.
//!
//! The function is this test binary itself: [`acts_as_function`] runs when a sandbox starts it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::activity::{Activity, Sources};
use crate::clock::Clock;
use crate::event_source::visibility::Visibility;
use crate::faults::{Faults, Kill, When};
use crate::http_api::HttpApi;
use crate::policy::{Ledger, Policy};
use crate::proxy::Proxy;
use crate::sandbox::{Function, Host, Journal, Outcome};
use crate::template::{Api, Authorizer, FunctionSpec, Route};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::MockConnectInfo;
use axum::http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tower::ServiceExt;

/// The function. Its event says what it does: `env`, `sleep_ms`, `exit`, `fail`, or `call` AWS operations. Asked as an
/// authorizer it lets `good` in; asked over HTTP it does what the body says.
#[tokio::test]
#[ignore = "started by a sandbox, not by a person"]
async fn acts_as_function() {
    if std::env::var_os("FAIL_AT_START").is_some() {
        std::process::exit(3);
    }
    let handled = AtomicU32::new(0);
    let handler = |event: lambda_runtime::LambdaEvent<Value>| {
        let count = handled.fetch_add(1, Ordering::SeqCst) + 1;
        async move { behave(event.payload, event.context, count).await }
    };
    lambda_runtime::run(lambda_runtime::service_fn(handler)).await.unwrap();
}

async fn behave(
    event: Value,
    context: lambda_runtime::Context,
    count: u32,
) -> Result<Value, lambda_runtime::Error> {
    if event["type"] == "REQUEST" {
        let authorized = event["identitySource"][0] == "good";
        return Ok(json!({"isAuthorized": authorized, "context": {"business": "b1"}}));
    }
    if let Some("crash") = event["body"].as_str() {
        std::process::exit(1);
    }
    if event["env"] == true {
        return Ok(json!(std::env::vars().collect::<BTreeMap<_, _>>()));
    }
    if let Some(ms) = event["sleep_ms"].as_u64() {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    if let Some(code) = event["exit"].as_i64() {
        std::process::exit(i32::try_from(code).unwrap());
    }
    if let Some(message) = event["fail"].as_str() {
        return Err(message.to_owned().into());
    }
    let mut answers = Vec::new();
    for call in event["call"].as_array().into_iter().flatten() {
        answers.push(aws_call(call.as_str().unwrap()).await);
    }
    Ok(json!({
        "event": event,
        "pid": std::process::id(),
        "count": count,
        "arn": context.invoked_function_arn,
        "deadline": context.deadline,
        "answers": answers,
    }))
}

/// Calls `service:Operation` as an SDK would.
async fn aws_call(call: &str) -> String {
    let (service, operation) = call.split_once(':').unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap();
    let request = Request::post(format!("{endpoint}/"))
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/{service}/aws4_request"),
        )
        .header("x-amz-target", format!("Any.{operation}"))
        .body(Full::new(Bytes::from_static(b"{}")))
        .unwrap();
    let answer = client.request(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    format!("{status} {}", String::from_utf8_lossy(&body))
}

/// A stack of one function, and what AWS saw of it.
struct Stage {
    function: Arc<Function>,
    host: Arc<Host>,
    seen: Arc<Mutex<Vec<String>>>,
    dir: PathBuf,
}

impl Stage {
    async fn new(name: &str, environment: &[(&str, &str)]) -> Self {
        let dir = std::env::temp_dir().join(format!("local-stack-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        install_function(&dir.join("probe"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let clock = Arc::new(Clock::default());
        let activity = Arc::new(Activity::default());
        let faults = Arc::new(Faults::default());
        let proxy = Proxy::new(
            fake_aws(Arc::clone(&seen)).await,
            Router::new().fallback(|headers: HeaderMap| async move {
                format!("in process: {}", headers["x-local-service"].to_str().unwrap())
            }),
            Arc::clone(&faults),
            Arc::new(Sources::default()),
            Arc::new(Visibility::new(Arc::clone(&clock))),
            Arc::clone(&activity),
            Ledger::default(),
        );
        let host = Arc::new(Host {
            functions_dir: dir.clone(),
            logs_dir: dir.clone(),
            clock,
            proxy,
            faults,
            activity,
            journal: Journal::default(),
        });
        let everything = json!([{ "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] }]);
        let spec = FunctionSpec {
            policy: Arc::new(Policy::read(everything, "").unwrap()),
            logical_id: "Probe".to_owned(),
            name: "probe".to_owned(),
            lambda_name: "local-Probe".to_owned(),
            arn: "arn:aws:lambda:us-east-1:000000000000:function:local-Probe".to_owned(),
            timeout: Duration::from_secs(2),
            memory: 256,
            reserved_concurrency: None,
            json_logs: true,
            environment: environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            routes: vec![Route {
                method: "ANY".to_owned(),
                path: "/v1/{proxy+}".to_owned(),
                authorizer: Some("ApiKey".to_owned()),
            }],
            streams: Vec::new(),
            queues: Vec::new(),
            schedules: Vec::new(),
            async_retries: 2,
            async_on_failure: None,
        };
        Self { function: Function::new(spec, Arc::clone(&host)).unwrap(), host, seen, dir }
    }

    async fn invoke(&self, event: Value) -> Outcome {
        self.function.invoke(Bytes::from(event.to_string())).await.outcome
    }

    async fn answer(&self, event: Value) -> Value {
        let outcome = self.invoke(event).await;
        serde_json::from_slice(outcome.answer().unwrap_or_else(|| panic!("{outcome:?}"))).unwrap()
    }

    /// The HTTP API in front of the function, which is its own authorizer.
    fn api(&self) -> Router {
        let authorizer = Authorizer {
            function_arn: self.function.spec.arn.clone(),
            headers: vec!["authorization".to_owned()],
            cache: Duration::from_secs(300),
        };
        let settings = Api { authorizers: [("ApiKey".to_owned(), authorizer)].into(), ..Api::default() };
        let api =
            HttpApi::new(settings, &[Arc::clone(&self.function)], Arc::clone(&self.host.clock)).unwrap();
        api.router().layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))))
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A program that starts this test binary as the function.
fn install_function(path: &Path) {
    let test_binary = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nexec {} --ignored --exact sandbox::tests::acts_as_function --nocapture\n",
        test_binary.display()
    );
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Answers everything and writes down the operation.
async fn fake_aws(seen: Arc<Mutex<Vec<String>>>) -> String {
    let (listener, address) = crate::ports::listen(0).await.unwrap();
    let router = Router::new().fallback(move |request: Request<Body>| {
        let operation = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
        seen.lock().unwrap().push(operation);
        async { "done" }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address.to_string()
}

/// Sends a request and tells the status and the body.
async fn send(api: &Router, key: Option<&str>, body: impl Into<Body>) -> (u16, Value) {
    let mut request = Request::post("/v1/bookings").header("content-type", "text/plain");
    if let Some(key) = key {
        request = request.header("authorization", key);
    }
    let response = api.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

fn error_type(outcome: &Outcome) -> String {
    let payload: Value = serde_json::from_slice(outcome.payload()).unwrap();
    payload["errorType"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_function_answers_and_its_sandbox_stays_warm() {
    let stage = Stage::new("warm", &[]).await;
    let first = stage.answer(json!({"a": 1})).await;
    let second = stage.answer(json!({"a": 2})).await;
    assert_eq!(first["event"], json!({"a": 1}));
    assert_eq!(first["pid"], second["pid"]);
    assert_eq!(second["count"], 2);
    assert_eq!(first["arn"], "arn:aws:lambda:us-east-1:000000000000:function:local-Probe");
    let left = first["deadline"].as_i64().unwrap() - stage.host.clock.wall().as_millisecond();
    assert!((0..=2000).contains(&left), "{left} ms left of two seconds");
    let cold: Vec<bool> = stage.host.journal.entries().iter().map(|entry| entry.cold).collect();
    assert_eq!(cold, [true, false]);
}

#[tokio::test]
async fn invocations_at_once_get_a_sandbox_each() {
    let stage = Stage::new("many", &[]).await;
    let (one, other) =
        tokio::join!(stage.answer(json!({"sleep_ms": 300})), stage.answer(json!({"sleep_ms": 300})));
    assert_ne!(one["pid"], other["pid"]);
}

#[tokio::test]
async fn a_function_sees_the_template_s_environment_and_lambda_s_only() {
    let stage = Stage::new("env", &[("BOOKINGS_TABLE", "local-BookingsTable")]).await;
    let environment = stage.answer(json!({"env": true})).await;
    assert_eq!(environment["BOOKINGS_TABLE"], "local-BookingsTable");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_NAME"], "local-Probe");
    assert_eq!(environment["TZ"], ":UTC");
    assert_eq!(environment["PATH"], "/usr/bin:/bin");
    for of_the_shell in ["HOME", "USER", "CARGO", "CARGO_MANIFEST_DIR"] {
        assert_eq!(environment.get(of_the_shell), None, "{of_the_shell}");
    }
}

#[tokio::test]
async fn a_timeout_kills_the_sandbox_and_the_next_invocation_gets_a_new_one() {
    let stage = Stage::new("timeout", &[]).await;
    let before = stage.answer(json!({})).await;
    let outcome = stage.invoke(json!({"sleep_ms": 60_000})).await;
    assert!(matches!(outcome, Outcome::Timeout(_)), "{outcome:?}");
    assert_eq!(error_type(&outcome), "Sandbox.Timedout");
    let after = stage.answer(json!({})).await;
    assert_ne!(before["pid"], after["pid"]);
    assert!(!Path::new(&format!("/proc/{}", before["pid"])).exists(), "the process is gone");
}

#[tokio::test]
async fn a_crash_and_an_error_fail_the_invocation() {
    let stage = Stage::new("crash", &[]).await;
    let crash = stage.invoke(json!({"exit": 7})).await;
    assert!(matches!(crash, Outcome::Crash(_)), "{crash:?}");
    assert_eq!(error_type(&crash), "Runtime.ExitError");
    let error = stage.invoke(json!({"fail": "no such luck"})).await;
    assert!(matches!(&error, Outcome::FunctionError(payload) if payload.windows(7).any(|w| w == b"no such")));
    let words: Vec<&str> = stage.host.journal.entries().iter().map(|entry| entry.outcome).collect();
    assert_eq!(words, ["crash", "function_error"]);
}

#[tokio::test]
async fn a_function_that_ends_at_start_fails_the_invocation() {
    let stage = Stage::new("start", &[("FAIL_AT_START", "1")]).await;
    let outcome = stage.invoke(json!({})).await;
    assert!(matches!(outcome, Outcome::Crash(_)), "{outcome:?}");
}

#[tokio::test]
async fn aws_calls_are_counted_and_reach_whoever_serves_them() {
    let stage = Stage::new("calls", &[]).await;
    let answer = stage.answer(json!({"call": ["dynamodb:PutItem", "dynamodb:PutItem", "sns:Publish"]})).await;
    assert_eq!(answer["answers"], json!(["200 done", "200 done", "200 in process: sns"]));
    assert_eq!(stage.seen(), ["Any.PutItem", "Any.PutItem"]);
    let calls = stage.host.journal.entries()[0].aws_calls.clone();
    assert_eq!(calls, [("dynamodb:PutItem".to_owned(), 2), ("sns:Publish".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_sandbox_can_be_killed_before_and_after_a_call() {
    let stage = Stage::new("kill", &[]).await;
    let event = json!({"call": ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:PutItem"]});
    let kill =
        |when| Kill { function: "probe".to_owned(), when, call: 1, operation: Some("UpdateItem".to_owned()) };
    stage.host.faults.kill(kill(When::Before));
    assert!(matches!(stage.invoke(event.clone()).await, Outcome::Crash(_)));
    assert_eq!(stage.seen(), ["Any.GetItem"]);

    stage.host.faults.kill(kill(When::After));
    assert!(matches!(stage.invoke(event.clone()).await, Outcome::Crash(_)));
    assert_eq!(stage.seen()[1..], ["Any.GetItem", "Any.UpdateItem"]);

    assert!(stage.invoke(event).await.answer().is_some(), "only the next invocation dies");
}

#[tokio::test]
async fn a_throttled_service_refuses_so_many_calls() {
    let stage = Stage::new("throttle", &[]).await;
    let once = serde_json::from_value(json!({ "service": "dynamodb" })).unwrap();
    stage.host.faults.throttle(once);
    let answer = stage.answer(json!({"call": ["dynamodb:PutItem", "dynamodb:PutItem"]})).await;
    let answers = answer["answers"].as_array().unwrap();
    assert!(
        answers[0].as_str().unwrap().starts_with("400 ")
            && answers[0].as_str().unwrap().contains("Throttling")
    );
    assert_eq!(answers[1], "200 done");
}

#[tokio::test]
async fn what_a_function_prints_is_in_its_log() {
    let stage = Stage::new("log", &[]).await;
    stage.answer(json!({})).await;
    let log = std::fs::read_to_string(stage.dir.join("probe.log")).unwrap();
    assert!(log.contains("running 1 test"), "{log}");
}

#[tokio::test]
async fn without_its_identity_header_a_request_is_refused_unheard() {
    let stage = Stage::new("unauthorized", &[]).await;
    assert_eq!(send(&stage.api(), None, "").await, (401, json!({"message": "Unauthorized"})));
    assert!(stage.host.journal.entries().is_empty());
}

#[tokio::test]
async fn the_authorizer_is_asked_once_for_an_identity() {
    let stage = Stage::new("authorizer", &[]).await;
    let api = stage.api();
    for _ in 0..2 {
        assert_eq!(send(&api, Some("bad"), "").await, (403, json!({"message": "Forbidden"})));
    }
    assert_eq!(stage.host.journal.entries().len(), 1);
    for _ in 0..2 {
        let (status, answer) = send(&api, Some("good"), "hi").await;
        assert_eq!(status, 200);
        assert_eq!(answer["event"]["requestContext"]["authorizer"]["lambda"], json!({"business": "b1"}));
        assert_eq!(answer["event"]["body"], "hi");
    }
    assert_eq!(stage.host.journal.entries().len(), 4, "one more decision and two answers");
}

#[tokio::test]
async fn a_failed_function_is_an_internal_error_to_the_client() {
    let stage = Stage::new("internal", &[]).await;
    let answer = send(&stage.api(), Some("good"), "crash").await;
    assert_eq!(answer, (500, json!({"message": "Internal Server Error"})));
}

#[tokio::test]
async fn a_body_over_ten_megabytes_is_refused() {
    let stage = Stage::new("large", &[]).await;
    let answer = send(&stage.api(), Some("good"), vec![b'a'; 10 * 1024 * 1024 + 1]).await;
    assert_eq!(answer, (413, json!({"message": "Request Entity Too Large"})));
}
