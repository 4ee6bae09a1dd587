//! When a schedule fires: `at(…)`, `rate(…)` and `cron(…)` as EventBridge Scheduler writes them.
//!
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// A schedule expression, parsed.
#[derive(Clone, Debug)]
pub enum Expression {
    /// Once, at this wall time in the schedule's zone.
    At(DateTime),
    /// Again and again, this far apart. A day is 24 hours, whatever the zone's clocks do.
    Rate(SignedDuration),
    /// At the wall times that match, in the schedule's zone.
    Cron(Box<Cron>),
}

impl Expression {
    /// Reads an expression; `None` is what AWS calls an "Invalid Schedule Expression".
    pub fn parse(text: &str) -> Option<Self> {
        let fields = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(at) = fields("at") {
            parse_at(at).map(Self::At)
        } else if let Some(rate) = fields("rate") {
            parse_rate(rate).map(Self::Rate)
        } else {
            parse_cron(fields("cron")?).map(|cron| Self::Cron(Box::new(cron)))
        }
    }

    /// The first occurrence of a schedule that was written at `written`, and begins at `start` if that is given.
    ///
    /// A one-time schedule has no use for `start`, and its time may have passed already.
    pub fn first(&self, zone: &TimeZone, written: Timestamp, start: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::At(wall) => zone.to_timestamp(*wall).ok(),
            Self::Rate(every) => {
                let start = start.unwrap_or(written);
                let missed = written.as_second().saturating_sub(start.as_second()).max(0);
                let steps = (missed + every.as_secs() - 1) / every.as_secs();
                start.checked_add(SignedDuration::from_secs(steps.checked_mul(every.as_secs())?)).ok()
            }
            Self::Cron(cron) => next_match(cron, zone, start.unwrap_or(written).max(written), true),
        }
    }

    /// The occurrence after the one at `previous`.
    pub fn after(&self, zone: &TimeZone, previous: Timestamp) -> Option<Timestamp> {
        match self {
            Self::At(_) => None,
            Self::Rate(every) => previous.checked_add(*every).ok(),
            Self::Cron(cron) => next_match(cron, zone, previous, false),
        }
    }
}

/// `yyyy-mm-ddThh:mm:ss` and nothing else: no offset, no fraction.
fn parse_at(text: &str) -> Option<DateTime> {
    (text.len() == 19 && text.as_bytes()[10] == b'T').then(|| text.parse().ok())?
}

fn parse_rate(text: &str) -> Option<SignedDuration> {
    let (value, unit) = text.split_once(' ')?;
    let value = value.bytes().all(|b| b.is_ascii_digit()).then(|| value.parse::<i64>().ok())??;
    let seconds = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    (value > 0).then(|| value.checked_mul(seconds).map(SignedDuration::from_secs))?
}

/// Six fields: minutes, hours, day of month, month, day of week (1 is Sunday), year. Exactly one of the two days is `?`.
fn parse_cron(text: &str) -> Option<Cron> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minutes, hours, day, month, weekday, year] = fields[..] else {
        return None;
    };
    let known = |field: &str| field.bytes().all(|b| b.is_ascii_alphanumeric() || b",-*/?#".contains(&b));
    let years_in_range = year
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| part.len() == 4)
        .all(|year| ("1970"..="2199").contains(&year));
    if !fields.iter().all(|field| known(field)) || (day == "?") == (weekday == "?") || !years_in_range {
        return None;
    }
    // A lone L is the last day of the week: Saturday.
    let weekday = if weekday.eq_ignore_ascii_case("L") { "7" } else { weekday };
    CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .alternative_weekdays(true)
        .sloppy_ranges(true)
        .build()
        .parse(&format!("0 {minutes} {hours} {day} {month} {weekday} {year}"))
        .ok()
}

