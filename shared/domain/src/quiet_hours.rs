//! Quiet hours: a local window in which messages wait (S27).

use jiff::civil::Time;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::channel::Channel;
use crate::timing::wall_time;
use crate::zone::Zone;

/// A window of wall times, such as 23:00 to 08:00, in which messages wait. It includes `from` and excludes `until`;
/// when `from` is later than `until` it runs over midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct QuietHours {
    from: Time,
    until: Time,
    channels: Vec<Channel>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QuietHours)]
/// A window of wall times in which messages wait. It includes `from` and excludes `until`, which differs from it; where `from` is later, it
/// runs over midnight.
struct Written {
    /// `HH:MM`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", examples("23:00"))]
    from: String,
    /// `HH:MM`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", examples("08:00"))]
    until: String,
    /// Which channels wait; all that interrupt people unless said otherwise.
    #[serde(default = "interrupting")]
    channels: Vec<Channel>,
}

fn interrupting() -> Vec<Channel> {
    Channel::ALL.into_iter().filter(|channel| channel.keeps_quiet_hours()).collect()
}

/// Why two texts are not quiet hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected quiet hours as two different times from \"00:00\" to \"23:59\", such as \"23:00\" and \"08:00\""
)]
pub struct InvalidQuietHours;

/// One night's window around an instant, as instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it opens.
    pub opens: Timestamp,
    /// When it ends: the first instant at which messages leave again.
    pub ends: Timestamp,
}

impl QuietHours {
    /// Quiet hours from two wall times `HH:MM`, for every channel that interrupts people.
    pub fn new(from: &str, until: &str) -> Result<Self, InvalidQuietHours> {
        let (from, until) = wall_time(from).zip(wall_time(until)).ok_or(InvalidQuietHours)?;
        if from == until {
            Err(InvalidQuietHours)
        } else {
            Ok(Self { from, until, channels: interrupting() })
        }
    }

    /// Whether messages on `channel` wait.
    pub fn hold(&self, channel: Channel) -> bool {
        self.channels.contains(&channel)
    }

    /// The window that `instant` falls into on the clocks of `zone`, or `None` when messages may leave.
    pub fn window_around(&self, instant: Timestamp, zone: &Zone) -> Option<Window> {
        let today = zone.at(instant).date();
        let night = Span::new().days(i64::from(self.from > self.until));
        // The window that opened last, today or yesterday; or the day before, where a date was skipped, as the 30th of December 2011 in
        // Apia. One that opened before it has ended.
        let (day, opens) = (0..=2).find_map(|days_ago| {
            let day = today.checked_sub(Span::new().days(days_ago)).ok()?;
            let opens = zone.instant(day.to_datetime(self.from))?;
            (opens <= instant).then_some((day, opens))
        })?;
        let ends = zone.instant(day.checked_add(night).ok()?.to_datetime(self.until))?;
        (instant < ends).then_some(Window { opens, ends })
    }
}

impl PartialSchema for QuietHours {
    fn schema() -> RefOr<Schema> {
        Written::schema()
    }
}

impl ToSchema for QuietHours {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Written::schemas(schemas);
    }
}

impl TryFrom<Written> for QuietHours {
    type Error = InvalidQuietHours;
    fn try_from(written: Written) -> Result<Self, InvalidQuietHours> {
        Ok(Self { channels: written.channels, ..Self::new(&written.from, &written.until)? })
    }
}

