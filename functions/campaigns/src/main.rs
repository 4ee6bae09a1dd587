//! Lets a campaign choose its next clients, and writes an occasion for each down as a fact.

use app::error::chain;
use app::run_campaign::run_campaign;
use aws::tables::Tables;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use runtime::batch::{Record, each_due};
use runtime::{now, parsed, start_logs, variable};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect_ahead().await?;
    // The ledger is the stream's matter.
    let tables =
        &Tables::new(&config, variable("BOOKINGS_TABLE")?, String::new(), parsed("RETENTION_MONTHS")?);
    run(service_fn(|event: LambdaEvent<_>| async move {
        let response = each_due(event.payload, |due| async move {
            match run_campaign(tables, &due, now()).await {
                Ok(found) => {
                    tracing::info!(due.id = %due.what, ?found, "clients chosen");
                    Record::Done
                }
                Err(error) => {
                    tracing::error!(due.id = %due.what, error = %chain(&error), "could not choose clients");
                    Record::Again
                }
            }
        });
        Ok::<_, Error>(response.await)
    }))
    .await
}
