//! A request, read: who calls, when, under which conditions, with what body.

use app::authorize::{Context, Principal};
use app::edit_catalogue::Edit;
use app::error::AppError;
use app::once::Once;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use domain::access::Scope;
use domain::ids::BusinessId;
use jiff::Timestamp;
use lambda_http::request::RequestContext;
use serde::de::{DeserializeOwned, IgnoredAny, IntoDeserializer};
use serde::{Deserialize, Deserializer};

use crate::problem::{Problem, of_json, of_query};

/// Who calls, and when. The business and what the caller may do come from the authorizer and from nowhere else.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant.
    pub business_id: BusinessId,
    /// Who it is, and what they may do.
    pub principal: Principal,
    /// The later of the clock and the request's own time (UTC).
    pub now: Timestamp,
    /// What stands before `/c/` in the addresses of clients' own pages: those of this API, unless the stack says otherwise.
    pub pages: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(RequestContext::ApiGatewayV2(context)) = parts.extensions.get::<RequestContext>() else {
            return Err(Problem::nobody());
        };
        let principal = context
            .authorizer
            .as_ref()
            .and_then(|authorizer| serde_json::to_value(&authorizer.fields).ok())
            .and_then(|fields| serde_json::from_value::<Context>(fields).ok())
            .and_then(|context| Principal::try_from(context).ok())
            .ok_or_else(Problem::nobody)?;
        let wall = runtime::now();
        let now = Timestamp::from_millisecond(context.time_epoch).map_or(wall, |at| wall.max(at));
        // API Gateway asks the authorizer once a minute, and what it said may have run out since.
        if principal.until.is_some_and(|until| until <= now) {
            return Err(Problem::nobody());
        }
        let own = || format!("https://{}", context.domain_name.as_deref().unwrap_or_default());
        let pages = runtime::variable("PAGES_URL").unwrap_or_else(|_| own());
        Ok(Self { business_id: principal.business_id.clone(), principal, now, pages })
    }
}

impl Caller {
    /// That the caller may do what an operation with this scope does.
    ///
    /// # Errors
    /// 403.
    pub fn may(&self, scope: Scope) -> Result<(), Problem> {
        if self.principal.access.allows(scope) { Ok(()) } else { Err(AppError::Forbidden(scope).into()) }
    }
}

/// A writing request.
#[derive(Debug, Clone)]
pub struct Call<T> {
    /// Who calls, and when.
    pub caller: Caller,
    /// From `Idempotency-Key`.
    pub once: Option<Once>,
    /// From `If-Match`.
    pub if_match: Option<u64>,
    /// The body; an empty one reads as `{}`.
    pub body: T,
}

impl<T> Call<T> {
    /// The same request with another body.
    pub fn with<U>(self, body: U) -> Call<U> {
        Call { caller: self.caller, once: self.once, if_match: self.if_match, body }
    }

    /// What an edit needs of the request.
    pub fn edit(&self) -> Edit<'_> {
        Edit {
            business_id: &self.caller.business_id,
            once: self.once.as_ref(),
            if_match: self.if_match,
            now: self.caller.now,
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Call<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Call { caller, once, if_match, body: bytes } = raw(request, state).await?;
        let json: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        // serde would also read a list of values in the order of the fields.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(match serde_json::from_slice::<IgnoredAny>(json) {
                Ok(_) => Problem::invalid("body", "a JSON object"),
                Err(error) => Problem::malformed(error.to_string()),
            });
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let body =
            serde_path_to_error::deserialize(&mut deserializer).map_err(|error| of_json(error, json))?;
        deserializer.end().map_err(|error| Problem::malformed(error.to_string()))?;
        Ok(Self { caller, once, if_match, body })
    }
}

/// A request whose body is no JSON.
#[derive(Debug, Clone)]
pub struct Upload(pub Call<Bytes>);

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        raw(request, state).await.map(Self)
    }
}

/// A writing request with its body as it came.
async fn raw<S: Send + Sync>(request: Request, state: &S) -> Result<Call<Bytes>, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, state).await?;
    // API Gateway takes no more than 10 MB; ours are small. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
    let bytes = axum::body::to_bytes(body, 1 << 20).await.map_err(|_| Problem::too_large())?;
    let once = idempotency_key(&parts.headers)?.map(|key| {
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let mut request = format!("{} {target}\n", parts.method).into_bytes();
        request.extend_from_slice(&bytes);
        Once::new(key, &request)
    });
    let if_match = if_match(&parts.headers)?;
    Ok(Call { caller, once, if_match, body: bytes })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let fits = |key: &&str| (1..=255).contains(&key.len());
    match value.to_str().ok().filter(fits) {
        Some(key) => Ok(Some(key)),
        None => Err(Problem::invalid("Idempotency-Key", "1 to 255 printable ASCII characters")),
    }
}

fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("if-match") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    // No sign, and no more digits than every number has that versions are counted with.
    let fits = number.len() <= 19 && number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse().ok().filter(|_| fits) {
        Some(version) => Ok(Some(version)),
        None => Err(Problem::invalid("If-Match", "the ETag of the thing as you read it, such as \"3\"")),
    }
}

/// Parameters of the query string.
#[derive(Debug, Clone)]
pub struct Parameters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(of_query(&rejection.body_text())),
        }
    }
}

/// Several words with commas between them, as a parameter gives them; none where it is empty.
pub fn several<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let words = text.split(',').filter(|_| !text.is_empty()).map(str::to_owned);
    words.map(|word| T::deserialize(IntoDeserializer::<D::Error>::into_deserializer(word))).collect()
}
