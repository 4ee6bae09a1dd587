//! The HTTP API: API Gateway's routes, authorizer, limits and event (payload 2.0) in front of the functions.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::Clock;
use crate::error::StackError;
use crate::sandbox::{Function, Outcome};
use crate::template::{ACCOUNT, Api, Authorizer, Cors, REGION, Route, Throttle};

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const LONGEST_INTEGRATION: Duration = Duration::from_secs(30);
const LARGEST_BODY: usize = 10 * 1024 * 1024;
/// Request line and headers together, in bytes.
const LARGEST_HEAD: usize = 10_240;

/// The HTTP API.
#[derive(Debug)]
pub struct HttpApi {
    settings: Api,
    routes: Vec<(Route, Arc<Function>)>,
    authorizers: BTreeMap<String, (Authorizer, Arc<Function>)>,
    clock: Arc<Clock>,
    bucket: Option<Mutex<Bucket>>,
    /// Authorizers' answers by authorizer and identity.
    decisions: Mutex<HashMap<(String, Vec<String>), CachedDecision>>,
}

/// What an authorizer said.
#[derive(Debug, Clone, PartialEq)]
enum Decision {
    Allowed(Value),
    Denied,
}

/// What an authorizer said, and until when it holds.
type CachedDecision = (Instant, Decision);

/// An HTTP request as the gateway sees it.
struct Incoming<'a> {
    parts: &'a Parts,
    route: &'a Route,
    path: String,
    path_parameters: BTreeMap<String, String>,
    source_ip: String,
    request_id: String,
}

impl HttpApi {
    /// The API of the template in front of `functions`.
    ///
    /// # Errors
    /// An authorizer's function does not exist.
    pub fn new(
        settings: Api,
        functions: &[Arc<Function>],
        clock: Arc<Clock>,
    ) -> Result<Arc<Self>, StackError> {
        let authorizers = settings
            .authorizers
            .iter()
            .map(|(name, authorizer)| {
                let function = functions.iter().find(|one| one.spec.arn == authorizer.function_arn);
                let function = function.ok_or_else(|| {
                    StackError::template(
                        format!("authorizer {name}"),
                        "its FunctionArn is no function of the template",
                    )
                })?;
                Ok((name.clone(), (authorizer.clone(), Arc::clone(function))))
            })
            .collect::<Result<BTreeMap<_, _>, StackError>>()?;
        let mut routes = Vec::new();
        for function in functions {
            for route in &function.spec.routes {
                if route.authorizer.as_ref().is_some_and(|name| !authorizers.contains_key(name)) {
                    return Err(StackError::template(&route.path, "there is no such authorizer"));
                }
                routes.push((route.clone(), Arc::clone(function)));
            }
        }
        let bucket = settings.throttle.map(|throttle| Mutex::new(Bucket::new(throttle, Instant::now())));
        Ok(Arc::new(Self { settings, routes, authorizers, clock, bucket, decisions: Mutex::default() }))
    }

