//! Every AWS call of a sandbox passes here: it is counted, may meet a fault, and goes on to whoever serves it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::sync::Notify;
use tower::ServiceExt;

use crate::activity::{Activity, Sources};
use crate::event_source::visibility::Visibility;
use crate::faults::{Faults, Kill, Trouble, When};
use crate::policy::{Ledger, Policy, needs};
use crate::services::{SERVICE_HEADER, SERVICES};

/// The largest request any of the services takes (a DynamoDB batch), in bytes.
const LARGEST_REQUEST: usize = 16 * 1024 * 1024;

/// The AWS calls of one invocation.
#[derive(Debug, Default)]
pub struct Calls {
    function: String,
    policy: Arc<Policy>,
    counts: Mutex<BTreeMap<String, u32>>,
    kill: Option<Kill>,
    dying: Notify,
    wrote: AtomicBool,
}

impl Calls {
    /// For an invocation of a function that may do what its policy says, and is to be killed at a call, or none.
    pub fn new(function: &str, policy: &Arc<Policy>, kill: Option<Kill>) -> Self {
        Self { function: function.to_owned(), policy: Arc::clone(policy), kill, ..Self::default() }
    }

    /// How often each operation was called, as `dynamodb:UpdateItem`.
    pub fn counts(&self) -> BTreeMap<String, u32> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a write to a table or a queue has been done.
    pub fn wrote(&self) -> bool {
        self.wrote.load(Ordering::SeqCst)
    }

    /// Resolves when a fault kills the invocation.
    pub async fn killed(&self) {
        self.dying.notified().await;
    }

    /// Counts a call and tells whether the invocation dies at it.
    fn count(&self, call: &Call) -> Option<When> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(format!("{}:{}", call.service, call.operation)).or_default() += 1;
        let kill = self.kill.as_ref()?;
        let counted: u32 = counts
            .iter()
            .filter(|(name, _)| match &kill.operation {
                Some(operation) => name.split_once(':').is_some_and(|(_, called)| called == operation),
                None => true,
            })
            .map(|(_, count)| count)
            .sum();
        let this_one = kill.operation.as_ref().is_none_or(|operation| *operation == call.operation);
        (this_one && counted == kill.call).then_some(kill.when)
    }

    /// Asks for the sandbox's end and never returns: nobody is left to answer.
    async fn die(&self) -> Response {
        self.dying.notify_one();
        std::future::pending().await
    }
}

/// Which operation of which service a request calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The service's name in the signature: `dynamodb`, `sqs`, `scheduler`, `ses`, `sns`, ….
    pub service: String,
    /// The operation's name, or method and path where it is not known.
    pub operation: String,
}

impl Call {
    fn of(parts: &Parts, body: &[u8]) -> Self {
        let path = parts.uri.path();
        if let Some(method) = telegram_method(path) {
            return Self { service: "telegram".to_owned(), operation: method.to_owned() };
        }
        if signed_in_query(&parts.uri) {
            let operation = match parts.method {
                Method::PUT => "PutObject".to_owned(),
                ref method => format!("{method} {path}"),
            };
            return Self { service: "s3".to_owned(), operation };
        }
        let service = signed_service(&parts.headers).unwrap_or("unknown").to_owned();
        let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation = match target.and_then(|target| target.rsplit('.').next()) {
            Some(operation) => operation.to_owned(),
            None => form_action(body).unwrap_or_else(|| rest_operation(&service, &parts.method, path)),
        };
        Self { service, operation }
    }

    fn sends_to_a_queue(&self) -> bool {
        self.service == "sqs" && matches!(self.operation.as_str(), "SendMessage" | "SendMessageBatch")
    }

    fn writes_to_a_table(&self) -> bool {
        const WRITES: [&str; 5] =
            ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"];
        self.service == "dynamodb" && WRITES.contains(&self.operation.as_str())
    }
}

/// The way from the sandboxes to the services.
#[derive(Debug)]
pub struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    upstream: String,
    services: Router,
    faults: Arc<Faults>,
    sources: Arc<Sources>,
    visibility: Arc<Visibility>,
    activity: Arc<Activity>,
    ledger: Ledger,
}

