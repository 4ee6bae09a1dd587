//! Sends due text messages by SNS.

use aws::queues::PerQueue;
use aws::schedules::Schedules;
use aws::sns::Sms;
use aws::tables::Tables;
use lambda_runtime::{Error, run, service_fn};
use runtime::{delivery::deliver_batch, metrics::Metrics, pace::Pace, parsed, start_logs, variable};

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
    let schedules = Schedules::new(&config, variable, PerQueue::of_delivery(variable)?)?;
    let sms = Sms::new(&config);
    let pace = Pace::from_environment();
    let pages = variable("PAGES_URL")?;
    let metrics = Metrics::of("deliver-sms")?;
    run(service_fn(|event| deliver_batch(&tables, &schedules, &sms, &pace, &pages, &metrics, event))).await
}
