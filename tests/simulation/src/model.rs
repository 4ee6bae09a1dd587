//! What should leave, said again in plain words: the rules of the settings that the simulation uses, written from SPEC.md and apart from the
//! planner. It knows the product's facts, and none of its judgements.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use app::ports::Item;
use domain::booking::{Booking, Confirmation, Event, EventKind, Notify, Source, Status};
use domain::channel::Channel;
use domain::client::Client;
use domain::ids::{BookingId, BusinessId, ClientId, LocationId, MessageId, ServiceId};
use domain::message::{Message, Reason};
use domain::notification_type::NotificationType as Type;
use domain::rule::{Ending, LatePolicy, QuietPolicy, Rule, Rules, Strategy};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde_json::{Value, json};
use testkit::salon::read;

/// How long before quiet hours begin a message may leave that would be too late after them.
const JUST_BEFORE: SignedDuration = SignedDuration::from_mins(15);

/// How long after the visit a review is asked for.
const REVIEW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What became of one thing over time, oldest first, with the times (UTC) of its versions.
pub type Over<T> = Vec<(Timestamp, T)>;

/// The version that stood at an instant; the first, before there was any.
pub fn at<T>(over: &Over<T>, instant: Timestamp) -> Option<&T> {
    let after = over.partition_point(|(since, _)| *since <= instant);
    over.get(after.saturating_sub(1)).map(|(_, version)| version)
}

/// Quiet hours, as they are written.
#[derive(Debug, Clone)]
pub struct Quiet {
    from: Time,
    until: Time,
    channels: Vec<String>,
}

fn quiet(hours: Option<&domain::quiet_hours::QuietHours>) -> Option<Quiet> {
    let written = serde_json::to_value(hours?).expect("quiet hours are JSON");
    let time = |field: &str| -> Time {
        format!("{}:00", written[field].as_str().expect("a time")).parse().expect("a time")
    };
    Some(Quiet { from: time("from"), until: time("until"), channels: read(written["channels"].clone()) })
}

/// A business or a location, as far as it matters.
#[derive(Debug, Clone)]
pub struct House {
    /// Whether it takes sms.
    pub sms: bool,
    /// Its quiet hours.
    pub quiet: Option<Quiet>,
    /// How long after the end a client is a no-show.
    pub no_show_after: Option<SignedDuration>,
}

/// All that was ever written.
#[derive(Default)]
pub struct Journal {
    /// Bookings.
    pub bookings: BTreeMap<BookingId, Over<Booking>>,
    /// Clients.
    pub clients: HashMap<(BusinessId, ClientId), Over<Client>>,
    /// Businesses.
    pub businesses: HashMap<BusinessId, Over<House>>,
    /// Locations.
    pub locations: HashMap<(BusinessId, LocationId), Over<House>>,
    /// After how long the clients of a service are invited again.
    pub services: HashMap<(BusinessId, ServiceId), Option<String>>,
    /// Versions of the rules.
    pub rules: HashMap<(BusinessId, u64), Rules>,
    /// Rows of the ledger.
    pub rows: BTreeMap<MessageId, Over<Message>>,
    /// Tasks that staff got, by id.
    pub tasks: BTreeSet<String>,
    zones: HashMap<String, TimeZone>,
    defaults: HashMap<Type, Rule>,
}

/// Which message of a booking.
pub type Which = (Type, String, u64, ClientId, Channel);

/// A message that the booking calls for.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Which.
    pub which: Which,
    /// When what calls for it became known (UTC).
    pub known_at: Timestamp,
    /// When it would be its turn, whatever the hour (UTC).
    pub nominal: Timestamp,
    /// When it is to leave (UTC).
    pub due: Timestamp,
    /// From when on it is of no use (UTC).
    pub use_by: Option<Timestamp>,
    /// What stands in its way, whatever the hour.
    pub obstacle: Option<Reason>,
    /// Why there is no time for it to leave.
    pub no_time: Option<Reason>,
    /// What to do when it is held up into quiet hours that end too late.
    pub quiet: QuietPolicy,
}

impl Expected {
    /// Why it does not leave, if it does not.
    pub fn against(&self) -> Option<Reason> {
        self.obstacle.or(self.no_time)
    }
}

