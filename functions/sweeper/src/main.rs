//! Finds what got lost between rows, timers and queues, puts it right, and says so in metrics.

mod event;

use app::sweep::sweep;
use aws::queues::{PerQueue, Queues};
use aws::schedules::Schedules;
use aws::tables::Tables;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use runtime::metrics::Metrics;
use runtime::{now, parsed, start_logs, variable};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect_ahead().await?;
    let metrics = &Metrics::of("sweeper")?;
    let tables = &Tables::new(
        &config,
        variable("BOOKINGS_TABLE")?,
        variable("MESSAGES_TABLE")?,
        parsed("RETENTION_MONTHS")?,
    );
    let queues = &Queues::new(&config, PerQueue::urls(variable)?);
    let schedules = &Schedules::new(&config, variable, PerQueue::arns(variable)?)?;
    run(service_fn(|event: LambdaEvent<event::Due>| async move {
        let swept = sweep(tables, schedules, queues, now().max(event.payload.at)).await;
        tracing::info!(?swept, "swept");
        metrics.tell(&event::metrics(swept), now());
        Ok::<_, Error>(())
    }))
    .await
}