impl From<QuietHours> for Written {
    fn from(hours: QuietHours) -> Written {
        let text = |time: Time| format!("{:02}:{:02}", time.hour(), time.minute());
        Written { from: text(hours.from), until: text(hours.until), channels: hours.channels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::tests::{ZONES, transitions};
    use jiff::SignedDuration;
    use rstest::rstest;

    #[rstest]
    #[case::evening("2026-11-21T23:00:00Z", Some("2026-11-22T08:00:00Z"))]
    #[case::after_midnight("2026-11-22T03:00:00Z", Some("2026-11-22T08:00:00Z"))]
    #[case::last_minute("2026-11-22T07:59:59Z", Some("2026-11-22T08:00:00Z"))]
    #[case::at_the_end("2026-11-22T08:00:00Z", None)]
    #[case::noon("2026-11-22T12:00:00Z", None)]
    #[case::just_before("2026-11-22T22:59:59Z", None)]
    fn s27_a_window_over_midnight(#[case] instant: Timestamp, #[case] ends: Option<&str>) {
        let hours = QuietHours::new("23:00", "08:00").unwrap();
        let zone: Zone = "Europe/Lisbon".parse().unwrap();
        assert_eq!(
            hours.window_around(instant, &zone).map(|window| window.ends),
            ends.map(|ends| ends.parse().unwrap())
        );
    }

    #[test]
    fn s27_a_window_within_a_day() {
        let hours = QuietHours::new("13:00", "15:00").unwrap();
        let zone: Zone = "UTC".parse().unwrap();
        assert!(hours.window_around("2026-11-22T14:00:00Z".parse().unwrap(), &zone).is_some());
        assert!(hours.window_around("2026-11-22T15:00:00Z".parse().unwrap(), &zone).is_none());
        assert!(hours.window_around("2026-11-22T01:00:00Z".parse().unwrap(), &zone).is_none());
    }

    #[test]
    fn s27_the_night_the_clocks_change_is_shorter_and_still_ends_at_eight() {
        let hours = QuietHours::new("23:00", "08:00").unwrap();
        let zone: Zone = "Europe/Lisbon".parse().unwrap();
        let window = hours.window_around("2026-03-29T01:30:00Z".parse().unwrap(), &zone).unwrap();
        assert_eq!(window.opens, "2026-03-28T23:00:00Z".parse().unwrap());
        assert_eq!(window.ends, "2026-03-29T07:00:00Z".parse().unwrap());
    }

    #[rstest]
    #[case("25:00", "08:00")]
    #[case("23:00", "23:00")]
    #[case("23:00", "24:00")]
    #[case("23:60", "08:00")]
    #[case("23:00:30", "08:00")]
    #[case("23", "08:00")]
    #[case("", "")]
    fn s27_impossible_hours_are_refused(#[case] from: &str, #[case] until: &str) {
        assert_eq!(QuietHours::new(from, until), Err(InvalidQuietHours));
        let json = format!(r#"{{"from":"{from}","until":"{until}"}}"#);
        assert_eq!(
            serde_json::from_str::<QuietHours>(&json).unwrap_err().to_string(),
            "expected quiet hours as two different times from \"00:00\" to \"23:59\", such as \"23:00\" and \"08:00\""
        );
    }

    #[test]
    fn s27_they_hold_what_interrupts_people_unless_the_business_says_otherwise() {
        let held = |json: &str| -> Vec<Channel> {
            let hours: QuietHours = serde_json::from_str(json).unwrap();
            let again = serde_json::to_string(&hours).unwrap();
            assert_eq!(serde_json::from_str::<QuietHours>(&again).unwrap(), hours, "read back");
            Channel::ALL.into_iter().filter(|channel| hours.hold(*channel)).collect()
        };
        assert_eq!(
            held(r#"{"from":"23:00","until":"08:00"}"#),
            [Channel::Sms, Channel::Push, Channel::Whatsapp, Channel::Telegram, Channel::Assisted]
        );
        assert_eq!(
            held(r#"{"from":"23:00","until":"08:00","channels":["sms","email"]}"#),
            [Channel::Email, Channel::Sms]
        );
    }

    #[rstest]
    // The clocks go forward at midnight: a window that opens then opens an hour later, and one that ends then ends so.
    #[case::no_midnight(
        "America/Sao_Paulo",
        "00:00",
        "08:00",
        "2018-11-04T03:00:00Z",
        "2018-11-04T10:00:00Z"
    )]
    #[case::ends_at_no_midnight(
        "America/Sao_Paulo",
        "20:00",
        "00:00",
        "2018-11-03T23:00:00Z",
        "2018-11-04T03:00:00Z"
    )]
    // Back to winter time for good: ten hours instead of nine.
    #[case::for_good("Europe/Moscow", "23:00", "08:00", "2014-10-25T19:00:00Z", "2014-10-26T05:00:00Z")]
    // Ramadan: the clocks go back an hour and, at its end, forward again.
    #[case::ramadan_begins(
        "Africa/Casablanca",
        "23:00",
        "08:00",
        "2026-02-14T22:00:00Z",
        "2026-02-15T08:00:00Z"
    )]
    #[case::ramadan_ends(
        "Africa/Casablanca",
        "23:00",
        "08:00",
        "2026-03-21T23:00:00Z",
        "2026-03-22T07:00:00Z"
    )]
    #[case::quarter_hours("Asia/Kathmandu", "23:00", "08:00", "2026-01-01T17:15:00Z", "2026-01-02T02:15:00Z")]
    #[case::half_an_hour(
        "Australia/Lord_Howe",
        "23:00",
        "08:00",
        "2026-10-03T12:30:00Z",
        "2026-10-03T21:00:00Z"
    )]
    // The 30th of December 2011 did not exist: the night of the 29th ends on the 31st, nine hours later.
    #[case::no_such_day("Pacific/Apia", "23:00", "08:00", "2011-12-30T09:00:00Z", "2011-12-30T18:00:00Z")]
    fn s27_windows_across_changes_of_the_clocks(
        #[case] zone: &str,
        #[case] from: &str,
        #[case] until: &str,
        #[case] opens: Timestamp,
        #[case] ends: Timestamp,
    ) {
        let (hours, zone) = (QuietHours::new(from, until).unwrap(), zone.parse::<Zone>().unwrap());
        let minute = SignedDuration::from_mins(1);
        let mut instant = opens;
        while instant < ends {
            assert_eq!(hours.window_around(instant, &zone), Some(Window { opens, ends }), "{instant}");
            instant += minute;
        }
        assert_eq!(hours.window_around(opens - minute, &zone), None);
        assert_eq!(hours.window_around(ends, &zone), None);
    }

    /// Minute by minute through every change of the clocks: quiet is what the wall says, but for the hour of the change, in which a
    /// time that is skipped counts as the one it moves to, and one that comes twice as its first.
    #[test]
    fn s27_quiet_is_what_the_wall_says_through_every_change_of_the_clocks() {
        let windows = [("23:00", "08:00"), ("00:00", "03:00"), ("01:30", "02:30"), ("22:15", "02:15")];
        let mut changes = 0;
        for zone in ZONES {
            let zone: Zone = zone.parse().unwrap();
            for change in transitions(&zone) {
                changes += 1;
                let minutes = |count| SignedDuration::from_mins(count);
                for (from, until) in windows {
                    let hours = QuietHours::new(from, until).unwrap();
                    for offset in -60..=60 {
                        let instant = change + minutes(offset * 15);
                        let wall = zone.at(instant).time();
                        let by_wall = if hours.from < hours.until {
                            hours.from <= wall && wall < hours.until
                        } else {
                            hours.from <= wall || wall < hours.until
                        };
                        let found = hours.window_around(instant, &zone);
                        if let Some(window) = found {
                            assert!(window.opens <= instant && instant < window.ends);
                            assert!(hours.window_around(window.ends, &zone).is_none(), "{zone:?} {window:?}");
                        }
                        // Two hours on either side the wall is plain.
                        if offset.abs() > 8 {
                            assert_eq!(found.is_some(), by_wall, "{from} to {until}, {zone:?}, {instant}");
                        }
                    }
                }
            }
        }
        assert!(changes > 200, "{changes}");
    }
}
