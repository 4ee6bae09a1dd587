//! Clients' own pages, by the links in their messages. Opening one changes nothing; only sending its form does.

mod event;
mod form;
mod layout;
mod pages;
mod words;

use aws::tables::Tables;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use runtime::{metrics::Metrics, parsed, start_logs, variable};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect_ahead().await?;
    let tables =
        &Tables::new(&config, variable("BOOKINGS_TABLE")?, String::new(), parsed("RETENTION_MONTHS")?);
    let metrics = &Metrics::of("client-pages")?;
    run(service_fn(|event: LambdaEvent<_>| event::handle(tables, metrics, event.payload))).await
}
