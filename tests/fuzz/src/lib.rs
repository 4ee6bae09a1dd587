//! What is fuzzed: functions that take any bytes and must come back. They check what must hold of whatever is taken.
//!
//! Two engines drive them: libFuzzer (`src/bin/libfuzzer.rs`), which looks for inputs that reach new code, and chance
//! (`src/bin/random.rs`), where libFuzzer cannot be built. Both start from the files in `seeds/`, which are tests too: an input
//! that once broke something is kept there. A new target is a function here, a line in [`TARGETS`] and a folder of seeds.

// What a target finds is told by a panic, as in a test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use domain::booking::{Booking, Notify, Operation, Source};
use domain::business::Locale;
use domain::channel::Channel;
use domain::contact::{Email, Phone};
use domain::notification_type::NotificationType;
use domain::quiet_hours::QuietHours;
use domain::rule::Rule;
use domain::template::{OwnText, Templates, Values, render};
use domain::timing::{Anchors, Timing};
use domain::zone::Zone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A target by its name, which is that of its folder of seeds.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("phone", phone),
    ("email", email),
    ("timing", timing),
    ("quiet_hours", quiet_hours),
    ("rule", rule),
    ("booking", booking),
    ("template", template),
];

/// The target of this name.
pub fn target(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, run)| *run)
}

/// The folder of a target's seeds.
pub fn seeds(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name)
}

/// A phone number that is taken is E.164, and its mask hides it.
pub fn phone(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(phone) = text.parse::<Phone>() else { return };
    let digits = phone.as_str().strip_prefix('+').expect("a plus");
    assert!((8..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()));
    assert!(!phone.masked().contains(digits));
    same_again(&phone);
}

/// An e-mail address that is taken can stand in a header as it is, and its mask shows one letter of the name and of the host.
pub fn email(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(email) = text.parse::<Email>() else { return };
    assert!(email.as_str().bytes().all(|byte| byte.is_ascii_graphic() && !b"<>,;\"".contains(&byte)));
    assert_eq!(email.as_str().matches('@').count(), 1);
    let masked = email.masked();
    let (name, domain) = masked.split_once('@').expect("an @");
    let (host, _) = domain.rsplit_once('.').expect("a dot");
    assert!(name.len() == 4 && host.len() == 4, "{masked}");
    same_again(&email);
}

/// A timing that is taken reads the same when it is written, and names an instant for every visit, in every zone and at the ends
/// of time.
pub fn timing(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(timing) = text.parse::<Timing>() else { return };
    assert_eq!(timing.to_string().parse::<Timing>().as_ref(), Ok(&timing));
    same_again(&timing);
    for name in ["Europe/Lisbon", "Pacific/Apia", "Australia/Lord_Howe", "America/Sao_Paulo"] {
        let zone: Zone = name.parse().unwrap();
        for start in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            let anchors = Anchors { event: start, start, end: start, zone: &zone, rebooking_after: None };
            let Some(instant) = timing.resolve(anchors) else {
                assert_eq!(timing, Timing::PerService);
                continue;
            };
            match &timing {
                Timing::Immediately => assert_eq!(instant, start),
                Timing::After(_) | Timing::AfterStart(_) | Timing::AfterEnd(_) => assert!(instant >= start),
                Timing::PerService => panic!("no interval, and yet {instant}"),
                Timing::BeforeStart(_) => assert!(instant <= start),
                Timing::AtLocal { .. } => {
                    assert!(start.duration_since(instant).abs() <= SignedDuration::from_hours(24 * 92));
                }
            }
        }
    }
}

/// Quiet hours that are taken hold an instant only in a window around it that is shorter than two days.
pub fn quiet_hours(input: &[u8]) {
    let Ok(hours) = serde_json::from_slice::<QuietHours>(input) else { return };
    same_again(&hours);
    let zone: Zone = "Australia/Lord_Howe".parse().unwrap();
    for instant in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        if let Some(window) = hours.window_around(instant, &zone) {
            assert!(window.opens <= instant && instant < window.ends);
            assert!(window.ends.duration_since(window.opens) < SignedDuration::from_hours(48));
        }
    }
}

