//! Telling of answers that say something of ours failed: a new version that gives them is taken back.

use std::sync::Arc;

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use runtime::metrics::{Metric, Metrics};
use runtime::now;

/// The API with its failures told as a metric.
pub fn telling(api: Router, metrics: Metrics) -> Router {
    let metrics = Arc::new(metrics);
    api.layer(map_response(move |response: Response| {
        metrics.tell(&Metric::of_answer(response.status().as_u16()), now());
        std::future::ready(response)
    }))
}
