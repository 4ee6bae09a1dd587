//! EventBridge Scheduler: schedules kept in memory, and what happens when one is due.
//!
//! Targets are SQS queues only, since that is all the system uses; anything else is refused when it is created.

mod api;
mod expression;
mod request;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) use api::router;
pub use expression::Expression;
use request::{ActionAfterCompletion, Definition, State};

use super::{QueueSender, lock};

/// Schedules that are due together are sent this many at a time.
const SENDS_AT_ONCE: usize = 16;

/// A schedule that fired, as the time machine tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fired {
    /// Name of the schedule.
    pub name: String,
    /// Its schedule group.
    pub group: String,
    /// The time it was scheduled for.
    pub scheduled_at: Timestamp,
    /// ARN of the queue it was for.
    pub queue: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one invocation of a schedule's target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The queue took it.
    Sent,
    /// The queue refused it; it will be tried again, by the schedule's retry policy.
    Retry,
    /// The retry policy is used up, and the input went to the schedule's dead-letter queue.
    DeadLetter,
    /// The retry policy is used up, and there is no dead-letter queue or it refused too.
    Dropped,
}

/// A schedule that will fire, as the control API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingSchedule {
    /// Name of the schedule.
    pub name: String,
    /// Its schedule group.
    pub group: String,
    /// When it fires next, or is tried again (UTC).
    pub next_fire: Timestamp,
    /// The expression it was written with.
    pub expression: String,
    /// ARN of the queue.
    pub target: String,
    /// What goes into the queue, before context attributes are filled in.
    pub input: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Key {
    group: String,
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Schedule {
    definition: Definition,
    created: Timestamp,
    modified: Timestamp,
    /// Changes whenever the schedule is written, so that what was due by an older version is known to be stale.
    version: u64,
    /// Invocations of this version that wait for their time or are under way.
    outstanding: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Group {
    created: Timestamp,
    modified: Timestamp,
}

/// One invocation of a schedule's target that waits for its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Invocation {
    key: Key,
    version: u64,
    scheduled_at: Timestamp,
    /// Counts from 1.
    attempt: u32,
    /// When the first attempt was made; the retry policy's age counts from here.
    first_attempt: Option<Timestamp>,
}

/// What an idempotent call was asked and what it answered.
#[derive(Clone, PartialEq)]
struct Remembered {
    /// A hash of the call, whose input may be large.
    call: u64,
    answer: serde_json::Value,
}

#[derive(Default)]
struct Store {
    groups: BTreeMap<String, Group>,
    schedules: BTreeMap<Key, Schedule>,
    /// By time, and for the same time in the order they were written.
    due: BTreeMap<(Timestamp, u64), Invocation>,
    /// By client token. AWS does not say for how long it remembers; here it is as long as the stack runs.
    tokens: HashMap<String, Remembered>,
    counter: u64,
    /// Counts changes, so that it is known when to write down and when to show anew.
    revision: u64,
    written: u64,
}

/// What of the scheduler outlives a run of the stack.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Saved {
    groups: BTreeMap<String, Group>,
    schedules: Vec<(Key, Schedule)>,
    due: Vec<(Timestamp, Invocation)>,
}

/// The schedules of one account in one Region.
pub(super) struct Scheduler {
    store: Mutex<Store>,
    /// `arn:aws:scheduler:<region>:<account>`
    arn_prefix: String,
}

impl Scheduler {
    pub(super) fn new(region: &str, account: &str, groups: &[String], now: Timestamp, saved: Saved) -> Self {
        let mut store = Store { groups: saved.groups, ..Store::default() };
        for name in groups.iter().map(String::as_str).chain(["default"]) {
            store.groups.entry(name.to_owned()).or_insert(Group { created: now, modified: now });
        }
        store.counter = saved.schedules.iter().map(|(_, schedule)| schedule.version).max().unwrap_or(0);
        store.schedules = saved.schedules.into_iter().collect();
        for (due, invocation) in saved.due {
            store.counter += 1;
            store.due.insert((due, store.counter), invocation);
        }
        Self { store: Mutex::new(store), arn_prefix: format!("arn:aws:scheduler:{region}:{account}") }
    }

    /// Whether there is something to write down since the last time.
    pub(super) fn has_changed(&self) -> bool {
        let store = lock(&self.store);
        store.written != store.revision
    }

    /// What to write down.
    pub(super) fn state(&self) -> Saved {
        let mut store = lock(&self.store);
        store.written = store.revision;
        Saved {
            groups: store.groups.clone(),
            schedules: store
                .schedules
                .iter()
                .map(|(key, schedule)| (key.clone(), schedule.clone()))
                .collect(),
            due: store.due.iter().map(|((due, _), invocation)| (*due, invocation.clone())).collect(),
        }
    }

