//! Reads `template.yaml`, the file SAM deploys, into what the stack runs.
//!
//! Only what the template uses is understood. Anything else is an error that names its path, because a construct
//! that is silently ignored here would first be missed on AWS.

mod messaging;
mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::StackError;
use crate::event_source::filter::Filter;
use crate::policy::Policy;
pub use messaging::{EventDestination, LogSubscription, Subscription, Topic};
use properties::{
    ApiProperties, BusProperties, FunctionProperties, GroupProperties, QueueEventProperties, QueueProperties,
    RouteProperties, RuleProperties, ScheduleProperties, StreamProperties, TableProperties,
};

/// The account every local ARN names.
pub const ACCOUNT: &str = "000000000000";
/// The Region every local ARN names.
pub const REGION: &str = "us-east-1";
/// The stack's name, as in `${AWS::StackName}`.
pub const STACK_NAME: &str = "local";

/// Resource types that need nothing on one machine: who may do what, and what watches it.
const WITHOUT_LOCAL_EFFECT: [&str; 13] = [
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::ResourcePolicy",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::Parameter",
];

/// A template with its parameters filled in.
#[derive(Debug)]
pub struct Template {
    root: Value,
    parameters: BTreeMap<String, String>,
    queue_urls: BTreeMap<String, String>,
    api_url: Option<String>,
    stream_arns: BTreeMap<String, String>,
}

/// A DynamoDB table to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name in the template.
    pub logical_id: String,
    /// Its name in DynamoDB.
    pub name: String,
    /// Key attributes with their type (`S`, `N`, `B`).
    pub attributes: Vec<(String, String)>,
    /// The primary key, with `HASH` or `RANGE`.
    pub keys: Vec<(String, String)>,
    /// The global secondary indexes.
    pub indexes: Vec<Index>,
    /// What the stream shows of an item, if there is a stream.
    pub stream_view: Option<String>,
    /// The attribute with the time to live, in epoch seconds.
    pub ttl_attribute: Option<String>,
}

/// A global secondary index with all attributes, only the keys, or some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its key, with `HASH` or `RANGE`.
    pub keys: Vec<(String, String)>,
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection: String,
    /// The attributes of an `INCLUDE` projection.
    pub projected: Vec<String>,
}

/// An SQS queue to create. Times in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name in the template.
    pub logical_id: String,
    /// Its name in SQS.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// How long a received message stays hidden.
    pub visibility_timeout: u32,
    /// How long a message is kept.
    pub retention: u32,
    /// After how many receptions a message moves to which queue's ARN.
    pub redrive: Option<(u32, String)>,
}

/// A function with everything that calls it.
#[derive(Debug, Clone)]
pub struct FunctionSpec {
    /// Its name in the template.
    pub logical_id: String,
    /// The name of its binary, which is also how the stack calls it: the last part of `CodeUri`.
    pub name: String,
    /// Its name in Lambda.
    pub lambda_name: String,
    /// Its ARN.
    pub arn: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Memory in MiB. Told to the function, not enforced.
    pub memory: u32,
    /// How many invocations may run at once, if the template reserves any.
    pub reserved_concurrency: Option<usize>,
    /// Whether the logs are JSON.
    pub json_logs: bool,
    /// What it may do.
    pub policy: Arc<Policy>,
    /// The variables the template gives it.
    pub environment: BTreeMap<String, String>,
    /// The HTTP routes that call it.
    pub routes: Vec<Route>,
    /// The DynamoDB streams that call it.
    pub streams: Vec<StreamMapping>,
    /// The SQS queues that call it.
    pub queues: Vec<QueueMapping>,
    /// The schedules that call it.
    pub schedules: Vec<ScheduleMapping>,
    /// How often a failed asynchronous invocation is tried again.
    pub async_retries: u32,
    /// The ARN of the queue that is told of asynchronous invocations given up.
    pub async_on_failure: Option<String>,
}

/// A route of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// An HTTP method in capitals, or `ANY`.
    pub method: String,
    /// The path, with `{name}` and `{name+}`.
    pub path: String,
    /// The authorizer in front of it.
    pub authorizer: Option<String>,
}

/// A DynamoDB stream as event source.
#[derive(Debug, Clone)]
pub struct StreamMapping {
    /// The stream.
    pub stream_arn: String,
    /// Most records in one batch.
    pub batch_size: usize,
    /// How long to wait for a full batch.
    pub window: Duration,
    /// How many batches of one shard run at once, one partition key always in order.
    pub parallelization: usize,
    /// How often a failed batch is tried again; none: until its records are too old.
    pub retries: Option<u32>,
    /// The age at which a record is given up; none: never.
    pub max_age: Option<Duration>,
    /// Whether a failed batch is halved.
    pub bisect: bool,
    /// Whether the answer's `batchItemFailures` is read.
    pub report_failures: bool,
    /// Which records reach the function.
    pub filter: Filter,
    /// The ARN of the queue that is told of records given up.
    pub on_failure: Option<String>,
}

/// An SQS queue as event source.
#[derive(Debug, Clone)]
pub struct QueueMapping {
    /// The queue's ARN.
    pub queue_arn: String,
    /// Most messages in one batch.
    pub batch_size: usize,
    /// How many batches run at once.
    pub max_concurrency: usize,
    /// Whether the answer's `batchItemFailures` is read.
    pub report_failures: bool,
}

/// A schedule as event source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleMapping {
    /// Its name in the template.
    pub name: String,
    /// `rate(…)`, `cron(…)` or `at(…)`.
    pub expression: String,
    /// The IANA zone of the expression's wall times.
    pub zone: String,
    /// What the function gets instead of the service's own event.
    pub input: Option<String>,
    /// Whether it is an EventBridge rule (`Schedule`) and not an EventBridge Scheduler schedule (`ScheduleV2`).
    pub is_rule: bool,
}

/// The HTTP API in front of the functions.
#[derive(Debug, Clone, Default)]
pub struct Api {
    /// Answers to other origins.
    pub cors: Option<Cors>,
    /// Requests per second and the burst above it.
    pub throttle: Option<Throttle>,
    /// Authorizers by name.
    pub authorizers: BTreeMap<String, Authorizer>,
}