/// A booking and what is around it, at one instant.
pub struct View<'a> {
    /// The journal.
    pub journal: &'a Journal,
    /// The booking.
    pub booking: &'a Booking,
    business: &'a House,
    location: &'a House,
    instant: Timestamp,
}

/// Something that calls for messages.
#[derive(Clone)]
struct Cause<'a> {
    kind: Type,
    revision: u64,
    at: Timestamp,
    notify: Notify,
    by_staff_at_making: bool,
    use_by: Option<Timestamp>,
    /// The type alone switches it, or nothing does.
    switch: Switch,
    /// Before which it was not known of.
    known: Timestamp,
    client: &'a ClientId,
}

#[derive(Clone, Copy, PartialEq)]
enum Switch {
    Step,
    Type,
    Nothing,
}

impl Journal {
    /// The journal of what stood there at the beginning, and of what was written.
    pub fn new(begin: Timestamp, items: &[Item], written: Vec<(Timestamp, Item)>) -> Self {
        let mut journal = Journal { defaults: defaults(), ..Journal::default() };
        for item in items {
            journal.note(begin, item.clone());
        }
        for (at, item) in written {
            journal.note(at, item);
        }
        journal
    }

    fn note(&mut self, at: Timestamp, item: Item) {
        match item {
            Item::Booking(booking) => {
                self.zone(booking.zone.name());
                self.bookings.entry(booking.id.clone()).or_default().push((at, booking));
            }
            Item::Client(client) => {
                if let Some(zone) = &client.zone {
                    self.zone(zone.name());
                }
                let key = (client.business_id.clone(), client.id.clone());
                self.clients.entry(key).or_default().push((at, client));
            }
            Item::Business(business) => {
                let after = business.no_show_after_minutes.map(u32::from);
                let house = House {
                    sms: business.sms_enabled,
                    quiet: quiet(business.quiet_hours.as_ref()),
                    no_show_after: after.map(|minutes| SignedDuration::from_mins(i64::from(minutes))),
                };
                self.businesses.entry(business.id).or_default().push((at, house));
            }
            Item::Location(location) => {
                let quiet = quiet(location.quiet_hours.as_ref());
                let house = House { sms: true, quiet, no_show_after: None };
                self.locations.entry((location.business_id, location.id)).or_default().push((at, house));
            }
            Item::Service(service) => {
                let after = service.rebooking_after.map(|interval| interval.to_string());
                self.services.insert((service.business_id, service.id), after);
            }
            Item::RulesVersion(rules) => {
                self.rules.insert((rules.business_id.clone(), rules.version), rules);
            }
            Item::Message(row) => self.rows.entry(row.id.clone()).or_default().push((at, row)),
            Item::Task(task) => drop(self.tasks.insert(task.id.to_string())),
            _ => {}
        }
    }

    fn zone(&mut self, name: &str) {
        if !self.zones.contains_key(name) {
            self.zones.insert(name.to_owned(), TimeZone::get(name).expect("a zone that exists"));
        }
    }

