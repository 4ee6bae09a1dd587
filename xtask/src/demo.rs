//! The demo salon, and a booking played through three days.

use std::fs;
use std::sync::mpsc::Receiver;

use anyhow::{Context, Result, anyhow, bail};
use comfy_table::ContentArrangement;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};
use serde_json::{Value, json};
use ureq::http::Method;

use crate::http::Client;
use crate::process;
use crate::stack::{self, Stack};
use crate::steps::table;

/// Where the salon is. Summer and winter time included, as in the salon's own life.
const ZONE: &str = "Europe/Lisbon";

/// Columns of the timeline: what a wide terminal shows without breaking lines.
const TABLE_WIDTH: u16 = 150;

/// The salon as it was seeded: what is needed to work with it.
pub struct Salon {
    /// Key for the HTTP API.
    pub api_key: String,
    /// Where the salon is.
    pub location_id: String,
    /// Who cuts.
    pub resource_id: String,
    /// What is booked.
    pub service_id: String,
    /// Who comes.
    pub client_id: String,
    /// The booking that was played in an earlier run with `--keep`.
    pub booking_id: Option<String>,
}

impl Salon {
    fn file() -> std::path::PathBuf {
        stack::state_dir().join("demo.json")
    }

    /// The salon of an earlier run, if it was kept.
    fn load() -> Option<Self> {
        let saved: Value = serde_json::from_str(&fs::read_to_string(Self::file()).ok()?).ok()?;
        let text = |field: &str| saved[field].as_str().map(str::to_owned);
        Some(Self {
            api_key: text("api_key")?,
            location_id: text("location_id")?,
            resource_id: text("resource_id")?,
            service_id: text("service_id")?,
            client_id: text("client_id")?,
            booking_id: text("booking_id"),
        })
    }

    /// Keeps the salon for the next run. The file holds the API key, so only its owner may read it.
    fn save(&self) -> Result<()> {
        let saved = json!({
            "api_key": self.api_key,
            "location_id": self.location_id,
            "resource_id": self.resource_id,
            "service_id": self.service_id,
            "client_id": self.client_id,
            "booking_id": self.booking_id,
        });
        stack::write_private(&Self::file(), &format!("{saved:#}\n"))
    }
}

/// The body of a booking to try by hand, a week from the stack's present time.
pub fn booking_to_try(stack: &Stack, salon: &Salon) -> Result<Value> {
    let today = in_zone(time(&Client::new(&stack.control, None))?)?.date();
    Ok(booking(salon, today.saturating_add(Span::new().days(7)).at(12, 0, 0, 0)))
}

fn booking(salon: &Salon, start: DateTime) -> Value {
    json!({
        "location_id": salon.location_id,
        "resource_id": salon.resource_id,
        "service_id": salon.service_id,
        "client_ids": [salon.client_id],
        "start": start.to_string(),
        "source": "staff",
    })
}

