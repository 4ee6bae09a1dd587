//! The limit on requests: counted for each business, told in the headers of every answer.
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>

use std::sync::Arc;

use app::error::chain;
use app::limit_requests::{Quota, RequestLimit};
use aws::tables::Tables;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::call::Caller;
use crate::problem::Problem;

/// Says how the limit stands.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Says what the limit is.
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Lets a request through that its business may make, and counts it.
pub async fn limited(
    State((limit, tables)): State<(Arc<RequestLimit>, Arc<Tables>)>,
    caller: Result<Caller, Problem>,
    request: Request,
    next: Next,
) -> Response {
    // Nobody's request is refused further on.
    let Ok(caller) = caller else { return next.run(request).await };
    match limit.admit(&*tables, &caller.business_id, caller.now).await {
        Ok(quota) => {
            let mut response = match quota.admitted {
                true => next.run(request).await,
                false => Problem::too_many_requests().into_response(),
            };
            tell(quota, response.headers_mut());
            response
        }
        Err(error) => {
            tracing::error!(error = %chain(&error), "requests are not counted");
            next.run(request).await
        }
    }
}

fn tell(quota: Quota, headers: &mut HeaderMap) {
    let Quota { admitted, limit, remaining, seconds_left } = quota;
    let mut put = |name, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    put(RATE_LIMIT_POLICY, format!("\"requests\";q={limit};w=60"));
    put(RATE_LIMIT, format!("\"requests\";r={remaining};t={seconds_left}"));
    if !admitted {
        put(header::RETRY_AFTER, seconds_left.to_string());
    }
}