    /// Serves the API. Needs [`ConnectInfo`], as `into_make_service_with_connect_info` gives it.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(answer).with_state(Arc::clone(self))
    }

    /// Answers a request that comes from `source_ip`.
    pub async fn answer(&self, source_ip: String, request: Request<Body>) -> Response {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let request_id = Uuid::new_v4().to_string();
        let mut response = match self.preflight(&request) {
            Some(response) => response,
            None => self.route(source_ip, &request_id, request).await.unwrap_or_else(Refusal::into_response),
        };
        if let (Some(cors), Some(origin)) = (&self.settings.cors, origin) {
            cors_headers(cors, &origin, response.headers_mut());
        }
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("apigw-requestid", id);
        }
        response
    }

    /// With CORS set up the gateway answers preflights itself, before any route or authorizer.
    fn preflight(&self, request: &Request<Body>) -> Option<Response> {
        let cors = self.settings.cors.as_ref()?;
        let is_preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ORIGIN)
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut headers = HeaderMap::new();
        for (name, values) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, &cors.allow_methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &cors.allow_headers),
        ] {
            if let (false, Ok(value)) = (values.is_empty(), HeaderValue::from_str(&values.join(","))) {
                headers.insert(name, value);
            }
        }
        if let Some(seconds) = cors.max_age {
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, seconds.into());
        }
        Some((StatusCode::NO_CONTENT, headers).into_response())
    }

    async fn route(
        &self,
        source_ip: String,
        request_id: &str,
        request: Request<Body>,
    ) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        let path = decoded(parts.uri.path());
        let (route, function, path_parameters) =
            find_route(&self.routes, &parts.method, &path).ok_or(Refusal::NotFound)?;
        if self.bucket.as_ref().is_some_and(|bucket| !take_token(bucket)) {
            return Err(Refusal::TooManyRequests);
        }
        if head_size(&parts) > LARGEST_HEAD {
            return Err(Refusal::HeadersTooLarge);
        }
        let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|_| Refusal::BodyTooLarge)?;
        let request_id = request_id.to_owned();
        let incoming = Incoming { parts: &parts, route, path, path_parameters, source_ip, request_id };
        let context = match &route.authorizer {
            Some(name) => Some(self.authorize(name, &incoming).await?),
            None => None,
        };
        let event = Bytes::from(self.event(&incoming, &body, context).to_string());
        let invocation = tokio::time::timeout(LONGEST_INTEGRATION, function.invoke(event))
            .await
            .map_err(|_| Refusal::IntegrationTimeout)?;
        match invocation.outcome {
            Outcome::Ok(answer) => response(&answer),
            _ => Err(Refusal::IntegrationFailed),
        }
    }

    /// What the authorizer adds to the event, or why the request ends here.
    async fn authorize(&self, name: &str, incoming: &Incoming<'_>) -> Result<Value, Refusal> {
        let (authorizer, function) = self.authorizers.get(name).ok_or(Refusal::IntegrationFailed)?;
        let mut identity = Vec::new();
        for header in &authorizer.headers {
            let value =
                incoming.parts.headers.get(header).and_then(|value| value.to_str().ok()).unwrap_or_default();
            if value.is_empty() {
                return Err(Refusal::Unauthorized);
            }
            identity.push(value.to_owned());
        }
        let key = (name.to_owned(), identity.clone());
        let cached = lock(&self.decisions).get(&key).cloned();
        let decision = match cached {
            Some((until, decision)) if until > Instant::now() => decision,
            _ => {
                let event = Bytes::from(self.authorizer_event(incoming, &identity).to_string());
                let decision = decision(&function.invoke(event).await.outcome)?;
                if !authorizer.cache.is_zero() {
                    lock(&self.decisions).insert(key, (Instant::now() + authorizer.cache, decision.clone()));
                }
                decision
            }
        };
        match decision {
            Decision::Allowed(context) => Ok(context),
            Decision::Denied => Err(Refusal::Forbidden),
        }
    }

    fn event(&self, incoming: &Incoming<'_>, body: &Bytes, context: Option<Value>) -> Value {
        let mut event = self.common_event(incoming);
        let Some(fields) = event.as_object_mut() else { return event };
        if let Some(context) = context {
            fields["requestContext"]["authorizer"] = json!({ "lambda": context });
        }
        let text = is_text(&incoming.parts.headers).then(|| std::str::from_utf8(body).ok()).flatten();
        if !body.is_empty() {
            let shown = text.map_or_else(|| STANDARD.encode(body), str::to_owned);
            fields.insert("body".to_owned(), json!(shown));
        }
        fields.insert("isBase64Encoded".to_owned(), json!(!body.is_empty() && text.is_none()));
        event
    }

    fn authorizer_event(&self, incoming: &Incoming<'_>, identity: &[String]) -> Value {
        let mut event = self.common_event(incoming);
        if let Some(fields) = event.as_object_mut() {
            let method = incoming.parts.method.as_str();
            let arn =
                format!("arn:aws:execute-api:{REGION}:{ACCOUNT}:local/$default/{method}{}", incoming.path);
            fields.insert("type".to_owned(), json!("REQUEST"));
            fields.insert("routeArn".to_owned(), json!(arn));
            fields.insert("identitySource".to_owned(), json!(identity));
        }
        event
    }

    fn common_event(&self, incoming: &Incoming<'_>) -> Value {
        let Incoming { parts, route, path, path_parameters, source_ip, request_id } = incoming;
        let now = self.clock.now();
        let route_key = format!("{} {}", route.method, route.path);
        let host = header_text(&parts.headers, &header::HOST);
        let mut event = json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": path,
            "rawQueryString": parts.uri.query().unwrap_or_default(),
            "headers": event_headers(&parts.headers),
            "requestContext": {
                "accountId": ACCOUNT,
                "apiId": "local",
                "domainName": host,
                "domainPrefix": "local",
                "http": {
                    "method": parts.method.as_str(),
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": source_ip,
                    "userAgent": header_text(&parts.headers, &header::USER_AGENT),
                },
                "requestId": request_id,
                "routeKey": route_key,
                "stage": "$default",
                "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                "timeEpoch": now.as_millisecond(),
            },
        });
        let cookies = cookies(&parts.headers);
        let query = query_parameters(parts.uri.query().unwrap_or_default());
        if let Some(fields) = event.as_object_mut() {
            if !cookies.is_empty() {
                fields.insert("cookies".to_owned(), json!(cookies));
            }
            if !query.is_empty() {
                fields.insert("queryStringParameters".to_owned(), json!(query));
            }
            if !path_parameters.is_empty() {
                fields.insert("pathParameters".to_owned(), json!(path_parameters));
            }
        }
        event
    }
}