/// Makes the demo salon through the admin tool and the HTTP API, or finds the one that was kept.
pub fn seed(stack: &Stack, keep: bool) -> Result<Salon> {
    if keep && let Some(salon) = Salon::load() {
        // A run that was killed has not saved its data; then the salon is made anew.
        let api = Client::new(&stack.api, Some(&salon.api_key));
        if api.get(&format!("/v1/clients/{}", salon.client_id)).is_ok() {
            println!("    kept from the last run");
            return Ok(salon);
        }
    }
    let made = process::output(stack.admin().args([
        "create-business",
        "--name",
        "Salon Aurora",
        "--zone",
        ZONE,
        "--locale",
        "en",
        "--json",
    ]))?;
    let made: Value =
        serde_json::from_str(&made).with_context(|| format!("the admin tool answered {made:?}"))?;
    let api_key = made["api_key"].as_str().context("the admin tool gave no API key")?.to_owned();
    let api = Client::new(&stack.api, Some(&api_key));
    let create = |path: &str, body: Value| id(&api.post(path, &body)?);

    api.send(
        Method::PATCH,
        "/v1/business",
        &json!({
            "sms_enabled": true,
            "quiet_hours": { "from": "23:00", "until": "08:00" },
            "no_show_after_minutes": 15,
        }),
    )?;
    let location_id = create(
        "/v1/locations",
        json!({ "name": "Chiado", "zone": ZONE, "address": "Rua Garrett 10, Lisboa" }),
    )?;
    let resource_id =
        create("/v1/resources", json!({ "name": "Ines", "kind": "specialist", "location_id": location_id }))?;
    let service_id = create(
        "/v1/services",
        json!({ "name": "Haircut", "duration_minutes": 45, "price": { "minor": 4500, "currency": "EUR" } }),
    )?;
    let client_id = create(
        "/v1/clients",
        json!({ "name": "Maria Silva", "phone": "+351912345678", "email": "maria@example.com", "locale": "en" }),
    )?;
    api.post(
        &format!("/v1/clients/{client_id}/devices"),
        &json!({ "platform": "fcm", "token": "demo-device-of-maria" }),
    )?;
    let salon = Salon { api_key, location_id, resource_id, service_id, client_id, booking_id: None };
    if keep {
        salon.save()?;
    }
    Ok(salon)
}

/// Plays a booking through three days by the time machine, then prints what became of every message. A salon that was kept
/// has its booking behind it already: then only prints.
pub fn play(stack: &Stack, salon: &mut Salon, keep: bool, interrupted: &Receiver<()>) -> Result<()> {
    let api = Client::new(&stack.api, Some(&salon.api_key));
    let booking_id = match &salon.booking_id {
        Some(kept) => kept.clone(),
        None => live(&api, &Story::new(stack, interrupted)?, salon)?,
    };
    salon.booking_id = Some(booking_id.clone());
    if keep {
        salon.save()?;
    }
    let timeline = api.get(&format!("/v1/bookings/{booking_id}/timeline"))?;
    print_timeline(&timeline, &outbox(&Client::new(&stack.control, None))?)
}

/// The story: booked, moved, reminded, late, missed, and booked again. Gives the id of the first booking.
fn live(api: &Client, story: &Story<'_>, salon: &Salon) -> Result<String> {
    let day = |days: i8| story.first_day.date().saturating_add(Span::new().days(days));
    story.run_to(day(0).at(10, 0, 0, 0))?;
    let visit = day(2).at(15, 0, 0, 0);
    let booking_id = id(&api.post("/v1/bookings", &booking(salon, visit))?)?;
    story.tell(&format!("Maria books a haircut for {}", at(visit)))?;

    story.run_to(day(0).at(17, 30, 0, 0))?;
    let moved = day(2).at(9, 0, 0, 0);
    api.post(&format!("/v1/bookings/{booking_id}/reschedule"), &json!({ "start": moved.to_string() }))?;
    story.tell(&format!("she calls, and the salon moves it to {}", at(moved)))?;

    story.run_to(day(1).at(12, 0, 0, 0))?;
    story.tell("a day to go")?;
    story.run_to(day(2).at(9, 15, 0, 0))?;
    story.tell("the visit has begun, and Maria is not there")?;
    story.run_to(day(2).at(10, 30, 0, 0))?;
    story.tell("the visit is over: she did not come")?;
    let next = day(8).at(11, 0, 0, 0);
    api.post("/v1/bookings", &booking(salon, next))?;
    story.tell(&format!("she is sorry, and books again for {}", at(next)))?;
    story.run_to(day(3).at(12, 0, 0, 0))?;
    story.tell("a day later: no need to win her back")?;
    Ok(booking_id)
}

/// The stack's time, as the story moves it.
struct Story<'a> {
    control: Client,
    first_day: Zoned,
    interrupted: &'a Receiver<()>,
    left_before: std::cell::Cell<usize>,
}

