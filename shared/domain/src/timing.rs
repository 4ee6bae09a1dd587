//! Timings: when a message is due, as people say it.

use jiff::civil::Time;
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::schema;
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
    /// At a wall time on the day of the visit or so many days (0 to 366) before it.
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

/// What a day count is like: 1 to 366.
macro_rules! days {
    () => {
        "([1-9][0-9]?|[12][0-9]{2}|3[0-5][0-9]|36[0-6])d"
    };
}

/// What an [`Interval`] is like: 1 to 527040 minutes, 1 to 8784 hours, 1 to 366 days.
macro_rules! interval {
    () => {
        concat!(
            "(([1-9][0-9]{0,4}|[1-4][0-9]{5}|5[01][0-9]{4}|52[0-6][0-9]{3}|5270[0-3][0-9]|527040)m",
            "|([1-9][0-9]{0,2}|[1-7][0-9]{3}|8[0-6][0-9]{2}|87[0-7][0-9]|878[0-4])h|",
            days!(),
            ")"
        )
    };
}

const INTERVAL: &str = concat!("^", interval!(), "$");

const TIMING: &str = concat!(
    "^(immediately|per service|",
    interval!(),
    " (after|before start|after start|after end)|at ([01][0-9]|2[0-3]):[0-5][0-9] (on the day|",
    days!(),
    " before))$"
);

impl PartialSchema for Interval {
    fn schema() -> RefOr<Schema> {
        let words = "A length of time, a minute to 366 days: `10m`, `24h`, `21d`. Days keep the wall time across a change of the clocks.";
        schema::text(words, INTERVAL, "24h")
    }
}

impl ToSchema for Interval {}

impl PartialSchema for Timing {
    fn schema() -> RefOr<Schema> {
        let words = "When a message is due: `immediately`; `10m after` the event; `24h before start`, `10m after start`, `2h after end`; \
            `at 09:00 on the day`, `at 18:00 1d before`; `per service`, after the end, by the interval of the booking, else of the service.";
        schema::text(words, TIMING, "24h before start")
    }
}

impl ToSchema for Timing {}

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

    /// Whether two timings name the same time to people, such as `60m before start` and `1h before start`.
    pub fn is_like(&self, other: &Timing) -> bool {
        self.on_a_sample_day() == other.on_a_sample_day()
    }

    /// Whether the timing leads up to the visit, so that a booking made late can miss it.
    pub fn leads_up(&self) -> bool {
        matches!(self, Timing::BeforeStart(_) | Timing::AtLocal { .. })
    }
}

impl Interval {
    /// So many minutes, if that is at most 366 days and not zero.
    pub fn minutes(amount: u32) -> Option<Self> {
        Self::new(amount, Unit::Minutes)
    }

    fn new(amount: u32, unit: Unit) -> Option<Self> {
        let interval = Self { amount, unit };
        (1..=LONGEST_MINUTES).contains(&interval.in_minutes()).then_some(interval)
    }

