//! The properties of resources and events as the template writes them; a property that is not named here is an error.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{
    Api, Authorizer, Cors, Index, QueueMapping, Route, ScheduleMapping, StreamMapping, Table, Throttle,
    physical_name,
};
use crate::error::StackError;
use crate::event_source::filter::Filter;
use crate::services::Expression;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TableProperties {
    pub(super) attribute_definitions: Vec<AttributeDefinition>,
    pub(super) key_schema: Vec<KeyElement>,
    #[serde(default)]
    pub(super) global_secondary_indexes: Vec<IndexProperties>,
    pub(super) stream_specification: Option<StreamSpecification>,
    pub(super) time_to_live_specification: Option<TimeToLive>,
    #[serde(rename = "BillingMode")]
    pub(super) _billing_mode: Option<IgnoredAny>,
    #[serde(rename = "PointInTimeRecoverySpecification")]
    pub(super) _point_in_time_recovery: Option<IgnoredAny>,
    #[serde(rename = "DeletionProtectionEnabled")]
    pub(super) _deletion_protection: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct AttributeDefinition {
    pub(super) attribute_name: String,
    pub(super) attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct KeyElement {
    pub(super) attribute_name: String,
    pub(super) key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct IndexProperties {
    pub(super) index_name: String,
    pub(super) key_schema: Vec<KeyElement>,
    pub(super) projection: Projection,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Projection {
    pub(super) projection_type: String,
    #[serde(default)]
    pub(super) non_key_attributes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct StreamSpecification {
    pub(super) stream_view_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TimeToLive {
    pub(super) attribute_name: String,
    pub(super) enabled: bool,
}

impl TableProperties {
    pub(super) fn into_table(self, id: &str) -> Table {
        let keys = |schema: Vec<KeyElement>| -> Vec<(String, String)> {
            schema.into_iter().map(|key| (key.attribute_name, key.key_type)).collect()
        };
        Table {
            logical_id: id.to_owned(),
            name: physical_name(id),
            attributes: self
                .attribute_definitions
                .into_iter()
                .map(|attribute| (attribute.attribute_name, attribute.attribute_type))
                .collect(),
            keys: keys(self.key_schema),
            indexes: self
                .global_secondary_indexes
                .into_iter()
                .map(|index| Index {
                    name: index.index_name,
                    keys: keys(index.key_schema),
                    projection: index.projection.projection_type,
                    projected: index.projection.non_key_attributes,
                })
                .collect(),
            stream_view: self.stream_specification.map(|stream| stream.stream_view_type),
            ttl_attribute: self
                .time_to_live_specification
                .filter(|ttl| ttl.enabled)
                .map(|ttl| ttl.attribute_name),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct QueueProperties {
    pub(super) visibility_timeout: Option<u32>,
    pub(super) message_retention_period: Option<u32>,
    pub(super) redrive_policy: Option<RedrivePolicy>,
    #[serde(rename = "SqsManagedSseEnabled")]
    pub(super) _encrypted: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RedrivePolicy {
    pub(super) dead_letter_target_arn: String,
    pub(super) max_receive_count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct BusProperties {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GroupProperties {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ApiProperties {
    pub(super) cors_configuration: Option<Cors>,
    pub(super) default_route_settings: Option<Throttle>,
    #[serde(default)]
    pub(super) auth: AuthProperties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct AuthProperties {
    pub(super) default_authorizer: Option<String>,
    #[serde(default)]
    pub(super) authorizers: BTreeMap<String, AuthorizerProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct AuthorizerProperties {
    pub(super) function_arn: String,
    pub(super) authorizer_payload_format_version: String,
    #[serde(default)]
    pub(super) enable_simple_responses: bool,
    #[serde(rename = "EnableFunctionDefaultPermissions")]
    pub(super) _permissions: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) identity: IdentityProperties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct IdentityProperties {
    #[serde(default)]
    pub(super) headers: Vec<String>,
    pub(super) reauthorize_every: Option<u64>,
}

impl ApiProperties {
    pub(super) fn into_api(self, path: &str) -> Result<Api, StackError> {
        let authorizers = self
            .auth
            .authorizers
            .into_iter()
            .map(|(name, authorizer)| {
                if authorizer.authorizer_payload_format_version != "2.0"
                    || !authorizer.enable_simple_responses
                {
                    let at = format!("{path}.Auth.Authorizers.{name}");
                    return Err(StackError::template(
                        at,
                        "only payload 2.0 with simple responses runs locally",
                    ));
                }
                let identity = authorizer.identity;
                let known = Authorizer {
                    function_arn: authorizer.function_arn,
                    headers: identity.headers.iter().map(|header| header.to_lowercase()).collect(),
                    cache: Duration::from_secs(identity.reauthorize_every.unwrap_or(0)),
                };
                Ok((name, known))
            })
            .collect::<Result<_, _>>()?;
        Ok(Api { cors: self.cors_configuration, throttle: self.default_route_settings, authorizers })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct FunctionProperties {
    pub(super) code_uri: String,
    pub(super) timeout: Option<u64>,
    pub(super) memory_size: Option<u32>,
    pub(super) reserved_concurrent_executions: Option<usize>,
    pub(super) logging_config: Option<LoggingConfig>,
    #[serde(default)]
    pub(super) environment: Environment,
    #[serde(default)]
    pub(super) events: BTreeMap<String, EventDeclaration>,
    pub(super) event_invoke_config: Option<EventInvokeConfig>,
    #[serde(rename = "Description")]
    pub(super) _description: Option<IgnoredAny>,
    #[serde(rename = "Runtime")]
    pub(super) _runtime: Option<IgnoredAny>,
    #[serde(rename = "Handler")]
    pub(super) _handler: Option<IgnoredAny>,
    #[serde(rename = "Architectures")]
    pub(super) _architectures: Option<IgnoredAny>,
    #[serde(rename = "Tracing")]
    pub(super) _tracing: Option<IgnoredAny>,
    // Versions and how traffic moves between them: here there is one.
    #[serde(rename = "AutoPublishAlias")]
    pub(super) _alias: Option<IgnoredAny>,
    #[serde(rename = "VersionDescription")]
    pub(super) _version: Option<IgnoredAny>,
    #[serde(rename = "DeploymentPreference")]
    pub(super) _deployment: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct LoggingConfig {
    pub(super) log_format: String,
    #[serde(rename = "LogGroup")]
    pub(super) _log_group: Option<IgnoredAny>,
    #[serde(rename = "ApplicationLogLevel")]
    pub(super) _level: Option<IgnoredAny>,
}

/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-eventinvokeconfiguration.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct EventInvokeConfig {
    pub(super) maximum_retry_attempts: Option<u32>,
    #[serde(rename = "MaximumEventAgeInSeconds")]
    pub(super) _maximum_age: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) destination_config: DestinationConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Environment {
    #[serde(default)]
    pub(super) variables: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct EventDeclaration {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    pub(super) properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RouteProperties {
    pub(super) method: String,
    pub(super) path: String,
    #[serde(rename = "ApiId")]
    pub(super) _api: Option<IgnoredAny>,
    pub(super) auth: Option<RouteAuth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RouteAuth {
    pub(super) authorizer: String,
}

impl RouteProperties {
    pub(super) fn into_route(self, default_authorizer: Option<&str>) -> Route {
        let authorizer = match self.auth {
            Some(auth) if auth.authorizer == "NONE" => None,
            Some(auth) => Some(auth.authorizer),
            None => default_authorizer.map(str::to_owned),
        };
        Route { method: self.method.to_uppercase(), path: self.path, authorizer }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct StreamProperties {
    pub(super) stream: String,
    pub(super) starting_position: String,
    pub(super) batch_size: Option<usize>,
    pub(super) maximum_batching_window_in_seconds: Option<u64>,
    pub(super) parallelization_factor: Option<usize>,
    pub(super) maximum_retry_attempts: Option<i64>,
    pub(super) maximum_record_age_in_seconds: Option<i64>,
    #[serde(default)]
    pub(super) bisect_batch_on_function_error: bool,
    #[serde(default)]
    pub(super) function_response_types: Vec<String>,
    #[serde(default)]
    pub(super) filter_criteria: FilterCriteria,
    #[serde(default)]
    pub(super) destination_config: DestinationConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct FilterCriteria {
    #[serde(default)]
    pub(super) filters: Vec<FilterPattern>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct FilterPattern {
    pub(super) pattern: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DestinationConfig {
    pub(super) on_failure: Option<OnFailure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OnFailure {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    pub(super) destination: String,
}

impl DestinationConfig {
    /// The ARN of the queue that is told of what was given up.
    pub(super) fn into_queue(self, path: &str) -> Result<Option<String>, StackError> {
        match self.on_failure {
            Some(to) if to.kind != "SQS" => Err(StackError::template(path, "only SQS runs locally")),
            to => Ok(to.map(|to| to.destination)),
        }
    }
}

impl StreamProperties {
    pub(super) fn into_mapping(self, path: &str) -> Result<StreamMapping, StackError> {
        if self.starting_position != "TRIM_HORIZON" {
            return Err(StackError::template(
                format!("{path}.StartingPosition"),
                "only TRIM_HORIZON runs locally",
            ));
        }
        let patterns: Vec<&str> =
            self.filter_criteria.filters.iter().map(|one| one.pattern.as_str()).collect();
        let filter = Filter::new(&patterns)
            .map_err(|problem| StackError::template(format!("{path}.FilterCriteria"), problem))?;
        let on_failure = self.destination_config.into_queue(&format!("{path}.DestinationConfig"))?;
        Ok(StreamMapping {
            stream_arn: self.stream,
            batch_size: self.batch_size.unwrap_or(100),
            window: Duration::from_secs(self.maximum_batching_window_in_seconds.unwrap_or(0)),
            parallelization: self.parallelization_factor.unwrap_or(1).max(1),
            // -1 is how AWS says "no limit", for both.
            retries: self.maximum_retry_attempts.and_then(|retries| u32::try_from(retries).ok()),
            max_age: self
                .maximum_record_age_in_seconds
                .and_then(|age| u64::try_from(age).ok())
                .map(Duration::from_secs),
            bisect: self.bisect_batch_on_function_error,
            report_failures: reports_failures(&self.function_response_types, path)?,
            filter,
            on_failure,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct QueueEventProperties {
    pub(super) queue: String,
    pub(super) batch_size: Option<usize>,
    #[serde(default)]
    pub(super) function_response_types: Vec<String>,
    pub(super) scaling_config: Option<ScalingConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ScalingConfig {
    pub(super) maximum_concurrency: usize,
}

impl QueueEventProperties {
    pub(super) fn into_mapping(self, path: &str) -> Result<QueueMapping, StackError> {
        let batch_size = self.batch_size.unwrap_or(10);
        if !(1..=10).contains(&batch_size) {
            // Above 10 needs a batching window, which is not built.
            return Err(StackError::template(format!("{path}.BatchSize"), "only 1 to 10 runs locally"));
        }
        Ok(QueueMapping {
            queue_arn: self.queue,
            batch_size,
            // Lambda starts with five batches at once and goes on to 1,250; one machine stays at the start.
            max_concurrency: self.scaling_config.map_or(5, |scaling| scaling.maximum_concurrency.max(1)),
            report_failures: reports_failures(&self.function_response_types, path)?,
        })
    }
}

/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-schedulev2.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ScheduleProperties {
    pub(super) schedule_expression: String,
    pub(super) schedule_expression_timezone: Option<String>,
    pub(super) state: Option<String>,
    pub(super) input: Option<String>,
    #[serde(rename = "Name")]
    pub(super) _name: Option<IgnoredAny>,
    #[serde(rename = "OmitName")]
    pub(super) _omit_name: Option<IgnoredAny>,
    #[serde(rename = "Description")]
    pub(super) _description: Option<IgnoredAny>,
    #[serde(rename = "GroupName")]
    pub(super) _group: Option<IgnoredAny>,
    #[serde(rename = "RoleArn")]
    pub(super) _role: Option<IgnoredAny>,
    #[serde(rename = "FlexibleTimeWindow")]
    pub(super) _window: Option<IgnoredAny>,
    // What follows is for calls that Lambda itself refuses, which does not happen here.
    #[serde(rename = "RetryPolicy")]
    pub(super) _retry_policy: Option<IgnoredAny>,
    #[serde(rename = "DeadLetterConfig")]
    pub(super) _dead_letter_config: Option<IgnoredAny>,
}

/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-schedule.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RuleProperties {
    pub(super) schedule: String,
    pub(super) enabled: Option<bool>,
    pub(super) state: Option<String>,
    pub(super) input: Option<String>,
    #[serde(rename = "Name")]
    pub(super) _name: Option<IgnoredAny>,
    #[serde(rename = "Description")]
    pub(super) _description: Option<IgnoredAny>,
    #[serde(rename = "RetryPolicy")]
    pub(super) _retry_policy: Option<IgnoredAny>,
    #[serde(rename = "DeadLetterConfig")]
    pub(super) _dead_letter_config: Option<IgnoredAny>,
}

impl ScheduleProperties {
    /// The schedule, or none if it is switched off.
    pub(super) fn into_mapping(self, name: &str, path: &str) -> Result<Option<ScheduleMapping>, StackError> {
        check_expression(&self.schedule_expression, &format!("{path}.ScheduleExpression"))?;
        Ok((self.state.as_deref() != Some("DISABLED")).then(|| ScheduleMapping {
            name: name.to_owned(),
            expression: self.schedule_expression,
            zone: self.schedule_expression_timezone.unwrap_or_else(|| "UTC".to_owned()),
            input: self.input,
            is_rule: false,
        }))
    }
}

impl RuleProperties {
    /// The rule, or none if it is switched off.
    pub(super) fn into_mapping(self, name: &str, path: &str) -> Result<Option<ScheduleMapping>, StackError> {
        check_expression(&self.schedule, &format!("{path}.Schedule"))?;
        let enabled = self.enabled != Some(false) && self.state.as_deref() != Some("DISABLED");
        Ok(enabled.then(|| ScheduleMapping {
            name: name.to_owned(),
            expression: self.schedule,
            zone: "UTC".to_owned(),
            input: self.input,
            is_rule: true,
        }))
    }
}

fn check_expression(expression: &str, path: &str) -> Result<(), StackError> {
    Expression::parse(expression)
        .map(|_| ())
        .ok_or_else(|| StackError::template(path, format!("{expression} is not a schedule expression")))
}

fn reports_failures(types: &[String], path: &str) -> Result<bool, StackError> {
    match types.iter().find(|kind| *kind != "ReportBatchItemFailures") {
        Some(unknown) => {
            let at = format!("{path}.FunctionResponseTypes");
            Err(StackError::template(at, format!("{unknown} is not understood locally")))
        }
        None => Ok(!types.is_empty()),
    }
}
