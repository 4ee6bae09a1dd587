//! The HTTP API: writes facts to the `Bookings` table and nothing else.

mod call;
mod problem;
mod routes;

use std::sync::Arc;

use aws::tables::Tables;
use runtime::{start_logs, variable};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logs();
    let config = aws::connect::connect()?;
    let tables = Tables::new(&config, variable("BOOKINGS_TABLE")?, variable("MESSAGES_TABLE")?);
    lambda_http::run(routes::router(Arc::new(tables))).await
}
