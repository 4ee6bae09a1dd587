//! Timers on EventBridge Scheduler: one schedule for each, which puts what is due into its queue and deletes itself.

use app::ports::{CancelTimer, Due, PortError, SetTimer};
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::SdkError;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, Target,
};
use aws_types::SdkConfig;
use jiff::tz::TimeZone;

use crate::error::port_error;
use crate::queues::PerQueue;

/// What the Scheduler replaces by the instant the schedule was set for, so that a late delivery is judged by what it was for.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html>
const SCHEDULED_TIME: &str = "<aws.scheduler.scheduled-time>";

/// [`SetTimer`] and [`CancelTimer`]. Needs `scheduler:CreateSchedule` in the group and `iam:PassRole` on the role, or
/// `scheduler:DeleteSchedule`.
#[derive(Debug, Clone)]
pub struct Schedules {
    client: Client,
    group: String,
    role_arn: String,
    dlq_arn: String,
    queue_arns: PerQueue,
}

impl Schedules {
    /// Schedules in `group`, acting as `role_arn`, aimed at the queues; what never arrives goes to `dlq_arn`.
    pub fn new(
        config: &SdkConfig,
        group: String,
        role_arn: String,
        dlq_arn: String,
        queue_arns: PerQueue,
    ) -> Self {
        Self { client: Client::new(config), group, role_arn, dlq_arn, queue_arns }
    }

    fn target(&self, due: &Due) -> Result<Target, PortError> {
        let refused = |source| PortError::Permanent { operation: "describing a timer", source };
        let mut input = serde_json::to_value(due).map_err(|error| refused(error.into()))?;
        input["at"] = SCHEDULED_TIME.into();
        Target::builder()
            .arn(self.queue_arns.of(&due.what))
            .role_arn(&self.role_arn)
            .input(input.to_string())
            .dead_letter_config(DeadLetterConfig::builder().arn(&self.dlq_arn).build())
            .retry_policy(
                RetryPolicy::builder()
                    .maximum_retry_attempts(185)
                    .maximum_event_age_in_seconds(86_400)
                    .build(),
            )
            .build()
            .map_err(|error| refused(error.into()))
    }
}

/// The Scheduler's `at(…)` in UTC, rounded up to the second it understands: never early.
fn at(due: &Due) -> String {
    let instant = due.at;
    let up = if instant.subsec_nanosecond() > 0 { 1 } else { 0 };
    let whole = jiff::Timestamp::from_second(instant.as_second() + up).unwrap_or(instant);
    whole.to_zoned(TimeZone::UTC).strftime("at(%Y-%m-%dT%H:%M:%S)").to_string()
}

fn exactly() -> Result<FlexibleTimeWindow, PortError> {
    FlexibleTimeWindow::builder()
        .mode(FlexibleTimeWindowMode::Off)
        .build()
        .map_err(|error| PortError::Permanent { operation: "describing a timer", source: error.into() })
}

impl SetTimer for Schedules {
    async fn set_timer(&self, due: &Due) -> Result<(), PortError> {
        let created = self
            .client
            .create_schedule()
            .name(due.timer_name())
            .group_name(&self.group)
            .schedule_expression(at(due))
            .schedule_expression_timezone("UTC")
            .flexible_time_window(exactly()?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(self.target(due)?)
            .send()
            .await;
        match created {
            Ok(_) => Ok(()),
            // The name says what and when: what is there is what was asked for, set by an earlier run.
            Err(SdkError::ServiceError(error)) if error.err().is_conflict_exception() => Ok(()),
            Err(error) => Err(port_error("setting a timer", error)),
        }
    }
}

impl CancelTimer for Schedules {
    async fn cancel_timer(&self, due: &Due) -> Result<(), PortError> {
        let deleted =
            self.client.delete_schedule().name(due.timer_name()).group_name(&self.group).send().await;
        match deleted {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_resource_not_found_exception() => Ok(()),
            Err(error) => Err(port_error("withdrawing a timer", error)),
        }
    }
}
