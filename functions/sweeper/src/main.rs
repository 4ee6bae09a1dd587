//! Finds what got lost between rows, timers and queues, puts it right, and says so in metrics.

use app::sweep::{Swept, sweep};
use aws::queues::{PerQueue, Queues};
use aws::schedules::Schedules;
use aws::tables::Tables;
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use runtime::metrics::{Metric, put_metrics};
use runtime::{now, start_logs, variable};
use serde::Deserialize;

/// What the template's schedule sends.
#[derive(Deserialize)]
struct Due {
    /// The instant it was scheduled for (UTC).
    at: Timestamp,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect()?;
    let tables = &Tables::new(&config, variable("BOOKINGS_TABLE")?, variable("MESSAGES_TABLE")?);
    let (urls, arns) = (PerQueue::urls(variable)?, PerQueue::arns(variable)?);
    let queues = &Queues::new(&config, urls);
    let stack = &variable("STACK_NAME")?;
    let (group, role) = (variable("SCHEDULE_GROUP")?, variable("SCHEDULER_ROLE_ARN")?);
    let schedules = &Schedules::new(&config, group, role, variable("SCHEDULE_DLQ_ARN")?, arns);
    run(service_fn(|event: LambdaEvent<Due>| async move {
        let swept = sweep(tables, schedules, queues, now().max(event.payload.at)).await;
        tracing::info!(?swept, "swept");
        put_metrics(stack, "sweeper", &metrics(swept), now());
        Ok::<_, Error>(())
    }))
    .await
}

fn metrics(swept: Swept) -> [Metric; 7] {
    let late = u64::try_from(swept.oldest_overdue.as_secs()).unwrap_or(0);
    [
        Metric::count("DueNotQueued", swept.due_not_queued),
        Metric::count("AbandonedLeases", swept.abandoned_leases),
        Metric::count("OverdueChecks", swept.overdue_checks),
        Metric::count("LostSchedules", swept.lost_schedules),
        Metric::count("OrphanedSchedules", swept.orphaned_schedules),
        Metric::count("SweepFailures", swept.failures),
        Metric::seconds("OldestOverdue", late),
    ]
}
