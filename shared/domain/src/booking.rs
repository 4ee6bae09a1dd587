//! Bookings: their states, what may be done to them, and the history that messages are planned from.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{OneOfBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::ids::{BookingId, BusinessId, ClientId, LocationId, MessageId, ResourceId, SeriesId, ServiceId};
use crate::money::Money;
use crate::text::Notes;
use crate::timing::{Interval, Timing};
use crate::zone::Zone;

/// How far a booking has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Made, not yet confirmed by staff.
    Pending,
    /// Confirmed.
    Confirmed,
    /// The client is there.
    Arrived,
    /// The visit is over.
    Completed,
    /// Called off before the visit.
    Cancelled,
    /// The client did not come.
    NoShow,
}

impl Status {
    /// Whether the visit is still ahead: neither begun, nor called off, nor missed.
    pub fn is_ahead(self) -> bool {
        matches!(self, Status::Pending | Status::Confirmed)
    }

    /// Whether there is no visit: it was called off or missed.
    pub fn is_off(self) -> bool {
        matches!(self, Status::Cancelled | Status::NoShow)
    }

    /// The name in the API and in texts for staff.
    pub fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Confirmed => "confirmed",
            Status::Arrived => "arrived",
            Status::Completed => "completed",
            Status::Cancelled => "cancelled",
            Status::NoShow => "no_show",
        }
    }
}

/// Whether the client has confirmed that the visit will take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confirmation {
    /// Nobody asked.
    #[default]
    None,
    /// The client was asked and has not answered.
    Requested,
    /// The client will come.
    Confirmed,
    /// The client will not come. The booking stays until somebody cancels it.
    Declined,
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The client, online.
    Online,
    /// A staff member.
    Staff,
    /// The system, when a check came due.
    System,
}

/// Whether one operation tells the client (S31, S34–S37). In JSON: `true`, `false` or `"none"`; absent is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notify {
    /// As the rules say.
    #[default]
    ByRules,
    /// `true`: the sms goes even where the type or its sms is off.
    Yes,
    /// `false`: no sms for this operation; other channels as the rules say.
    NoSms,
    /// `"none"`: nothing on any channel.
    Nothing,
}

impl Notify {
    /// Whether nothing was said.
    pub fn is_by_rules(&self) -> bool {
        *self == Notify::ByRules
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NotifyWritten {
    Tick(bool),
    Word(String),
}

impl PartialSchema for Notify {
    fn schema() -> RefOr<Schema> {
        let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["none", "by_rules"]));
        OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::Boolean))
            .item(word)
            .description(Some(
                "Whether the client hears of it: `true` sends the sms even where it is switched off, `false` sends none, `\"none\"` silences \
                 every channel, `\"by_rules\"` is as if nothing were said.",
            ))
            .into()
    }
}

impl ToSchema for Notify {}

impl Serialize for Notify {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Notify::ByRules => NotifyWritten::Word("by_rules".to_owned()),
            Notify::Yes => NotifyWritten::Tick(true),
            Notify::NoSms => NotifyWritten::Tick(false),
            Notify::Nothing => NotifyWritten::Word("none".to_owned()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Notify {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = || serde::de::Error::custom("expected true, false, \"none\" or \"by_rules\"");
        match NotifyWritten::deserialize(deserializer).map_err(|_| expected())? {
            NotifyWritten::Tick(true) => Ok(Notify::Yes),
            NotifyWritten::Tick(false) => Ok(Notify::NoSms),
            NotifyWritten::Word(word) if word == "none" => Ok(Notify::Nothing),
            NotifyWritten::Word(word) if word == "by_rules" => Ok(Notify::ByRules),
            NotifyWritten::Word(_) => Err(expected()),
        }
    }
}

/// What happened to a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It was made.
    Created,
    /// Staff confirmed it.
    Confirmed,
    /// Its time was moved.
    Rescheduled,
    /// It got another resource or service, at the same time.
    Changed,
    /// These clients came in.
    Joined(Vec<ClientId>),
    /// These clients are out of it; the booking goes on without them.
    Left(Vec<ClientId>),
    /// Staff asked the client to confirm (S40).
    ConfirmationRequested,
    /// The client will come.
    ClientConfirmed,
    /// The client will not come.
    ClientDeclined,
    /// The client had not answered when the check looked (S53).
    Unconfirmed,
    /// It was called off.
    Cancelled,
    /// The client came.
    Arrived,
    /// The visit ended.
    Completed,
    /// The client did not come.
    NoShow,
    /// The visit should have begun and the client was not there.
    RunningLate,
}