impl<'a> Story<'a> {
    /// Begins the story on the first day whose morning is still ahead.
    fn new(stack: &Stack, interrupted: &'a Receiver<()>) -> Result<Self> {
        let control = Client::new(&stack.control, None);
        let now = in_zone(time(&control)?)?;
        let morning =
            now.date().to_datetime(Time::constant(10, 0, 0, 0)).to_zoned(now.time_zone().clone())?;
        let first_day = if now < morning { morning } else { morning.tomorrow()? };
        let left_before = std::cell::Cell::new(outbox(&control)?.len());
        Ok(Self { control, first_day, interrupted, left_before })
    }

    /// Runs the stack to a local time of the salon.
    fn run_to(&self, local: DateTime) -> Result<()> {
        if self.interrupted.try_recv().is_ok() {
            bail!("stopped by Ctrl-C");
        }
        let instant = local.to_zoned(self.first_day.time_zone().clone())?.timestamp();
        self.control.post("/time/run-to", &json!({ "to": instant.to_string() }))?;
        Ok(())
    }

    /// Prints the story's line with the stack's time and how many messages have left since the line before.
    fn tell(&self, line: &str) -> Result<()> {
        // A second further, so that the stream and the queues have come to rest before counting.
        let now = time(&self.control)?;
        self.control
            .post("/time/run-to", &json!({ "to": (now + SignedDuration::from_secs(1)).to_string() }))?;
        let left = outbox(&self.control)?.len();
        let sent = left.saturating_sub(self.left_before.replace(left));
        println!("    {}  {line} ({sent} sent)", at(in_zone(now)?.datetime()));
        Ok(())
    }
}

/// The stack's present time.
fn time(control: &Client) -> Result<Timestamp> {
    let answer = control.get("/time")?;
    Ok(answer["now"].as_str().context("the stack did not tell its time")?.parse()?)
}

fn in_zone(instant: Timestamp) -> Result<Zoned> {
    Ok(instant.to_zoned(TimeZone::get(ZONE)?))
}

fn outbox(control: &Client) -> Result<Vec<Value>> {
    match control.get("/outbox")? {
        Value::Array(entries) => Ok(entries),
        other => bail!("the outbox is no list: {other}"),
    }
}

fn id(created: &Value) -> Result<String> {
    created["id"].as_str().map(str::to_owned).ok_or_else(|| anyhow!("an answer without an id: {created}"))
}

/// `Tue 24 Nov 10:00`
fn at(local: DateTime) -> String {
    local.strftime("%a %-d %b %H:%M").to_string()
}

/// Prints what happened to the booking and what became of each of its messages, in the order of time.
fn print_timeline(timeline: &Value, outbox: &[Value]) -> Result<()> {
    let mut rows = event_rows(&timeline["booking"])?;
    rows.extend(message_rows(&timeline["messages"], outbox)?);
    rows.sort_by_key(|(instant, _)| *instant);
    let mut table = table(&["when", "what", "by", "to", "outcome", "why"]);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(TABLE_WIDTH);
    for (instant, cells) in rows {
        table.add_row(std::iter::once(at(in_zone(instant)?.datetime())).chain(cells));
    }
    println!("\n{table}\n");
    Ok(())
}

/// A row of the timeline: its instant, and the cells after it.
type Row = (Timestamp, [String; 5]);

fn event_rows(booking: &Value) -> Result<Vec<Row>> {
    let events = booking["history"].as_array().context("the timeline's booking has no history")?;
    let row = |event: &Value| {
        let what = format!("BOOKING {}", words(&event["kind"]));
        let by = format!("by {}", words(&event["by"]));
        Ok((instant(&event["at"])?, [what, by, String::new(), String::new(), String::new()]))
    };
    events.iter().map(row).collect()
}