impl Proxy {
    /// A proxy to `upstream` (`127.0.0.1:4602`) for all but the in-process `services`. What functions did goes into the `ledger`.
    pub fn new(
        upstream: String,
        services: Router,
        faults: Arc<Faults>,
        sources: Arc<Sources>,
        visibility: Arc<Visibility>,
        activity: Arc<Activity>,
        ledger: Ledger,
    ) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, upstream, services, faults, sources, visibility, activity, ledger }
    }

    /// Answers one AWS call of an invocation.
    pub async fn call(&self, calls: &Calls, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(body) = axum::body::to_bytes(body, LARGEST_REQUEST).await else {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        };
        let call = Call::of(&parts, &body);
        let dies = calls.count(&call);
        if dies == Some(When::Before) {
            return calls.die().await;
        }
        let trouble = self.faults.meet(&call.service);
        if trouble.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(trouble.delay_ms)).await;
        }
        let response = match trouble {
            Trouble { failed: true, .. } => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Trouble { throttled: true, .. } => throttled(&call.service),
            _ => match self.ledger.check(&calls.function, &calls.policy, &needs(&call, &parts, &body)) {
                Ok(()) => self.serve(&call, parts, body).await,
                Err(problem) => {
                    tracing::warn!(problem, "a call was refused");
                    denied(&call.service, &problem)
                }
            },
        };
        // Marked even if it failed: it may have been done all the same.
        if call.writes_to_a_table() || call.sends_to_a_queue() {
            calls.wrote.store(true, Ordering::SeqCst);
        }
        if dies == Some(When::After) {
            return calls.die().await;
        }
        response
    }

    async fn serve(&self, call: &Call, mut parts: Parts, body: Bytes) -> Response {
        if SERVICES.contains(&call.service.as_str()) {
            if let Ok(service) = HeaderValue::from_str(&call.service) {
                parts.headers.insert(SERVICE_HEADER, service);
            }
            let answered = self.services.clone().oneshot(Request::from_parts(parts, Body::from(body))).await;
            return answered.unwrap_or_else(|never| match never {});
        }
        let headers = parts.headers.clone();
        let (status, response_headers, answer) = match self.forward(parts, body.clone()).await {
            Ok(answer) => answer,
            Err(problem) => return (StatusCode::BAD_GATEWAY, problem).into_response(),
        };
        if status.is_success() {
            self.after(call, &headers, &body, &answer);
        }
        (status, response_headers, answer).into_response()
    }

    /// Sends a request on to the data services, as it is.
    ///
    /// # Errors
    /// They could not be reached.
    pub async fn forward(
        &self,
        mut parts: Parts,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = Uri::builder()
            .scheme("http")
            .authority(self.upstream.as_str())
            .path_and_query(path)
            .build()
            .map_err(|error| error.to_string())?;
        parts.headers.remove(HOST);
        let unreachable = |error: String| format!("the data services cannot be reached: {error}");
        let answer = self
            .client
            .request(Request::from_parts(parts, Full::new(body)))
            .await
            .map_err(|error| unreachable(crate::error::chain(&error)))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| unreachable(error.to_string()))?.to_bytes();
        let mut headers = head.headers;
        for of_the_connection in ["connection", "transfer-encoding", "content-length", "keep-alive"] {
            headers.remove(of_the_connection);
        }
        Ok((head.status, headers, body))
    }

    /// Lets the pollers know of what was written, and the time machine of what was sent with a delay.
    fn after(&self, call: &Call, headers: &HeaderMap, body: &Bytes, answer: &Bytes) {
        if call.writes_to_a_table() {
            self.activity.changed();
            self.sources.tables_written(&String::from_utf8_lossy(body));
        }
        if call.sends_to_a_queue() {
            self.activity.changed();
            if let Some(queue) = self.visibility.sent(headers, body, answer) {
                self.sources.queue_written(&queue);
            }
        }
    }
}

/// The service in `Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/dynamodb/aws4_request, …`.
fn signed_service(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, scope) = authorization.split_once("Credential=")?;
    scope.split(',').next()?.split('/').nth(3)
}

/// Whether it is a presigned URL of S3 that is called, which does what the function that signed it may do.
fn signed_in_query(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .any(|(name, scope)| name == "X-Amz-Credential" && scope.split('/').nth(3) == Some("s3"))
}

/// `sendMessage` of `/bot123:abc/sendMessage`.
fn telegram_method(path: &str) -> Option<&str> {
    let (token, method) = path.strip_prefix("/bot")?.split_once('/')?;
    token.contains(':').then_some(method)
}

/// `Action=Publish&…` of the query protocol.
fn form_action(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body.get(..body.len().min(4096))?).ok()?;
    let action = text.split('&').find_map(|pair| pair.strip_prefix("Action="))?;
    Some(action.to_owned())
}

fn rest_operation(service: &str, method: &Method, path: &str) -> String {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let named = path.trim_matches('/').contains('/');
    match (service, method.as_str(), first, named) {
        ("scheduler", "POST", "schedules", true) => "CreateSchedule".to_owned(),
        ("scheduler", "PUT", "schedules", true) => "UpdateSchedule".to_owned(),
        ("scheduler", "DELETE", "schedules", true) => "DeleteSchedule".to_owned(),
        ("scheduler", "GET", "schedules", true) => "GetSchedule".to_owned(),
        ("scheduler", "GET", "schedules", false) => "ListSchedules".to_owned(),
        ("ses", "POST", "v2", _) if path.ends_with("/outbound-emails") => "SendEmail".to_owned(),
        ("social-messaging", "POST", "v1", _) if path.ends_with("/send") => "SendWhatsAppMessage".to_owned(),
        _ => format!("{method} {path}"),
    }
}

