//! Calendar files: a visit as an iCalendar event (RFC 5545) that the client's calendar takes in, moves and removes.

use std::fmt;

use icalendar::{Component, Event, Property};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::contact::Email;
use crate::ids::BookingId;

/// What follows the booking's id in the UID. Like every part of a UID it must never change (RFC 5545 §3.8.4.7), or
/// calendars would show the visit twice.
const UID_SUFFIX: &str = "@booking-notifications";

/// Who made the file (RFC 5545 §3.7.3).
const PRODUCT: &str = "-//booking-notifications//EN";

/// What a calendar file asks a calendar to do (RFC 5546 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Take the visit in, or change it.
    Request,
    /// Remove it.
    Cancel,
}

impl Method {
    /// The name in the file and in the `method` parameter of the attachment's content type (RFC 6047 §2.4).
    pub fn name(self) -> &'static str {
        match self {
            Method::Request => "REQUEST",
            Method::Cancel => "CANCEL",
        }
    }
}

/// A calendar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// What it asks for.
    pub method: Method,
    /// The file: lines folded at 75 octets and ended by CRLF.
    pub text: String,
}

/// A visit as a calendar shows it.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The booking: the event's identity.
    pub booking_id: &'a BookingId,
    /// The booking's revision: a calendar ignores a file that is older than what it has.
    pub sequence: u64,
    /// When the booking was last changed (UTC).
    pub changed_at: Timestamp,
    /// When the visit starts (UTC).
    pub start: Timestamp,
    /// When it ends (UTC).
    pub end: Timestamp,
    /// What the calendar shows.
    pub summary: &'a str,
    /// Where it is.
    pub location: Option<&'a str>,
}

/// What goes with a visit that is sent by mail.
#[derive(Debug, Clone, Copy)]
pub struct Invitation<'a> {
    /// What the calendar is asked to do.
    pub method: Method,
    /// Who invites: the business's name and the address its mail comes from.
    pub organizer: (&'a str, &'a Email),
    /// Who is invited: the one recipient of the mail.
    pub attendee: (&'a str, &'a Email),
}

/// Writes the calendar file that goes with a mail.
///
/// # Errors
/// None in practice: writing to a `String` does not fail, but the library's signature allows it.
pub fn calendar(visit: &Visit<'_>, invitation: &Invitation<'_>) -> Result<Calendar, fmt::Error> {
    let status = if invitation.method == Method::Request { "CONFIRMED" } else { "CANCELLED" };
    let text = file(visit, status, Some(invitation))?;
    Ok(Calendar { method: invitation.method, text })
}

/// Writes the calendar file of a visit for a client to take in: without a method it says how things are, and asks for nothing (RFC 5545 §3.7.2).
/// It is the same event as in the files that go with mails.
///
/// # Errors
/// As [`calendar`].
pub fn calendar_to_keep(visit: &Visit<'_>, confirmed: bool) -> Result<String, fmt::Error> {
    file(visit, if confirmed { "CONFIRMED" } else { "TENTATIVE" }, None)
}

fn file(visit: &Visit<'_>, status: &str, invitation: Option<&Invitation<'_>>) -> Result<String, fmt::Error> {
    let mut event = Event::new();
    event
        .add_property("UID", format!("{}{UID_SUFFIX}", visit.booking_id))
        .add_property("SEQUENCE", visit.sequence.to_string())
        .add_property("DTSTAMP", utc(visit.changed_at))
        .add_property("DTSTART", utc(visit.start))
        .add_property("DTEND", utc(visit.end))
        .add_property("SUMMARY", visit.summary)
        .add_property("STATUS", status);
    if let Some(invitation) = invitation {
        // The visit is agreed already: calendars must not ask the client to accept it, nor answer by mail.
        let attendee = person("ATTENDEE", invitation.attendee)
            .add_parameter("ROLE", "REQ-PARTICIPANT")
            .add_parameter("PARTSTAT", "ACCEPTED")
            .add_parameter("RSVP", "FALSE")
            .done();
        event.append_property(person("ORGANIZER", invitation.organizer).done()).append_property(attendee);
    }
    if let Some(location) = visit.location {
        event.add_property("LOCATION", location);
    }
    let mut file = icalendar::Calendar::empty();
    file.append_property(Property::new("VERSION", "2.0")).append_property(Property::new("PRODID", PRODUCT));
    if let Some(invitation) = invitation {
        file.append_property(Property::new("METHOD", invitation.method.name()));
    }
    file.push(event.done());
    let mut text = String::new();
    fmt::write(&mut text, format_args!("{file}"))?;
    Ok(text)
}

