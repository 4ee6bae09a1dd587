//! Timers on EventBridge Scheduler: one schedule for each, which puts what is due into its queue and deletes itself.

use std::sync::OnceLock;

use app::ports::{
    CancelTimer, Due, DueDelivery, FindTimers, NamedTimers, PortError, SetDeliveryTimer, SetTimer,
};
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::SdkError;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, Target,
};
use aws_types::SdkConfig;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::error::port_error;
use crate::queues::PerQueue;

/// What the Scheduler replaces by the instant the schedule was set for, so that a late delivery is judged by what it was for.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html>
const SCHEDULED_TIME: &str = "<aws.scheduler.scheduled-time>";

/// [`SetTimer`], [`CancelTimer`] and [`FindTimers`]. Needs `scheduler:CreateSchedule` in the group and `iam:PassRole` on the role, or
/// `scheduler:DeleteSchedule`, or `scheduler:ListSchedules` and `scheduler:GetSchedule`.
#[derive(Debug, Clone)]
pub struct Schedules {
    config: SdkConfig,
    /// Made when the first timer is: most deliveries set none, and making it would be a quarter of their functions' start.
    client: OnceLock<Client>,
    group: String,
    role_arn: String,
    dlq_arn: String,
    queue_arns: PerQueue,
}

impl Schedules {
    /// Schedules aimed at the queues. Their group, the role they act as, and where goes what never arrives, say the variables that the template
    /// gives to a function that sets timers.
    ///
    /// # Errors
    /// What `variable` says.
    pub fn new<E>(
        config: &SdkConfig,
        variable: impl Fn(&'static str) -> Result<String, E>,
        queue_arns: PerQueue,
    ) -> Result<Self, E> {
        let (group, role_arn) = (variable("SCHEDULE_GROUP")?, variable("SCHEDULER_ROLE_ARN")?);
        let dlq_arn = variable("SCHEDULE_DLQ_ARN")?;
        Ok(Self { config: config.clone(), client: OnceLock::new(), group, role_arn, dlq_arn, queue_arns })
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(&self.config))
    }