/// One thing that happened, kept inside the booking so that planning needs nothing but the booking as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// The booking's revision from then on.
    pub revision: u64,
    /// When (UTC).
    pub at: Timestamp,
    /// By whom.
    pub by: Source,
    /// Whether the client is told.
    #[serde(default, skip_serializing_if = "Notify::is_by_rules")]
    pub notify: Notify,
}

/// A booking's place in a series of bookings that were made at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Series {
    /// Which series.
    pub id: SeriesId,
    /// From 0: the first booking's notice stands for all.
    pub index: u32,
    /// How many bookings the series has.
    pub count: u32,
    /// In the first booking only: when each starts (UTC), for its notice to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Timestamp>,
}

/// A message that failed for certain: what lets a cascade go on to its next channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Which message.
    pub message_id: MessageId,
    /// When that became known (UTC).
    pub at: Timestamp,
}

/// How many failures a booking or an occasion remembers.
pub const FAILURES: usize = 50;

/// The failures with one more, each once, the oldest forgotten. `None` when it is there already.
pub(crate) fn with_failure(failures: &[Failure], failure: Failure) -> Option<Vec<Failure>> {
    if failures.iter().any(|known| known.message_id == failure.message_id) {
        return None;
    }
    let excess = (failures.len() + 1).saturating_sub(FAILURES);
    Some(failures.iter().skip(excess).cloned().chain([failure]).collect())
}

/// A booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Booking {
    /// Whose booking.
    pub business_id: BusinessId,
    /// The id.
    pub id: BookingId,
    /// Where.
    pub location_id: LocationId,
    /// Whom or what it takes up.
    pub resource_id: ResourceId,
    /// What for.
    pub service_id: ServiceId,
    /// Who comes; each has messages of their own. One to 20.
    pub client_ids: Vec<ClientId>,
    /// Start of the visit (UTC).
    pub start: Timestamp,
    /// End of the visit (UTC), after the start.
    pub end: Timestamp,
    /// The location's zone: whose wall times the visit is spoken of in.
    pub zone: Zone,
    /// Who made it.
    pub source: Source,
    /// How far it has come.
    pub status: Status,
    /// Rises with every change that matters to messages; what `If-Match` compares.
    pub revision: u64,
    /// The revision at which the present start was set: reminders belong to it, so that confirming does not repeat them.
    pub time_revision: u64,
    /// The latest events and the one that set the time, oldest first, at most [`HISTORY`].
    pub history: Vec<Event>,
    /// Whether the client has confirmed the present time.
    #[serde(default)]
    pub confirmation: Confirmation,
    /// The version of the business's rules it is planned by.
    #[serde(default)]
    pub rules_version: u64,
    /// Reminder times of its own, instead of the rule's (S39, S72); none of them means no reminder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminders: Option<Vec<Timing>>,
    /// How long after the visit the client is invited again, instead of the service's interval (S41).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebooking_after: Option<Interval>,
    /// The series it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
    /// Messages that failed for certain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// For staff only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Notes>,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
}

/// How many events a booking keeps. Messages of older ones have long left or been superseded.
pub const HISTORY: usize = 30;