/// A rule reads the same when it is written, and its check comes to an end for every type.
pub fn rule(input: &[u8]) {
    let Ok(rule) = serde_json::from_slice::<Rule>(input) else { return };
    same_again(&rule);
    for &kind in NotificationType::ALL {
        if let Err(invalid) = rule.check(kind) {
            assert!(!invalid.field.is_empty());
        }
    }
}

/// A booking reads the same when it is written, and whatever is done to it, its revision never falls and its history keeps its
/// bound.
pub fn booking(input: &[u8]) {
    let Ok(booking) = serde_json::from_slice::<Booking>(input) else { return };
    same_again(&booking);
    // A revision is counted up by us from 1, so the top of the range is never met.
    if booking.revision > u64::from(u32::MAX) {
        return;
    }
    let operations = [
        Operation::Confirm,
        Operation::Reschedule { start: booking.end, end: booking.end },
        Operation::Change { resource_id: booking.resource_id.clone(), service_id: "other".parse().unwrap() },
        Operation::RequestConfirmation,
        Operation::Answer(true),
        Operation::Cancel,
        Operation::Arrive,
        Operation::Complete,
        Operation::NoShow,
        Operation::RunLate,
    ];
    for operation in operations {
        let Ok(after) = booking.after(operation, booking.start, Source::Staff, Notify::ByRules) else {
            continue;
        };
        assert!(after.revision >= booking.revision);
        assert!(after.history.len() <= domain::booking::HISTORY);
        same_again(&after);
    }
}

/// A template of a business is either refused when it is saved, or can be filled.
pub fn template(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for channel in [Channel::Sms, Channel::Push] {
        let own =
            OwnText { channel, locale: Locale::En, resource_kind: None, text: text.clone().into_owned() };
        let kind = NotificationType::Reminder;
        let templates =
            Templates { business_id: "b".parse().unwrap(), kind, texts: vec![own], blocks: Vec::new() };
        if templates.check().is_ok() {
            let content = render(&Values::sample(Locale::En), Locale::En, kind, channel, Some(&templates));
            assert!(content.is_ok(), "{content:?}");
        }
    }
}

/// What was read is read again from what is written of it.
fn same_again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let written = serde_json::to_string(value).unwrap();
    let again: T = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
    assert_eq!(&again, value, "{written}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_passes_its_target() {
        for (name, run) in TARGETS {
            let mut count = 0;
            for entry in std::fs::read_dir(seeds(name)).unwrap() {
                run(&std::fs::read(entry.unwrap().path()).unwrap());
                count += 1;
            }
            assert!(count > 0, "{name} has no seed");
        }
    }

    #[test]
    fn the_seeds_of_good_input_are_taken() {
        let read = |name: &str, file: &str| std::fs::read(seeds(name).join(file)).unwrap();
        assert!(serde_json::from_slice::<Booking>(&read("booking", "good")).is_ok());
        assert!(serde_json::from_slice::<Rule>(&read("rule", "good")).is_ok());
        assert!(serde_json::from_slice::<QuietHours>(&read("quiet_hours", "good")).is_ok());
        assert!(String::from_utf8_lossy(&read("phone", "good")).parse::<Phone>().is_ok());
        assert!(String::from_utf8_lossy(&read("email", "good")).parse::<Email>().is_ok());
        assert!(String::from_utf8_lossy(&read("timing", "good")).parse::<Timing>().is_ok());
        let text = String::from_utf8(read("template", "good")).unwrap();
        let own = OwnText { channel: Channel::Sms, locale: Locale::En, resource_kind: None, text };
        let kind = NotificationType::Reminder;
        let templates =
            Templates { business_id: "b".parse().unwrap(), kind, texts: vec![own], blocks: Vec::new() };
        assert_eq!(templates.check(), Ok(()));
    }
}
