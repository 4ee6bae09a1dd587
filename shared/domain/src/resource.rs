//! Resources and services: what is booked, and how much of it there is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{BookingId, BusinessId, LocationId, ResourceId, ServiceId, StaffId};
use crate::money::Money;
use crate::notification_type::NotificationType;
use crate::rule::{Rule, RulesByType};
use crate::text::Name;
use crate::timing::Interval;

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A person who serves clients.
    Specialist,
    /// A machine or tool.
    Equipment,
    /// A room or table.
    Room,
}

/// A specialist, a piece of equipment or a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resource {
    /// Whose it is.
    pub business_id: BusinessId,
    /// The id.
    pub id: ResourceId,
    /// Where it is.
    pub location_id: LocationId,
    /// The name clients know it by.
    pub name: Name,
    /// What it is.
    pub kind: ResourceKind,
    /// How many bookings it takes at a time, 1 or more.
    pub capacity: u32,
    /// The staff members who serve with it: the specialist, whoever runs the machine. At most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staff_ids: Vec<StaffId>,
    /// Rules of its own, the latest last (S58).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Overrides>,
}

/// A resource's own rules from one version of the business's rules on. A booking is planned by those of its own version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Overrides {
    /// From which version on.
    pub since: u64,
    /// The rules, by type; other types follow the resource's kind and the business.
    pub rules: RulesByType,
}

/// How many versions of its overrides a resource keeps: bookings older than that are planned by the oldest.
pub const OVERRIDES: usize = 5;

impl Resource {
    /// The resource's own rule for a type, for bookings planned by `version`.
    pub fn rule(&self, kind: NotificationType, version: u64) -> Option<&Rule> {
        let reached = self.overrides.iter().rev().find(|overrides| overrides.since <= version);
        reached.or(self.overrides.first())?.rules.get(&kind)
    }

    /// The resource with these rules of its own from `version` on.
    pub fn overridden(mut self, rules: RulesByType, version: u64) -> Self {
        if self.overrides.is_empty() && version > 0 {
            // Bookings of before this version had none.
            self.overrides.push(Overrides { since: 0, rules: RulesByType::new() });
        }
        self.overrides.retain(|overrides| overrides.since < version);
        self.overrides.push(Overrides { since: version, rules });
        let excess = self.overrides.len().saturating_sub(OVERRIDES);
        self.overrides.drain(..excess);
        self
    }
}

/// What is booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// Whose it is.
    pub business_id: BusinessId,
    /// The id.
    pub id: ServiceId,
    /// The name clients know it by.
    pub name: Name,
    /// How long a visit takes, in minutes.
    pub duration_minutes: u32,
    /// Its price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// How long after a visit clients are invited again (S75); none means not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebooking_after: Option<Interval>,
}

/// One booking's hold on a resource: from `start` up to, not including, `end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Who holds it.
    pub booking_id: BookingId,
    /// First instant held (UTC).
    pub start: Timestamp,
    /// First instant free again (UTC).
    pub end: Timestamp,
}

/// Everything that holds a resource on one UTC day: the guard against overlapping bookings. A booking over midnight
/// stands in each day it touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceDay {
    /// Whose resource.
    pub business_id: BusinessId,
    /// The resource.
    pub resource_id: ResourceId,
    /// The UTC day.
    pub day: jiff::civil::Date,
    /// The holds, in no order.
    pub slots: Vec<Slot>,
}

impl ResourceDay {
    /// A day nothing is booked on.
    pub fn empty(business_id: BusinessId, resource_id: ResourceId, day: jiff::civil::Date) -> Self {
        Self { business_id, resource_id, day, slots: Vec::new() }
    }

    /// The most holds a day takes, so that it stays well below DynamoDB's 400 KB for an item.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
    const MOST: usize = 2500;

    /// Adds a hold, replacing an older one of the same booking. `false`, and nothing changed, when more than `capacity` bookings
    /// would hold the resource at some instant.
    pub fn hold(&mut self, slot: Slot, capacity: u32) -> bool {
        let others: Vec<&Slot> = self
            .slots
            .iter()
            .filter(|other| {
                other.booking_id != slot.booking_id && other.start < slot.end && slot.start < other.end
            })
            .collect();
        // The number of holds at a time rises only where one starts.
        let most = others
            .iter()
            .map(|at| others.iter().filter(|other| other.start <= at.start && at.start < other.end).count())
            .max()
            .unwrap_or(0);
        if most >= usize::try_from(capacity).unwrap_or(usize::MAX) || self.slots.len() >= Self::MOST {
            return false;
        }
        self.release(&slot.booking_id);
        self.slots.push(slot);
        true
    }