/// Something done to an existing booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Staff confirms.
    Confirm,
    /// The visit moves to another time (UTC instants, the end after the start).
    Reschedule {
        /// New start.
        start: Timestamp,
        /// New end.
        end: Timestamp,
    },
    /// Another resource or service, at the same time.
    Change {
        /// The resource from then on.
        resource_id: ResourceId,
        /// The service from then on.
        service_id: ServiceId,
    },
    /// Clients come in and leave.
    Participants(Vec<ClientId>),
    /// Staff asks the client to confirm.
    RequestConfirmation,
    /// The client answers: whether the visit will take place.
    Answer(bool),
    /// Called off.
    Cancel,
    /// The client is there. Also corrects a no-show.
    Arrive,
    /// The visit is over.
    Complete,
    /// The client did not come.
    NoShow,
    /// Noticed by a check: the client should be there and is not.
    RunLate,
    /// Noticed by a check: the client has not confirmed.
    StayUnconfirmed,
}

impl Operation {
    /// Whether it only notes something, so that it must not fail the If-Match of staff who act on it.
    fn is_observation(&self) -> bool {
        matches!(self, Operation::RunLate | Operation::StayUnconfirmed)
    }
}

/// The operation does not fit the booking's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a booking that is {} cannot be {operation}", .status.name())]
pub struct IllegalTransition {
    /// The state the booking is in.
    pub status: Status,
    /// What was tried, as a participle.
    pub operation: &'static str,
}

impl Booking {
    /// Adds the event of its making. Call once, on a booking that was just put together.
    pub fn created(mut self, at: Timestamp, notify: Notify) -> Self {
        self.revision = 1;
        self.time_revision = 1;
        let by = self.source;
        self.history = vec![Event { kind: EventKind::Created, revision: 1, at, by, notify }];
        self
    }

    /// The booking after an operation, at `at`, by `by`.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the booking's state does not allow it (SPEC §2).
    pub fn after(
        &self,
        operation: Operation,
        at: Timestamp,
        by: Source,
        notify: Notify,
    ) -> Result<Booking, IllegalTransition> {
        use Status::{Arrived, Cancelled, Completed, Confirmed, NoShow, Pending};
        let ahead: &[Status] = &[Pending, Confirmed];
        let (allowed, status, participle): (&[Status], _, _) = match &operation {
            Operation::Confirm => (&[Pending], Confirmed, "confirmed"),
            Operation::Reschedule { .. } => (ahead, self.status, "rescheduled"),
            Operation::Change { .. } | Operation::Participants(_) => (ahead, self.status, "changed"),
            Operation::RequestConfirmation => (ahead, self.status, "asked to be confirmed"),
            Operation::Answer(_) => (ahead, self.status, "answered by the client"),
            Operation::Cancel => (ahead, Cancelled, "cancelled"),
            Operation::Arrive => (&[Confirmed, NoShow], Arrived, "marked arrived"),
            Operation::Complete => (&[Arrived], Completed, "completed"),
            Operation::NoShow => (ahead, NoShow, "marked a no-show"),
            Operation::RunLate => (ahead, self.status, "found running late"),
            Operation::StayUnconfirmed => (ahead, self.status, "found unconfirmed"),
        };
        if !allowed.contains(&self.status) {
            return Err(IllegalTransition { status: self.status, operation: participle });
        }
        let mut next = self.clone();
        next.status = status;
        if !operation.is_observation() {
            next.revision += 1;
        }
        for kind in next.apply(operation) {
            next.history.push(Event { kind, revision: next.revision, at, by, notify });
        }
        while next.history.len() > HISTORY {
            // The event that set the time stays: reminders are planned from it, however much has happened since.
            let Some(oldest) = next.history.iter().position(|event| !next.sets_time(event)) else { break };
            next.history.remove(oldest);
        }
        Ok(next)
    }