    pub(super) fn revision(&self) -> u64 {
        lock(&self.store).revision
    }

    /// When the next schedule fires or is tried again; it may have passed already.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let mut store = lock(&self.store);
        store.drop_stale();
        store.due.keys().next().map(|(due, _)| *due)
    }

    /// Every schedule that will fire, soonest first.
    pub(super) fn pending(&self) -> Vec<PendingSchedule> {
        let store = lock(&self.store);
        store
            .due
            .iter()
            .filter_map(|((due, _), invocation)| {
                let definition = &store.current(invocation)?.definition;
                Some(PendingSchedule {
                    name: invocation.key.name.clone(),
                    group: invocation.key.group.clone(),
                    next_fire: *due,
                    expression: definition.schedule_expression.clone(),
                    target: definition.target.arn.clone(),
                    input: definition.target.input.clone(),
                })
            })
            .collect()
    }

    /// Fires everything that is due at the earliest due instant, if that is not after `now`.
    ///
    /// Empty when nothing is due. Must not run twice at the same time.
    pub(super) async fn fire_earliest(&self, now: Timestamp, queues: &Arc<dyn QueueSender>) -> Vec<Fired> {
        let batch = lock(&self.store).take_earliest(now);
        futures::stream::iter(batch)
            .map(|(invocation, definition)| self.invoke(invocation, definition, now, queues))
            .buffered(SENDS_AT_ONCE)
            .collect()
            .await
    }

    async fn invoke(
        &self,
        invocation: Invocation,
        definition: Definition,
        now: Timestamp,
        queues: &Arc<dyn QueueSender>,
    ) -> Fired {
        let target = &definition.target;
        let body = self.payload(&invocation, target.input.as_deref());
        let (outcome, again) = match queues.send(&target.arn, body.clone()).await {
            Ok(()) => (Outcome::Sent, None),
            Err(reason) => {
                let again = retry_at(&invocation, &definition, now);
                let outcome =
                    match (&again, &target.dead_letter_config.as_ref().and_then(|dlq| dlq.arn.clone())) {
                        (Some(_), _) => Outcome::Retry,
                        (None, Some(queue)) if queues.send(queue, body).await.is_ok() => Outcome::DeadLetter,
                        (None, _) => Outcome::Dropped,
                    };
                tracing::warn!(
                    schedule.name = invocation.key.name,
                    attempt = invocation.attempt,
                    ?outcome,
                    reason,
                    "schedule not delivered"
                );
                (outcome, again)
            }
        };
        let fired = Fired {
            name: invocation.key.name.clone(),
            group: invocation.key.group.clone(),
            scheduled_at: invocation.scheduled_at,
            queue: target.arn.clone(),
            outcome,
        };
        lock(&self.store).settle(invocation, again);
        fired
    }

    /// The message body: the input with AWS's context attributes filled in, or AWS's own event where no input was given.
    fn payload(&self, invocation: &Invocation, input: Option<&str>) -> String {
        let arn = self.schedule_arn(&invocation.key);
        let account = self.arn_prefix.rsplit(':').next().unwrap_or_default();
        let region = self.arn_prefix.split(':').nth(3).unwrap_or_default();
        scheduled_event(&arn, invocation.scheduled_at, invocation.attempt, input, region, account)
    }

    fn schedule_arn(&self, key: &Key) -> String {
        format!("{}:schedule/{}/{}", self.arn_prefix, key.group, key.name)
    }

    fn group_arn(&self, name: &str) -> String {
        format!("{}:schedule-group/{name}", self.arn_prefix)
    }
}

impl Store {
    /// The schedule an invocation belongs to, unless it has been written anew or deleted since.
    fn current(&self, invocation: &Invocation) -> Option<&Schedule> {
        self.schedules.get(&invocation.key).filter(|schedule| schedule.version == invocation.version)
    }

    fn drop_stale(&mut self) {
        while let Some(entry) = self.due.first_entry() {
            let invocation = entry.get();
            if self
                .schedules
                .get(&invocation.key)
                .is_some_and(|schedule| schedule.version == invocation.version)
            {
                break;
            }
            entry.remove();
        }
    }

    /// Writes a schedule and plans its first occurrence.
    fn put(&mut self, key: Key, definition: Definition, created: Timestamp, now: Timestamp) {
        self.counter += 1;
        let version = self.counter;
        let first = match definition.state {
            State::Enabled => occurrence(&definition, |expression, zone| {
                expression.first(zone, now, definition.start_date.and_then(request::instant))
            }),
            State::Disabled => None,
        };
        self.schedules
            .insert(key.clone(), Schedule { definition, created, modified: now, version, outstanding: 0 });
        if let Some(scheduled_at) = first {
            self.plan(
                Invocation { key, version, scheduled_at, attempt: 1, first_attempt: None },
                scheduled_at,
            );
        }
        self.revision += 1;
    }