/// Cross-origin rules of the HTTP API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Cors {
    /// Origins, or `*`.
    #[serde(default)]
    pub allow_origins: Vec<String>,
    /// Methods, or `*`.
    #[serde(default)]
    pub allow_methods: Vec<String>,
    /// Request headers, or `*`.
    #[serde(default)]
    pub allow_headers: Vec<String>,
    /// Response headers that a script may read.
    #[serde(default)]
    pub expose_headers: Vec<String>,
    /// Seconds a preflight's answer may be kept.
    #[serde(default)]
    pub max_age: Option<u32>,
    /// Whether cookies may come along.
    #[serde(default)]
    pub allow_credentials: bool,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Requests at once.
    #[serde(rename = "ThrottlingBurstLimit")]
    pub burst: u32,
    /// Requests per second.
    #[serde(rename = "ThrottlingRateLimit")]
    pub rate: f64,
}

/// A Lambda authorizer with payload 2.0 and simple responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorizer {
    /// The function's ARN.
    pub function_arn: String,
    /// The headers that identify the caller, in lower case.
    pub headers: Vec<String>,
    /// How long an answer holds for the same identity.
    pub cache: Duration,
}

impl Template {
    /// Reads the template at `path` with values for its parameters.
    ///
    /// # Errors
    /// The file cannot be read, is not a template, has an unknown resource type, or a parameter has no value.
    pub fn read(path: &Path, given: &BTreeMap<String, String>) -> Result<Self, StackError> {
        let text = std::fs::read_to_string(path).map_err(|source| StackError::file(path, source))?;
        Self::parse(&text, given)
    }

    /// Like [`Template::read`] from text.
    ///
    /// # Errors
    /// See [`Template::read`].
    pub fn parse(text: &str, given: &BTreeMap<String, String>) -> Result<Self, StackError> {
        let yaml: yaml_serde::Value =
            yaml_serde::from_str(text).map_err(|e| StackError::template("(file)", e.to_string()))?;
        let root = long_form(yaml, "")?;
        check_top_level(&root)?;
        let parameters = parameters(&root, given)?;
        let mut template = Self {
            root,
            parameters,
            queue_urls: BTreeMap::new(),
            api_url: None,
            stream_arns: BTreeMap::new(),
        };
        template.check_resources()?;
        template.leave_out()?;
        Ok(template)
    }

    /// Tells the URL of the queue `logical_id`, known once it exists.
    pub fn set_queue_url(&mut self, logical_id: &str, url: String) {
        self.queue_urls.insert(logical_id.to_owned(), url);
    }

    /// Tells where the API answers.
    pub fn set_api_url(&mut self, url: String) {
        self.api_url = Some(url);
    }

    /// Tells the stream's ARN of the table `logical_id`, known once it exists.
    pub fn set_stream_arn(&mut self, logical_id: &str, arn: String) {
        self.stream_arns.insert(logical_id.to_owned(), arn);
    }

    /// The tables.
    ///
    /// # Errors
    /// A property is unknown or wrong.
    pub fn tables(&self) -> Result<Vec<Table>, StackError> {
        self.of_type("AWS::DynamoDB::Table")
            .map(|id| {
                let properties: TableProperties = self.properties(id)?;
                Ok(properties.into_table(id))
            })
            .collect()
    }

    /// The names of the buckets. Who may read them and how they are kept has no effect locally.
    pub fn buckets(&self) -> Vec<String> {
        self.of_type("AWS::S3::Bucket").map(bucket_name).collect()
    }

    /// The queues, those without a redrive policy first, since the others refer to them.
    ///
    /// # Errors
    /// A property is unknown or wrong.
    pub fn queues(&self) -> Result<Vec<Queue>, StackError> {
        let mut queues = self
            .of_type("AWS::SQS::Queue")
            .map(|id| {
                let properties: QueueProperties = self.properties(id)?;
                Ok(Queue {
                    logical_id: id.to_owned(),
                    name: physical_name(id),
                    arn: arn_of("sqs", &physical_name(id)),
                    visibility_timeout: properties.visibility_timeout.unwrap_or(30),
                    retention: properties.message_retention_period.unwrap_or(345_600),
                    redrive: properties
                        .redrive_policy
                        .map(|redrive| (redrive.max_receive_count, redrive.dead_letter_target_arn)),
                })
            })
            .collect::<Result<Vec<_>, StackError>>()?;
        queues.sort_by_key(|queue| queue.redrive.is_some());
        Ok(queues)
    }

    /// The names of the event buses.
    ///
    /// # Errors
    /// A property is unknown or wrong.
    pub fn event_buses(&self) -> Result<Vec<String>, StackError> {
        let buses = self.of_type("AWS::Events::EventBus");
        buses.map(|id| self.properties::<BusProperties>(id).map(|bus| bus.name)).collect()
    }

    /// The schedule groups' names.
    ///
    /// # Errors
    /// A property is unknown or wrong.
    pub fn schedule_groups(&self) -> Result<Vec<String>, StackError> {
        self.of_type("AWS::Scheduler::ScheduleGroup").map(|id| self.schedule_group(id)).collect()
    }

    /// The HTTP API, if the template has one. Two are an error: the stack serves one port.
    ///
    /// # Errors
    /// A property is unknown or wrong.
    pub fn api(&self) -> Result<Option<Api>, StackError> {
        let ids: Vec<&str> = self.of_type("AWS::Serverless::HttpApi").collect();
        match ids.as_slice() {
            [] => Ok(None),
            [id] => self.properties::<ApiProperties>(id)?.into_api(&path_of(id)).map(Some),
            [_, second, ..] => Err(StackError::template(path_of(second), "only one HttpApi can run locally")),
        }
    }