    /// The instants (UTC) at which something changes that a booking's messages depend on, within an interval; the beginning included.
    pub fn changes(&self, booking: &Over<Booking>, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let mut found = vec![from];
        let mut add = |at: Timestamp| {
            if from < at && at <= until {
                found.push(at);
            }
        };
        booking.iter().for_each(|(at, _)| add(*at));
        let Some((_, one)) = booking.last() else { return found };
        for client in &one.client_ids {
            let over = self.clients.get(&(one.business_id.clone(), client.clone()));
            over.into_iter().flatten().for_each(|(at, _)| add(*at));
        }
        let business = self.businesses.get(&one.business_id);
        business.into_iter().flatten().for_each(|(at, _)| add(*at));
        let location = self.locations.get(&(one.business_id.clone(), one.location_id.clone()));
        location.into_iter().flatten().for_each(|(at, _)| add(*at));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether the business or the location of a booking changed its settings at an instant (UTC).
    pub fn settings_change(&self, booking: &Booking, instant: Timestamp) -> bool {
        let business = self.businesses.get(&booking.business_id);
        let location = self.locations.get(&(booking.business_id.clone(), booking.location_id.clone()));
        business.into_iter().chain(location).flatten().any(|(at, _)| *at == instant)
    }

    /// A booking as it was at an instant (UTC).
    pub fn view<'a>(&'a self, booking: &'a Over<Booking>, instant: Timestamp) -> View<'a> {
        let booking = at(booking, instant).expect("a booking has a version");
        let business = self.businesses.get(&booking.business_id).and_then(|over| at(over, instant));
        let key = (booking.business_id.clone(), booking.location_id.clone());
        let location = self.locations.get(&key).and_then(|over| at(over, instant));
        View {
            journal: self,
            booking,
            business: business.expect("a business"),
            location: location.expect("a location"),
            instant,
        }
    }

    /// Whether a client has another visit ahead at an instant (UTC).
    pub fn has_another(&self, booking: &Booking, client: &ClientId, instant: Timestamp) -> bool {
        self.bookings.iter().any(|(id, over)| {
            let first = &over[0];
            *id != booking.id
                && first.1.business_id == booking.business_id
                && first.0 <= instant
                && at(over, instant).is_some_and(|other| {
                    is_ahead(other) && other.start >= instant && other.client_ids.contains(client)
                })
        })
    }
}

fn is_ahead(booking: &Booking) -> bool {
    matches!(booking.status, Status::Pending | Status::Confirmed)
}

/// What holds for a type until the business changes it (SPEC §3).
fn defaults() -> HashMap<Type, Rule> {
    let rule = |kind: &str, steps: Value| -> (Type, Rule) {
        let after = if kind == "no_show_recovery" { json!(["no_show"]) } else { json!([]) };
        let enabled = kind != "confirmation_request";
        (read(json!(kind)), read(json!({ "enabled": enabled, "steps": steps, "after": after })))
    };
    let at = |timing: &str, channels: Value| json!([{ "timing": timing, "channels": channels }]);
    [
        rule("booking_created", at("immediately", json!(["email", "sms", "push"]))),
        rule("booking_confirmed", at("immediately", json!(["email", "sms"]))),
        rule("booking_rescheduled", at("immediately", json!(["email", "sms", "push"]))),
        rule("booking_changed", at("immediately", json!(["email", "push"]))),
        rule("booking_cancelled", at("immediately", json!(["email", "sms"]))),
        rule("confirmation_request", at("1d before start", json!(["sms", "email"]))),
        rule(
            "reminder",
            json!([
                { "timing": "24h before start", "channels": ["push"] }, { "timing": "2h before start", "channels": ["sms"] },
                { "timing": "1h before start", "channels": ["push"] },
            ]),
        ),
        rule("running_late", at("10m after start", json!(["sms", "push"]))),
        rule("missed_booking", at("immediately", json!(["email"]))),
        rule("no_show_recovery", at("1d after", json!(["email", "push", "sms"]))),
        rule("review_request", at("2h after end", json!(["sms", "email", "push"]))),
        rule("rebooking_reminder", at("per service", json!(["sms", "push", "email"]))),
    ]
    .into()
}

impl View<'_> {
    fn zone(&self, client: &Client) -> &TimeZone {
        let name = client.zone.as_ref().map_or(self.booking.zone.name(), |zone| zone.name());
        &self.journal.zones[name]
    }

    /// The client's card.
    pub fn client(&self, id: &ClientId) -> Option<&Client> {
        let over = self.journal.clients.get(&(self.booking.business_id.clone(), id.clone()))?;
        at(over, self.instant)
    }

    fn rule(&self, kind: Type) -> &Rule {
        let key = (self.booking.business_id.clone(), self.booking.rules_version);
        let changed = self.journal.rules.get(&key).and_then(|rules| rules.changed.get(&kind));
        changed.unwrap_or_else(|| &self.journal.defaults[&kind])
    }

