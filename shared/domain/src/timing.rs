//! Timings: when a message is due, as people say it.

use jiff::civil::Time;
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::zone::Zone;

/// When a message is due. Written, in the API and in the tables, as text:
///
/// - `immediately`
/// - `10m after` the event, `2h after`, `3d after`
/// - `24h before start`, `10m after start`, `2h after end`
/// - `at 09:00 on the day`, `at 18:00 1d before`
/// - `per service`: after the end, by the interval of the booking, else of the service
///
/// Minutes and hours are exact; days keep the wall time across a change of the clocks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Timing {
    /// As soon as the event happens.
    Immediately,
    /// So long after the event.
    After(Interval),
    /// So long before the visit starts.
    BeforeStart(Interval),
    /// So long after the visit should have started.
    AfterStart(Interval),
    /// So long after the visit ends.
    AfterEnd(Interval),
    /// At a wall time on the day of the visit or so many days (0 to 90) before it.
    AtLocal {
        /// Wall time at the location, to the minute.
        time: Time,
        /// Days before the day of the visit.
        days_before: u16,
    },
    /// After the visit ends, by the interval of the booking, else of the service (S41, S75).
    PerService,
}

/// A length of time in the unit it was given in: a minute to 366 days. Written as text: `10m`, `24h`, `21d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval {
    amount: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Minutes,
    Hours,
    Days,
}

/// The longest interval: 366 days, in minutes.
const LONGEST_MINUTES: u64 = 366 * 24 * 60;

/// Why a text is not a timing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a timing such as \"immediately\", \"10m after\", \"24h before start\", \"2h after end\", \
     \"at 09:00 on the day\", \"at 18:00 1d before\" or \"per service\" (1m to 366d), got \"{0}\""
)]
pub struct InvalidTiming(String);

/// What a timing is counted from.
#[derive(Debug, Clone, Copy)]
pub struct Anchors<'a> {
    /// When the event happened.
    pub event: Timestamp,
    /// When the visit starts.
    pub start: Timestamp,
    /// When the visit ends.
    pub end: Timestamp,
    /// The location's zone: whose wall times count.
    pub zone: &'a Zone,
    /// After how long clients of this booking are invited again, if at all.
    pub rebooking_after: Option<Interval>,
}

/// Why a text is not an interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a length of time such as \"10m\", \"24h\" or \"21d\" (1m to 366d)")]
pub struct InvalidInterval;

impl Timing {
    /// The instant this timing names, counted from `anchors`, or `None` where it names none: `per service` without an interval.
    /// Out-of-range dates (beyond year 9999) give the nearest anchor.
    pub fn resolve(&self, anchors: Anchors<'_>) -> Option<Timestamp> {
        let zone = anchors.zone;
        Some(match self {
            Timing::Immediately => anchors.event,
            Timing::After(interval) => interval.after(anchors.event, zone),
            Timing::BeforeStart(interval) => interval.before(anchors.start, zone),
            Timing::AfterStart(interval) => interval.after(anchors.start, zone),
            Timing::AfterEnd(interval) => interval.after(anchors.end, zone),
            Timing::AtLocal { time, days_before } => {
                let day = zone.at(anchors.start).date();
                day.checked_sub(Span::new().days(i64::from(*days_before)))
                    .ok()
                    .and_then(|day| zone.instant(day.to_datetime(*time)))
                    .unwrap_or(anchors.start)
            }
            Timing::PerService => anchors.rebooking_after?.after(anchors.end, zone),
        })
    }

    /// The instant it names for a visit on a day without a change of clocks: timings that agree on it are the same to people.
    pub(crate) fn on_a_sample_day(&self) -> Option<Timestamp> {
        let start = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365);
        let utc = Zone(jiff::tz::TimeZone::UTC);
        let event = Timestamp::UNIX_EPOCH;
        self.resolve(Anchors { event, start, end: start, zone: &utc, rebooking_after: None })
    }

    /// Whether the timing leads up to the visit, so that a booking made late can miss it.
    pub fn leads_up(&self) -> bool {
        matches!(self, Timing::BeforeStart(_) | Timing::AtLocal { .. })
    }
}

impl Interval {
    /// So many minutes, if that is at most 90 days and not zero.
    pub fn minutes(amount: u32) -> Option<Self> {
        Self::new(amount, Unit::Minutes)
    }

    fn new(amount: u32, unit: Unit) -> Option<Self> {
        let minutes = u64::from(amount)
            * match unit {
                Unit::Minutes => 1,
                Unit::Hours => 60,
                Unit::Days => 24 * 60,
            };
        (1..=LONGEST_MINUTES).contains(&minutes).then_some(Self { amount, unit })
    }

    fn exact(self) -> Option<SignedDuration> {
        let amount = i64::from(self.amount);
        match self.unit {
            Unit::Minutes => Some(SignedDuration::from_mins(amount)),
            Unit::Hours => Some(SignedDuration::from_hours(amount)),
            Unit::Days => None,
        }
    }

    fn after(self, instant: Timestamp, zone: &Zone) -> Timestamp {
        self.shift(instant, zone, 1)
    }

    fn before(self, instant: Timestamp, zone: &Zone) -> Timestamp {
        self.shift(instant, zone, -1)
    }