    /// A schedule of this name that puts `due` into the queue at an instant (UTC). Whether it was made anew: the name says what and when, so what
    /// is there is what was asked for, set by an earlier run.
    async fn create(
        &self,
        name: String,
        instant: Timestamp,
        queue_arn: &str,
        due: &(impl Serialize + Sync),
    ) -> Result<bool, PortError> {
        let created = self
            .client()
            .create_schedule()
            .name(name)
            .group_name(&self.group)
            .schedule_expression(at(instant))
            .schedule_expression_timezone("UTC")
            .flexible_time_window(exactly()?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(self.target(queue_arn, due)?)
            .send()
            .await;
        match created {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_conflict_exception() => Ok(false),
            Err(error) => Err(port_error("setting a timer", error)),
        }
    }

    fn target(&self, queue_arn: &str, due: &impl Serialize) -> Result<Target, PortError> {
        let refused = |source| PortError::Permanent { operation: "describing a timer", source };
        let mut input = serde_json::to_value(due).map_err(|error| refused(error.into()))?;
        input["at"] = SCHEDULED_TIME.into();
        Target::builder()
            .arn(queue_arn)
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
fn at(instant: Timestamp) -> String {
    let up = if instant.subsec_nanosecond() > 0 { 1 } else { 0 };
    let whole = Timestamp::from_second(instant.as_second() + up).unwrap_or(instant);
    whole.to_zoned(TimeZone::UTC).strftime("at(%Y-%m-%dT%H:%M:%S)").to_string()
}

fn exactly() -> Result<FlexibleTimeWindow, PortError> {
    FlexibleTimeWindow::builder()
        .mode(FlexibleTimeWindowMode::Off)
        .build()
        .map_err(|error| PortError::Permanent { operation: "describing a timer", source: error.into() })
}

impl SetTimer for Schedules {
    async fn set_timer(&self, due: &Due) -> Result<bool, PortError> {
        self.create(due.timer_name(), due.at, self.queue_arns.of(&due.what), due).await
    }
}

/// [`SetDeliveryTimer`]. Needs what [`SetTimer`] does.
#[derive(Debug, Clone)]
pub struct DeliveryTimers {
    schedules: Schedules,
    queue_arn: String,
}

impl DeliveryTimers {
    /// Schedules aimed at the queue of webhooks, `QUEUE_ARN`. The rest as [`Schedules::new`].
    ///
    /// # Errors
    /// What `variable` says.
    pub fn new<E>(
        config: &SdkConfig,
        variable: impl Fn(&'static str) -> Result<String, E>,
    ) -> Result<Self, E> {
        let queue_arn = variable("QUEUE_ARN")?;
        let schedules = Schedules::new(config, variable, PerQueue::only(queue_arn.clone()))?;
        Ok(Self { schedules, queue_arn })
    }
}

impl SetDeliveryTimer for DeliveryTimers {
    async fn set_delivery_timer(&self, due: &DueDelivery) -> Result<(), PortError> {
        self.schedules.create(due.timer_name(), due.at, &self.queue_arn, due).await.map(|_| ())
    }
}

impl CancelTimer for Schedules {
    async fn cancel_timer(&self, due: &Due) -> Result<(), PortError> {
        let deleted =
            self.client().delete_schedule().name(due.timer_name()).group_name(&self.group).send().await;
        match deleted {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_resource_not_found_exception() => Ok(()),
            Err(error) => Err(port_error("withdrawing a timer", error)),
        }
    }
}

impl FindTimers for Schedules {
    async fn timers_named(&self, prefix: &str) -> Result<NamedTimers, PortError> {
        let operation = "finding timers";
        let listed = self
            .client()
            .list_schedules()
            .group_name(&self.group)
            .name_prefix(prefix)
            .max_results(100)
            .send()
            .await
            .map_err(|error| port_error(operation, error))?;
        let timers = listed.schedules().iter().filter_map(|schedule| {
            let set_at = Timestamp::from_second(schedule.creation_date()?.secs()).ok()?;
            Some((schedule.name()?.to_owned(), set_at))
        });
        Ok(NamedTimers { timers: timers.collect(), more: listed.next_token().is_some() })
    }

    async fn timer(&self, name: &str) -> Result<Option<Due>, PortError> {
        let got = self.client().get_schedule().name(name).group_name(&self.group).send().await;
        match got {
            Ok(schedule) => {
                Ok(schedule.target().and_then(Target::input).and_then(|input| due_in(name, input)))
            }
            Err(SdkError::ServiceError(error)) if error.err().is_resource_not_found_exception() => Ok(None),
            Err(error) => Err(port_error("looking at a timer", error)),
        }
    }
}

/// What a schedule brings: its input says all but the instant, which is in its name.
fn due_in(name: &str, input: &str) -> Option<Due> {
    let second = name.rsplit_once('-')?.1.parse().ok()?;
    let at = Timestamp::from_second(second).ok()?;
    let mut input: serde_json::Value = serde_json::from_str(input).ok()?;
    input["at"] = at.to_string().into();
    let due: Due = serde_json::from_value(input).ok()?;
    (due.timer_name() == name).then_some(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_schedule_brings_is_read_back_from_its_input_and_its_name() {
        let due: Due = serde_json::from_str(
            r#"{"due":"check","check_id":"c","kind":"late","refs":{"business_id":"b","booking_id":"k"},"at":"2026-11-23T10:00:00.5Z"}"#,
        )
        .unwrap();
        let mut input = serde_json::to_value(&due).unwrap();
        input["at"] = SCHEDULED_TIME.into();
        let found = due_in(&due.timer_name(), &input.to_string()).unwrap();
        assert_eq!(found.timer_name(), due.timer_name());
        assert_eq!(found.what, due.what);
        assert_eq!(due_in("check-another-1795428000", &input.to_string()), None);
        assert_eq!(due_in("check-c-1795428000", "no JSON"), None);
    }
}
