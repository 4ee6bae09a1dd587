//! Everything a judgement about a booking's messages is made from.

use crate::booking::Booking;
use crate::business::{Business, Locale, Location};
use crate::client::Client;
use crate::ids::ClientId;
use crate::quiet_hours::QuietHours;
use crate::resource::{Resource, Service};
use crate::rule::Rules;
use crate::zone::Zone;

/// A booking with everything around it, as it is now.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The tenant.
    pub business: Business,
    /// Its rules.
    pub rules: Rules,
    /// Where the visit is.
    pub location: Location,
    /// Whom or what it takes up.
    pub resource: Resource,
    /// What it is for.
    pub service: Service,
    /// The booking.
    pub booking: Booking,
    /// Its participants, as far as they exist.
    pub clients: Vec<Client>,
}

impl Facts {
    /// A participant.
    pub fn client(&self, id: &ClientId) -> Option<&Client> {
        self.clients.iter().find(|client| &client.id == id)
    }

    /// The zone whose night a client's messages respect: the client's, else that of the booking, which is
    /// the location's, or where it has none the business's.
    pub fn quiet_zone<'a>(&'a self, client: &'a Client) -> &'a Zone {
        client.zone.as_ref().unwrap_or(&self.booking.zone)
    }

    /// The quiet hours that hold here: the location's, else the business's.
    pub fn quiet_hours(&self) -> Option<&QuietHours> {
        self.location.quiet_hours.as_ref().or(self.business.quiet_hours.as_ref())
    }

    /// The language to write to a client in.
    pub fn locale(&self, client: &Client) -> Locale {
        client.locale.unwrap_or(self.business.locale)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::booking::tests::booking;

    /// A salon in Lisbon with the default rules, sms taken, quiet from 23:00 to 08:00, and one client with phone, e-mail and a device.
    pub(crate) fn salon() -> Facts {
        let read = |json: &str| serde_json::from_str(json).unwrap();
        Facts {
            business: read(
                r#"{"id":"b","name":"Salon Aurora","zone":"Europe/Lisbon","locale":"en","sms_enabled":true,
                    "quiet_hours":{"from":"23:00","until":"08:00"}}"#,
            ),
            rules: Rules::defaults("b".parse().unwrap()),
            location: serde_json::from_str(r#"{"business_id":"b","id":"l","name":"Chiado","zone":"Europe/Lisbon"}"#).unwrap(),
            resource: serde_json::from_str(
                r#"{"business_id":"b","id":"r","location_id":"l","name":"Marta","kind":"specialist","capacity":1}"#,
            )
            .unwrap(),
            service: serde_json::from_str(r#"{"business_id":"b","id":"s","name":"Haircut","duration_minutes":60}"#).unwrap(),
            booking: booking(),
            clients: vec![
                serde_json::from_str(
                    r#"{"business_id":"b","id":"c","name":"Ana","phone":"+351912345678","email":"ana@example.com",
                        "devices":[{"id":"d","platform":"fcm","token":"t"}]}"#,
                )
                .unwrap(),
            ],
        }
    }
}
