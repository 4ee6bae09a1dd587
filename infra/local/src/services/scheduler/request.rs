//! The requests of EventBridge Scheduler, and AWS's checks on them.
//!
//! <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html>

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::expression::Expression;

/// 256 KB, the size limit of a target's payload.
const MAX_INPUT_BYTES: usize = 262_144;

/// A schedule as CreateSchedule and UpdateSchedule bring it. Everything is optional, so that a missing member is told
/// as AWS tells it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ScheduleRequest {
    pub action_after_completion: Option<String>,
    pub client_token: Option<String>,
    pub description: Option<String>,
    /// Seconds since 1970.
    pub end_date: Option<f64>,
    pub flexible_time_window: Option<WindowRequest>,
    pub group_name: Option<String>,
    pub kms_key_arn: Option<String>,
    pub schedule_expression: Option<String>,
    pub schedule_expression_timezone: Option<String>,
    /// Seconds since 1970.
    pub start_date: Option<f64>,
    pub state: Option<String>,
    pub target: Option<TargetRequest>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WindowRequest {
    pub mode: Option<String>,
    pub maximum_window_in_minutes: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TargetRequest {
    pub arn: Option<String>,
    pub role_arn: Option<String>,
    pub input: Option<String>,
    pub dead_letter_config: Option<DeadLetterConfig>,
    pub retry_policy: Option<RetryRequest>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RetryRequest {
    pub maximum_event_age_in_seconds: Option<i64>,
    pub maximum_retry_attempts: Option<i64>,
}

/// A schedule that passed the checks, with AWS's defaults filled in; as GetSchedule shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Definition {
    pub action_after_completion: ActionAfterCompletion,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_date: Option<f64>,
    pub flexible_time_window: FlexibleTimeWindow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    pub schedule_expression: String,
    pub schedule_expression_timezone: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_date: Option<f64>,
    pub state: State,
    pub target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ActionAfterCompletion {
    None,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum State {
    Enabled,
    Disabled,
}

/// Kept and shown only: a schedule with a window fires at the window's start, which AWS may do too.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FlexibleTimeWindow {
    pub mode: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_window_in_minutes: Option<i64>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Target {
    pub arn: String,
    pub role_arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_config: Option<DeadLetterConfig>,
    pub retry_policy: RetryPolicy,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeadLetterConfig {
    pub arn: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RetryPolicy {
    pub maximum_event_age_in_seconds: u32,
    pub maximum_retry_attempts: u32,
}

/// An instant from seconds since 1970, as AWS's JSON carries it.
pub(super) fn instant(seconds: f64) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "out of range saturates, and is refused by the next line"
    )]
    let milliseconds = (seconds * 1000.0).round() as i64;
    Timestamp::from_millisecond(milliseconds).ok()
}

/// Collects what is wrong, in AWS's words: "Value 'x' at 'y' failed to satisfy constraint: …".
#[derive(Default)]
pub(super) struct Checks(Vec<String>);

impl Checks {
    pub(super) fn fail(&mut self, member: &str, value: &str, constraint: &str) {
        self.0.push(format!("Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"));
    }

    fn required<T: Default>(&mut self, member: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.0.push(format!("Value at '{member}' failed to satisfy constraint: Member must not be null"));
            T::default()
        })
    }

    /// A name of a schedule or a group: 1 to 64 of letters, digits, hyphen, underscore and dot.
    pub(super) fn name(&mut self, member: &str, name: &str) {
        if name.len() > 64 {
            self.fail(member, name, "Member must have length less than or equal to 64");
        }
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            self.fail(member, name, "Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$");
        }
    }

    /// A client token: 1 to 64 of letters, digits, hyphen and underscore.
    pub(super) fn token(&mut self, token: Option<&str>) {
        let Some(token) = token else { return };
        if token.len() > 64 {
            self.fail("clientToken", token, "Member must have length less than or equal to 64");
        }
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            self.fail(
                "clientToken",
                token,
                "Member must satisfy regular expression pattern: ^[a-zA-Z0-9-_]+$",
            );
        }
    }

    fn one_of<'a>(&mut self, member: &str, value: &'a str, allowed: &[&str]) -> &'a str {
        if !allowed.contains(&value) {
            self.fail(
                member,
                value,
                &format!("Member must satisfy enum value set: [{}]", allowed.join(", ")),
            );
        }
        value
    }

    pub(super) fn range(&mut self, member: &str, value: i64, least: i64, most: i64) -> u32 {
        if value < least {
            let constraint = format!("Member must have value greater than or equal to {least}");
            self.fail(member, &value.to_string(), &constraint);
        } else if value > most {
            let constraint = format!("Member must have value less than or equal to {most}");
            self.fail(member, &value.to_string(), &constraint);
        }
        u32::try_from(value).unwrap_or(0)
    }

    /// All that was wrong in one line.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(format!("1 validation error detected: {}", self.0[0])),
            n => Err(format!("{n} validation errors detected: {}", self.0.join("; "))),
        }
    }
}

