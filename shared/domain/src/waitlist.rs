//! The waitlist: clients who wait for a time to come free.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{BusinessId, ClientId, LocationId, OccasionId, ResourceId, ServiceId, WaitlistEntryId};

/// A client's place on the waitlist. Who came first is asked first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitlistEntry {
    /// Whose waitlist.
    pub business_id: BusinessId,
    /// The id; ids sort by the time of making.
    pub id: WaitlistEntryId,
    /// Who waits.
    pub client_id: ClientId,
    /// Where.
    pub location_id: LocationId,
    /// What for.
    pub service_id: ServiceId,
    /// With whom; none means with anybody at the location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// The earliest start that suits (UTC).
    pub from: Timestamp,
    /// The latest start that suits (UTC).
    pub until: Timestamp,
    /// How it stands.
    pub status: WaitlistStatus,
    /// The offer that is out, or was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<OccasionId>,
}

/// How a place on the waitlist stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitlistStatus {
    /// Waits for a time.
    Waiting,
    /// A time is held for the client.
    Offered,
    /// The client took one.
    Booked,
    /// The client did not take the one that was offered, or gave up the place.
    Closed,
}

impl WaitlistEntry {
    /// Whether a time that has come free suits.
    pub fn suits(
        &self,
        location_id: &LocationId,
        resource_id: &ResourceId,
        start: Timestamp,
        now: Timestamp,
    ) -> bool {
        self.status == WaitlistStatus::Waiting
            && self.location_id == *location_id
            && self.resource_id.as_ref().is_none_or(|wanted| wanted == resource_id)
            && self.from <= start
            && start <= self.until
            && now < start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::all_fits("l", "r", "2026-11-23T10:00:00Z", "waiting", true)]
    #[case::first_start_that_suits("l", "r", "2026-11-23T09:00:00Z", "waiting", true)]
    #[case::last_start_that_suits("l", "r", "2026-11-23T18:00:00Z", "waiting", true)]
    #[case::too_early("l", "r", "2026-11-23T08:59:59Z", "waiting", false)]
    #[case::too_late("l", "r", "2026-11-23T18:00:01Z", "waiting", false)]
    #[case::another_location("l2", "r", "2026-11-23T10:00:00Z", "waiting", false)]
    #[case::another_resource("l", "r2", "2026-11-23T10:00:00Z", "waiting", false)]
    #[case::has_an_offer("l", "r", "2026-11-23T10:00:00Z", "offered", false)]
    #[case::has_a_booking("l", "r", "2026-11-23T10:00:00Z", "booked", false)]
    #[case::gave_up("l", "r", "2026-11-23T10:00:00Z", "closed", false)]
    fn a_free_time_suits_who_waits_for_it(
        #[case] location: &str,
        #[case] resource: &str,
        #[case] start: Timestamp,
        #[case] status: &str,
        #[case] suits: bool,
    ) {
        let json = format!(
            r#"{{"business_id":"b","id":"e","client_id":"c","location_id":"l","service_id":"s","resource_id":"r",
                "from":"2026-11-23T09:00:00Z","until":"2026-11-23T18:00:00Z","status":"{status}"}}"#
        );
        let entry: WaitlistEntry = serde_json::from_str(&json).unwrap();
        let (location, resource) = (location.parse().unwrap(), resource.parse().unwrap());
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(entry.suits(&location, &resource, start, now), suits);
        assert!(!entry.suits(&location, &resource, start, start), "it has begun");
        let with_anybody = WaitlistEntry { resource_id: None, ..entry };
        assert_eq!(
            with_anybody.suits(&location, &"r9".parse().unwrap(), start, now),
            suits || resource.as_str() == "r2"
        );
    }
}