/// Walks wall time, which has no gaps, and puts each match into the zone afterwards. So a wall time that does not exist
/// is skipped and one that exists twice is taken once, the first time, as AWS says of daylight saving.
fn next_match(cron: &Cron, zone: &TimeZone, from: Timestamp, inclusive: bool) -> Option<Timestamp> {
    let whole_second = Timestamp::from_second(from.as_second()).ok()?;
    let mut wall = zone.to_datetime(whole_second);
    let mut include_wall = true;
    loop {
        wall = cron.find_next_occurrence(&wall, include_wall).ok()?;
        include_wall = false;
        let place = zone.to_ambiguous_timestamp(wall);
        if matches!(place.offset(), AmbiguousOffset::Gap { .. }) {
            continue;
        }
        let found = place.earlier().ok()?;
        if found > from || (inclusive && found == from) {
            return Some(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn first(expression: &str, zone_name: &str, written: &str) -> String {
        Expression::parse(expression)
            .unwrap()
            .first(&zone(zone_name), instant(written), None)
            .unwrap()
            .to_string()
    }

    #[test]
    fn expressions_that_aws_refuses_are_refused() {
        for text in [
            "cron(0 1 * * * *)",
            "cron(7 20 * * NOT *)",
            "cron(INVALID)",
            "cron(0 dummy ? * MON-FRI *)",
            "cron(71 8 1 * ? *)",
            "cron(0 8 ? * ? *)",
            "cron(0 8 * * ? 2300)",
            "cron()",
            "rate(10 seconds)",
            "rate(10 years)",
            "rate()",
            "rate(10)",
            "rate(10 minutess)",
            "rate(foo minutes)",
            "rate(0 minutes)",
            "rate(-10 minutes)",
            "rate( 10 minutes )",
            " rate(10 minutes)",
            "at(2021-12-31T23:59:59Z)",
            "at(2021-12-31 23:59:59)",
            "at(2021-12-31)",
            "at(2021-02-30T10:00:00)",
            "every day",
            "",
        ] {
            assert!(Expression::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn at_is_a_wall_time_in_its_zone_on_both_sides_of_daylight_saving() {
        assert_eq!(
            first("at(2026-03-07T09:00:00)", "America/New_York", "2026-01-01T00:00:00Z"),
            "2026-03-07T14:00:00Z"
        );
        assert_eq!(
            first("at(2026-03-08T09:00:00)", "America/New_York", "2026-01-01T00:00:00Z"),
            "2026-03-08T13:00:00Z"
        );
        assert_eq!(
            first("at(2026-10-24T09:00:00)", "Europe/Berlin", "2026-01-01T00:00:00Z"),
            "2026-10-24T07:00:00Z"
        );
        assert_eq!(
            first("at(2026-10-25T09:00:00)", "Europe/Berlin", "2026-01-01T00:00:00Z"),
            "2026-10-25T08:00:00Z"
        );
    }

    #[test]
    fn at_may_have_passed_already() {
        assert_eq!(first("at(2020-01-01T00:00:00)", "UTC", "2026-01-01T00:00:00Z"), "2020-01-01T00:00:00Z");
    }

    #[test]
    fn a_rate_begins_when_written_or_at_its_start_date_and_keeps_its_step() {
        let rate = Expression::parse("rate(2 hours)").unwrap();
        let written = instant("2026-01-01T10:30:00Z");
        let start = |text| rate.first(&TimeZone::UTC, written, Some(instant(text))).unwrap().to_string();
        assert_eq!(rate.first(&TimeZone::UTC, written, None).unwrap(), written);
        assert_eq!(start("2026-01-02T00:00:00Z"), "2026-01-02T00:00:00Z");
        assert_eq!(start("2026-01-01T09:00:00Z"), "2026-01-01T11:00:00Z");
        assert_eq!(start("2026-01-01T08:30:00Z"), "2026-01-01T10:30:00Z");
        assert_eq!(rate.after(&TimeZone::UTC, written).unwrap().to_string(), "2026-01-01T12:30:00Z");
    }

    #[test]
    fn a_rate_in_days_counts_24_hours_over_daylight_saving() {
        let rate = Expression::parse("rate(1 day)").unwrap();
        let next = rate.after(&zone("America/New_York"), instant("2026-03-07T14:00:00Z")).unwrap();
        assert_eq!(next.to_string(), "2026-03-08T14:00:00Z");
    }

    #[test]
    fn cron_matches_wall_time_in_its_zone() {
        let daily = Expression::parse("cron(0 9 * * ? *)").unwrap();
        let berlin = zone("Europe/Berlin");
        let before = daily.first(&berlin, instant("2026-10-24T07:00:00Z"), None).unwrap();
        assert_eq!(before.to_string(), "2026-10-24T07:00:00Z");
        assert_eq!(daily.after(&berlin, before).unwrap().to_string(), "2026-10-25T08:00:00Z");
    }

    #[test]
    fn cron_skips_a_wall_time_that_does_not_exist_and_takes_a_double_one_once() {
        let half_past_two = Expression::parse("cron(30 2 * * ? *)").unwrap();
        let berlin = zone("Europe/Berlin");
        let skipped = half_past_two.after(&berlin, instant("2026-03-28T01:30:00Z")).unwrap();
        assert_eq!(skipped.to_string(), "2026-03-30T00:30:00Z");
        let once = half_past_two.after(&berlin, instant("2026-10-24T00:30:00Z")).unwrap();
        assert_eq!(once.to_string(), "2026-10-25T00:30:00Z");
        assert_eq!(half_past_two.after(&berlin, once).unwrap().to_string(), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn cron_understands_weekdays_steps_last_days_and_years() {
        let cases = [
            ("cron(0 8 ? * MON *)", "2026-11-23T08:00:00Z"),
            ("cron(0 8 ? * 2 *)", "2026-11-23T08:00:00Z"),
            ("cron(0 8 ? * L *)", "2026-11-28T08:00:00Z"),
            ("cron(0 8 ? * 6#1 *)", "2026-12-04T08:00:00Z"),
            ("cron(0/15 * * * ? *)", "2026-11-21T20:00:00Z"),
            ("cron(0 5 L * ? *)", "2026-11-30T05:00:00Z"),
            ("cron(0 5 15W 8 ? 2027)", "2027-08-16T05:00:00Z"),
            ("cron(0 0 1 JAN ? 2030-2031)", "2030-01-01T00:00:00Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(first(text, "UTC", "2026-11-21T19:55:00Z"), expected, "{text}");
        }
    }

    #[test]
    fn a_cron_with_no_year_left_never_fires() {
        let past = Expression::parse("cron(0 0 1 1 ? 2020)").unwrap();
        assert!(past.first(&TimeZone::UTC, instant("2026-01-01T00:00:00Z"), None).is_none());
    }
}
