//! Looks whether a client is late, did not come, has not confirmed or has not taken an offer, and writes that down as a fact.

use app::check_booking::check_booking;
use app::error::chain;
use aws::queues::PerQueue;
use aws::schedules::Schedules;
use aws::tables::Tables;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use runtime::batch::{Record, each_due};
use runtime::{now, parsed, start_logs, variable};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect_ahead().await?;
    let tables = &Tables::new(
        &config,
        variable("BOOKINGS_TABLE")?,
        variable("MESSAGES_TABLE")?,
        parsed("RETENTION_MONTHS")?,
    );
    let schedules = &Schedules::new(&config, variable, PerQueue::only(variable("QUEUE_ARN")?))?;
    run(service_fn(|event: LambdaEvent<_>| async move {
        let response = each_due(event.payload, |due| async move {
            match check_booking(tables, schedules, &due, now()).await {
                Ok(found) => {
                    tracing::info!(due.id = %due.what, ?found, "checked");
                    Record::Done
                }
                Err(error) => {
                    tracing::error!(due.id = %due.what, error = %chain(&error), "could not check");
                    Record::Again
                }
            }
        });
        Ok::<_, Error>(response.await)
    }))
    .await
}
