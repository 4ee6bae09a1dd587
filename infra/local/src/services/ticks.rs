//! The schedules that call functions: SAM's `ScheduleV2` and `Schedule`.
//!
//! Months of a quarter-hourly schedule are thousands of invocations, nearly all of which find nothing to do. On a
//! journey of the time machine, a function that wrote nothing is therefore called again only at the last of its times
//! before something else happens, and about once a day. What it does is the same as long as it finds its work early
//! or does not mind to find it late; who wants to see it called at each of its times says `every`.

use std::sync::Mutex;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::functions::Pending;
use super::scheduler::{Expression, scheduled_event};
use super::{ServicesConfig, lock};
use crate::template::{FunctionSpec, ScheduleMapping};

/// Where nothing else happens, a function is called about this often.
const LONGEST_QUIET: SignedDuration = SignedDuration::from_hours(24);

/// Which occurrences call the functions on a journey of the time machine. Without one all do, unless it is `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// Those at which there may be something to do.
    #[default]
    Needed,
    /// Every one, as on AWS.
    Every,
    /// None.
    Off,
}

/// A schedule and its next occurrence.
#[derive(Debug)]
struct Tick {
    function_name: String,
    function_arn: String,
    mapping: ScheduleMapping,
    expression: Expression,
    zone: TimeZone,
    next: Option<Timestamp>,
}

#[derive(Debug)]
struct Store {
    mode: Mode,
    ticks: Vec<Tick>,
}

/// The schedules of all functions.
#[derive(Debug)]
pub(super) struct Ticks(Mutex<Store>);

impl Ticks {
    /// The schedules of `functions`, which begin `now`.
    pub(super) fn new(functions: &[FunctionSpec], now: Timestamp) -> Self {
        let ticks = functions
            .iter()
            .flat_map(|function| function.schedules.iter().map(move |mapping| (function, mapping)))
            .filter_map(|(function, mapping)| {
                let expression = Expression::parse(&mapping.expression)?;
                let zone = TimeZone::get(&mapping.zone).unwrap_or(TimeZone::UTC);
                // A rate of EventBridge Scheduler begins at once; one of a rule after its first period.
                let next = match (&expression, mapping.is_rule) {
                    (Expression::Rate(_), true) => expression.after(&zone, now),
                    _ => expression.first(&zone, now, None),
                };
                Some(Tick {
                    function_name: function.name.clone(),
                    function_arn: function.arn.clone(),
                    mapping: mapping.clone(),
                    expression,
                    zone,
                    next,
                })
            })
            .collect();
        Self(Mutex::new(Store { mode: Mode::default(), ticks }))
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        lock(&self.0).mode = mode;
    }

    /// When the next function is called; it may have passed already.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let store = lock(&self.0);
        match store.mode {
            Mode::Off => None,
            _ => store.ticks.iter().filter_map(|tick| tick.next).min(),
        }
    }

    /// Nothing happens until `limit`, and a function that was called just now found nothing to do: leaves out what
    /// need not be called.
    pub(super) fn leave_out(&self, limit: Timestamp) {
        let mut store = lock(&self.0);
        if store.mode != Mode::Needed {
            return;
        }
        for tick in &mut store.ticks {
            if let Some(day) = tick.next.and_then(|next| next.checked_add(LONGEST_QUIET).ok()) {
                tick.leave_out(limit.min(day));
            }
        }
    }

    /// Leaves out every occurrence that is followed by another by `now`: what a sleeping machine missed.
    pub(super) fn catch_up(&self, now: Timestamp) {
        lock(&self.0).ticks.iter_mut().for_each(|tick| tick.leave_out(now));
    }

    /// The invocations of the earliest occurrence, if that is not after `now`.
    pub(super) fn take_earliest(&self, config: &ServicesConfig, now: Timestamp) -> Vec<Pending> {
        let Some(instant) = self.next_due().filter(|next| *next <= now) else { return Vec::new() };
        let mut store = lock(&self.0);
        let due = store.ticks.iter_mut().filter(|tick| tick.next == Some(instant));
        due.map(|tick| {
            tick.next = tick.expression.after(&tick.zone, instant);
            Pending {
                function_arn: tick.function_arn.clone(),
                event: tick.event(config, instant),
                attempt: 1,
            }
        })
        .collect()
    }

    /// The mode, and each schedule with its next occurrence.
    pub(super) fn report(&self) -> Value {
        let store = lock(&self.0);
        let schedules: Vec<Value> = store
            .ticks
            .iter()
            .map(|tick| {
                json!({
                    "function": tick.function_name,
                    "name": tick.mapping.name,
                    "expression": tick.mapping.expression,
                    "next": tick.next,
                })
            })
            .collect();
        json!({ "mode": store.mode, "schedules": schedules })
    }
}

impl Tick {
    fn leave_out(&mut self, limit: Timestamp) {
        while let Some(later) =
            self.next.and_then(|next| self.expression.after(&self.zone, next)).filter(|later| *later <= limit)
        {
            self.next = Some(later);
        }
    }

    /// What the function gets: for a rule <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html>,
    /// for a schedule what EventBridge Scheduler makes of it.
    fn event(&self, config: &ServicesConfig, at: Timestamp) -> String {
        let ServicesConfig { region, account, .. } = config;
        let name = format!("{}-{}", self.function_name, self.mapping.name);
        if !self.mapping.is_rule {
            let arn = format!("arn:aws:scheduler:{region}:{account}:schedule/default/{name}");
            return scheduled_event(&arn, at, 1, self.mapping.input.as_deref(), region, account);
        }
        self.mapping.input.clone().unwrap_or_else(|| {
            json!({
                "version": "0",
                "id": Uuid::new_v4(),
                "detail-type": "Scheduled Event",
                "source": "aws.events",
                "account": account,
                "time": Timestamp::from_second(at.as_second()).unwrap_or(at).to_string(),
                "region": region,
                "resources": [format!("arn:aws:events:{region}:{account}:rule/{name}")],
                "detail": {},
            })
            .to_string()
        })
    }
}