    /// Makes an operation's changes but for status and revision; answers what there is to tell of it.
    fn apply(&mut self, operation: Operation) -> Vec<EventKind> {
        match operation {
            Operation::Confirm => vec![EventKind::Confirmed],
            Operation::Reschedule { start, end } => {
                self.end = end;
                // A visit that only gets longer or shorter starts when the client was told: there is no news, and no reminder to repeat.
                if start == self.start {
                    return Vec::new();
                }
                self.start = start;
                self.time_revision = self.revision;
                self.confirmation = Confirmation::None;
                vec![EventKind::Rescheduled]
            }
            Operation::Change { resource_id, service_id } => {
                self.resource_id = resource_id;
                self.service_id = service_id;
                vec![EventKind::Changed]
            }
            Operation::Participants(client_ids) => {
                let missing = |of: &[ClientId], among: &[ClientId]| -> Vec<ClientId> {
                    of.iter().filter(|id| !among.contains(id)).cloned().collect()
                };
                let joined = missing(&client_ids, &self.client_ids);
                let left = missing(&self.client_ids, &client_ids);
                self.client_ids = client_ids;
                let joined = (!joined.is_empty()).then_some(EventKind::Joined(joined));
                joined.into_iter().chain((!left.is_empty()).then_some(EventKind::Left(left))).collect()
            }
            Operation::RequestConfirmation => {
                self.confirmation = Confirmation::Requested;
                vec![EventKind::ConfirmationRequested]
            }
            Operation::Answer(comes) => {
                self.confirmation = if comes { Confirmation::Confirmed } else { Confirmation::Declined };
                vec![if comes { EventKind::ClientConfirmed } else { EventKind::ClientDeclined }]
            }
            Operation::Cancel => vec![EventKind::Cancelled],
            Operation::Arrive => vec![EventKind::Arrived],
            Operation::Complete => vec![EventKind::Completed],
            Operation::NoShow => vec![EventKind::NoShow],
            Operation::RunLate => vec![EventKind::RunningLate],
            Operation::StayUnconfirmed => vec![EventKind::Unconfirmed],
        }
    }

    /// The booking with the note that the client was asked to confirm, or `None` when there is nothing to note.
    pub fn asked(&self) -> Option<Booking> {
        (self.confirmation == Confirmation::None)
            .then(|| Booking { confirmation: Confirmation::Requested, ..self.clone() })
    }

    /// The booking with the note that a message failed for certain, or `None` when it has it.
    pub fn failed(&self, failure: Failure) -> Option<Booking> {
        with_failure(&self.failures, failure).map(|failures| Booking { failures, ..self.clone() })
    }

