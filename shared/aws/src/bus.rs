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
