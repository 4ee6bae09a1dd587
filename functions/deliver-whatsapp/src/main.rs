//! Sends due WhatsApp messages by AWS End User Messaging Social.

use aws::queues::PerQueue;
use aws::schedules::Schedules;
use aws::tables::Tables;
use aws::whatsapp::Whatsapp;
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
    let whatsapp = Whatsapp::new(&config, variable("META_API_VERSION")?);
    let pace = Pace::from_environment();
    let pages = variable("PAGES_URL")?;
    let metrics = Metrics::of("deliver-whatsapp")?;
    run(service_fn(|event| deliver_batch(&tables, &schedules, &whatsapp, &pace, &pages, &metrics, event)))
        .await
}