fn person(key: &str, (name, email): (&str, &Email)) -> Property {
    // A parameter cannot hold a double quote (RFC 5545 §3.2).
    let name = name.replace('"', "'");
    Property::new(key, format!("mailto:{}", email.as_str())).add_parameter("CN", &name).done()
}

/// An instant as RFC 5545 §3.3.5 writes it in UTC: `20261123T100000Z`.
fn utc(instant: Timestamp) -> String {
    instant.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(booking_id: &BookingId) -> Visit<'_> {
        Visit {
            booking_id,
            sequence: 3,
            changed_at: "2026-11-20T09:00:00Z".parse().unwrap(),
            start: "2026-11-23T10:00:00Z".parse().unwrap(),
            end: "2026-11-23T11:30:00Z".parse().unwrap(),
            summary: "Стрижка, окрашивание; укладка — в салоне «Аврора» у мастера Марты",
            location: Some("Old Town, 12 Garden Street\nsecond floor"),
        }
    }

    fn written(method: Method) -> String {
        let invitation = Invitation {
            method,
            organizer: ("Salon \"Aurora\"", &"hello@aurora.example".parse().unwrap()),
            attendee: ("Anna", &"anna@example.com".parse().unwrap()),
        };
        calendar(&visit(&"0197f0aa".parse().unwrap()), &invitation).unwrap().text
    }

    #[test]
    fn s69_a_visit_to_keep_is_the_same_event_and_asks_for_nothing() {
        let file = |confirmed| calendar_to_keep(&visit(&"0197f0aa".parse().unwrap()), confirmed).unwrap();
        let (kept, sent) = (file(true), written(Method::Request));
        for line in [
            "UID:0197f0aa@booking-notifications",
            "SEQUENCE:3",
            "DTSTART:20261123T100000Z",
            "STATUS:CONFIRMED",
        ] {
            assert!(kept.contains(line) && sent.contains(line), "{line}: {kept}");
        }
        for part in ["METHOD", "ATTENDEE", "ORGANIZER"] {
            assert!(!kept.contains(part) && sent.contains(part), "{part}: {kept}");
        }
        assert!(file(false).contains("STATUS:TENTATIVE"));
    }

    /// The file with its folded lines joined again (RFC 5545 §3.1).
    fn unfolded(text: &str) -> String {
        text.replace("\r\n ", "")
    }

    #[test]
    fn a_confirmed_visit_is_a_request_to_one_recipient() {
        let text = written(Method::Request);
        insta::assert_snapshot!("calendar_request", unfolded(&text).replace("\r\n", "\n"));
        assert_eq!(text.matches("ATTENDEE").count(), 1);
    }

    #[test]
    fn a_cancelled_visit_takes_back_the_same_event() {
        let (request, cancel) = (written(Method::Request), written(Method::Cancel));
        let uid = |text: &str| text.lines().find(|line| line.starts_with("UID:")).map(str::to_owned);
        assert_eq!(uid(&request), Some("UID:0197f0aa@booking-notifications".to_owned()));
        assert_eq!(uid(&request), uid(&cancel));
        assert!(cancel.contains("METHOD:CANCEL\r\n") && cancel.contains("STATUS:CANCELLED\r\n"));
    }

    #[test]
    fn lines_are_folded_and_end_with_crlf() {
        let text = written(Method::Request);
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        assert!(text.split("\r\n").all(|line| line.len() <= 75), "{text}");
    }
}
