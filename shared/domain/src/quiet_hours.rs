//! Quiet hours: a local window in which messages wait (S27).

use jiff::civil::Time;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

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

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    from: String,
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
        // Only a window that opened today or yesterday can hold this instant.
        [today.yesterday().ok(), Some(today)].into_iter().flatten().find_map(|day| {
            let opens = zone.instant(day.to_datetime(self.from))?;
            let ends = zone.instant(day.checked_add(night).ok()?.to_datetime(self.until))?;
            (opens <= instant && instant < ends).then_some(Window { opens, ends })
        })
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
    #[case("23", "08:00")]
    #[case("", "")]
    fn impossible_hours_are_refused(#[case] from: &str, #[case] until: &str) {
        assert_eq!(QuietHours::new(from, until), Err(InvalidQuietHours));
    }
}