    /// The functions. Queue URLs and stream ARNs must have been told before.
    ///
    /// # Errors
    /// A property is unknown or wrong.
    pub fn functions(&self) -> Result<Vec<FunctionSpec>, StackError> {
        let default_authorizer = match self.of_type("AWS::Serverless::HttpApi").next() {
            Some(id) => self.properties::<ApiProperties>(id)?.auth.default_authorizer,
            None => None,
        };
        let functions = self
            .of_type("AWS::Serverless::Function")
            .map(|id| self.function(id, default_authorizer.as_deref()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut names = BTreeSet::new();
        for function in &functions {
            if !names.insert(&function.name) {
                let problem = format!("two functions have the binary {}", function.name);
                return Err(StackError::template(path_of(&function.logical_id), problem));
            }
        }
        Ok(functions)
    }

    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    fn function(&self, id: &str, default_authorizer: Option<&str>) -> Result<FunctionSpec, StackError> {
        let path = path_of(id);
        let globals = self.root.pointer("/Globals/Function").cloned().unwrap_or_else(|| json!({}));
        let own = self.root["Resources"][id]["Properties"].clone();
        let policies =
            self.resolve(own.get("Policies").unwrap_or(&json!([])), &format!("{path}.Policies"))?;
        let merged = self.resolve(&merge(globals, own), &path)?;
        let properties: FunctionProperties = typed(merged, &path)?;
        let name =
            properties.code_uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        let mut function = FunctionSpec {
            logical_id: id.to_owned(),
            lambda_name: physical_name(id),
            arn: function_arn(id),
            timeout: Duration::from_secs(properties.timeout.unwrap_or(3)),
            memory: properties.memory_size.unwrap_or(128),
            reserved_concurrency: properties.reserved_concurrent_executions,
            policy: Arc::new(Policy::read(policies, &path)?),
            json_logs: properties.logging_config.is_some_and(|logs| logs.log_format == "JSON"),
            environment: properties
                .environment
                .variables
                .into_iter()
                .map(|(name, value)| match scalar(&value) {
                    Some(text) => Ok((name, text)),
                    None => {
                        let at = format!("{path}.Environment.Variables.{name}");
                        Err(StackError::template(at, "not a text"))
                    }
                })
                .collect::<Result<_, _>>()?,
            routes: Vec::new(),
            streams: Vec::new(),
            queues: Vec::new(),
            schedules: Vec::new(),
            async_retries: 2,
            async_on_failure: None,
            name,
        };
        if let Some(config) = properties.event_invoke_config {
            function.async_retries = config.maximum_retry_attempts.unwrap_or(2);
            let at = format!("{path}.EventInvokeConfig.DestinationConfig");
            function.async_on_failure = config.destination_config.into_queue(&at)?;
        }
        for (event, declared) in properties.events {
            let path = format!("{path}.Events.{event}");
            match declared.kind.as_str() {
                "HttpApi" => {
                    let route: RouteProperties = typed(declared.properties, &path)?;
                    if !route.path.starts_with('/') {
                        return Err(StackError::template(
                            format!("{path}.Path"),
                            "must begin with a slash locally",
                        ));
                    }
                    function.routes.push(route.into_route(default_authorizer));
                }
                "DynamoDB" => {
                    let stream: StreamProperties = typed(declared.properties, &path)?;
                    function.streams.push(stream.into_mapping(&path)?);
                }
                "SQS" => {
                    let queue: QueueEventProperties = typed(declared.properties, &path)?;
                    function.queues.push(queue.into_mapping(&path)?);
                }
                "ScheduleV2" => {
                    let schedule: ScheduleProperties = typed(declared.properties, &path)?;
                    function.schedules.extend(schedule.into_mapping(&event, &path)?);
                }
                "Schedule" => {
                    let rule: RuleProperties = typed(declared.properties, &path)?;
                    function.schedules.extend(rule.into_mapping(&event, &path)?);
                }
                other => {
                    return Err(StackError::template(
                        path,
                        format!("event source {other} cannot run locally"),
                    ));
                }
            }
        }
        Ok(function)
    }

    fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.resources().filter(move |(_, resource)| resource["Type"] == kind).map(|(id, _)| id.as_str())
    }

    fn resources(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.root["Resources"].as_object().into_iter().flatten()
    }

    fn properties<T: DeserializeOwned>(&self, id: &str) -> Result<T, StackError> {
        let path = path_of(id);
        let properties = self.root["Resources"][id].get("Properties").cloned().unwrap_or_else(|| json!({}));
        typed(self.resolve(&properties, &path)?, &path)
    }

    fn schedule_group(&self, id: &str) -> Result<String, StackError> {
        self.properties::<GroupProperties>(id).map(|group| group.name)
    }

    fn check_resources(&self) -> Result<(), StackError> {
        const HANDLED: [&str; 12] = [
            "AWS::DynamoDB::Table",
            "AWS::Events::EventBus",
            "AWS::Logs::SubscriptionFilter",
            "AWS::S3::Bucket",
            "AWS::SES::ConfigurationSet",
            "AWS::SES::ConfigurationSetEventDestination",
            "AWS::SNS::Subscription",
            "AWS::SNS::Topic",
            "AWS::SQS::Queue",
            "AWS::Scheduler::ScheduleGroup",
            "AWS::Serverless::HttpApi",
            "AWS::Serverless::Function",
        ];
        const ATTRIBUTES: [&str; 7] = [
            "Type",
            "Condition",
            "Properties",
            "Metadata",
            "DependsOn",
            "DeletionPolicy",
            "UpdateReplacePolicy",
        ];
        for (id, resource) in self.resources() {
            let path = format!("Resources.{id}");
            let kind = resource["Type"].as_str().unwrap_or_default();
            if !HANDLED.contains(&kind) && !WITHOUT_LOCAL_EFFECT.contains(&kind) {
                return Err(StackError::template(path, format!("resource type {kind:?} cannot run locally")));
            }
            for attribute in resource.as_object().into_iter().flatten().map(|(key, _)| key.as_str()) {
                if !ATTRIBUTES.contains(&attribute) {
                    return Err(StackError::template(
                        format!("{path}.{attribute}"),
                        "not understood locally",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Takes out the resources whose condition does not hold.
    fn leave_out(&mut self) -> Result<(), StackError> {
        let mut out = Vec::new();
        for (id, resource) in self.resources() {
            let Some(name) = resource["Condition"].as_str() else { continue };
            let path = format!("Conditions.{name}");
            if !self.holds(&self.root["Conditions"][name], &path)? {
                out.push(id.clone());
            }
        }
        if let Some(resources) = self.root["Resources"].as_object_mut() {
            resources.retain(|id, _| !out.contains(id));
        }
        Ok(())
    }

    fn holds(&self, condition: &Value, path: &str) -> Result<bool, StackError> {
        let function = condition.as_object().filter(|function| function.len() == 1);
        let (name, argument) = function.and_then(|function| function.iter().next()).unzip();
        match (name.map(String::as_str), argument.and_then(Value::as_array).map(Vec::as_slice)) {
            (Some("Fn::Not"), Some([inner])) => self.holds(inner, path).map(|holds| !holds),
            (Some("Fn::Equals"), Some([one, other])) => {
                Ok(scalar(&self.resolve(one, path)?) == scalar(&self.resolve(other, path)?))
            }
            _ => Err(StackError::template(path, "not understood locally")),
        }
    }

    /// `value` with every intrinsic function replaced by what it stands for.
    fn resolve(&self, value: &Value, path: &str) -> Result<Value, StackError> {
        match value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.resolve(item, &format!("{path}[{index}]")))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            Value::Object(fields) => match fields.iter().next() {
                Some((name, argument))
                    if fields.len() == 1 && (name == "Ref" || name.starts_with("Fn::")) =>
                {
                    self.intrinsic(name, argument, path).map(Value::String)
                }
                _ => fields
                    .iter()
                    // A function's policy is read apart; those of roles that services take have no effect here.
                    .filter(|(name, _)| *name != "Policies")
                    .map(|(name, field)| Ok((name.clone(), self.resolve(field, &format!("{path}.{name}"))?)))
                    .collect::<Result<Map<_, _>, _>>()
                    .map(Value::Object),
            },
            plain => Ok(plain.clone()),
        }
    }

    fn intrinsic(&self, name: &str, argument: &Value, path: &str) -> Result<String, StackError> {
        let wrong = || StackError::template(path, format!("{name} of something unexpected"));
        match name {
            "Ref" => self.reference(argument.as_str().ok_or_else(wrong)?, path),
            "Fn::GetAtt" => {
                let (id, attribute) = match argument {
                    Value::String(dotted) => dotted.split_once('.').ok_or_else(wrong)?,
                    Value::Array(parts) => match parts.as_slice() {
                        [Value::String(id), Value::String(attribute)] => (id.as_str(), attribute.as_str()),
                        _ => return Err(wrong()),
                    },
                    _ => return Err(wrong()),
                };
                self.attribute(id, attribute, path)
            }
            "Fn::Sub" => self.substitute(argument.as_str().ok_or_else(wrong)?, path),
            "Fn::Join" => {
                let Some([Value::String(separator), items]) = argument.as_array().map(Vec::as_slice) else {
                    return Err(wrong());
                };
                let items = self.resolve(items, path)?;
                let texts: Option<Vec<String>> =
                    items.as_array().ok_or_else(wrong)?.iter().map(scalar).collect();
                Ok(texts.ok_or_else(wrong)?.join(separator))
            }
            "Fn::If" => {
                let Some([Value::String(condition), one, other]) = argument.as_array().map(Vec::as_slice)
                else {
                    return Err(wrong());
                };
                let of = format!("Conditions.{condition}");
                let holds = self.holds(&self.root["Conditions"][condition], &of)?;
                scalar(&self.resolve(if holds { one } else { other }, path)?).ok_or_else(wrong)
            }
            other => Err(StackError::template(path, format!("{other} is not understood locally"))),
        }
    }

    fn substitute(&self, text: &str, path: &str) -> Result<String, StackError> {
        let mut done = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, remaining) = after
                .split_once('}')
                .ok_or_else(|| StackError::template(path, "Fn::Sub without a closing brace"))?;
            done.push_str(before);
            match name.strip_prefix('!') {
                Some(literal) => done.push_str(&format!("${{{literal}}}")),
                None => done.push_str(&match name.split_once('.') {
                    Some((id, attribute)) => self.attribute(id, attribute, path)?,
                    None => self.reference(name, path)?,
                }),
            }
            rest = remaining;
        }
        done.push_str(rest);
        Ok(done)
    }

    fn reference(&self, name: &str, path: &str) -> Result<String, StackError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        match name {
            "AWS::AccountId" => return Ok(ACCOUNT.to_owned()),
            "AWS::Region" => return Ok(REGION.to_owned()),
            "AWS::StackName" => return Ok(STACK_NAME.to_owned()),
            "AWS::Partition" => return Ok("aws".to_owned()),
            "AWS::URLSuffix" => return Ok("amazonaws.com".to_owned()),
            _ => {}
        }
        if let Some(function) = name.strip_suffix(".Alias") {
            // How SAM names the alias that `AutoPublishAlias` makes; here it is the function itself.
            return self.attribute(function, "Arn", path);
        }
        match self.kind(name) {
            Some("AWS::SQS::Queue") => self.queue_urls.get(name).cloned().ok_or_else(|| {
                StackError::template(path, format!("the URL of {name} is not known before it is created"))
            }),
            Some("AWS::Scheduler::ScheduleGroup") => self.schedule_group(name),
            Some("AWS::S3::Bucket") => Ok(bucket_name(name)),
            Some("AWS::SNS::Topic") => Ok(arn_of("sns", &self.given_name(name, "TopicName", path)?)),
            Some("AWS::SES::ConfigurationSet" | "AWS::Events::EventBus") => {
                self.given_name(name, "Name", path)
            }
            Some("AWS::Logs::LogGroup") => self.given_name(name, "LogGroupName", path),
            Some("AWS::SSM::Parameter") => self.given_name(name, "Name", path),
            Some(_) => Ok(physical_name(name)),
            None => Err(StackError::template(path, format!("there is no {name}"))),
        }
    }

    fn attribute(&self, id: &str, attribute: &str, path: &str) -> Result<String, StackError> {
        let name = physical_name(id);
        match (self.kind(id), attribute) {
            (Some("AWS::DynamoDB::Table"), "Arn") => Ok(arn_of("dynamodb", &format!("table/{name}"))),
            (Some("AWS::DynamoDB::Table"), "StreamArn") => self
                .stream_arns
                .get(id)
                .cloned()
                .ok_or_else(|| StackError::template(path, format!("{id} has no stream"))),
            (Some("AWS::SQS::Queue"), "Arn") => Ok(arn_of("sqs", &name)),
            (Some("AWS::SQS::Queue"), "QueueName") => Ok(name),
            (Some("AWS::Events::EventBus"), "Arn") => {
                Ok(arn_of("events", &format!("event-bus/{}", self.reference(id, path)?)))
            }
            (Some("AWS::S3::Bucket"), "Arn") => Ok(format!("arn:aws:s3:::{}", bucket_name(id))),
            (Some("AWS::IAM::Role"), "Arn") => Ok(format!("arn:aws:iam::{ACCOUNT}:role/{name}")),
            (Some("AWS::Serverless::Function"), "Arn") => Ok(function_arn(id)),
            (Some("AWS::Serverless::HttpApi"), "ApiEndpoint") => self.api_url.clone().ok_or_else(|| {
                StackError::template(path, "the address of the API is not known before it listens")
            }),
            (Some("AWS::SNS::Topic"), "TopicArn") => self.reference(id, path),
            (Some("AWS::SNS::Topic"), "TopicName") => self.given_name(id, "TopicName", path),
            (Some("AWS::Logs::LogGroup"), "Arn") => {
                Ok(arn_of("logs", &format!("log-group:{}:*", self.reference(id, path)?)))
            }
            (Some("AWS::Scheduler::ScheduleGroup"), "Arn") => {
                Ok(arn_of("scheduler", &format!("schedule-group/{}", self.schedule_group(id)?)))
            }
            (Some(kind), _) => {
                Err(StackError::template(path, format!("{kind} has no attribute {attribute} locally")))
            }
            (None, _) => Err(StackError::template(path, format!("there is no {id}"))),
        }
    }

    fn kind(&self, id: &str) -> Option<&str> {
        self.root["Resources"].get(id)?["Type"].as_str()
    }
}

/// A person's address that a topic sends to: nothing leaves this machine.
fn is_email_subscription(resource: &Value) -> bool {
    resource["Type"] == "AWS::SNS::Subscription" && resource["Properties"]["Protocol"] == "email"
}

/// The name CloudFormation would make up, without its random tail.
fn physical_name(logical_id: &str) -> String {
    format!("{STACK_NAME}-{logical_id}")
}

/// Names of buckets are in lower case.
fn bucket_name(logical_id: &str) -> String {
    physical_name(logical_id).to_lowercase()
}

fn path_of(logical_id: &str) -> String {
    format!("Resources.{logical_id}.Properties")
}

/// The ARN of something of the stack's account and Region.
pub(crate) fn arn_of(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}

fn function_arn(logical_id: &str) -> String {
    arn_of("lambda", &format!("function:{}", physical_name(logical_id)))
}

fn typed<T: DeserializeOwned>(value: Value, path: &str) -> Result<T, StackError> {
    serde_json::from_value(value).map_err(|error| StackError::template(path, error.to_string()))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// YAML with CloudFormation's short tags as the JSON CloudFormation itself makes of it.
fn long_form(yaml: yaml_serde::Value, path: &str) -> Result<Value, StackError> {
    use yaml_serde::Value as Yaml;
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => {
            serde_json::to_value(number).map_err(|error| StackError::template(path, error.to_string()))?
        }
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| long_form(item, &format!("{path}[{index}]")))
                .collect::<Result<_, _>>()?,
        ),
        Yaml::Mapping(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, field)| {
                    let key = match key {
                        Yaml::String(text) => text,
                        _ => return Err(StackError::template(path, "a key that is not a text")),
                    };
                    let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    Ok((key, long_form(field, &at)?))
                })
                .collect::<Result<_, _>>()?,
        ),
        Yaml::Tagged(tagged) => {
            let name = match tagged.tag.to_string().trim_start_matches('!') {
                "Ref" => "Ref".to_owned(),
                other => format!("Fn::{other}"),
            };
            json!({ name: long_form(tagged.value, path)? })
        }
    })
}

