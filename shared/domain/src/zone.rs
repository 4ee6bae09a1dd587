//! IANA time zones and wall times within them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An IANA time zone that is known to exist, such as `Europe/Lisbon`. Serialized as its name.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = "time-zone", examples("Europe/Lisbon"))]
pub struct Zone(pub(crate) TimeZone);

/// Why a text is not a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an IANA time zone such as \"Europe/Lisbon\", got \"{0}\"")]
pub struct UnknownZone(String);

impl Zone {
    /// The IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The wall time in this zone at `instant`.
    pub fn at(&self, instant: Timestamp) -> Zoned {
        instant.to_zoned(self.0.clone())
    }

    /// The instant of a wall time in this zone. A wall time skipped by the clocks moves forward by the gap; one that
    /// happens twice is the first of the two. `None` beyond the years jiff can represent.
    pub fn instant(&self, wall: DateTime) -> Option<Timestamp> {
        self.0.to_ambiguous_timestamp(wall).compatible().ok()
    }
}

impl std::str::FromStr for Zone {
    type Err = UnknownZone;
    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        TimeZone::get(name)
            .ok()
            .filter(|zone| zone.iana_name().is_some_and(|name| name != "Factory"))
            .map(Self)
            .ok_or_else(|| UnknownZone(name.to_owned()))
    }
}

impl Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rstest::rstest;

    /// Zones that differ in offset, in hemisphere, in the size and the hour of the change of clocks, or that gave it up.
    pub(crate) const ZONES: [&str; 20] = [
        "Europe/Moscow",
        "America/Sao_Paulo",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/New_York",
        "Europe/Lisbon",
        "Asia/Tehran",
        "America/St_Johns",
        "Pacific/Chatham",
        "Africa/Cairo",
        "Europe/Berlin",
        "America/Santiago",
        "Asia/Beirut",
        "America/Havana",
        "Australia/Sydney",
        "America/Scoresbysund",
        "Antarctica/Troll",
        "Asia/Gaza",
    ];

    /// The instants at which a zone's clocks change, from 2020 to 2030.
    pub(crate) fn transitions(zone: &Zone) -> Vec<Timestamp> {
        let instant = |text: &str| text.parse::<Timestamp>().unwrap();
        let (from, until) = (instant("2020-01-01T00:00:00Z"), instant("2031-01-01T00:00:00Z"));
        zone.0.following(from).map(|change| change.timestamp()).take_while(|at| *at < until).collect()
    }

    #[rstest]
    #[case("Europe/Lisbon", "2026-03-29T01:30", "2026-03-29T01:30:00Z")] // skipped: read as 02:30 summer time
    #[case("Europe/Lisbon", "2026-10-25T01:30", "2026-10-25T00:30:00Z")] // twice: the first
    #[case("Asia/Kathmandu", "2026-01-01T00:00", "2025-12-31T18:15:00Z")]
    #[case("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45:00Z")] // half-hour gap
    fn wall_times_resolve_in_the_zone(#[case] zone: &str, #[case] wall: &str, #[case] expected: Timestamp) {
        let zone: Zone = zone.parse().unwrap();
        assert_eq!(zone.instant(wall.parse().unwrap()), Some(expected));
    }

    #[test]
    fn an_unknown_zone_is_named_in_the_error() {
        let error = "Mars/Olympus".parse::<Zone>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected an IANA time zone such as \"Europe/Lisbon\", got \"Mars/Olympus\""
        );
    }
}
