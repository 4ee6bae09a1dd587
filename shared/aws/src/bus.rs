//! The bus on EventBridge: the events that integrations of the account listen to.

use app::ports::{OnBus, PortError, PublishEvents};
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use aws_types::SdkConfig;
use domain::event::Event;

use crate::error::{PASSING, QUOTA, THROTTLED, port_error};

/// What rules know our events by: their `source`.
pub const SOURCE: &str = "booking-notifications";

/// [`PublishEvents`]. Needs `events:PutEvents` on the bus.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    name: String,
}

impl Bus {
    /// The bus of this name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    fn entry(&self, event: &Event) -> Result<PutEventsRequestEntry, PortError> {
        let detail = serde_json::to_string(event).map_err(|error| PortError::Permanent {
            operation: "describing an event",
            source: error.into(),
        })?;
        Ok(PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(event.kind.name())
            .detail(detail)
            .time(DateTime::from_secs(event.at.as_second()))
            .build())
    }
}

impl PublishEvents for Bus {
    /// One PutEvents, whose answer speaks of each event: <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>.
    async fn publish(&self, events: &[&Event]) -> Result<Vec<OnBus>, PortError> {
        let entries = events.iter().map(|event| self.entry(event)).collect::<Result<Vec<_>, _>>()?;
        let answer = self
            .client
            .put_events()
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| port_error("putting events on the bus", error))?;
        let mut said = answer.entries.unwrap_or_default().into_iter().map(|entry| match entry.error_code {
            None => OnBus::Taken,
            Some(code) if may_pass(&code) => OnBus::Again,
            Some(code) => OnBus::Refused(format!("{code}: {}", entry.error_message.unwrap_or_default())),
        });
        // One of which nothing is said is not known to be there.
        Ok(events.iter().map(|_| said.next().unwrap_or(OnBus::Again)).collect())
    }
}

/// Whether an error is no fault of the event.
fn may_pass(code: &str) -> bool {
    [THROTTLED, QUOTA, PASSING].iter().any(|codes| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use testkit::recorded::Recorded;

    use super::*;
    use crate::connect::for_providers;
    use crate::testing::config;

    fn event(id: &str) -> Event {
        let text = r#"{"id":"ID","type":"booking.created","at":"2026-11-20T12:00:00Z","business_id":"b","data":{"id":"k"}}"#;
        serde_json::from_str(&text.replace("ID", id)).unwrap()
    }

    async fn published(answer: (u16, &str)) -> (Result<Vec<OnBus>, PortError>, serde_json::Value) {
        let service = Recorded::answering(&[answer]);
        let bus = Bus::new(&for_providers(&config(&service)), "local-events".to_owned());
        let events = [event("e1"), event("e2"), event("e3")];
        let said = bus.publish(&events.iter().collect::<Vec<_>>()).await;
        (said, serde_json::from_str(&service.asked()[0].body).unwrap())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_event_is_the_detail_of_an_entry_with_its_type_and_our_source() {
        let answer = r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"},{"EventId":"2"},{"EventId":"3"}]}"#;
        let (said, asked) = published((200, answer)).await;
        assert_eq!(said.unwrap(), [OnBus::Taken, OnBus::Taken, OnBus::Taken]);
        let entry = &asked["Entries"][0];
        assert_eq!(entry["EventBusName"], "local-events");
        assert_eq!((&entry["Source"], &entry["DetailType"]), (&SOURCE.into(), &"booking.created".into()));
        let detail: Event = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        assert_eq!(detail, event("e1"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn each_entry_is_judged_by_its_own_answer() {
        let answer = r#"{"FailedEntryCount":2,"Entries":[{"EventId":"1"},
            {"ErrorCode":"ThrottlingException","ErrorMessage":"Rate exceeded"},
            {"ErrorCode":"MalformedDetail","ErrorMessage":"Detail is malformed."}]}"#;
        let refused = OnBus::Refused("MalformedDetail: Detail is malformed.".to_owned());
        assert_eq!(published((200, answer)).await.0.unwrap(), [OnBus::Taken, OnBus::Again, refused]);
        let short = r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#;
        assert_eq!(published((200, short)).await.0.unwrap(), [OnBus::Taken, OnBus::Again, OnBus::Again]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_call_that_fails_is_none_of_its_events_fault() {
        let failed = published((500, r#"{"__type":"InternalException"}"#)).await.0;
        assert!(failed.is_err());
    }
}
