//! A business with everything a booking needs, made through the API.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};
use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::stack::{Stack, instant, list};

/// Where most salons of these tests are: no change of the clocks there, so that a day has 24 hours.
pub const TOKYO: &str = "Asia/Tokyo";

/// A client and the addresses it can be reached at.
#[derive(Debug, Clone)]
pub struct Client {
    pub id: String,
    pub phone: String,
    pub email: String,
    pub device: String,
}

/// A salon in a stack.
pub struct Salon<'a> {
    pub stack: &'a Stack,
    pub api: Http,
    pub key: String,
    pub zone: TimeZone,
    pub location: String,
    pub resource: String,
    pub service: String,
    pub client: Client,
    /// The day the test begins on: day 0.
    pub first_day: Date,
    /// Everyone whose messages are this salon's.
    clients: RefCell<Vec<Client>>,
    /// The bookings made here, whose ledgers are looked into.
    bookings: RefCell<Vec<String>>,
}

impl<'a> Salon<'a> {
    /// A salon with the sms option, without quiet hours, and with one client who can be reached on every channel. The stack is run to
    /// ten in the morning of the salon's day 0, which is tomorrow.
    pub fn open(stack: &'a Stack, zone: &str) -> Self {
        let soon = stack.now() + SignedDuration::from_hours(24);
        let tz = TimeZone::get(zone).unwrap();
        Self::open_on(stack, zone, soon.to_zoned(tz).date())
    }

    /// The same with a day 0 of the test's choice.
    pub fn open_on(stack: &'a Stack, zone: &str, first_day: Date) -> Self {
        let key = stack.business("Salon Aurora", zone);
        let api = stack.api.with_key(&key);
        api.patch("/v1/business", &json!({ "sms_enabled": true })).ok();
        let location =
            api.post("/v1/locations", &json!({ "name": "Chiado", "zone": zone, "address": "Rua 10" })).id();
        let resource = new_resource(&api, &location, 1);
        let service = api
            .post(
                "/v1/services",
                &json!({ "name": "Haircut", "duration_minutes": 45, "price": { "minor": 4500, "currency": "EUR" } }),
            )
            .id();
        let client = new_client(&api);
        let clients = RefCell::new(vec![client.clone()]);
        let (zone, bookings) = (TimeZone::get(zone).unwrap(), RefCell::default());
        let salon =
            Self { stack, api, key, zone, location, resource, service, client, first_day, clients, bookings };
        salon.run_to(&salon.day(0, "10:00"));
        salon
    }

    /// One more client.
    pub fn new_client(&self) -> Client {
        let client = new_client(&self.api);
        self.clients.borrow_mut().push(client.clone());
        client
    }

    /// One more resource.
    pub fn new_resource(&self, capacity: u32) -> String {
        new_resource(&self.api, &self.location, capacity)
    }

    /// A wall time so many days after the first.
    pub fn day(&self, days: i64, time: &str) -> Zoned {
        let date = self.first_day.checked_add(Span::new().days(days)).unwrap();
        let wall: DateTime = format!("{date}T{time}").parse().unwrap();
        wall.to_zoned(self.zone.clone()).unwrap()
    }

    /// Runs the stack to a wall time.
    #[track_caller]
    pub fn run_to(&self, wall: &Zoned) {
        self.stack.run_to(wall.timestamp());
    }

    /// The body of a booking of this salon's client by staff.
    pub fn booking(&self, start: &Zoned) -> Value {
        json!({
            "location_id": self.location,
            "resource_id": self.resource,
            "service_id": self.service,
            "client_ids": [self.client.id],
            "start": start.datetime().to_string(),
            "source": "staff",
        })
    }

    /// Books by staff and waits until all that follows has happened.
    #[track_caller]
    pub fn book(&self, start: &Zoned) -> String {
        self.book_with(&self.booking(start))
    }

    /// Books and waits until all that follows has happened.
    #[track_caller]
    pub fn book_with(&self, body: &Value) -> String {
        let id = self.post_booking(body);
        self.stack.settle();
        id
    }

    /// Books, and does not wait.
    #[track_caller]
    pub fn post_booking(&self, body: &Value) -> String {
        let id = self.api.post("/v1/bookings", body).id();
        self.bookings.borrow_mut().push(id.clone());
        id
    }

    /// Does something to a booking and waits until all that follows has happened.
    #[track_caller]
    pub fn change(&self, booking: &str, operation: &str, body: Value) -> Value {
        let changed = self.try_to(booking, operation, body).ok();
        self.stack.settle();
        changed
    }

    /// Does something to a booking.
    pub fn try_to(&self, booking: &str, operation: &str, body: Value) -> Answer {
        self.api.post(&format!("/v1/bookings/{booking}/{operation}"), &body)
    }