    /// The quiet hours around an instant for a client and a channel: when they begin and end (UTC).
    pub fn quiet(
        &self,
        client: &Client,
        channel: Channel,
        instant: Timestamp,
    ) -> Option<(Timestamp, Timestamp)> {
        let hours = self.location.quiet.as_ref().or(self.business.quiet.as_ref())?;
        if !hours.channels.iter().any(|held| held == channel.name()) {
            return None;
        }
        let zone = self.zone(client);
        let wall = instant.to_zoned(zone.clone()).datetime();
        let (over_midnight, time) = (hours.from > hours.until, wall.time());
        let inside = match over_midnight {
            true => time >= hours.from || time < hours.until,
            false => time >= hours.from && time < hours.until,
        };
        if !inside {
            return None;
        }
        let day = |days: i64| -> Date { wall.date().checked_add(Span::new().days(days)).expect("a date") };
        let (opens, ends) = match (over_midnight, time >= hours.from) {
            (true, true) => (day(0), day(1)),
            (true, false) => (day(-1), day(0)),
            (false, _) => (day(0), day(0)),
        };
        let on = |day: Date, time: Time| {
            zone.to_ambiguous_timestamp(day.to_datetime(time)).compatible().expect("an instant")
        };
        Some((on(opens, hours.from), on(ends, hours.until)))
    }

    /// Everything the booking calls for towards a client.
    pub fn expected(&self, id: &ClientId) -> Vec<Expected> {
        let mut found = Vec::new();
        let Some(client) = self.client(id) else { return found };
        if !self.booking.client_ids.contains(id) {
            return found;
        }
        self.news(client, &mut found);
        if is_ahead(self.booking) {
            self.reminders(client, &mut found);
            self.requests(client, &mut found);
            self.late(client, &mut found);
        }
        self.after_the_visit(client, &mut found);
        found
    }

