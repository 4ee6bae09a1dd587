//! Drives a target by chance: `random TARGET SECONDS`. Started by `cargo xtask fuzz` where libFuzzer cannot be built.
//!
//! Inputs are bytes, texts, and the seeds with some of their bytes changed. The first that breaks the target is made as small as it goes,
//! printed, and written to the folder of seeds.

// A command line tool speaks on standard output, and what is wrong with its call ends it.
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::hash::{DefaultHasher, Hasher};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

/// Inputs between two looks at the clock.
const ROUND: u32 = 2_000;

/// Time between two lines that tell how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, seconds] = args.as_slice() else { return wrong("random TARGET SECONDS") };
    let Some(target) = fuzz::target(name) else { return wrong("there is no such target") };
    let Ok(seconds) = seconds.parse().map(Duration::from_secs) else { return wrong("SECONDS is a number") };

    // The input is told at the end; a hundred panics on the way to the smallest one would hide it.
    std::panic::set_hook(Box::new(|_| {}));
    let inputs = inputs(name);
    let (begun, mut told, mut executions) = (Instant::now(), Instant::now(), 0_u64);
    while begun.elapsed() < seconds {
        // A runner counts what it has run, so each round has its own.
        let mut runner =
            TestRunner::new(Config { cases: ROUND, failure_persistence: None, ..Config::default() });
        let result = runner.run(&inputs, |input| {
            std::panic::catch_unwind(AssertUnwindSafe(|| target(&input))).map_err(|panic| {
                let words = panic.downcast_ref::<String>().map(String::as_str);
                let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
                TestCaseError::fail(words.unwrap_or("a panic").to_owned())
            })
        });
        match result {
            Ok(()) => executions += u64::from(ROUND),
            Err(TestError::Fail(reason, input)) => {
                println!("{name}: {reason}\n{name}: the input is \"{}\"", input.escape_ascii());
                let path = fuzz::seeds(name).join(format!("crash-{:016x}", hash(&input)));
                std::fs::write(&path, input).expect("the folder of seeds can be written");
                println!("{name}: it is kept in {}", path.display());
                return ExitCode::FAILURE;
            }
            Err(TestError::Abort(reason)) => {
                println!("{name}: {reason}");
                return ExitCode::FAILURE;
            }
        }
        if told.elapsed() >= TELL_EVERY {
            println!("    {name}: {executions} executions");
            told = Instant::now();
        }
    }
    println!("    {name}: {executions} executions, nothing found");
    ExitCode::SUCCESS
}

fn wrong(what: &str) -> ExitCode {
    println!("{what}");
    ExitCode::FAILURE
}

fn hash(input: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(input);
    hasher.finish()
}

/// Bytes, texts, and seeds that were changed.
fn inputs(name: &str) -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = std::fs::read_dir(fuzz::seeds(name))
        .expect("a folder of seeds")
        .map(|entry| std::fs::read(entry.expect("a seed").path()).expect("a seed"))
        .collect();
    let changes = prop::collection::vec((any::<Index>(), select(vec![0_u8, 1, 2]), any::<u8>()), 0..6);
    let changed = (select(seeds), changes).prop_map(|(mut seed, changes)| {
        for (at, how, byte) in changes {
            let at = at.index(seed.len() + 1);
            match how {
                0 => seed.insert(at, byte),
                _ if at == seed.len() => seed.push(byte),
                1 => seed[at] = byte,
                _ => drop(seed.remove(at)),
            }
        }
        seed
    });
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..200),
        2 => "[ -~]{0,40}".prop_map(String::into_bytes),
        1 => "\\PC{0,40}".prop_map(String::into_bytes),
        6 => changed,
    ]
}