async fn answer(
    State(api): State<Arc<HttpApi>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    api.answer(peer.ip().to_string(), request).await
}

/// What the gateway answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NotFound,
    Unauthorized,
    Forbidden,
    TooManyRequests,
    HeadersTooLarge,
    BodyTooLarge,
    IntegrationFailed,
    IntegrationTimeout,
}

impl Refusal {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"),
            Self::HeadersTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large")
            }
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            Self::IntegrationFailed => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::IntegrationTimeout => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        };
        (status, [(header::CONTENT_TYPE, "application/json")], json!({ "message": message }).to_string())
            .into_response()
    }
}

/// A token bucket, filled continuously.
#[derive(Debug)]
struct Bucket {
    limits: Throttle,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(limits: Throttle, now: Instant) -> Self {
        Self { limits, tokens: f64::from(limits.burst), filled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let gained = now.duration_since(self.filled).as_secs_f64() * self.limits.rate;
        self.tokens = (self.tokens + gained).min(f64::from(self.limits.burst));
        self.filled = now;
        let free = self.tokens >= 1.0;
        if free {
            self.tokens -= 1.0;
        }
        free
    }
}

fn take_token(bucket: &Mutex<Bucket>) -> bool {
    lock(bucket).take(Instant::now())
}

/// The most specific route: literal parts before `{one}`, that before `{greedy+}`, a method before `ANY`.
fn find_route<'a, T>(
    routes: &'a [(Route, T)],
    method: &Method,
    path: &str,
) -> Option<(&'a Route, &'a T, BTreeMap<String, String>)> {
    routes
        .iter()
        .filter(|(route, _)| route.method == "ANY" || route.method == method.as_str())
        .filter_map(|(route, target)| {
            let (parameters, rank) = match_path(&route.path, path)?;
            Some(((rank, route.method == "ANY"), (route, target, parameters)))
        })
        .min_by(|(one, _), (other, _)| one.cmp(other))
        .map(|(_, found)| found)
}