    /// Takes a booking's hold away, if there is one.
    pub fn release(&mut self, booking_id: &BookingId) {
        self.slots.retain(|slot| &slot.booking_id != booking_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(id: &str, from: &str, to: &str) -> Slot {
        let at = |time: &str| format!("2026-11-22T{time}:00Z").parse().unwrap();
        Slot { booking_id: id.parse().unwrap(), start: at(from), end: at(to) }
    }

    fn day(slots: Vec<Slot>) -> ResourceDay {
        let mut day =
            ResourceDay::empty("b".parse().unwrap(), "r".parse().unwrap(), "2026-11-22".parse().unwrap());
        day.slots = slots;
        day
    }

    #[test]
    fn overlapping_holds_are_refused_beyond_the_capacity() {
        let mut one = day(vec![slot("a", "10:00", "11:00")]);
        assert!(!one.hold(slot("b", "10:30", "11:30"), 1));
        assert_eq!(one.slots.len(), 1, "a refused hold changes nothing");
        assert!(one.hold(slot("b", "11:00", "12:00"), 1), "back to back is no overlap");
        assert!(!one.hold(slot("c", "10:30", "11:30"), 1));
        assert!(
            one.hold(slot("c", "10:30", "11:30"), 2),
            "a and b follow one another, so a second place is free"
        );
        assert!(!one.hold(slot("d", "10:45", "10:50"), 2));
    }

    /// A resource whose own rules name the version they were made at, by the number of hours of the only reminder.
    fn overridden_at(versions: &[u64]) -> Resource {
        let json = r#"{"business_id":"b","id":"r","location_id":"l","name":"Marta","kind":"specialist","capacity":1}"#;
        let resource: Resource = serde_json::from_str(json).unwrap();
        versions.iter().fold(resource, |resource, version| {
            let rule = format!(
                r#"{{"enabled":true,"steps":[{{"timing":"{}h before start","channels":["sms"]}}]}}"#,
                version + 1
            );
            let rules = [(NotificationType::Reminder, serde_json::from_str(&rule).unwrap())].into();
            resource.overridden(rules, *version)
        })
    }

    fn hours_by(resource: &Resource, version: u64) -> Option<String> {
        resource.rule(NotificationType::Reminder, version).map(|rule| rule.steps[0].timing.to_string())
    }

    #[test]
    fn s58_s59_a_booking_has_the_rules_of_its_own_version_of_the_resource() {
        let resource = overridden_at(&[3, 5]);
        let hours: Vec<Option<String>> = (2..=6).map(|version| hours_by(&resource, version)).collect();
        let of = |hours| Some(format!("{hours}h before start"));
        assert_eq!(hours, [None, of(4), of(4), of(6), of(6)], "before the third version it had none");
        assert_eq!(
            resource.rule(NotificationType::BookingCreated, 5),
            None,
            "of other types it says nothing"
        );
        assert_eq!(hours_by(&overridden_at(&[0]), 0), of(1), "made with the first version of the rules");
        assert_eq!(hours_by(&overridden_at(&[]), 5), None);
        assert_eq!(hours_by(&overridden_at(&[3, 3]), 2), None);
        assert_eq!(overridden_at(&[3, 3]).overrides.len(), 2, "the later of one version stands for both");
    }

    #[test]
    fn s58_a_resource_keeps_the_latest_of_its_rules_and_old_bookings_go_by_the_oldest_kept() {
        let resource = overridden_at(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(resource.overrides.len(), OVERRIDES);
        assert_eq!(hours_by(&resource, 7).unwrap(), "8h before start");
        assert_eq!(hours_by(&resource, 3).unwrap(), "4h before start");
        assert_eq!(hours_by(&resource, 0).unwrap(), "4h before start");
    }

    #[test]
    fn moving_a_booking_frees_its_old_hold() {
        let mut day = day(vec![slot("a", "10:00", "11:00")]);
        assert!(day.hold(slot("a", "10:30", "11:30"), 1));
        assert_eq!(day.slots, vec![slot("a", "10:30", "11:30")]);
        day.release(&"a".parse().unwrap());
        assert!(day.slots.is_empty());
    }
}
