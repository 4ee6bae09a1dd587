//! Logs: JSON lines on standard output, which Lambda takes to CloudWatch.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Our own crates, as they name themselves in the logs.
const OURS: [&str; 11] = [
    "app",
    "authorizer",
    "booking_api",
    "booking_check",
    "booking_stream",
    "deliver_webhook",
    "delivery_feedback",
    "event_publisher",
    "oidc",
    "runtime",
    "sweeper",
];

/// Starts logging at `LOG_LEVEL` (default `info`); dependencies speak from `warn` on.
pub fn start_logs() {
    let level = std::env::var("LOG_LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(Level::INFO);
    let targets = OURS.into_iter().fold(Targets::new(), |targets, name| targets.with_target(name, level));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false);
    tracing_subscriber::registry().with(targets.with_default(LevelFilter::WARN)).with(lines).init();
}