    /// The booking, its messages and its checks.
    #[track_caller]
    pub fn timeline(&self, booking: &str) -> Value {
        self.api.get(&format!("/v1/bookings/{booking}/timeline")).ok()
    }

    /// The messages of a booking.
    #[track_caller]
    pub fn messages(&self, booking: &str) -> Vec<Value> {
        list(self.timeline(booking)["messages"].take())
    }

    /// The status of a booking's messages of a type, as `channel status` or `channel status reason`, by due time and channel.
    #[track_caller]
    pub fn statuses(&self, booking: &str, kind: &str) -> Vec<String> {
        let messages = self.messages(booking);
        let of_kind = messages.iter().filter(|message| message["type"] == kind);
        of_kind
            .map(|message| {
                let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
                // There is but one reason to supersede.
                let reason = if message["status"] == "superseded" { String::new() } else { text("reason") };
                format!("{} {} {reason}", text("channel"), text("status")).trim_end().to_owned()
            })
            .collect()
    }

    /// What left for this salon's clients, in the order of time, each with the day counted from the first and as the ledger knows
    /// it: `2 08:00 reminder sms`. What left and is not in the ledger is told as such, and so is what the ledger says was accepted and
    /// did not leave.
    #[track_caller]
    pub fn left(&self) -> Vec<String> {
        let rows: Vec<Value> =
            self.bookings.borrow().iter().flat_map(|booking| self.messages(booking)).collect();
        let clients = self.clients.borrow();
        let ours = |entry: &Value| {
            let is = |field: &str, address: &String| entry[field] == *address;
            clients.iter().any(|client| {
                is("to", &client.phone) || is("to", &client.email) || is("token", &client.device)
            })
        };
        let outbox: Vec<Value> = self.stack.outbox().into_iter().filter(ours).collect();
        let mut lines: Vec<(Timestamp, String)> = outbox
            .iter()
            .map(|entry| {
                let at = instant(&entry["at"]);
                let row = rows.iter().find(|row| row["provider_id"] == entry["provider_id"]);
                let what = row.map_or("unrecorded", |row| row["type"].as_str().unwrap());
                let wall = at.to_zoned(self.zone.clone());
                let day = self.first_day.until(wall.date()).unwrap().get_days();
                let when = wall.strftime("%H:%M");
                let minute = at.as_second().div_euclid(60);
                let at = Timestamp::from_second(minute * 60).unwrap();
                (at, format!("{day} {when} {what} {}", entry["channel"].as_str().unwrap()))
            })
            .collect();
        lines.extend(rows.iter().filter(|row| row["status"] == "accepted").filter_map(|row| {
            let left = outbox.iter().any(|entry| entry["provider_id"] == row["provider_id"]);
            (!left)
                .then(|| (instant(&row["due"]), format!("{} {} did not leave", row["type"], row["channel"])))
        }));
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// What left for a client, by channel.
    pub fn sent(&self, channel: &str, to: &str) -> Vec<Value> {
        let reaches =
            |entry: &Value| entry["channel"] == channel && (entry["to"] == to || entry["token"] == to);
        self.stack.outbox().into_iter().filter(reaches).collect()
    }

    /// The names of the schedules that wait for a booking.
    pub fn schedules_of(&self, booking: &str) -> Vec<String> {
        let schedules = self.stack.schedules();
        let of_booking =
            schedules.iter().filter(|schedule| schedule["input"].as_str().unwrap().contains(booking));
        of_booking.map(|schedule| schedule["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The tasks for staff.
    pub fn tasks(&self) -> Vec<Value> {
        list(self.api.get("/v1/tasks").ok()["items"].take())
    }

    /// Everything there is, to compare before with after: both tables, what left, and the schedules.
    pub fn everything(&self) -> (Vec<String>, Vec<Value>, Vec<Value>) {
        (self.stack.facts(), self.stack.outbox(), self.stack.schedules())
    }
}

fn new_resource(api: &Http, location: &str, capacity: u32) -> String {
    let resource =
        json!({ "name": "Ines", "kind": "specialist", "location_id": location, "capacity": capacity });
    api.post("/v1/resources", &resource).id()
}

fn new_client(api: &Http) -> Client {
    // Addresses of its own, so that what left for this client can be told from all else in the stack.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let phone = format!("+35191234{:04}", 5000 + number);
    let email = format!("maria{number}@example.com");
    let device = format!("device-of-maria{number}");
    let client = json!({ "name": "Maria Silva", "phone": phone, "email": email, "locale": "en" });
    let id = api.post("/v1/clients", &client).id();
    api.post(&format!("/v1/clients/{id}/devices"), &json!({ "platform": "fcm", "token": device })).ok();
    Client { id, phone, email, device }
}

/// How a text says a time.
pub fn spoken(time: &Zoned) -> String {
    time.strftime("%A %-d %B at %H:%M").to_string()
}