/// "Too many requests" as each service's protocol says it.
fn throttled(service: &str) -> Response {
    const MESSAGE: &str = "Rate exceeded";
    match service {
        "dynamodb" => (
            StatusCode::BAD_REQUEST,
            [(CONTENT_TYPE, "application/x-amz-json-1.0")],
            json!({"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": MESSAGE})
                .to_string(),
        )
            .into_response(),
        "sqs" => (
            StatusCode::BAD_REQUEST,
            [(CONTENT_TYPE, "application/x-amz-json-1.0")],
            json!({"__type": "com.amazonaws.sqs#RequestThrottled", "message": MESSAGE}).to_string(),
        )
            .into_response(),
        "sns" => sns_error(StatusCode::TOO_MANY_REQUESTS, "Throttled", MESSAGE),
        "telegram" => (
            StatusCode::TOO_MANY_REQUESTS,
            [(CONTENT_TYPE, "application/json")],
            json!({
                "ok": false,
                "error_code": 429,
                "description": "Too Many Requests: retry after 1",
                "parameters": { "retry_after": 1 },
            })
            .to_string(),
        )
            .into_response(),
        service => {
            let kind = match service {
                "ses" => "TooManyRequestsException",
                "social-messaging" => "ThrottledRequestException",
                _ => "ThrottlingException",
            };
            (
                StatusCode::TOO_MANY_REQUESTS,
                [("content-type", "application/json"), ("x-amzn-errortype", kind)],
                json!({ "message": MESSAGE }).to_string(),
            )
                .into_response()
        }
    }
}

fn sns_error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>local</RequestId></ErrorResponse>"
    );
    (status, [(CONTENT_TYPE, "text/xml")], body).into_response()
}

/// "You may not" as each service's protocol says it.
fn denied(service: &str, problem: &str) -> Response {
    match service {
        "dynamodb" | "sqs" => (
            StatusCode::BAD_REQUEST,
            [(CONTENT_TYPE, "application/x-amz-json-1.0")],
            json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "message": problem })
                .to_string(),
        )
            .into_response(),
        "sns" => sns_error(StatusCode::FORBIDDEN, "AuthorizationError", problem),
        _ => (
            StatusCode::FORBIDDEN,
            [("content-type", "application/json"), ("x-amzn-errortype", "AccessDeniedException")],
            json!({ "message": problem }).to_string(),
        )
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn signed(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/{service}/aws4_request, SignedHeaders=host"
        )
    }

    fn call(method: &str, path: &str, service: &str, target: Option<&str>, body: &str) -> Call {
        let authorization = signed(service);
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(target.map(|target| ("x-amz-target", target)));
        Call::of(&parts(method, path, &headers), body.as_bytes())
    }

    #[test]
    fn the_operation_is_read_from_each_protocol() {
        for (found, expected) in [
            (call("POST", "/", "dynamodb", Some("DynamoDB_20120810.PutItem"), "{}"), ("dynamodb", "PutItem")),
            (call("POST", "/", "sqs", Some("AmazonSQS.SendMessage"), "{}"), ("sqs", "SendMessage")),
            (call("POST", "/", "sns", None, "Action=Publish&Version=2010-03-31"), ("sns", "Publish")),
            (call("PUT", "/schedules/a", "scheduler", None, "{}"), ("scheduler", "UpdateSchedule")),
            (call("POST", "/v2/email/outbound-emails", "ses", None, "{}"), ("ses", "SendEmail")),
            (
                call("POST", "/v1/whatsapp/send", "social-messaging", None, "{}"),
                ("social-messaging", "SendWhatsAppMessage"),
            ),
            (call("POST", "/bot123:AB-c/sendMessage", "unknown", None, "{}"), ("telegram", "sendMessage")),
            (
                call(
                    "PUT",
                    "/b/images/a.png?X-Amz-Credential=test%2F20261121%2Fus-east-1%2Fs3%2Faws4_request",
                    "-",
                    None,
                    "",
                ),
                ("s3", "PutObject"),
            ),
        ] {
            assert_eq!((found.service.as_str(), found.operation.as_str()), expected);
        }
    }

    #[test]
    fn an_invocation_dies_at_the_named_call() {
        let put = call("POST", "/", "dynamodb", Some("DynamoDB_20120810.PutItem"), "{}");
        let update = call("POST", "/", "dynamodb", Some("DynamoDB_20120810.UpdateItem"), "{}");
        let kill = |call, operation: Option<&str>| {
            let kill = Kill {
                function: "f".to_owned(),
                when: When::After,
                call,
                operation: operation.map(str::to_owned),
            };
            Calls::new("f", &Arc::default(), Some(kill))
        };
        let second = kill(2, None);
        assert_eq!(second.count(&put), None);
        assert_eq!(second.count(&update), Some(When::After));

        let second_update = kill(2, Some("UpdateItem"));
        let met: Vec<_> = [&update, &put, &update, &put].map(|call| second_update.count(call)).into();
        assert_eq!(met, [None, None, Some(When::After), None]);
        assert_eq!(second_update.counts()["dynamodb:UpdateItem"], 2);
    }
}
