//! Makes the messages that should exist for a changed booking exist, and no others.

mod event;

use aws::queues::{Failures, PerQueue, Queues};
use aws::schedules::Schedules;
use aws::tables::Tables;
use lambda_runtime::{Error, run, service_fn};
use runtime::{metrics::Metrics, parsed, start_logs, variable};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect_ahead().await?;
    let tables = Tables::new(
        &config,
        variable("BOOKINGS_TABLE")?,
        variable("MESSAGES_TABLE")?,
        parsed("RETENTION_MONTHS")?,
    );
    let queues = Queues::new(&config, PerQueue::urls(variable)?);
    let schedules = Schedules::new(&config, variable, PerQueue::arns(variable)?)?;
    let failures = Failures::new(&config, variable("FAILURES_QUEUE_URL")?);
    let metrics = Metrics::of("booking-stream")?;
    run(service_fn(|batch| event::handle(&tables, &schedules, &queues, &failures, &metrics, batch))).await
}
