//! What `cargo xtask bench` measures by `tests/bench/peers`: handlers on a stand-in for Lambda and AWS.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::{bench_startup, cargo, process, workspace};

/// A handler as `tests/bench/peers` takes it.
#[derive(Debug, Serialize)]
pub struct Contestant {
    /// The function it is: `deliver-sms` or `booking-api`.
    pub function: &'static str,
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

/// What was measured of one. Times in nanoseconds, memory in KiB.
#[derive(Debug, Deserialize)]
pub struct Measured {
    /// From the start of the process to its first request for work, of each start.
    pub start: Vec<u64>,
    /// The first call of each start.
    pub first: Vec<u64>,
    /// The calls after the warm-up.
    pub warm: Vec<u64>,
    /// The highest resident memory of each start.
    pub memory: Vec<u64>,
    /// How often each operation of AWS was called, in all calls together.
    pub aws_calls: BTreeMap<String, u64>,
    /// How many calls that were.
    pub calls: usize,
}

/// Builds what measures. Optimized, so that what answers takes little of what is measured.
pub fn build() -> Result<()> {
    process::run(cargo::command().args(["build", "--profile", "simulation", "--package", "peers"]))
}

/// What the template tells the functions.
pub fn environment() -> Result<BTreeMap<String, String>> {
    Ok(bench_startup::environment()?.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
}

/// Measures each in so many starts, which take turns, with so many warm calls each.
pub fn measure(contestants: &[Contestant], rounds: usize, calls: usize) -> Result<Vec<Measured>> {
    let mut child = Command::new(workspace::root().join("target/simulation/peers"))
        .args([rounds.to_string(), calls.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("its input is not piped")?;
    stdin.write_all(&serde_json::to_vec(contestants)?)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("peers ended with {}", output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// As a report tells it.
pub fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// What else this machine did in the last minute: how many wanted a processor.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