    /// Its length in minutes, days without a change of the clocks.
    pub(crate) fn in_minutes(self) -> u64 {
        let unit = match self.unit {
            Unit::Minutes => 1,
            Unit::Hours => 60,
            Unit::Days => 24 * 60,
        };
        u64::from(self.amount) * unit
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
    use crate::zone::tests::{ZONES, transitions};
    use jiff::tz::AmbiguousOffset;
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
        let error = text.parse::<Timing>().unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "expected a timing such as \"immediately\", \"10m after\", \"24h before start\", \"2h after end\", \
                 \"at 09:00 on the day\", \"at 18:00 1d before\" or \"per service\" (1m to 366d), got \"{text}\""
            )
        );
    }

    /// When `text` is due for a visit of an hour in `zone`.
    fn due(text: &str, zone: &Zone, start: Timestamp) -> Timestamp {
        let end = start + SignedDuration::from_hours(1);
        let anchors = Anchors { event: start, start, end, zone, rebooking_after: None };
        text.parse::<Timing>().unwrap().resolve(anchors).unwrap()
    }

    /// Where a wall time lies: at one instant; skipped, so that it counts as later by the gap; twice, so that the first counts.
    /// Told by the offsets on both sides of the change and not by what `resolve` asks.
    fn wall_instant(zone: &Zone, wall: jiff::civil::DateTime) -> Timestamp {
        match zone.0.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).unwrap(),
            // The offset before the change, in both cases.
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => {
                before.to_timestamp(wall).unwrap()
            }
        }
    }

    #[test]
    fn s25_s56_s71_fire_time_is_the_start_less_the_lead_across_every_change_of_the_clocks() {
        let (mut changes, mut gaps, mut folds) = (0, 0, 0);
        for name in ZONES {
            let zone: Zone = name.parse().unwrap();
            for change in transitions(&zone) {
                changes += 1;
                // Starts from two days before the change to three days after it, each 45 minutes.
                for quarter in (-192..=288).step_by(3) {
                    let start = change + SignedDuration::from_mins(quarter * 15);
                    for lead in [1, 2, 24, 48] {
                        assert_eq!(
                            due(&format!("{lead}h before start"), &zone, start),
                            start - SignedDuration::from_hours(lead),
                            "hours are exact: {name} {start}"
                        );
                    }
                    assert_eq!(due("90m before start", &zone, start), start - SignedDuration::from_mins(90));
                    let wall = zone.at(start).datetime();
                    for days in [1, 2] {
                        let day = wall.checked_sub(Span::new().days(days)).unwrap();
                        match zone.0.to_ambiguous_timestamp(day).offset() {
                            AmbiguousOffset::Gap { .. } => gaps += 1,
                            AmbiguousOffset::Fold { .. } => folds += 1,
                            AmbiguousOffset::Unambiguous { .. } => {}
                        }
                        assert_eq!(
                            due(&format!("{days}d before start"), &zone, start),
                            wall_instant(&zone, day),
                            "days keep the wall time: {name} {start}"
                        );
                    }
                    for (time, days) in [("02:30", 0), ("00:00", 0), ("02:15", 1), ("18:00", 1), ("00:30", 2)]
                    {
                        let text = match days {
                            0 => format!("at {time} on the day"),
                            days => format!("at {time} {days}d before"),
                        };
                        let day = wall.date().checked_sub(Span::new().days(days)).unwrap();
                        assert_eq!(
                            due(&text, &zone, start),
                            wall_instant(&zone, day.to_datetime(wall_time(time).unwrap())),
                            "{text}: {name} {start}"
                        );
                    }
                }
            }
        }
        assert!(changes > 200 && gaps > 100 && folds > 100, "{changes} changes, {gaps} gaps, {folds} folds");
    }

    #[rstest]
    // Moscow went back to winter time for good: +04:00 to +03:00 on 2014-10-26 at 02:00.
    #[case("Europe/Moscow", "24h before start", "2014-10-26T07:00:00Z", "2014-10-25T07:00:00Z")] // 11:00 on the wall
    #[case("Europe/Moscow", "1d before start", "2014-10-26T07:00:00Z", "2014-10-25T06:00:00Z")] // 10:00 on the wall
    #[case("Europe/Moscow", "at 01:30 on the day", "2014-10-26T07:00:00Z", "2014-10-25T21:30:00Z")]
    // twice: the first
    // São Paulo went forward at midnight: 2018-11-04 began at 01:00. Since 2019 it changes no clocks.
    #[case("America/Sao_Paulo", "at 00:00 on the day", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z")] // 01:00
    #[case("America/Sao_Paulo", "at 00:30 on the day", "2018-11-04T12:00:00Z", "2018-11-04T03:30:00Z")] // 01:30
    #[case("America/Sao_Paulo", "1d before start", "2018-11-04T12:00:00Z", "2018-11-03T13:00:00Z")]
    #[case("America/Sao_Paulo", "1d before start", "2026-11-01T12:00:00Z", "2026-10-31T12:00:00Z")]
    // Casablanca puts its clocks back for Ramadan, 2026-02-15 to 2026-03-22.
    #[case("Africa/Casablanca", "1d before start", "2026-02-15T10:00:00Z", "2026-02-14T09:00:00Z")]
    #[case("Africa/Casablanca", "24h before start", "2026-02-15T10:00:00Z", "2026-02-14T10:00:00Z")]
    #[case("Africa/Casablanca", "at 18:00 1d before", "2026-03-22T09:00:00Z", "2026-03-21T18:00:00Z")]
    // Kathmandu is 5:45 ahead.
    #[case("Asia/Kathmandu", "at 09:00 on the day", "2026-01-02T10:00:00Z", "2026-01-02T03:15:00Z")]
    #[case("Asia/Kathmandu", "1d before start", "2026-01-02T10:00:00Z", "2026-01-01T10:00:00Z")]
    // Lord Howe changes by half an hour: 2026-10-04 at 02:00 to 02:30.
    #[case("Australia/Lord_Howe", "1d before start", "2026-10-04T00:00:00Z", "2026-10-03T00:30:00Z")]
    #[case("Australia/Lord_Howe", "at 02:15 on the day", "2026-10-04T00:00:00Z", "2026-10-03T15:45:00Z")] // 02:45
    // Apia skipped 2011-12-30: what falls on it comes a day later by the wall.
    #[case("Pacific/Apia", "24h before start", "2011-12-30T20:00:00Z", "2011-12-29T20:00:00Z")] // two dates before
    #[case("Pacific/Apia", "1d before start", "2011-12-31T20:00:00Z", "2011-12-30T20:00:00Z")]
    #[case("Pacific/Apia", "2d before start", "2011-12-30T20:00:00Z", "2011-12-29T20:00:00Z")]
    #[case("Pacific/Apia", "at 09:00 1d before", "2011-12-30T20:00:00Z", "2011-12-30T19:00:00Z")] // the 31st: the same day
    fn s56_timings_across_famous_changes_of_the_clocks(
        #[case] zone: &str,
        #[case] text: &str,
        #[case] start: Timestamp,
        #[case] expected: Timestamp,
    ) {
        assert_eq!(due(text, &zone.parse().unwrap(), start), expected);
    }

    #[test]
    fn s56_a_timing_beyond_the_years_there_are_is_its_anchor() {
        let zone: Zone = "UTC".parse().unwrap();
        let first = "-009999-01-02T01:59:59Z".parse::<Timestamp>().unwrap();
        for text in ["2d before start", "at 09:00 3d before", "366d before start"] {
            assert_eq!(due(text, &zone, first), first, "{text}");
        }
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