    /// Everybody who may still be owed a message: who comes, and who has left.
    pub fn everybody(&self) -> Vec<ClientId> {
        let mut all = self.client_ids.clone();
        for event in &self.history {
            if let EventKind::Left(left) = &event.kind {
                all.extend(left.iter().filter(|id| !self.client_ids.contains(id)).cloned());
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The event that set the present time of the visit.
    pub fn time_set(&self) -> Option<&Event> {
        self.history.iter().find(|event| self.sets_time(event))
    }

    fn sets_time(&self, event: &Event) -> bool {
        event.revision == self.time_revision
            && matches!(event.kind, EventKind::Created | EventKind::Rescheduled)
    }

    /// The first event of a kind since the present time of the visit was set, if there is one.
    pub fn since_time_set(&self, kind: &EventKind) -> Option<&Event> {
        self.history.iter().find(|event| event.kind == *kind && event.revision >= self.time_revision)
    }

    /// The latest event of a kind, if there is one.
    pub fn latest(&self, kind: &EventKind) -> Option<&Event> {
        self.history.iter().rev().find(|event| event.kind == *kind)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rstest::rstest;

    /// A booking made on 2026-11-20 at noon UTC for the 23rd, 10:00 to 11:00 in Lisbon.
    pub(crate) fn booking() -> Booking {
        Booking {
            business_id: "b".parse().unwrap(),
            id: "k".parse().unwrap(),
            location_id: "l".parse().unwrap(),
            resource_id: "r".parse().unwrap(),
            service_id: "s".parse().unwrap(),
            client_ids: vec!["c".parse().unwrap()],
            start: "2026-11-23T10:00:00Z".parse().unwrap(),
            end: "2026-11-23T11:00:00Z".parse().unwrap(),
            zone: "Europe/Lisbon".parse().unwrap(),
            source: Source::Staff,
            status: Status::Confirmed,
            revision: 0,
            time_revision: 0,
            history: vec![],
            confirmation: Confirmation::None,
            rules_version: 0,
            reminders: None,
            rebooking_after: None,
            series: None,
            failures: vec![],
            notes: None,
            price: None,
        }
        .created(made(), Notify::ByRules)
    }

    pub(crate) fn made() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn with_status(status: Status) -> Booking {
        Booking { status, ..booking() }
    }

    #[rstest]
    fn only_the_transitions_of_the_spec_are_possible(
        #[values(
            Status::Pending,
            Status::Confirmed,
            Status::Arrived,
            Status::Completed,
            Status::Cancelled,
            Status::NoShow
        )]
        from: Status,
        #[values(
            Operation::Confirm,
            Operation::Cancel,
            Operation::Arrive,
            Operation::Complete,
            Operation::NoShow
        )]
        operation: Operation,
    ) {
        use Status::{Arrived, Cancelled, Completed, Confirmed, NoShow, Pending};
        let expected = match (from, operation.clone()) {
            (Pending, Operation::Confirm) => Some(Confirmed),
            (Pending | Confirmed, Operation::Cancel) => Some(Cancelled),
            (Pending | Confirmed, Operation::NoShow) => Some(NoShow),
            (Confirmed | NoShow, Operation::Arrive) => Some(Arrived),
            (Arrived, Operation::Complete) => Some(Completed),
            _ => None,
        };
        let result = with_status(from).after(operation, made(), Source::Staff, Notify::ByRules);
        assert_eq!(result.as_ref().ok().map(|booking| booking.status), expected);
        match result {
            Ok(after) => assert_eq!((after.revision, after.history.len()), (2, 2)),
            Err(error) => assert_eq!(error.status, from),
        }
    }

    #[test]
    fn moving_sets_the_time_revision_and_confirming_does_not() {
        let pending = with_status(Status::Pending);
        let confirmed = pending.after(Operation::Confirm, made(), Source::Staff, Notify::ByRules).unwrap();
        assert_eq!((confirmed.revision, confirmed.time_revision), (2, 1));
        let to = Operation::Reschedule {
            start: "2026-11-24T10:00:00Z".parse().unwrap(),
            end: "2026-11-24T11:00:00Z".parse().unwrap(),
        };
        let moved = confirmed.after(to, made(), Source::Staff, Notify::ByRules).unwrap();
        assert_eq!((moved.revision, moved.time_revision), (3, 3));
    }

    #[test]
    fn a_visit_that_only_changes_its_length_is_no_news() {
        let longer =
            Operation::Reschedule { start: booking().start, end: "2026-11-23T12:00:00Z".parse().unwrap() };
        let after = booking().after(longer, made(), Source::Staff, Notify::ByRules).unwrap();
        assert_eq!((after.revision, after.time_revision, after.history.len()), (2, 1, 1));
    }

    #[test]
    fn found_late_counts_for_the_present_time_only() {
        let late = booking().after(Operation::RunLate, made(), Source::System, Notify::ByRules).unwrap();
        assert_eq!(late.revision, 1, "an observation is no revision");
        assert!(late.since_time_set(&EventKind::RunningLate).is_some());
        let to = Operation::Reschedule {
            start: "2026-11-24T10:00:00Z".parse().unwrap(),
            end: "2026-11-24T11:00:00Z".parse().unwrap(),
        };
        let moved = late.after(to, made(), Source::Staff, Notify::ByRules).unwrap();
        assert!(moved.since_time_set(&EventKind::RunningLate).is_none());
    }