fn check_top_level(root: &Value) -> Result<(), StackError> {
    const KNOWN: [&str; 9] = [
        "AWSTemplateFormatVersion",
        "Transform",
        "Description",
        "Metadata",
        "Parameters",
        "Conditions",
        "Globals",
        "Resources",
        "Outputs",
    ];
    let Some(sections) = root.as_object() else {
        return Err(StackError::template("(file)", "not a template"));
    };
    if let Some(unknown) = sections.keys().find(|section| !KNOWN.contains(&section.as_str())) {
        return Err(StackError::template(unknown, "not understood locally"));
    }
    if let Some(unknown) = root["Globals"].as_object().and_then(|g| g.keys().find(|name| *name != "Function"))
    {
        return Err(StackError::template(format!("Globals.{unknown}"), "not understood locally"));
    }
    Ok(())
}

fn parameters(
    root: &Value,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, StackError> {
    let none = Map::new();
    let declared = root["Parameters"].as_object().unwrap_or(&none);
    if let Some(unknown) = given.keys().find(|name| !declared.contains_key(*name)) {
        return Err(StackError::template(format!("Parameters.{unknown}"), "there is no such parameter"));
    }
    declared
        .iter()
        .map(|(name, parameter)| {
            let path = format!("Parameters.{name}");
            let value =
                given.get(name).cloned().or_else(|| scalar(&parameter["Default"])).ok_or_else(|| {
                    StackError::template(&path, format!("has no default, so give --parameter {name}=VALUE"))
                })?;
            match parameter["AllowedValues"].as_array() {
                Some(allowed) if !allowed.iter().any(|one| scalar(one).as_deref() == Some(&value)) => {
                    Err(StackError::template(path, format!("{value:?} is not one of the allowed values")))
                }
                _ => Ok((name.clone(), value)),
            }
        })
        .collect()
}

/// SAM's rule for Globals: maps are merged, lists are joined, anything else is replaced by the resource's own value.
fn merge(global: Value, own: Value) -> Value {
    match (global, own) {
        (Value::Object(mut global), Value::Object(own)) => {
            for (key, value) in own {
                let merged = match global.remove(&key) {
                    Some(base) => merge(base, value),
                    None => value,
                };
                global.insert(key, merged);
            }
            Value::Object(global)
        }
        (Value::Array(mut global), Value::Array(own)) => {
            global.extend(own);
            Value::Array(global)
        }
        (_, own) => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Need;

    fn given() -> BTreeMap<String, String> {
        [("EmailFrom", "Salon <hello@example.com>"), ("EmailIdentityArn", "arn:aws:ses:x")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn real() -> Template {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
        let mut template = Template::read(&path, &given()).unwrap();
        for queue in template.queues().unwrap() {
            let url = format!("http://queues/{}", queue.name);
            template.set_queue_url(&queue.logical_id, url);
        }
        for table in ["BookingsTable", "MessagesTable"] {
            template.set_stream_arn(table, "arn:stream".to_owned());
        }
        template.set_api_url("http://127.0.0.1:4600".to_owned());
        template
    }

    fn problem(text: &str) -> String {
        let result = Template::parse(text, &BTreeMap::new()).and_then(|template| {
            template.tables()?;
            template.queues()?;
            template.api()?;
            template.functions()
        });
        result.unwrap_err().to_string()
    }

    #[test]
    fn the_real_template_is_understood() {
        let template = real();
        let bookings =
            template.tables().unwrap().into_iter().find(|t| t.logical_id == "BookingsTable").unwrap();
        assert_eq!(bookings.name, "local-BookingsTable");
        assert_eq!(bookings.stream_view.as_deref(), Some("NEW_AND_OLD_IMAGES"));
        assert!(bookings.ttl_attribute.is_some());
        assert_eq!(bookings.indexes[0].name, "by_client");

        let queues = template.queues().unwrap();
        let sms = queues.iter().find(|queue| queue.logical_id == "SmsQueue").unwrap();
        assert_eq!(sms.redrive, Some((8, "arn:aws:sqs:us-east-1:000000000000:local-SmsDlq".to_owned())));
        assert_eq!(sms.visibility_timeout, 120);

        let functions = template.functions().unwrap();
        let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
        assert!(names.contains(&"booking-api") && names.contains(&"deliver-sms"), "{names:?}");
        let api = functions.iter().find(|function| function.name == "booking-api").unwrap();
        assert_eq!(api.timeout, Duration::from_secs(29));
        let mut routes = api.routes.iter().map(|route| (route.method.as_str(), route.path.as_str()));
        assert!(routes.all(|(method, path)| method != "ANY" && path == "/v1/{proxy+}"));
        assert_eq!(api.routes.len(), 5);
        assert_eq!(api.routes[0].authorizer.as_deref(), Some("ApiKey"));
        assert_eq!(template.schedule_groups().unwrap(), ["local-bookings"]);
        assert_eq!(template.event_buses().unwrap(), ["local-events"]);
        let api = template.api().unwrap().unwrap();
        assert_eq!(api.authorizers["ApiKey"].headers, ["authorization"]);
        assert_eq!(api.authorizers["ApiKey"].cache, Duration::from_secs(60));
    }

    #[test]
    fn on_aws_no_webhook_may_be_on_the_functions_own_machine() {
        for function in real().functions().unwrap() {
            assert!(!function.environment.contains_key("WEBHOOKS_ALLOW_LOCAL"), "{}", function.name);
        }
    }

    #[test]
    fn a_function_gets_its_variables_and_the_global_ones_resolved() {
        let functions = real().functions().unwrap();
        let stream = functions.iter().find(|function| function.name == "booking-stream").unwrap();
        let variable = |name: &str| stream.environment.get(name).map(String::as_str);
        assert_eq!(variable("LOG_LEVEL"), Some("info"));
        assert_eq!(variable("BOOKINGS_TABLE"), Some("local-BookingsTable"));
        assert_eq!(variable("SMS_QUEUE_URL"), Some("http://queues/local-SmsQueue"));
        assert_eq!(variable("SMS_QUEUE_ARN"), Some("arn:aws:sqs:us-east-1:000000000000:local-SmsQueue"));
        assert_eq!(variable("SCHEDULE_GROUP"), Some("local-bookings"));
        assert_eq!(
            variable("SCHEDULER_ROLE_ARN"),
            Some("arn:aws:iam::000000000000:role/local-SchedulerRole")
        );
        let pages = |template: &Template| {
            let functions = template.functions().unwrap();
            let email = functions.iter().find(|function| function.name == "deliver-email").unwrap();
            email.environment["PAGES_URL"].clone()
        };
        assert_eq!(pages(&real()), "http://127.0.0.1:4600");
        let mut elsewhere = real();
        elsewhere.parameters.insert("PagesUrl".to_owned(), "https://pages.example".to_owned());
        assert_eq!(pages(&elsewhere), "https://pages.example");
        let mapping = &stream.streams[0];
        assert_eq!((mapping.stream_arn.as_str(), mapping.retries), ("arn:stream", Some(1000)));
        assert_eq!(
            mapping.on_failure.as_deref(),
            Some("arn:aws:sqs:us-east-1:000000000000:local-StreamFailures")
        );
        assert!(mapping.bisect && mapping.report_failures);
    }

    #[test]
    fn as_many_sandboxes_share_a_rate_as_there_may_be() {
        let functions = real().functions().unwrap();
        let paced = functions.iter().filter(|function| function.environment.contains_key("PER_SECOND"));
        let mut names = Vec::new();
        for function in paced {
            let most: usize = function.queues.iter().map(|queue| queue.max_concurrency).sum();
            assert_eq!(function.environment["SANDBOXES"], most.to_string(), "{}", function.name);
            assert!(function.environment["PER_SECOND"].parse().is_ok_and(|rate: u32| rate > 0));
            names.push(function.name.as_str());
        }
        names.sort_unstable();
        assert_eq!(
            names,
            ["deliver-email", "deliver-push", "deliver-sms", "deliver-telegram", "deliver-whatsapp"]
        );
    }

    /// The queue that an alarm of the template watches: whether anything is in it, and who is told.
    fn watched(alarm: &Value) -> Option<&str> {
        let alarm = &alarm["Properties"];
        let watches = alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
            && alarm["Threshold"] == 1
            && alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
            && alarm["AlarmActions"] == json!([{ "Ref": "AlarmTopic" }]);
        let dimension = &alarm["Dimensions"][0];
        let name = dimension["Value"]["Fn::GetAtt"].as_str().filter(|_| dimension["Name"] == "QueueName");
        name.filter(|_| watches)?.strip_suffix(".QueueName")
    }

    #[test]
    fn every_queue_that_is_worked_on_has_a_dlq_and_every_queue_that_is_not_has_an_alarm() {
        let template = real();
        let watched: BTreeSet<&str> = template
            .of_type("AWS::CloudWatch::Alarm")
            .filter_map(|id| watched(&template.root["Resources"][id]))
            .collect();
        let (queues, functions) = (template.queues().unwrap(), template.functions().unwrap());
        let worked_on = |queue: &Queue| {
            functions.iter().find(|function| {
                function
                    .queues
                    .iter()
                    .any(|mapping| mapping.queue_arn == queue.arn && mapping.report_failures)
            })
        };
        let mut dlqs = BTreeSet::new();
        for queue in &queues {
            let Queue { logical_id, visibility_timeout, retention, .. } = queue;
            match (&queue.redrive, worked_on(queue)) {
                (Some((receptions, dlq)), Some(function)) => {
                    assert!(*receptions >= 5, "{logical_id} gives up too soon");
                    let least = function.timeout.as_secs() * 6;
                    assert!(u64::from(*visibility_timeout) >= least, "{logical_id} is visible too soon");
                    let dlq = queues.iter().find(|queue| queue.arn == *dlq).unwrap();
                    assert!(dlq.redrive.is_none() && dlq.retention > *retention, "{logical_id}: {dlq:?}");
                    assert!(dlqs.insert(&dlq.logical_id), "{} is for one queue", dlq.logical_id);
                }
                (None, None) => {
                    assert!(watched.contains(logical_id.as_str()), "{logical_id} has no alarm");
                    assert_eq!(*retention, 1_209_600, "{logical_id} is kept for fourteen days");
                }
                (redrive, function) => {
                    panic!("{logical_id}: {redrive:?}, worked on by {:?}", function.map(|it| &it.name))
                }
            }
        }
        assert!(dlqs.len() >= 4, "{dlqs:?}");
    }

    /// What the headings of the runbook in docs/operations.md name.
    fn runbook() -> BTreeSet<&'static str> {
        let page = include_str!("../../../docs/operations.md");
        let sections = page.split("\n## ").find(|part| part.starts_with("When an alarm rings\n")).unwrap();
        let headings = sections.lines().filter_map(|line| line.strip_prefix("### "));
        headings.flat_map(|heading| heading.split(", ")).collect()
    }

    #[test]
    fn every_alarm_tells_somebody_and_has_its_place_in_the_runbook() {
        let template = real();
        let mut names = BTreeSet::new();
        for id in template.of_type("AWS::CloudWatch::Alarm") {
            let alarm = &template.root["Resources"][id]["Properties"];
            let name = id.strip_suffix("Alarm").unwrap_or_else(|| panic!("{id} is no name of an alarm"));
            let says = alarm["AlarmDescription"].as_str().unwrap_or_default();
            assert!(says.ends_with(&format!("; docs/operations.md, {name}.")), "{id} says {says:?}");
            assert_eq!(alarm["AlarmActions"], json!([{ "Ref": "AlarmTopic" }]), "{id}");
            names.insert(name);
        }
        assert_eq!(names, runbook(), "alarms of the template, and headings under \"When an alarm rings\"");
    }

    /// The names of all metrics that the product's code tells.
    fn told() -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut folders = vec![root.join("functions"), root.join("shared")];
        let mut names = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") {
                    let code = std::fs::read_to_string(&path).unwrap();
                    for made in ["Metric::count(\"", "Metric::seconds(\""] {
                        let of = code.split(made).skip(1).filter_map(|rest| rest.split('"').next());
                        names.extend(of.map(str::to_owned));
                    }
                }
            }
        }
        names
    }

    /// The dashboard as CloudWatch gets it.
    fn dashboard(template: &Template) -> Value {
        let body = &template.root["Resources"]["Dashboard"]["Properties"]["DashboardBody"];
        serde_json::from_str(template.resolve(body, "Dashboard").unwrap().as_str().unwrap()).unwrap()
    }

    /// The names of our own metrics in alarms and on the dashboard.
    fn shown(template: &Template) -> BTreeSet<String> {
        let ours = |metric: &Value| metric["Namespace"] == "BookingNotifications";
        let mut names = BTreeSet::new();
        let mut show = |name: &Value| {
            names.insert(name.as_str().unwrap().to_owned());
        };
        for id in template.of_type("AWS::CloudWatch::Alarm") {
            let alarm = &template.root["Resources"][id]["Properties"];
            let parts = alarm["Metrics"].as_array().into_iter().flatten();
            let metrics = parts.map(|part| &part["MetricStat"]["Metric"]).chain([alarm]);
            metrics.filter(|metric| ours(metric)).for_each(|metric| show(&metric["MetricName"]));
        }
        for widget in dashboard(template)["widgets"].as_array().unwrap() {
            for metric in widget["properties"]["metrics"].as_array().unwrap() {
                if metric[0] == "BookingNotifications" {
                    show(&metric[1]);
                }
                let searched =
                    metric[0]["expression"].as_str().and_then(|it| it.split("MetricName=\"").nth(1));
                if let Some(name) = searched.and_then(|rest| rest.split('"').next()) {
                    show(&json!(name));
                }
            }
        }
        names
    }

    #[test]
    fn what_is_told_is_shown_and_what_is_shown_is_told() {
        let template = real();
        assert_eq!(shown(&template), told(), "metrics of the template, and of functions and shared");
        let body = dashboard(&template).to_string();
        for name in template.functions().unwrap().into_iter().map(|function| function.lambda_name) {
            assert!(body.contains(&format!("\"{name}\"")), "{name} is not on the dashboard");
        }
        for name in template.queues().unwrap().into_iter().map(|queue| queue.name) {
            assert!(body.contains(&format!("\"{name}\"")), "{name} is not on the dashboard");
        }
    }

    #[test]
    fn every_function_logs_into_a_group_of_its_own_with_an_end() {
        let template = real();
        let mut groups = BTreeSet::new();
        for id in template.of_type("AWS::Serverless::Function") {
            let config = &template.root["Resources"][id]["Properties"]["LoggingConfig"];
            let group = config["LogGroup"]["Ref"].as_str().unwrap_or_else(|| panic!("{id} has no log group"));
            assert!(groups.insert(group), "{group} is shared");
        }
        for id in template.of_type("AWS::Logs::LogGroup") {
            let keeps = &template.root["Resources"][id]["Properties"]["RetentionInDays"];
            assert_eq!(*keeps, json!({ "Ref": "LogRetentionDays" }), "{id}");
        }
    }

    /// SAM makes a new version of new code only; <https://github.com/aws/serverless-application-model/issues/3820>.
    #[test]
    fn a_changed_parameter_makes_a_new_version_of_a_function_with_an_alias() {
        let template = real();
        let globals = &template.root["Globals"]["Function"]["Environment"]["Variables"];
        let mut with_alias = 0;
        for id in template.of_type("AWS::Serverless::Function") {
            let own = &template.root["Resources"][id]["Properties"];
            if own.get("AutoPublishAlias").is_none() {
                continue;
            }
            with_alias += 1;
            let describes = own["VersionDescription"]["Fn::Sub"].as_str().unwrap_or_default();
            let variables = [globals, &own["Environment"]["Variables"]];
            let values = variables.into_iter().filter_map(Value::as_object).flat_map(Map::values);
            for name in values.filter_map(|value| value["Ref"].as_str()).chain(["Tracing"]) {
                if template.parameter(name).is_some() {
                    assert!(describes.contains(&format!("${{{name}}}")), "{id}: {name}");
                }
            }
        }
        assert!(with_alias >= 3);
    }

    #[test]
    fn rows_by_which_api_keys_are_known_are_the_authorizers_and_the_apis_alone() {
        let reaches = |function: &FunctionSpec, action: &str| {
            let need = Need {
                action: format!("dynamodb:{action}"),
                resource: "arn:aws:dynamodb:us-east-1:000000000000:table/local-BookingsTable".to_owned(),
                context: BTreeMap::from([("dynamodb:LeadingKeys", vec!["KEY#1".to_owned()])]),
            };
            function.policy.allows(&need).is_some()
        };
        let functions = real().functions().unwrap();
        for (action, expected) in [
            ("GetItem", vec!["authorizer", "booking-api"]),
            ("BatchGetItem", vec!["booking-api"]),
            ("PutItem", vec!["booking-api"]),
            ("UpdateItem", vec!["authorizer"]),
            ("DeleteItem", vec![]),
        ] {
            let who = functions.iter().filter(|function| reaches(function, action));
            assert_eq!(who.map(|function| function.name.as_str()).collect::<Vec<_>>(), expected, "{action}");
        }
    }

    #[test]
    fn what_a_condition_leaves_out_is_not_there() {
        let text = "Parameters: { Logs: { Type: String, Default: create } }\n\
                    Conditions: { Create: !Equals [!Ref Logs, create], Else: !Not [!Equals [!Ref Logs, create]] }\n\
                    Resources: { A: { Type: 'AWS::SQS::Queue', Condition: Create }, \
                    B: { Type: 'AWS::SQS::Queue', Condition: Else }, C: { Type: 'AWS::SQS::Queue' } }";
        for (logs, expected) in [("create", ["A", "C"]), ("none", ["B", "C"])] {
            let given = BTreeMap::from([("Logs".to_owned(), logs.to_owned())]);
            let template = Template::parse(text, &given).unwrap();
            assert_eq!(template.of_type("AWS::SQS::Queue").collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_path() {
        for (text, expected) in [
            ("Mappings: {}", "template: Mappings: not understood locally"),
            (
                "Resources: { Pipe: { Type: 'AWS::Pipes::Pipe' } }",
                "template: Resources.Pipe: resource type \"AWS::Pipes::Pipe\" cannot run locally",
            ),
            (
                "Resources: { Q: { Type: 'AWS::SQS::Queue', Condition: X } }",
                "template: Conditions.X: not understood locally",
            ),
            ("Parameters: { From: { Type: String } }", "template: Parameters.From: has no default"),
            (
                "Resources: { F: { Type: 'AWS::Serverless::Function', Properties: { CodeUri: a, Events: \
                 { E: { Type: S3, Properties: {} } } } } }",
                "template: Resources.F.Properties.Events.E: event source S3 cannot run locally",
            ),
            (
                "Resources: { Q: { Type: 'AWS::SQS::Queue', Properties: { VisibilityTimeout: !Select [1, [1, 2]] } } }",
                "template: Resources.Q.Properties.VisibilityTimeout: Fn::Select is not understood locally",
            ),
        ] {
            let problem = problem(text);
            assert!(problem.starts_with(expected), "{problem}");
        }
        let unknown =
            problem("Resources: { Q: { Type: 'AWS::SQS::Queue', Properties: { FifoQueue: true } } }");
        assert!(
            unknown.starts_with("template: Resources.Q.Properties: unknown field `FifoQueue`"),
            "{unknown}"
        );
    }

    #[test]
    fn a_parameter_must_exist_and_be_allowed() {
        let mut wrong = given();
        wrong.insert("LogLevel".to_owned(), "loud".to_owned());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
        let error = Template::read(&path, &wrong).unwrap_err().to_string();
        assert_eq!(error, "template: Parameters.LogLevel: \"loud\" is not one of the allowed values");
    }
}
