//! Tells integrations what happened: on the bus, and by webhooks.

mod event;

use aws::bus::Bus;
use aws::queues::{Failures, WebhookQueue};
use aws::tables::Tables;
use lambda_runtime::{Error, run, service_fn};
use runtime::{parsed, start_logs, variable};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect()?;
    let tables =
        Tables::new(&config, variable("BOOKINGS_TABLE")?, String::new(), parsed("RETENTION_MONTHS")?);
    let bus = Bus::new(&config, variable("EVENT_BUS")?);
    let queue = WebhookQueue::new(&config, variable("WEBHOOK_QUEUE_URL")?);
    let failures = Failures::new(&config, variable("FAILURES_QUEUE_URL")?);
    run(service_fn(|batch| event::handle(&tables, &bus, &queue, &failures, batch))).await
}
