//! A fixed set of seeds, a few fresh ones, and the planted bugs. `cargo xtask simulate` plays as many as you like.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use simulation::planted::{Bug, caught};
use simulation::{Report, simulate};

/// Bookings of each seed here: few, since nothing is optimized.
const SIZE: u32 = 30;

fn assert_sound(report: &Report) {
    let lines: Vec<String> = report
        .violations
        .iter()
        .map(|(seed, what)| format!("{what}\n  cargo xtask simulate --seed {seed} --size {SIZE}"))
        .collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn the_fixed_seeds_are_sound() {
    let mut all = Report::default();
    for seed in 1..=8 {
        all.add(simulate(seed, SIZE, None));
    }
    assert_sound(&all);
    // A run in which nothing happens proves nothing.
    let faults: u64 = all.faults.values().sum();
    assert!(all.bookings > 150 && all.sent > 500 && all.owed > 300 && faults > 100, "{all:#?}");
}

#[test]
fn fresh_seeds_are_sound() {
    for _ in 0..3 {
        assert_sound(&simulate(fastrand::u64(..1_000_000_000), SIZE, None));
    }
}

#[test]
fn a_seed_is_played_again_exactly() {
    let told = |report: &Report| {
        (report.calls, report.sent, format!("{:?} {:?}", report.outcomes, report.faults), report.tally.died)
    };
    assert_eq!(told(&simulate(7, SIZE, None)), told(&simulate(7, SIZE, None)));
}

#[test]
fn every_planted_bug_is_caught() {
    for bug in Bug::ALL {
        let (seed, violation) = caught(bug, SIZE).unwrap_or_else(|| panic!("{} is not caught", bug.name()));
        // What is found is the bug: without it the seed is sound.
        assert_sound(&simulate(seed, SIZE, None));
        eprintln!("{}: seed {seed}: {violation}", bug.name());
    }
}
