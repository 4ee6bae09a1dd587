//! A part of `cargo xtask bench`: starts handlers on a Lambda runtime API of its own, with AWS answered on loopback, and takes their times, their
//! memory and their calls.
//!
//! `peers ROUNDS CALLS` reads the contestants from standard input as JSON ([`Contestant`]) and writes what it measured of each in the same order
//! ([`Measured`]) to standard output. In each round every contestant is started once, so that whatever else the machine does meets all of them.

// A command line tool speaks on standard output.
#![allow(clippy::print_stdout)]

mod aws;
mod processor;
mod sandbox;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aws::Facts;
use crate::sandbox::Life;

/// Why there is no measurement.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Calls after the first that count neither as first nor as warm: a program that compiles itself as it runs gets its time for that.
const WARM_UP: usize = 100;

/// A handler to be measured.
#[derive(Debug, Deserialize)]
pub(crate) struct Contestant {
    /// The function it is: `deliver-sms` or `booking-api`.
    pub function: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its whole environment, but for what Lambda sets.
    pub environment: BTreeMap<String, String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// It has no more of a processor than Lambda gives a function of so much memory (MB).
    pub memory: Option<u64>,
    /// How long AWS takes to answer (milliseconds).
    pub aws_takes: u64,
}

/// What was measured of a handler. Times in nanoseconds.
#[derive(Debug, Default, Serialize)]
struct Measured {
    /// From the start of the process to its first request for work, of each start.
    start: Vec<u64>,
    /// The first call of each start, from the hand-over of the event to the answer.
    first: Vec<u64>,
    /// The calls after the warm-up.
    warm: Vec<u64>,
    /// The highest resident memory of each start, in KiB.
    memory: Vec<u64>,
    /// How often each operation of AWS was called, in all calls together.
    aws_calls: BTreeMap<String, u64>,
    /// How many calls that were.
    calls: usize,
}

impl Measured {
    fn add(&mut self, life: Life) {
        let Life { start, calls, memory, aws_calls } = life;
        self.start.push(nanoseconds(start));
        self.first.extend(calls.first().copied().map(nanoseconds));
        self.warm.extend(calls.iter().skip(1 + WARM_UP).copied().map(nanoseconds));
        self.memory.push(memory);
        self.calls += calls.len();
        for (operation, count) in aws_calls {
            *self.aws_calls.entry(operation).or_default() += count;
        }
    }
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match measure().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<(), Error> {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let (Some(Ok(rounds)), Some(Ok(calls)), None) = (numbers.next(), numbers.next(), numbers.next()) else {
        return Err("usage: peers ROUNDS CALLS < contestants.json".into());
    };
    let mut asked = String::new();
    std::io::stdin().read_to_string(&mut asked)?;
    let contestants: Vec<Contestant> = serde_json::from_str(&asked)?;
    let facts = Arc::new(Facts::new()?);
    let mut measured: Vec<Measured> = contestants.iter().map(|_| Measured::default()).collect();
    for _ in 0..rounds {
        for (contestant, measured) in contestants.iter().zip(&mut measured) {
            let life = sandbox::live(contestant, &facts, 1 + WARM_UP + calls).await;
            measured.add(life.map_err(|error| format!("{}: {error}", contestant.command.join(" ")))?);
        }
    }
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}
