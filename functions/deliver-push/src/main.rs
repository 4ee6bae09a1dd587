//! Sends due push messages by SNS to the client's devices.

use aws::queues::PerQueue;
use aws::schedules::Schedules;
use aws::sns::{Applications, Push};
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
    // An application that is not set up is no fault: devices of its platform are then refused.
    let applications = Applications {
        apns: variable("APNS_APPLICATION_ARN").ok(),
        fcm: variable("FCM_APPLICATION_ARN").ok(),
    };
    let push = Push::new(&config, applications);
    let pace = Pace::from_environment();
    let pages = variable("PAGES_URL")?;
    let metrics = Metrics::of("deliver-push")?;
    run(service_fn(|event| deliver_batch(&tables, &schedules, &push, &pace, &pages, &metrics, event))).await
}