impl ScheduleRequest {
    /// Checks the request as AWS does.
    ///
    /// # Errors
    /// The message of the ValidationException.
    pub(super) fn check(&self, name: &str) -> Result<Definition, String> {
        let mut checks = Checks::default();
        checks.name("name", name);
        checks.name("groupName", self.group_name());
        checks.token(self.client_token.as_deref());
        let expression = checks.required("scheduleExpression", self.schedule_expression.clone());
        let window = checks.required("flexibleTimeWindow", self.flexible_time_window.clone());
        let mode = checks.required("flexibleTimeWindow.mode", window.mode);
        checks.one_of("flexibleTimeWindow.mode", &mode, &["OFF", "FLEXIBLE"]);
        if let Some(minutes) = window.maximum_window_in_minutes {
            checks.range("flexibleTimeWindow.maximumWindowInMinutes", minutes, 1, 1440);
        }
        if let Some(description) = self.description.as_deref().filter(|text| text.chars().count() > 512) {
            checks.fail("description", description, "Member must have length less than or equal to 512");
        }
        let state =
            checks.one_of("state", self.state.as_deref().unwrap_or("ENABLED"), &["ENABLED", "DISABLED"]);
        let action = checks.one_of(
            "actionAfterCompletion",
            self.action_after_completion.as_deref().unwrap_or("NONE"),
            &["NONE", "DELETE"],
        );
        let target = checks.required("target", self.target.clone());
        let target = check_target(&mut checks, target);
        checks.finish()?;

        if Expression::parse(&expression).is_none() {
            return Err(format!("Invalid Schedule Expression {expression}."));
        }
        let zone = self.schedule_expression_timezone.clone().unwrap_or_else(|| "UTC".to_owned());
        if TimeZone::get(&zone).is_err() {
            return Err(format!("Invalid Schedule Expression Timezone {zone}."));
        }
        if (mode == "FLEXIBLE") != window.maximum_window_in_minutes.is_some() {
            return Err(
                "MaximumWindowInMinutes must be given when FlexibleTimeWindow is FLEXIBLE, and only then."
                    .into(),
            );
        }
        for (date, member) in [(self.start_date, "StartDate"), (self.end_date, "EndDate")] {
            if date.is_some_and(|seconds| instant(seconds).is_none()) {
                return Err(format!("{member} is not a time."));
            }
        }
        if let (Some(start), Some(end)) = (self.start_date, self.end_date)
            && start >= end
        {
            return Err("StartDate must be before EndDate.".into());
        }
        if !is_queue_arn(&target.arn) {
            return Err(if target.arn.starts_with("arn:") {
                format!("The local stack fires schedules at standard SQS queues only, not at {}.", target.arn)
            } else {
                "Provided Arn is not in correct format.".into()
            });
        }
        Ok(Definition {
            action_after_completion: if action == "DELETE" {
                ActionAfterCompletion::Delete
            } else {
                ActionAfterCompletion::None
            },
            description: self.description.clone(),
            end_date: self.end_date,
            flexible_time_window: FlexibleTimeWindow {
                mode,
                maximum_window_in_minutes: window.maximum_window_in_minutes,
            },
            kms_key_arn: self.kms_key_arn.clone(),
            schedule_expression: expression,
            schedule_expression_timezone: zone,
            start_date: self.start_date,
            state: if state == "DISABLED" { State::Disabled } else { State::Enabled },
            target,
        })
    }

    pub(super) fn group_name(&self) -> &str {
        self.group_name.as_deref().unwrap_or("default")
    }
}

fn check_target(checks: &mut Checks, request: TargetRequest) -> Target {
    let arn = checks.required("target.arn", request.arn);
    let role_arn = checks.required("target.roleArn", request.role_arn);
    if !is_role_arn(&role_arn) {
        checks.fail(
            "target.roleArn",
            &role_arn,
            r"Member must satisfy regular expression pattern: ^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@\/-]+$",
        );
    }
    if let Some(dlq) = request.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref())
        && !is_queue_arn(dlq)
    {
        checks.fail(
            "target.deadLetterConfig.arn",
            dlq,
            r"Member must satisfy regular expression pattern: ^arn:aws[a-z-]*:sqs:[a-z0-9\-]+:\d{12}:[a-zA-Z0-9\-_]+$",
        );
    }
    if let Some(input) = &request.input {
        if input.is_empty() {
            checks.fail("target.input", input, "Member must have length greater than or equal to 1");
        }
        if input.len() > MAX_INPUT_BYTES {
            checks.fail("target.input", "…", "Member must have length less than or equal to 262144");
        }
    }
    let retry = request.retry_policy.unwrap_or_default();
    Target {
        arn,
        role_arn,
        input: request.input,
        dead_letter_config: request.dead_letter_config,
        retry_policy: RetryPolicy {
            maximum_event_age_in_seconds: checks.range(
                "target.retryPolicy.maximumEventAgeInSeconds",
                retry.maximum_event_age_in_seconds.unwrap_or(86_400),
                60,
                86_400,
            ),
            maximum_retry_attempts: checks.range(
                "target.retryPolicy.maximumRetryAttempts",
                retry.maximum_retry_attempts.unwrap_or(185),
                0,
                185,
            ),
        },
    }
}

/// `arn:aws:sqs:<region>:<account>:<name of a standard queue>`
fn is_queue_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "sqs", region, account, name] = parts[..] else {
        return false;
    };
    partition.starts_with("aws")
        && !region.is_empty()
        && is_account(account)
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// `arn:aws:iam::<account>:role/<path and name>`
fn is_role_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "iam", "", account, role] = parts[..] else {
        return false;
    };
    partition.starts_with("aws")
        && is_account(account)
        && role.strip_prefix("role/").is_some_and(|name| !name.is_empty())
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
