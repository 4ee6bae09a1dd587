//! Makes the messages that should exist for a changed booking exist, and no others.

mod event;

use aws::queues::{Failures, PerQueue, Queues};
use aws::schedules::Schedules;
use aws::tables::Tables;
use lambda_runtime::{Error, run, service_fn};
use runtime::{start_logs, variable};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect()?;
    let tables = Tables::new(&config, variable("BOOKINGS_TABLE")?, variable("MESSAGES_TABLE")?);
    let queues = Queues::new(
        &config,
        PerQueue {
            email: variable("EMAIL_QUEUE_URL")?,
            sms: variable("SMS_QUEUE_URL")?,
            push: variable("PUSH_QUEUE_URL")?,
            whatsapp: variable("WHATSAPP_QUEUE_URL")?,
            telegram: variable("TELEGRAM_QUEUE_URL")?,
            assisted: variable("ASSISTED_QUEUE_URL")?,
            check: variable("CHECK_QUEUE_URL")?,
        },
    );
    let arns = PerQueue {
        email: variable("EMAIL_QUEUE_ARN")?,
        sms: variable("SMS_QUEUE_ARN")?,
        push: variable("PUSH_QUEUE_ARN")?,
        whatsapp: variable("WHATSAPP_QUEUE_ARN")?,
        telegram: variable("TELEGRAM_QUEUE_ARN")?,
        assisted: variable("ASSISTED_QUEUE_ARN")?,
        check: variable("CHECK_QUEUE_ARN")?,
    };
    let (group, role) = (variable("SCHEDULE_GROUP")?, variable("SCHEDULER_ROLE_ARN")?);
    let schedules = Schedules::new(&config, group, role, variable("SCHEDULE_DLQ_ARN")?, arns);
    let failures = Failures::new(&config, variable("FAILURES_QUEUE_URL")?);
    run(service_fn(|batch| event::handle(&tables, &schedules, &queues, &failures, batch))).await
}
