//! Takes what providers report of messages, and what clients answer to them.

mod event;
mod logs;
mod news;
mod push;
mod ses;
mod sms;
mod telegram;
mod whatsapp;

use aws::queues::PerQueue;
use aws::schedules::Schedules;
use aws::tables::Tables;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use runtime::{parsed, start_logs, variable};

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
    run(service_fn(|event: LambdaEvent<_>| event::handle(tables, schedules, event.payload))).await
}
