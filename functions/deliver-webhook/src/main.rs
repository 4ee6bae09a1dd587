//! Posts due events to webhooks.

use app::deliver_webhook::deliver_webhook;
use app::error::chain;
use app::ports::DueDelivery;
use aws::queues::WebhookQueue;
use aws::schedules::DeliveryTimers;
use aws::tables::Tables;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use runtime::batch::{Record, each_due};
use runtime::{now, parsed, start_logs, variable};
use webhooks::Receivers;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect_ahead().await?;
    let tables =
        &Tables::new(&config, variable("BOOKINGS_TABLE")?, String::new(), parsed("RETENTION_MONTHS")?);
    let queue = &WebhookQueue::new(&config, variable("QUEUE_URL")?);
    let timers = &DeliveryTimers::new(&config, variable)?;
    let receivers = &Receivers::new(runtime::reach())?;
    run(service_fn(|event: LambdaEvent<_>| async move {
        let response = each_due(event.payload, |due: DueDelivery| async move {
            match deliver_webhook(tables, queue, timers, receivers, &due, now()).await {
                Ok(tried) => {
                    tracing::info!(due.id = %due.delivery_id, ?tried, "posted");
                    Record::Done
                }
                Err(error) => {
                    tracing::error!(due.id = %due.delivery_id, error = %chain(&error), "could not post");
                    Record::Again
                }
            }
        });
        Ok::<_, Error>(response.await)
    }))
    .await
}
