//! Topics, event destinations and log subscriptions: what brings feedback to the functions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Template, is_email_subscription, path_of, physical_name, scalar};
use crate::error::StackError;

/// An SNS topic with the queues that listen to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name in the template.
    pub logical_id: String,
    /// Its ARN.
    pub arn: String,
    /// Who gets its messages.
    pub subscriptions: Vec<Subscription>,
}

/// A queue that listens to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The subscription's name in the template.
    pub logical_id: String,
    /// The queue's ARN.
    pub queue_arn: String,
    /// Whether the queue gets the message as it is, not wrapped in SNS's own JSON.
    pub raw: bool,
}

/// Where an SES configuration set publishes its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDestination {
    /// The configuration set's name.
    pub configuration_set: String,
    /// The topic's ARN.
    pub topic_arn: String,
    /// The types it takes, in lower case: `send`, `delivery`, `bounce`, `complaint`, `reject`, `open`, ….
    pub types: Vec<String>,
}

/// A function that gets the lines of a log group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSubscription {
    /// The subscription filter's name.
    pub name: String,
    /// The log group's name.
    pub log_group: String,
    /// The function's ARN.
    pub function_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SubscriptionProperties {
    topic_arn: String,
    protocol: String,
    endpoint: String,
    #[serde(default)]
    raw_message_delivery: bool,
    #[serde(rename = "RedrivePolicy")]
    _redrive_policy: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EventDestinationProperties {
    configuration_set_name: String,
    event_destination: EventDestinationSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EventDestinationSettings {
    #[serde(rename = "Name")]
    _name: Option<IgnoredAny>,
    #[serde(default)]
    enabled: bool,
    matching_event_types: Vec<String>,
    sns_destination: SnsDestination,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SnsDestination {
    #[serde(rename = "TopicARN")]
    topic_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct LogSubscriptionProperties {
    log_group_name: String,
    filter_pattern: String,
    filter_name: Option<String>,
    destination_arn: String,
}

impl Template {
    /// The topics with their subscriptions.
    ///
    /// # Errors
    /// A property is unknown or wrong, or a subscription is not for a queue.
    pub fn topics(&self) -> Result<Vec<Topic>, StackError> {
        let mut subscriptions: BTreeMap<String, Vec<Subscription>> = BTreeMap::new();
        for id in self.of_type("AWS::SNS::Subscription") {
            if is_email_subscription(&self.root["Resources"][id]) {
                continue;
            }
            let properties: SubscriptionProperties = self.properties(id)?;
            if properties.protocol != "sqs" {
                let at = format!("{}.Protocol", path_of(id));
                return Err(StackError::template(at, "only sqs runs locally"));
            }
            subscriptions.entry(properties.topic_arn).or_default().push(Subscription {
                logical_id: id.to_owned(),
                queue_arn: properties.endpoint,
                raw: properties.raw_message_delivery,
            });
        }
        let topics = self
            .of_type("AWS::SNS::Topic")
            .map(|id| {
                if self.root["Resources"][id]["Properties"].get("Subscription").is_some() {
                    let at = format!("{}.Subscription", path_of(id));
                    return Err(StackError::template(at, "write an AWS::SNS::Subscription instead"));
                }
                let arn = self.reference(id, &path_of(id))?;
                let subscriptions = subscriptions.remove(&arn).unwrap_or_default();
                Ok(Topic { logical_id: id.to_owned(), arn, subscriptions })
            })
            .collect::<Result<_, _>>()?;
        match subscriptions.into_iter().next() {
            Some((topic, of)) => {
                let id = of.first().map(|one| one.logical_id.as_str()).unwrap_or_default();
                let at = format!("{}.TopicArn", path_of(id));
                Err(StackError::template(at, format!("{topic} is no topic of the template")))
            }
            None => Ok(topics),
        }
    }

    /// The names of the SES configuration sets.
    ///
    /// # Errors
    /// A name is not a text.
    pub fn configuration_sets(&self) -> Result<Vec<String>, StackError> {
        self.of_type("AWS::SES::ConfigurationSet").map(|id| self.reference(id, &path_of(id))).collect()
    }

    /// The event destinations that are switched on.
    ///
    /// # Errors
    /// A property is unknown or wrong, or a destination is not a topic.
    pub fn event_destinations(&self) -> Result<Vec<EventDestination>, StackError> {
        let mut destinations = Vec::new();
        for id in self.of_type("AWS::SES::ConfigurationSetEventDestination") {
            let properties: EventDestinationProperties = self.properties(id)?;
            let settings = properties.event_destination;
            if settings.enabled {
                destinations.push(EventDestination {
                    configuration_set: properties.configuration_set_name,
                    topic_arn: settings.sns_destination.topic_arn,
                    types: settings.matching_event_types.iter().map(|kind| kind.to_lowercase()).collect(),
                });
            }
        }
        Ok(destinations)
    }

    /// The log subscriptions. Only those of all lines can run.
    ///
    /// # Errors
    /// A property is unknown or wrong.
    pub fn log_subscriptions(&self) -> Result<Vec<LogSubscription>, StackError> {
        self.of_type("AWS::Logs::SubscriptionFilter")
            .map(|id| {
                let properties: LogSubscriptionProperties = self.properties(id)?;
                if !properties.filter_pattern.is_empty() {
                    let at = format!("{}.FilterPattern", path_of(id));
                    return Err(StackError::template(
                        at,
                        "only an empty pattern, for all lines, runs locally",
                    ));
                }
                Ok(LogSubscription {
                    name: properties.filter_name.unwrap_or_else(|| physical_name(id)),
                    log_group: properties.log_group_name,
                    function_arn: properties.destination_arn,
                })
            })
            .collect()
    }

    /// The name a resource gives itself in `property`, or the one CloudFormation would make up.
    pub(super) fn given_name(&self, id: &str, property: &str, path: &str) -> Result<String, StackError> {
        match self.root["Resources"][id]["Properties"].get(property) {
            None => Ok(physical_name(id)),
            Some(name) => {
                let at = format!("{}.{property}", path_of(id));
                let name = self.resolve(name, path)?;
                scalar(&name).ok_or_else(|| StackError::template(at, "not a text"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::arn_of;

    const TEMPLATE: &str = r#"
Resources:
  FeedbackTopic:
    Type: AWS::SNS::Topic
  FeedbackQueue:
    Type: AWS::SQS::Queue
  FeedbackPolicy:
    Type: AWS::SQS::QueuePolicy
    Properties: { Queues: [!Ref FeedbackQueue] }
  ToQueue:
    Type: AWS::SNS::Subscription
    Properties:
      TopicArn: !Ref FeedbackTopic
      Protocol: sqs
      Endpoint: !GetAtt FeedbackQueue.Arn
      RawMessageDelivery: true
  EmailEvents:
    Type: AWS::SES::ConfigurationSet
    Properties: { Name: !Sub "${AWS::StackName}-email" }
  ToTopic:
    Type: AWS::SES::ConfigurationSetEventDestination
    Properties:
      ConfigurationSetName: !Ref EmailEvents
      EventDestination:
        Enabled: true
        MatchingEventTypes: [send, delivery, BOUNCE]
        SnsDestination: { TopicARN: !Ref FeedbackTopic }
  SmsLog:
    Type: AWS::Logs::LogGroup
    Properties: { LogGroupName: !Sub "sns/${AWS::Region}/${AWS::AccountId}/DirectPublishToPhoneNumber" }
  SmsLogLines:
    Type: AWS::Logs::SubscriptionFilter
    DependsOn: SmsLog
    Properties:
      LogGroupName: !Ref SmsLog
      FilterPattern: ""
      DestinationArn: !GetAtt Feedback.Arn
  LogsMay:
    Type: AWS::Lambda::Permission
    Properties: { FunctionName: !Ref Feedback }
  Feedback:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/feedback
      Environment: { Variables: { SET: !Ref EmailEvents } }
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt FeedbackQueue.Arn } }
      Events:
        Sweep:
          Type: ScheduleV2
          Properties: { ScheduleExpression: rate(15 minutes) }
        Nightly:
          Type: Schedule
          Properties: { Schedule: cron(0 3 * * ? *), Input: '{"a":1}' }
        Off:
          Type: ScheduleV2
          Properties: { ScheduleExpression: rate(1 hour), State: DISABLED }
        Open:
          Type: HttpApi
          Properties: { Method: POST, Path: "/telegram/{business_id}", Auth: { Authorizer: NONE } }
"#;

    const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:local-FeedbackTopic";
    const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:local-FeedbackQueue";

    fn template(text: &str) -> Template {
        Template::parse(text, &BTreeMap::new()).unwrap()
    }

    #[test]
    fn feedback_is_followed_from_its_source_to_the_function() {
        let template = template(TEMPLATE);
        let [topic] = &template.topics().unwrap()[..] else { panic!("not one topic") };
        assert_eq!(topic.arn, TOPIC);
        assert_eq!((topic.subscriptions[0].queue_arn.as_str(), topic.subscriptions[0].raw), (QUEUE, true));
        assert_eq!(template.configuration_sets().unwrap(), ["local-email"]);
        assert_eq!(
            template.event_destinations().unwrap(),
            [EventDestination {
                configuration_set: "local-email".to_owned(),
                topic_arn: TOPIC.to_owned(),
                types: ["send", "delivery", "bounce"].map(str::to_owned).to_vec(),
            }]
        );
        let [logs] = &template.log_subscriptions().unwrap()[..] else { panic!("not one filter") };
        assert_eq!(logs.log_group, "sns/us-east-1/000000000000/DirectPublishToPhoneNumber");
        assert_eq!(logs.name, "local-SmsLogLines");
        assert_eq!(logs.function_arn, arn_of("lambda", "function:local-Feedback"));
    }

    #[test]
    fn a_function_may_be_called_by_the_clock_and_by_anyone() {
        let function = template(TEMPLATE).functions().unwrap().remove(0);
        let schedules: Vec<_> =
            function.schedules.iter().map(|s| (s.name.as_str(), s.expression.as_str(), s.is_rule)).collect();
        assert_eq!(schedules, [("Nightly", "cron(0 3 * * ? *)", true), ("Sweep", "rate(15 minutes)", false)]);
        assert_eq!((function.async_retries, function.async_on_failure.as_deref()), (1, Some(QUEUE)));
        assert_eq!(function.environment["SET"], "local-email");
        assert_eq!(function.routes[0].authorizer, None);
    }

    #[test]
    fn feedback_that_cannot_be_played_is_refused() {
        for (from, to, expected) in [
            (
                "Protocol: sqs",
                "Protocol: https",
                "Resources.ToQueue.Properties.Protocol: only sqs runs locally",
            ),
            (
                "TopicArn: !Ref FeedbackTopic",
                "TopicArn: arn:x",
                "Resources.ToQueue.Properties.TopicArn: arn:x is no topic of the template",
            ),
            ("RawMessageDelivery: true", "FilterPolicy: {}", "unknown field `FilterPolicy`"),
            (
                "FilterPattern: \"\"",
                "FilterPattern: \"{ $.status = FAILURE }\"",
                "Resources.SmsLogLines.Properties.FilterPattern: only an empty pattern",
            ),
            ("rate(15 minutes)", "every(15 minutes)", "every(15 minutes) is not a schedule expression"),
        ] {
            let template = template(&TEMPLATE.replace(from, to));
            let problem = template
                .topics()
                .map(drop)
                .and_then(|()| template.log_subscriptions().map(drop))
                .and_then(|()| template.functions().map(drop))
                .unwrap_err()
                .to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