    fn plan(&mut self, invocation: Invocation, due: Timestamp) {
        if let Some(schedule) = self.schedules.get_mut(&invocation.key) {
            schedule.outstanding += 1;
        }
        self.counter += 1;
        self.due.insert((due, self.counter), invocation);
    }

    /// Takes what is due at the earliest due instant, and plans the following occurrence of each.
    fn take_earliest(&mut self, now: Timestamp) -> Vec<(Invocation, Definition)> {
        self.drop_stale();
        let Some(instant) = self.due.keys().next().map(|(due, _)| *due).filter(|due| *due <= now) else {
            return Vec::new();
        };
        self.revision += 1;
        let mut batch = Vec::new();
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 == instant) {
            let mut invocation = entry.remove();
            let Some(schedule) = self.current(&invocation) else {
                continue;
            };
            let definition = schedule.definition.clone();
            if invocation.attempt == 1 {
                let next = occurrence(&definition, |expression, zone| {
                    expression.after(zone, invocation.scheduled_at)
                });
                if let Some(scheduled_at) = next {
                    self.plan(Invocation { scheduled_at, ..invocation.clone() }, scheduled_at);
                }
            }
            invocation.first_attempt.get_or_insert(now);
            batch.push((invocation, definition));
        }
        batch
    }

    /// Notes the end of an attempt: plans the next one, or lets a completed schedule delete itself.
    fn settle(&mut self, invocation: Invocation, again: Option<Timestamp>) {
        self.revision += 1;
        let Some(schedule) =
            self.schedules.get_mut(&invocation.key).filter(|s| s.version == invocation.version)
        else {
            return;
        };
        schedule.outstanding -= 1;
        if let Some(due) = again {
            self.plan(Invocation { attempt: invocation.attempt + 1, ..invocation }, due);
        } else if schedule.outstanding == 0
            && schedule.definition.action_after_completion == ActionAfterCompletion::Delete
        {
            self.schedules.remove(&invocation.key);
        }
    }
}

/// What a target gets: the input with AWS's context attributes filled in, or AWS's own event where no input was given.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html>
pub(super) fn scheduled_event(
    arn: &str,
    at: Timestamp,
    attempt: u32,
    input: Option<&str>,
    region: &str,
    account: &str,
) -> String {
    let scheduled_at = Timestamp::from_second(at.as_second()).unwrap_or(at);
    let Some(input) = input else {
        return serde_json::json!({
            "version": "0",
            "id": Uuid::new_v4(),
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": account,
            "time": scheduled_at.to_string(),
            "region": region,
            "resources": [arn],
            "detail": "{}",
        })
        .to_string();
    };
    input
        .replace("<aws.scheduler.schedule-arn>", arn)
        .replace("<aws.scheduler.scheduled-time>", &scheduled_at.to_string())
        .replace("<aws.scheduler.execution-id>", &Uuid::new_v4().simple().to_string()[..16])
        .replace("<aws.scheduler.attempt-number>", &attempt.to_string())
}

/// An occurrence by the schedule's expression in its zone, unless it is after the schedule's end.
fn occurrence(
    definition: &Definition,
    find: impl FnOnce(&Expression, &TimeZone) -> Option<Timestamp>,
) -> Option<Timestamp> {
    let expression = Expression::parse(&definition.schedule_expression)?;
    let zone = TimeZone::get(&definition.schedule_expression_timezone).ok()?;
    let found = find(&expression, &zone)?;
    let one_time = matches!(expression, Expression::At(_));
    let end = definition.end_date.and_then(request::instant).filter(|_| !one_time);
    end.is_none_or(|end| found <= end).then_some(found)
}

/// When a failed attempt is made again: AWS says "exponential backoff" and no more; here waits double from one second
/// to ten minutes. `None` when the retry policy is used up.
fn retry_at(invocation: &Invocation, definition: &Definition, now: Timestamp) -> Option<Timestamp> {
    let policy = definition.target.retry_policy;
    let wait = SignedDuration::from_secs((1 << (invocation.attempt - 1).min(10)).min(600));
    let due = now.checked_add(wait).ok()?;
    let age = due.duration_since(invocation.first_attempt.unwrap_or(now));
    (invocation.attempt <= policy.maximum_retry_attempts
        && age <= SignedDuration::from_secs(policy.maximum_event_age_in_seconds.into()))
    .then_some(due)
}