    fn cause<'a>(&self, kind: Type, event: &Event, client: &'a Client) -> Cause<'a> {
        Cause {
            kind,
            revision: event.revision,
            at: event.at,
            notify: event.notify,
            by_staff_at_making: event.kind == EventKind::Created && event.by == Source::Staff,
            use_by: None,
            switch: Switch::Step,
            known: event.at,
            client: &client.id,
        }
    }

    /// On each channel the latest news stands for all before it.
    fn news(&self, client: &Client, found: &mut Vec<Expected>) {
        let mut told: BTreeSet<Channel> = BTreeSet::new();
        for event in self.booking.history.iter().rev() {
            let kind = match event.kind {
                EventKind::Cancelled => Type::BookingCancelled,
                EventKind::Created => Type::BookingCreated,
                EventKind::Confirmed => Type::BookingConfirmed,
                EventKind::Rescheduled => Type::BookingRescheduled,
                EventKind::Changed => Type::BookingChanged,
                _ => continue,
            };
            if kind != Type::BookingCancelled && !is_ahead(self.booking) {
                continue;
            }
            let use_by = (kind != Type::BookingCancelled).then_some(self.booking.start);
            let cause = Cause { use_by, ..self.cause(kind, event, client) };
            let mut messages = self.by_rule(&cause);
            let ticked = cause.notify == Notify::Yes && cause.by_staff_at_making;
            if ticked && !messages.iter().any(|message| message.which.4 == Channel::Sms) {
                // The tick sends an sms where the rule knows of none (S35).
                let rule = self.rule(kind);
                let step =
                    rule.steps.first().map_or("immediately".to_owned(), |step| step.timing.to_string());
                messages.extend(self.step(&cause, rule, &step, &[Channel::Sms]));
            }
            messages.retain(|message| !told.contains(&message.which.4));
            for message in &messages {
                if matches!(message.obstacle, None | Some(Reason::Cascade)) {
                    told.insert(message.which.4);
                }
            }
            found.extend(messages);
        }
    }

    /// The event that set the time of the visit.
    fn time_set(&self) -> Option<&Event> {
        self.booking.history.iter().find(|event| {
            event.revision == self.booking.time_revision
                && matches!(event.kind, EventKind::Created | EventKind::Rescheduled)
        })
    }

    fn before_the_visit<'a>(&self, kind: Type, client: &'a Client) -> Option<Cause<'a>> {
        let event = self.time_set()?;
        let cause = self.cause(kind, event, client);
        Some(Cause { notify: Notify::ByRules, use_by: Some(self.booking.start), ..cause })
    }

    fn reminders(&self, client: &Client, found: &mut Vec<Expected>) {
        if self.booking.confirmation == Confirmation::Declined {
            return;
        }
        let Some(mut cause) = self.before_the_visit(Type::Reminder, client) else { return };
        let rule = self.rule(Type::Reminder);
        let confirmed = self.booking.history.iter().rev().find(|event| event.kind == EventKind::Confirmed);
        if let Some(confirmed) = confirmed.filter(|_| !rule.while_pending) {
            // The rule waits for the confirmation: from then on a reminder is known of.
            cause.known = cause.known.max(confirmed.at);
        }
        let mut messages = match &self.booking.reminders {
            None => self.by_rule(&cause),
            Some(timings) => {
                let cause = Cause { switch: Switch::Type, ..cause };
                let channels = self.channels(rule);
                let steps =
                    timings.iter().map(|timing| self.step(&cause, rule, &timing.to_string(), &channels));
                steps.flatten().collect()
            }
        };
        if !rule.while_pending && self.booking.status == Status::Pending {
            for message in &mut messages {
                message.obstacle = Some(Reason::NotConfirmed);
            }
        }
        found.extend(messages);
    }

    fn requests(&self, client: &Client, found: &mut Vec<Expected>) {
        if matches!(self.booking.confirmation, Confirmation::Confirmed | Confirmation::Declined) {
            return;
        }
        let kind = Type::ConfirmationRequest;
        if let Some(cause) = self.before_the_visit(kind, client) {
            found.extend(self.by_rule(&cause));
        }
        // "Send now", by staff (S40).
        let asked =
            self.booking.history.iter().rev().find(|event| event.kind == EventKind::ConfirmationRequested);
        if let Some(event) = asked.filter(|event| event.revision >= self.booking.time_revision) {
            let cause = self.cause(kind, event, client);
            let cause = Cause { use_by: Some(self.booking.start), switch: Switch::Nothing, ..cause };
            let rule = self.rule(kind);
            let channels = self.channels(rule);
            found.extend(self.step(&cause, rule, "immediately", &channels));
        }
    }

    fn late(&self, client: &Client, found: &mut Vec<Expected>) {
        let since = |event: &&Event| {
            event.kind == EventKind::RunningLate && event.revision >= self.booking.time_revision
        };
        if let Some(event) = self.booking.history.iter().find(since) {
            let cause = self.cause(Type::RunningLate, event, client);
            let cause = Cause { use_by: Some(self.booking.end), ..cause };
            // Whoever looked has waited already.
            let rule = self.rule(cause.kind);
            for step in rule.steps.iter().filter(|step| step.is_for(self.booking.source)) {
                let timing = step.timing.to_string();
                found.extend(self.step_at(&cause, rule, &timing, Some(event.at), &step.channels));
            }
        }
    }

    fn after_the_visit(&self, client: &Client, found: &mut Vec<Expected>) {
        let latest = |kind: EventKind| self.booking.history.iter().rev().find(|event| event.kind == kind);
        // What follows later is not silenced by the tick of the operation, but by "nothing at all".
        let later = |cause: Cause<'_>| match cause.notify {
            Notify::Nothing => Notify::Nothing,
            _ => Notify::ByRules,
        };
        let recovery = self.rule(Type::NoShowRecovery);
        match self.booking.status {
            Status::NoShow | Status::Cancelled => {
                let no_show = self.booking.status == Status::NoShow;
                let (event, ending) = match no_show {
                    true => (latest(EventKind::NoShow), Ending::NoShow),
                    false => (latest(EventKind::Cancelled), Ending::Cancelled),
                };
                let Some(event) = event else { return };
                if no_show {
                    found.extend(self.by_rule(&self.cause(Type::MissedBooking, event, client)));
                }
                if recovery.after.contains(&ending) {
                    let cause = self.cause(Type::NoShowRecovery, event, client);
                    found.extend(self.by_rule(&Cause { notify: later(cause.clone()), ..cause }));
                }
            }
            Status::Completed => {
                let Some(event) = latest(EventKind::Completed) else { return };
                let cause = self.cause(Type::ReviewRequest, event, client);
                let use_by = Some(self.booking.end + REVIEW);
                found.extend(self.by_rule(&Cause { notify: later(cause.clone()), use_by, ..cause }));
                let cause = self.cause(Type::RebookingReminder, event, client);
                found.extend(self.by_rule(&Cause { notify: later(cause.clone()), ..cause }));
            }
            _ => {}
        }
    }

    fn channels(&self, rule: &Rule) -> Vec<Channel> {
        let mut channels = Vec::new();
        for step in rule.steps.iter().filter(|step| step.is_for(self.booking.source)) {
            for channel in &step.channels {
                if !channels.contains(channel) {
                    channels.push(*channel);
                }
            }
        }
        channels
    }

    fn by_rule(&self, cause: &Cause<'_>) -> Vec<Expected> {
        let rule = self.rule(cause.kind);
        let steps = rule.steps.iter().filter(|step| step.is_for(self.booking.source));
        steps.flat_map(|step| self.step(cause, rule, &step.timing.to_string(), &step.channels)).collect()
    }

    fn step(&self, cause: &Cause<'_>, rule: &Rule, timing: &str, channels: &[Channel]) -> Vec<Expected> {
        self.step_at(cause, rule, timing, None, channels)
    }

    fn step_at(
        &self,
        cause: &Cause<'_>,
        rule: &Rule,
        timing: &str,
        nominal: Option<Timestamp>,
        channels: &[Channel],
    ) -> Vec<Expected> {
        let Some(nominal) = nominal.or_else(|| self.resolve(timing, cause.at)) else { return Vec::new() };
        let Some(client) = self.client(cause.client) else { return Vec::new() };
        let (mut known, mut serves) = (cause.known, None);
        let mut found = Vec::new();
        for &channel in channels {
            let ticked = cause.notify == Notify::Yes && cause.by_staff_at_making && channel == Channel::Sms;
            let in_rule = rule.steps.iter().any(|step| {
                step.timing.to_string() == timing
                    && step.channels.contains(&channel)
                    && step.is_for(self.booking.source)
            });
            let on = match cause.switch {
                Switch::Step => rule.enabled && in_rule,
                Switch::Type => rule.enabled,
                Switch::Nothing => true,
            };
            let mut obstacle = self.obstacle(cause, client, channel, on, ticked);
            if obstacle.is_none() && serves.is_some() && !ticked {
                obstacle = Some(Reason::Cascade);
            }
            let which = (cause.kind, timing.to_owned(), cause.revision, client.id.clone(), channel);
            let (due, no_time) = self.time(cause, rule, timing, (nominal, known), client, channel);
            let known_at = known;
            if rule.strategy == Strategy::Cascade && serves.is_none() {
                match self.failed(&which) {
                    Some(failed) => known = known.max(failed),
                    None if obstacle.is_none() => serves = Some(channel),
                    None => {}
                }
            }
            found.push(Expected {
                which,
                known_at,
                nominal,
                due,
                use_by: cause.use_by,
                obstacle,
                no_time,
                quiet: rule.quiet,
            });
        }
        found
    }

    /// When a message failed for certain (UTC), if the booking knows of it.
    fn failed(&self, which: &Which) -> Option<Timestamp> {
        self.booking.failures.iter().find_map(|failure| {
            let row = &self.journal.rows.get(&failure.message_id)?.first()?.1;
            (which_of(row).as_ref() == Some(which)).then_some(failure.at)
        })
    }

    /// What stands in the way, strongest first (SPEC §4).
    fn obstacle(
        &self,
        cause: &Cause<'_>,
        client: &Client,
        channel: Channel,
        on: bool,
        ticked: bool,
    ) -> Option<Reason> {
        let address = match channel {
            Channel::Email => client.email.as_ref().map(|email| email.as_str()),
            Channel::Sms => client.phone.as_ref().map(|phone| phone.as_str()),
            Channel::Push => client.devices.first().map(|_| ""),
            channel => panic!("nothing goes by {channel} in the simulation"),
        };
        let suppressed = client.suppressions.iter().any(|known| Some(known.address.as_str()) == address);
        if suppressed && channel != Channel::Push {
            return Some(Reason::AddressSuppressed);
        }
        if client.bans.channels.contains(&channel) || client.bans.types.contains(&cause.kind) {
            return Some(Reason::Banned);
        }
        match cause.notify {
            Notify::Nothing => return Some(Reason::NotifyOff),
            Notify::NoSms if channel == Channel::Sms => return Some(Reason::NotifyOff),
            _ => {}
        }
        if !on && !ticked {
            return Some(Reason::SwitchedOff);
        }
        if channel == Channel::Sms && !self.business.sms {
            return Some(Reason::SmsOff);
        }
        address.is_none().then_some(Reason::NoAddress)
    }

    /// When it leaves, and why it cannot, if it cannot.
    fn time(
        &self,
        cause: &Cause<'_>,
        rule: &Rule,
        timing: &str,
        (nominal, known): (Timestamp, Timestamp),
        client: &Client,
        channel: Channel,
    ) -> (Timestamp, Option<Reason>) {
        let before_start = timing.ends_with("before start") || timing.starts_with("at ");
        if before_start && cause.known > nominal {
            let lead = self.booking.start.duration_since(nominal);
            let missed = cause.known.duration_since(nominal);
            let still = match rule.late {
                LatePolicy::Grace => missed.as_millis() * 3 < lead.as_millis(),
                LatePolicy::SendNow => true,
                LatePolicy::Skip => false,
            };
            if !still {
                return (nominal, Some(Reason::TooLate));
            }
        }
        let due = nominal.max(known);
        if cause.use_by.is_some_and(|use_by| due >= use_by) {
            return (due, Some(Reason::TooLate));
        }
        let Some((opens, ends)) = self.quiet(client, channel, due) else { return (due, None) };
        if cause.use_by.is_none_or(|use_by| ends < use_by) {
            return (ends, None);
        }
        match rule.quiet {
            QuietPolicy::Send => (due, None),
            QuietPolicy::Advance if opens - SignedDuration::from_mins(5) >= known => {
                (opens - JUST_BEFORE, None)
            }
            _ => (due, Some(Reason::QuietHours)),
        }
    }

    /// The instant that a timing names.
    fn resolve(&self, timing: &str, event: Timestamp) -> Option<Timestamp> {
        let zone = &self.journal.zones[self.booking.zone.name()];
        let words: Vec<&str> = timing.split(' ').collect();
        Some(match words.as_slice() {
            ["immediately"] => event,
            [length, "after"] => self.shift(event, length, 1),
            [length, "before", "start"] => self.shift(self.booking.start, length, -1),
            [length, "after", "start"] => self.shift(self.booking.start, length, 1),
            [length, "after", "end"] => self.shift(self.booking.end, length, 1),
            ["per", "service"] => {
                let key = (self.booking.business_id.clone(), self.booking.service_id.clone());
                self.shift(self.booking.end, self.journal.services.get(&key)?.as_ref()?, 1)
            }
            ["at", time, rest @ ..] => {
                let days = match rest {
                    ["on", "the", "day"] => 0,
                    [days, "before"] => days.trim_end_matches('d').parse().expect("days"),
                    _ => panic!("{timing} is no timing of the simulation"),
                };
                let day = self.booking.start.to_zoned(zone.clone()).date();
                let day = day.checked_sub(Span::new().days(days)).expect("a date");
                let time: Time = format!("{time}:00").parse().expect("a time");
                zone.to_ambiguous_timestamp(day.to_datetime(time)).compatible().expect("an instant")
            }
            _ => panic!("{timing} is no timing of the simulation"),
        })
    }

    /// Minutes and hours are exact; days keep the wall time.
    fn shift(&self, from: Timestamp, length: &str, sign: i64) -> Timestamp {
        let (amount, unit) = length.split_at(length.len() - 1);
        let amount = amount.parse::<i64>().expect("an amount") * sign;
        let zone = &self.journal.zones[self.booking.zone.name()];
        match unit {
            "m" => from + SignedDuration::from_mins(amount),
            "h" => from + SignedDuration::from_hours(amount),
            _ => {
                let zoned = from.to_zoned(zone.clone()).checked_add(Span::new().days(amount));
                zoned.expect("an instant").timestamp()
            }
        }
    }
}

/// Which message of its booking a row is, if it is to a client.
pub fn which_of(row: &Message) -> Option<Which> {
    let client = row.recipient.client()?.clone();
    Some((row.kind, row.step.to_string(), row.revision, client, row.channel))
}
