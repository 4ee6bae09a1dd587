//! Logs: JSON lines on standard output, which Lambda takes to CloudWatch.

use tracing_subscriber::EnvFilter;

/// Starts logging at `LOG_LEVEL` (default `info`); dependencies speak from `warn` on.
pub fn start_logs() {
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "info".to_owned());
    let ours = "app,authorizer,aws,booking_api,booking_check,booking_stream,domain,runtime";
    let filter =
        ours.split(',').fold(String::from("warn"), |filter, name| format!("{filter},{name}={level}"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(EnvFilter::new(filter))
        .init();
}
