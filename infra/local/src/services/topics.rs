//! SNS topics: what is published goes to the queues that the template subscribes.

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::Services;
use super::text::milliseconds;

impl Services {
    /// The ARN of a topic by its logical id, name or ARN; without one the template's only topic that a queue listens to.
    ///
    /// # Errors
    /// There is none, or it is not said which.
    pub(super) fn topic(&self, wanted: Option<&str>) -> Result<String, String> {
        let topics = &self.config.topics;
        let found = match wanted {
            Some(wanted) => topics.iter().find(|topic| {
                topic.logical_id == wanted
                    || topic.arn == wanted
                    || topic.arn.ends_with(&format!(":{wanted}"))
            }),
            None => {
                let mut heard = topics.iter().filter(|topic| !topic.subscriptions.is_empty());
                match (heard.next(), heard.next()) {
                    (_, Some(_)) => return Err("queues listen to several topics: say which".to_owned()),
                    (only, None) => only,
                }
            }
        };
        found.map(|topic| topic.arn.clone()).ok_or_else(|| match wanted {
            Some(wanted) => format!("there is no topic {wanted}"),
            None => "no queue listens to a topic".to_owned(),
        })
    }

    /// Puts a message into every queue that listens to a topic. One that does not take it is told in the log, since
    /// SNS tells its publishers nothing either.
    pub(super) async fn publish(&self, topic_arn: &str, message: &str) {
        let subscriptions = self
            .config
            .topics
            .iter()
            .filter(|topic| topic.arn == topic_arn)
            .flat_map(|topic| &topic.subscriptions);
        for subscription in subscriptions {
            let body = if subscription.raw {
                message.to_owned()
            } else {
                envelope(topic_arn, message, self.clock.now())
            };
            if let Err(problem) = self.queues.send(&subscription.queue_arn, body).await {
                tracing::warn!(topic_arn, problem, "a subscriber did not take a message");
            }
        }
    }
}

/// What a queue gets without raw delivery. Nobody can check the signature, so there is none.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html#http-notification-json>
fn envelope(topic_arn: &str, message: &str, at: Timestamp) -> String {
    json!({
        "Type": "Notification",
        "MessageId": Uuid::new_v4(),
        "TopicArn": topic_arn,
        "Message": message,
        "Timestamp": milliseconds(at),
        "SignatureVersion": "1",
        "Signature": "",
        "SigningCertURL": "",
        "UnsubscribeURL": "",
    })
    .to_string()
}
