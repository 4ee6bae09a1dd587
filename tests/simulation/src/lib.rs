//! The whole system in one process: the use cases on the ports in memory, a clock of its own, a year of bookings in several zones, and
//! everything going wrong that can. After each run its own simple model says what should have been.
//!
//! - [`town`] and [`people`]: who there is, and what they do;
//! - [`platform`]: AWS in small, which calls the use cases;
//! - [`weather`]: what goes wrong;
//! - [`model`] and [`audit`]: what should have happened, written apart from the planner, and whether it did;
//! - [`planted`]: bugs that must be found;
//! - [`burst`]: ten thousand messages due at eight o'clock.
//!
//! Everything follows from the seed: `cargo xtask simulate --seed N` plays a run again.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test; a broken assumption shall stop the run"
)]

pub mod audit;
pub mod burst;
pub mod model;
pub mod people;
pub mod planted;
pub mod platform;
pub mod town;
pub mod weather;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use app::ports::Item;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use testkit::world::{Fault, Service, World};

use crate::audit::Audit;
use crate::model::Journal;
use crate::planted::{Bug, Counter};
use crate::platform::{Platform, Tally};
use crate::weather::{Climate, Weather};

/// How many bookings a run makes unless something else is asked for.
pub const BOOKINGS: u32 = 100;

/// What came of a run, or of several.
#[derive(Debug, Default)]
pub struct Report {
    /// How many runs.
    pub seeds: u64,
    /// Bookings that were made.
    pub bookings: u64,
    /// Messages that providers took.
    pub sent: u64,
    /// Messages of the ledger by what became of them.
    pub outcomes: BTreeMap<String, u64>,
    /// Messages that had to leave, as the model says.
    pub owed: u64,
    /// Of those: how many did not leave, for a reason that is true.
    pub excused: u64,
    /// Calls of ports.
    pub calls: u64,
    /// Faults by service and kind.
    pub faults: BTreeMap<(Service, Fault), u64>,
    /// Outages.
    pub outages: u64,
    /// What the platform did.
    pub tally: Tally,
    /// What should not be, with the seed.
    pub violations: Vec<(u64, String)>,
}

impl Report {
    /// Adds another report to this one.
    pub fn add(&mut self, other: Report) {
        self.seeds += other.seeds;
        self.bookings += other.bookings;
        self.sent += other.sent;
        self.owed += other.owed;
        self.excused += other.excused;
        self.calls += other.calls;
        self.outages += other.outages;
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.tally.refused += other.tally.refused;
        self.tally.died += other.tally.died;
        self.tally.timed_out += other.tally.timed_out;
        self.tally.redriven += other.tally.redriven;
        self.tally.reports += other.tally.reports;
        self.tally.lost += other.tally.lost;
        self.tally.swept += other.tally.swept;
        self.tally.twice += other.tally.twice;
        self.violations.extend(other.violations);
    }
}

/// Prints everything that was written about a booking of a seed.
#[allow(clippy::print_stdout, reason = "what it is for")]
pub fn tell(seed: u64, bookings: u32, bug: Option<Bug>, booking_id: &str) {
    let prefix = format!("{booking_id}\"");
    play_and(seed, bookings, bug, |written| {
        for (at, item) in written {
            let text = serde_json::to_string(item).expect("items are JSON");
            if text.contains(&prefix) {
                println!("{at} {text}");
            }
        }
    });
}

/// Plays the year of a seed with so many bookings, and checks it. A panic is a violation.
pub fn simulate(seed: u64, bookings: u32, bug: Option<Bug>) -> Report {
    let run = catch_unwind(AssertUnwindSafe(|| play(seed, bookings, bug)));
    run.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violation = format!("it panicked: {}", text.unwrap_or_default());
        Report { seeds: 1, violations: vec![(seed, violation)], ..Report::default() }
    })
}

fn play(seed: u64, bookings: u32, bug: Option<Bug>) -> Report {
    play_and(seed, bookings, bug, |_| {})
}

fn play_and(seed: u64, bookings: u32, bug: Option<Bug>, look: impl Fn(&[(Timestamp, Item)])) -> Report {
    let mut rng = Rng::with_seed(seed);
    let begin: Timestamp = "2026-01-05T00:00:00Z".parse().expect("an instant");
    let begin = begin + SignedDuration::from_hours(24) * rng.i32(0..365);
    let town = town::town(&mut rng);
    let year = people::year(&mut rng, &town, bookings, begin);
    let climate = Climate::drawn(&mut rng, &year.moments);

    let world = World::new(begin);
    world.put(town.items.iter().cloned());
    world.check_less();
    world.cancel_under_way();
    world.keep_journal();
    world.plan_faults([]);
    world.set_faults(Weather { climate: climate.clone(), rng: rng.fork() });
    let counter = Counter::new(&world, bug);
    let mut platform = Platform::new(&world, &counter, &town, rng, climate.clone(), year);
    let ended = platform.run_until(Timestamp::MAX);

    let written = world.take_journal();
    look(&written);
    let journal = Journal::new(begin, &town.items, written);
    let (outbox, handed, end) = (world.outbox(), counter.handed(), world.now());
    let audit = Audit {
        journal: &journal,
        outbox: &outbox,
        handed: &handed,
        marks: &platform.marks,
        reports: &platform.reports,
        climate: &climate,
        end,
    };
    let findings = audit.findings();
    let violations = ended.err().into_iter().chain(findings.violations);
    Report {
        seeds: 1,
        bookings: journal.bookings.len() as u64,
        sent: outbox.len() as u64,
        outcomes: findings.outcomes,
        owed: findings.owed,
        excused: findings.excused,
        calls: world.calls().len() as u64,
        faults: world.happened(),
        outages: climate.outages.len() as u64,
        tally: platform.tally.clone(),
        violations: violations.map(|violation| (seed, violation)).collect(),
    }
}