    fn shift(self, instant: Timestamp, zone: &Zone, sign: i32) -> Timestamp {
        let shifted = match self.exact() {
            Some(exact) => instant.checked_add(exact * sign),
            None => {
                let days = Span::new().days(i64::from(self.amount) * i64::from(sign));
                zone.at(instant).checked_add(days).map(|zoned| zoned.timestamp())
            }
        };
        shifted.unwrap_or(instant)
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self.unit {
            Unit::Minutes => 'm',
            Unit::Hours => 'h',
            Unit::Days => 'd',
        };
        write!(f, "{}{unit}", self.amount)
    }
}

impl std::fmt::Display for Timing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Timing::Immediately => f.write_str("immediately"),
            Timing::After(interval) => write!(f, "{interval} after"),
            Timing::BeforeStart(interval) => write!(f, "{interval} before start"),
            Timing::AfterStart(interval) => write!(f, "{interval} after start"),
            Timing::AfterEnd(interval) => write!(f, "{interval} after end"),
            Timing::AtLocal { time, days_before: 0 } => {
                write!(f, "at {:02}:{:02} on the day", time.hour(), time.minute())
            }
            Timing::AtLocal { time, days_before } => {
                write!(f, "at {:02}:{:02} {days_before}d before", time.hour(), time.minute())
            }
            Timing::PerService => f.write_str("per service"),
        }
    }
}

impl std::str::FromStr for Timing {
    type Err = InvalidTiming;
    fn from_str(text: &str) -> Result<Self, InvalidTiming> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let timing = match words.as_slice() {
            ["immediately"] => Some(Timing::Immediately),
            ["per", "service"] => Some(Timing::PerService),
            [length, "after"] => interval(length).map(Timing::After),
            [length, "before", "start"] => interval(length).map(Timing::BeforeStart),
            [length, "after", "start"] => interval(length).map(Timing::AfterStart),
            [length, "after", "end"] => interval(length).map(Timing::AfterEnd),
            ["at", time, "on", "the", "day"] => {
                wall_time(time).map(|time| Timing::AtLocal { time, days_before: 0 })
            }
            ["at", time, days, "before"] => wall_time(time).zip(interval(days)).and_then(|(time, days)| {
                let days_before = u16::try_from(days.amount).ok().filter(|_| days.unit == Unit::Days)?;
                Some(Timing::AtLocal { time, days_before })
            }),
            _ => None,
        };
        timing.ok_or_else(|| InvalidTiming(text.chars().take(60).collect()))
    }
}

fn interval(text: &str) -> Option<Interval> {
    let (amount, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "m" => Unit::Minutes,
        "h" => Unit::Hours,
        "d" => Unit::Days,
        _ => return None,
    };
    if !amount.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Interval::new(amount.parse().ok()?, unit)
}

/// Reads `HH:MM`, 00:00 to 23:59.
pub(crate) fn wall_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |part: &str| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<i8>().ok())
            .flatten()
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

impl TryFrom<String> for Interval {
    type Error = InvalidInterval;
    fn try_from(text: String) -> Result<Self, InvalidInterval> {
        interval(&text).ok_or(InvalidInterval)
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> String {
        interval.to_string()
    }
}

impl TryFrom<String> for Timing {
    type Error = InvalidTiming;
    fn try_from(text: String) -> Result<Self, InvalidTiming> {
        text.parse()
    }
}

impl From<Timing> for String {
    fn from(timing: Timing) -> String {
        timing.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("immediately", "2026-03-20T12:00:00Z")]
    #[case("10m after", "2026-03-20T12:10:00Z")]
    #[case("24h before start", "2026-03-28T09:00:00Z")] // exact: 09:00 on the wall, the clocks changed in between
    #[case("1d before start", "2026-03-28T10:00:00Z")] // the same wall time: 10:00 before the change
    #[case("10m after start", "2026-03-29T09:10:00Z")]
    #[case("2h after end", "2026-03-29T12:00:00Z")]
    #[case("at 09:00 on the day", "2026-03-29T08:00:00Z")]
    #[case("at 18:00 1d before", "2026-03-28T18:00:00Z")]
    #[case("per service", "2026-04-19T10:00:00Z")]
    fn s56_timings_resolve_in_the_zone_of_the_location(#[case] text: &str, #[case] expected: Timestamp) {
        let zone: Zone = "Europe/Lisbon".parse().unwrap(); // summer time from 2026-03-29T01:00Z
        let anchors = Anchors {
            event: "2026-03-20T12:00:00Z".parse().unwrap(),
            start: "2026-03-29T09:00:00Z".parse().unwrap(), // 10:00 on the wall
            end: "2026-03-29T10:00:00Z".parse().unwrap(),
            zone: &zone,
            rebooking_after: "21d".to_owned().try_into().ok(),
        };
        let timing: Timing = text.parse().unwrap();
        assert_eq!(timing.to_string(), text);
        assert_eq!(timing.resolve(anchors), Some(expected));
    }

    #[rstest]
    fn nonsense_is_refused(
        #[values(
            "",
            "-5m before start",
            "0m after",
            "5 before start",
            "367d after",
            "at 25:00 on the day",
            "at 9:00 on the day",
            "at 09:00 2h before",
            "+5m after",
            "5m",
            "99999999999h after",
            "immediately now",
            "é"
        )]
        text: &str,
    ) {
        assert!(text.parse::<Timing>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics_and_what_parses_round_trips(text in "\\PC{0,40}") {
            if let Ok(timing) = text.parse::<Timing>() {
                proptest::prop_assert_eq!(timing.to_string().parse::<Timing>(), Ok(timing));
            }
        }
    }
}
