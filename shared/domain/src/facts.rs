//! Everything a judgement about messages is made from.

use crate::booking::{Booking, Failure, Source};
use crate::business::{Business, Locale, Location};
use crate::campaign::Campaign;
use crate::channel::Channel;
use crate::client::Client;
use crate::ids::{ClientId, StaffId};
use crate::notification_type::NotificationType;
use crate::occasion::{About, Occasion};
use crate::quiet_hours::QuietHours;
use crate::recipient::{Person, Recipient};
use crate::resource::{Resource, Service};
use crate::rule::{Rule, Rules};
use crate::staff::StaffMember;
use crate::subject::SubjectId;
use crate::zone::Zone;

/// A booking or an occasion with everything around it, as it is now.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The tenant.
    pub business: Business,
    /// Its rules, at the version the subject is planned by.
    pub rules: Rules,
    /// What messages are planned from.
    pub subject: Subject,
    /// The campaign that an occasion belongs to.
    pub campaign: Option<Campaign>,
    /// Where; a booking always has one.
    pub location: Option<Location>,
    /// Whom or what the visit takes up; a booking always has one.
    pub resource: Option<Resource>,
    /// What the visit is for; a booking always has one.
    pub service: Option<Service>,
    /// The clients it is about, as far as they exist.
    pub clients: Vec<Client>,
    /// The staff who are told, as far as they exist.
    pub staff: Vec<StaffMember>,
}

/// What messages are planned from.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one of them at a time")]
pub enum Subject {
    /// A booking.
    Booking(Booking),
    /// An occasion, with the booking it refers to.
    Occasion(Occasion, Option<Booking>),
}

impl Facts {
    /// The subject's id.
    pub fn subject_id(&self) -> SubjectId {
        match &self.subject {
            Subject::Booking(booking) => SubjectId::Booking(booking.id.clone()),
            Subject::Occasion(occasion, _) => SubjectId::Occasion(occasion.id.clone()),
        }
    }

    /// The booking it is about.
    pub fn booking(&self) -> Option<&Booking> {
        match &self.subject {
            Subject::Booking(booking) => Some(booking),
            Subject::Occasion(_, booking) => booking.as_ref(),
        }
    }

    /// A recipient.
    pub fn person(&self, recipient: &Recipient) -> Option<Person<'_>> {
        match recipient {
            Recipient::Client(id) => self.clients.iter().find(|client| client.id == *id).map(Person::Client),
            Recipient::Staff(id) => self.staff.iter().find(|staff| staff.id == *id).map(Person::Staff),
        }
    }

    /// Whether it is a client of whom nothing is known any more.
    pub fn is_erased(&self, client_id: &ClientId) -> bool {
        self.clients.iter().any(|client| client.id == *client_id && client.erased_at.is_some())
    }

    /// The staff who serve, and the location's managers, each once.
    pub fn serving(&self) -> Vec<&StaffId> {
        let mut ids: Vec<&StaffId> = self.resource.iter().flat_map(|resource| &resource.staff_ids).collect();
        ids.extend(self.managers());
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The location's managers.
    pub fn managers(&self) -> impl Iterator<Item = &StaffId> {
        self.location.iter().flat_map(|location| &location.manager_ids)
    }

    /// The zone in whose wall times the subject is spoken of: that of the booking or of the offer, else the location's, else the business's.
    pub fn zone(&self) -> &Zone {
        let of_subject = match &self.subject {
            Subject::Occasion(Occasion { about: About::WaitlistOffer { zone, .. }, .. }, _) => Some(zone),
            _ => self.booking().map(|booking| &booking.zone),
        };
        let of_location = || self.location.as_ref().map(|location| location.zone_in(&self.business));
        of_subject.or_else(of_location).unwrap_or(&self.business.zone)
    }

    /// The zone whose night a person's messages respect: the person's own, else that of the subject.
    pub fn quiet_zone<'a>(&'a self, person: Person<'a>) -> &'a Zone {
        person.zone().unwrap_or(self.zone())
    }

    /// The quiet hours that hold here: the location's, else the business's.
    pub fn quiet_hours(&self) -> Option<&QuietHours> {
        let of_location = self.location.as_ref().and_then(|location| location.quiet_hours.as_ref());
        of_location.or(self.business.quiet_hours.as_ref())
    }

    /// The language to write to a person in.
    pub fn locale(&self, person: Person<'_>) -> Locale {
        person.locale().unwrap_or(self.business.locale)
    }

    /// Who made the booking, or wrote the occasion down.
    pub fn source(&self) -> Source {
        match &self.subject {
            Subject::Booking(booking) => booking.source,
            Subject::Occasion(occasion, _) => occasion.by,
        }
    }

    /// The messages of the subject that failed for certain.
    pub fn failures(&self) -> &[Failure] {
        match &self.subject {
            Subject::Booking(booking) => &booking.failures,
            Subject::Occasion(occasion, _) => &occasion.failures,
        }
    }

    /// The rule of the resource itself, where it has one (S58).
    pub fn rule_of_resource(&self, kind: NotificationType) -> Option<&Rule> {
        self.resource.as_ref()?.rule(kind, self.rules.version)
    }

    /// The rule of the resource's kind, where there is one (S57).
    pub fn rule_of_kind(&self, kind: NotificationType) -> Option<&Rule> {
        self.rules.of_kind(self.resource.as_ref()?.kind, kind)
    }

    /// The rule that prevails for a type, see [`Rules::prevailing`].
    pub fn rule(&self, kind: NotificationType) -> &Rule {
        let resource_kind = self.resource.as_ref().map(|resource| resource.kind);
        self.rules.prevailing(kind, resource_kind, self.rule_of_resource(kind)).1
    }

    /// The quiet hours that hold for a channel.
    pub fn quiet_hours_for(&self, channel: Channel) -> Option<&QuietHours> {
        self.quiet_hours().filter(|hours| hours.hold(channel))
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
            subject: Subject::Booking(booking()),
            campaign: None,
            location: serde_json::from_str(r#"{"business_id":"b","id":"l","name":"Chiado","zone":"Europe/Lisbon"}"#).unwrap(),
            resource: serde_json::from_str(
                r#"{"business_id":"b","id":"r","location_id":"l","name":"Marta","kind":"specialist","capacity":1}"#,
            )
            .unwrap(),
            service: serde_json::from_str(r#"{"business_id":"b","id":"s","name":"Haircut","duration_minutes":60}"#).unwrap(),
            clients: vec![
                serde_json::from_str(
                    r#"{"business_id":"b","id":"c","name":"Ana","phone":"+351912345678","email":"ana@example.com",
                        "devices":[{"id":"d","platform":"fcm","token":"t"}]}"#,
                )
                .unwrap(),
            ],
            staff: vec![],
        }
    }

    impl Facts {
        /// The booking, to be changed.
        pub(crate) fn booking_mut(&mut self) -> &mut Booking {
            match &mut self.subject {
                Subject::Booking(booking) => booking,
                Subject::Occasion(..) => panic!("an occasion"),
            }
        }

        /// The business's own rule for a type, to be changed.
        pub(crate) fn rule_mut(&mut self, kind: NotificationType) -> &mut Rule {
            self.rules.changed.entry(kind).or_insert_with(|| Rule::default_for(kind).clone())
        }
    }
}