    #[test]
    fn the_history_is_bounded() {
        let (mut booking, step) = (booking(), jiff::SignedDuration::from_mins(30));
        for _ in 0..HISTORY * 2 {
            let to = Operation::Reschedule { start: booking.start + step, end: booking.end + step };
            booking = booking.after(to, made(), Source::Staff, Notify::ByRules).unwrap();
        }
        assert_eq!(booking.history.len(), HISTORY);
        assert_eq!(booking.history.last().map(|event| event.revision), Some(booking.revision));
    }

    #[test]
    fn s71_a_full_history_keeps_the_event_that_set_the_time_and_the_latest() {
        let mut booking = booking();
        for _ in 0..HISTORY * 2 {
            booking =
                booking.after(Operation::Answer(true), made(), Source::Online, Notify::ByRules).unwrap();
        }
        let history: Vec<u64> = booking.history.iter().map(|event| event.revision).collect();
        let latest = (booking.revision + 2 - HISTORY as u64)..=booking.revision;
        assert_eq!(history, [1].into_iter().chain(latest).collect::<Vec<_>>());
        assert_eq!(booking.time_set().map(|event| &event.kind), Some(&EventKind::Created));
    }

    #[test]
    fn s53_the_clients_answer_is_for_the_time_it_was_given_for() {
        let after = |booking: &Booking, operation| {
            booking.after(operation, made(), Source::Online, Notify::ByRules).unwrap()
        };
        let answered = after(&booking(), Operation::Answer(true));
        assert_eq!(answered.confirmation, Confirmation::Confirmed);
        let declined = after(&answered, Operation::Answer(false));
        assert_eq!((declined.confirmation, declined.status), (Confirmation::Declined, Status::Confirmed));
        let longer =
            Operation::Reschedule { start: booking().start, end: "2026-11-23T12:00:00Z".parse().unwrap() };
        assert_eq!(after(&answered, longer).confirmation, Confirmation::Confirmed, "the start is the same");
        let to = Operation::Reschedule {
            start: "2026-11-24T10:00:00Z".parse().unwrap(),
            end: "2026-11-24T11:00:00Z".parse().unwrap(),
        };
        assert_eq!(after(&answered, to).confirmation, Confirmation::None);
        let change =
            Operation::Change { resource_id: "r2".parse().unwrap(), service_id: "s2".parse().unwrap() };
        let changed = after(&answered, change);
        assert_eq!(changed.confirmation, Confirmation::Confirmed);
        assert_eq!((changed.resource_id.as_str(), changed.service_id.as_str()), ("r2", "s2"));
    }

    #[test]
    fn s4_a_booking_remembers_so_many_failures_each_once() {
        let failure =
            |number: usize| Failure { message_id: format!("m{number}").parse().unwrap(), at: made() };
        let mut booking = booking();
        for number in 0..FAILURES + 2 {
            booking = booking.failed(failure(number)).unwrap();
            assert_eq!(booking.failed(failure(number)), None);
        }
        assert_eq!(booking.failures.len(), FAILURES);
        assert_eq!(booking.failures.first(), Some(&failure(2)), "the oldest are forgotten");
        assert_eq!(booking.failures.last(), Some(&failure(FAILURES + 1)));
    }

    #[test]
    fn notify_is_a_tick_or_a_word() {
        let read = |json: &str| serde_json::from_str::<Notify>(json);
        assert_eq!(read("true").unwrap(), Notify::Yes);
        assert_eq!(read("false").unwrap(), Notify::NoSms);
        assert_eq!(read("\"none\"").unwrap(), Notify::Nothing);
        assert!(read("\"nobody\"").is_err());
        assert_eq!(serde_json::to_string(&Notify::NoSms).unwrap(), "false");
    }
}
