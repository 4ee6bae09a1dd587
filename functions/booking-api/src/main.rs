//! Wires the HTTP API.

use std::sync::Arc;

use app::limit_requests::RequestLimit;
use aws::images::Images;
use aws::tables::Tables;
use runtime::{metrics::Metrics, parsed, start_logs, variable};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logs();
    let config = aws::connect::connect_ahead().await?;
    let tables = Tables::new(
        &config,
        variable("BOOKINGS_TABLE")?,
        variable("MESSAGES_TABLE")?,
        parsed("RETENTION_MONTHS")?,
    );
    let images = Images::new(&config, &variable("IMAGES_BUCKET")?);
    let limit = RequestLimit::per_minute(variable("REQUESTS_PER_MINUTE")?.parse()?);
    let api = booking_api::router(Arc::new(tables), Arc::new(images), limit);
    lambda_http::run(booking_api::telling(api, Metrics::of("booking-api")?)).await
}