/// The parameters of a path that fits, and for each part how loosely it fits.
fn match_path(pattern: &str, path: &str) -> Option<(BTreeMap<String, String>, Vec<u8>)> {
    let mut parameters = BTreeMap::new();
    let mut rank = Vec::new();
    let mut rest = path.strip_prefix('/')?.split('/');
    for part in pattern.strip_prefix('/')?.split('/') {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => {
                if rest.next()? != part {
                    return None;
                }
                rank.push(0);
            }
            Some(name) => match name.strip_suffix('+') {
                None => {
                    parameters
                        .insert(name.to_owned(), rest.next().filter(|value| !value.is_empty())?.to_owned());
                    rank.push(1);
                }
                Some(name) => {
                    let remaining = rest.by_ref().collect::<Vec<_>>().join("/");
                    if remaining.is_empty() {
                        return None;
                    }
                    parameters.insert(name.to_owned(), remaining);
                    rank.push(2);
                }
            },
        }
    }
    rest.next().is_none().then_some((parameters, rank))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn head_size(parts: &Parts) -> usize {
    let line = parts.method.as_str().len() + parts.uri.to_string().len();
    parts.headers.iter().fold(line, |size, (name, value)| size + name.as_str().len() + value.len())
}

fn header_text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

/// Names in lower case, repeated ones joined; cookies have a place of their own.
fn event_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != header::COOKIE) {
        let value = String::from_utf8_lossy(value.as_bytes());
        shown
            .entry(name.as_str().to_owned())
            .and_modify(|before| {
                before.push(',');
                before.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    shown
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| {
            String::from_utf8_lossy(line.as_bytes())
                .split(';')
                .map(|one| one.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

/// Decoded, repeated ones joined with commas.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name.into_owned())
            .and_modify(|before| {
                before.push(',');
                before.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    parameters
}

/// Bodies of these types are handed over as they are, all others in base64, forms among them.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = header_text(headers, &header::CONTENT_TYPE).to_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.is_empty()
        || essence.starts_with("text/")
        || ["json", "xml", "javascript"].iter().any(|text| essence.ends_with(text))
}

/// An authorizer's simple response.
fn decision(outcome: &Outcome) -> Result<Decision, Refusal> {
    let answer: Value = outcome
        .answer()
        .and_then(|answer| serde_json::from_slice(answer).ok())
        .ok_or(Refusal::IntegrationFailed)?;
    match answer.get("isAuthorized").and_then(Value::as_bool) {
        Some(true) => Ok(Decision::Allowed(answer.get("context").cloned().unwrap_or(Value::Null))),
        Some(false) => Ok(Decision::Denied),
        None => Err(Refusal::IntegrationFailed),
    }
}

/// The function's answer as an HTTP response. Without a `statusCode` the whole answer is the body.
fn response(answer: &[u8]) -> Result<Response, Refusal> {
    let value: Value = serde_json::from_slice(answer).map_err(|_| Refusal::IntegrationFailed)?;
    let Some(status) = value.get("statusCode") else {
        return Ok(([(header::CONTENT_TYPE, "application/json")], answer.to_vec()).into_response());
    };
    let status = status.as_u64().or_else(|| status.as_str()?.parse().ok());
    let status = status
        .and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok())
        .ok_or(Refusal::IntegrationFailed)?;
    let text = value.get("body").map(|body| match body {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    });
    let text = text.unwrap_or_default();
    let body = if value.get("isBase64Encoded").and_then(Value::as_bool) == Some(true) {
        STANDARD.decode(text).map_err(|_| Refusal::IntegrationFailed)?
    } else {
        text.into_bytes()
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    let none = Map::new();
    for (name, value) in value.get("headers").and_then(Value::as_object).unwrap_or(&none) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&text)) {
            headers.insert(name, value);
        }
    }
    headers.remove(header::CONTENT_LENGTH);
    for cookie in value.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        if let Some(Ok(cookie)) = cookie.as_str().map(HeaderValue::from_str) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    Ok((status, headers, body).into_response())
}

/// The gateway's CORS headers; a function's own are replaced.
fn cors_headers(cors: &Cors, origin: &HeaderValue, headers: &mut HeaderMap) {
    let any = cors.allow_origins.iter().any(|allowed| allowed == "*");
    let named =
        origin.to_str().is_ok_and(|origin| cors.allow_origins.iter().any(|allowed| allowed == origin));
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    if !any && !named {
        return;
    }
    let shown = if any { HeaderValue::from_static("*") } else { origin.clone() };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, shown);
    if let (false, Ok(exposed)) =
        (cors.expose_headers.is_empty(), HeaderValue::from_str(&cors.expose_headers.join(",")))
    {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    if cors.allow_credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &str, path: &str) -> Route {
        Route { method: method.to_owned(), path: path.to_owned(), authorizer: None }
    }

    fn api(settings: Api) -> HttpApi {
        HttpApi {
            bucket: None,
            settings,
            routes: Vec::new(),
            authorizers: BTreeMap::new(),
            clock: Arc::new(Clock::default()),
            decisions: Mutex::default(),
        }
    }

    async fn body(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = [
            (route("ANY", "/v1/{proxy+}"), "proxy"),
            (route("GET", "/v1/bookings/{id}"), "one"),
            (route("GET", "/v1/bookings/today"), "today"),
            (route("ANY", "/v1/bookings/{id}"), "any"),
        ];
        let found =
            |method: Method, path: &str| find_route(&routes, &method, path).map(|(_, name, p)| (*name, p));
        assert_eq!(found(Method::GET, "/v1/bookings/today").unwrap().0, "today");
        assert_eq!(found(Method::GET, "/v1/bookings/7").unwrap().0, "one");
        assert_eq!(found(Method::PUT, "/v1/bookings/7").unwrap().0, "any");
        let (name, parameters) = found(Method::GET, "/v1/a/b").unwrap();
        assert_eq!((name, parameters["proxy"].as_str()), ("proxy", "a/b"));
        assert!(found(Method::GET, "/v2/a").is_none());
        assert!(found(Method::GET, "/v1/").is_none());
    }

    #[test]
    fn the_event_is_payload_2_0() {
        let request = Request::builder()
            .method("POST")
            .uri("/v1/caf%C3%A9?tag=a&tag=b%20c&empty")
            .header("Host", "127.0.0.1:4600")
            .header("Content-Type", "application/json; charset=utf-8")
            .header("X-Many", "1")
            .header("X-Many", "2")
            .header("Cookie", "a=1; b=2")
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        let route = route("ANY", "/v1/{proxy+}");
        let incoming = Incoming {
            parts: &parts,
            route: &route,
            path: decoded(parts.uri.path()),
            path_parameters: [("proxy".to_owned(), "café".to_owned())].into(),
            source_ip: "127.0.0.1".to_owned(),
            request_id: "id".to_owned(),
        };
        let api = api(Api::default());
        let event = api.event(&incoming, &Bytes::from_static(b"{\"a\":1}"), Some(json!({"business": "b1"})));
        assert_eq!(event["version"], "2.0");
        assert_eq!(event["routeKey"], "ANY /v1/{proxy+}");
        assert_eq!(event["rawPath"], "/v1/café");
        assert_eq!(event["rawQueryString"], "tag=a&tag=b%20c&empty");
        assert_eq!(event["queryStringParameters"], json!({"tag": "a,b c", "empty": ""}));
        assert_eq!(event["pathParameters"], json!({"proxy": "café"}));
        assert_eq!(event["headers"]["x-many"], "1,2");
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["body"], "{\"a\":1}");
        assert_eq!(event["isBase64Encoded"], false);
        let context = &event["requestContext"];
        assert_eq!(context["authorizer"]["lambda"]["business"], "b1");
        assert_eq!(context["http"]["method"], "POST");
        assert_eq!(context["stage"], "$default");
        assert!(context["timeEpoch"].is_i64());
    }

    #[test]
    fn a_binary_body_is_base64() {
        let request = Request::builder().header("Content-Type", "image/png").body(()).unwrap();
        let (parts, ()) = request.into_parts();
        let route = route("ANY", "/{proxy+}");
        let incoming = Incoming {
            parts: &parts,
            route: &route,
            path: "/".to_owned(),
            path_parameters: BTreeMap::new(),
            source_ip: String::new(),
            request_id: String::new(),
        };
        let event = api(Api::default()).event(&incoming, &Bytes::from_static(&[0xff, 0]), None);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
    }

    #[tokio::test]
    async fn an_answer_with_a_status_code_is_a_response() {
        let answer = json!({
            "statusCode": 201,
            "headers": {"content-type": "application/json", "etag": "\"3\""},
            "cookies": ["a=1", "b=2"],
            "body": "eyJhIjoxfQ==",
            "isBase64Encoded": true,
        });
        let response = response(answer.to_string().as_bytes()).unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()["etag"], "\"3\"");
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
        assert_eq!(body(response).await, b"{\"a\":1}");
    }

    #[tokio::test]
    async fn an_answer_without_a_status_code_is_the_body() {
        let response = response(b"{\"hello\":1}").unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(body(response).await, b"{\"hello\":1}");
    }

    #[test]
    fn an_answer_that_is_no_json_is_an_internal_error() {
        assert_eq!(response(b"oops").unwrap_err(), Refusal::IntegrationFailed);
        assert_eq!(response(b"{\"statusCode\":\"x\"}").unwrap_err(), Refusal::IntegrationFailed);
    }

    #[test]
    fn an_authorizer_must_say_yes_or_no() {
        let said = |text: &str| decision(&Outcome::Ok(text.to_owned().into()));
        assert_eq!(
            said(r#"{"isAuthorized":true,"context":{"a":"b"}}"#),
            Ok(Decision::Allowed(json!({"a": "b"})))
        );
        assert_eq!(said(r#"{"isAuthorized":false}"#), Ok(Decision::Denied));
        assert_eq!(said("{}"), Err(Refusal::IntegrationFailed));
        assert_eq!(decision(&Outcome::Crash(Bytes::new())), Err(Refusal::IntegrationFailed));
    }

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Throttle { burst: 2, rate: 10.0 }, start);
        assert_eq!([(); 3].map(|()| bucket.take(start)), [true, true, false]);
        assert!(bucket.take(start + Duration::from_millis(100)));
        assert!(!bucket.take(start + Duration::from_millis(100)));
    }

    #[tokio::test]
    async fn the_gateway_answers_preflights_itself() {
        let cors = Cors {
            allow_origins: vec!["*".to_owned()],
            allow_methods: vec!["GET".to_owned(), "POST".to_owned()],
            allow_headers: vec!["authorization".to_owned()],
            max_age: Some(60),
            ..Cors::default()
        };
        let api = api(Api { cors: Some(cors), ..Api::default() });
        let request = Request::options("/anywhere")
            .header("origin", "https://example.com")
            .header("access-control-request-method", "POST")
            .body(Body::empty())
            .unwrap();
        let response = api.answer(String::new(), request).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert_eq!(response.headers()["access-control-allow-methods"], "GET,POST");
        assert_eq!(response.headers()["access-control-max-age"], "60");
    }

    #[tokio::test]
    async fn an_unknown_path_is_not_found() {
        let request = Request::get("/nowhere").body(Body::empty()).unwrap();
        let response = api(Api::default()).answer(String::new(), request).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(body(response).await, b"{\"message\":\"Not Found\"}");
    }
}