fn message_rows(messages: &Value, outbox: &[Value]) -> Result<Vec<Row>> {
    let messages = messages.as_array().context("the timeline has no messages")?;
    let row = |message: &Value| {
        let left = outbox.iter().find(|entry| entry["provider_id"] == message["provider_id"]);
        // A push message's address is long; the device's own token says more.
        let to = left.map(|entry| if entry["token"].is_string() { &entry["token"] } else { &entry["to"] });
        let when = if message["sent_at"].is_string() { &message["sent_at"] } else { &message["due"] };
        let cells = [
            words(&message["type"]),
            words(&message["channel"]),
            to.map(words).unwrap_or_default(),
            outcome(message),
            why(message),
        ];
        Ok((instant(when)?, cells))
    };
    messages.iter().map(row).collect()
}

fn outcome(message: &Value) -> String {
    match message["status"].as_str() {
        Some("accepted") => "sent".to_owned(),
        Some("superseded") => "not sent: superseded".to_owned(),
        Some("suppressed") => format!("not sent: {}", words(&message["reason"])),
        _ => words(&message["status"]),
    }
}

/// The timing that calls for the message, and each check that moved or stopped it.
fn why(message: &Value) -> String {
    let mut why = vec![words(&message["step"])];
    let traces = message["traces"].as_array().map(Vec::as_slice).unwrap_or_default();
    for finding in traces.iter().flat_map(|trace| trace["findings"].as_array().into_iter().flatten()) {
        if finding["verdict"] != "pass" {
            let because = with_local_times(finding["because"].as_str().unwrap_or_default());
            let reason = format!("{}: {because}", words(&finding["check"]));
            if !why.contains(&reason) {
                why.push(reason);
            }
        }
    }
    if message["status"] == "superseded" {
        why.push("the booking has changed since".to_owned());
    }
    why.join("; ")
}

/// The text with its UTC instants as the salon's clock shows them.
fn with_local_times(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches([',', ':', ';', '.']);
        match bare.parse::<Timestamp>().ok().and_then(|instant| in_zone(instant).ok()) {
            Some(zoned) => format!("{}{}", at(zoned.datetime()), &word[bare.len()..]),
            None => word.to_owned(),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn instant(value: &Value) -> Result<Timestamp> {
    let text = value.as_str().with_context(|| format!("the timeline has {value} where a time belongs"))?;
    text.parse().with_context(|| format!("the timeline has {text:?} where a time belongs"))
}

fn words(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_within_a_reason_are_told_in_the_salons_time() {
        let text =
            "2026-07-01T06:30:00Z is within quiet hours 2026-06-30T22:00:00Z to 2026-07-01T07:00:00Z: waits";
        assert_eq!(
            with_local_times(text),
            "Wed 1 Jul 07:30 is within quiet hours Tue 30 Jun 23:00 to Wed 1 Jul 08:00: waits"
        );
    }

    #[test]
    fn a_withheld_message_tells_what_stopped_it() {
        let message = json!({
            "status": "suppressed", "reason": "sms_off", "step": "2h before start",
            "traces": [{ "findings": [
                { "check": "address", "verdict": "pass", "because": "sms: +351…78" },
                { "check": "sms_option", "verdict": "suppress", "because": "the sms option is off" },
            ]}],
        });
        assert_eq!(outcome(&message), "not sent: sms off");
        assert_eq!(why(&message), "2h before start; sms option: the sms option is off");
    }

    #[test]
    fn a_sent_message_is_shown_with_whom_it_reached_and_when_it_left() {
        let messages = json!([{
            "type": "booking_created", "channel": "sms", "status": "accepted", "step": "immediately", "provider_id": "p-1",
            "due": "2026-07-01T09:00:00Z", "sent_at": "2026-07-01T09:00:02Z", "traces": [],
        }]);
        let outbox = [json!({ "provider_id": "p-1", "to": "+351912345678" })];
        let rows = message_rows(&messages, &outbox).unwrap();
        let expected = ["booking created", "sms", "+351912345678", "sent", "immediately"].map(str::to_owned);
        assert_eq!(rows, [("2026-07-01T09:00:02Z".parse().unwrap(), expected)]);
    }
}
