//! `cargo xtask bench`: how long things take, in parts that each write a section of docs/benchmarks.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use lexopt::{Arg, ValueExt};

use crate::steps::Steps;
use crate::{
    bench_api, bench_burst, bench_domain, bench_memory, bench_peers, bench_ratchet, bench_size,
    bench_startup, cargo, process, workspace,
};

const HELP: &str = "\
cargo xtask bench

All parts after another, into docs/benchmarks.md and its pictures. Fails when something is over its limit, after the last. Takes about an hour and a
half on two processors, most of it the builds. Needs what its parts need.

cargo xtask bench startup [FUNCTION...]

Builds every function and the bare runtime as they leave for AWS, starts each 30 times against a Runtime API on loopback and
takes the time from the start of the process to its first request for work, and its memory then. Writes docs/benchmarks.md.

  FUNCTION    only these, beside the bare runtime; writes nothing

cargo xtask bench size

Builds every function for arm64, as it leaves for AWS, and looks at its size. Needs the compiler's target. Writes docs/benchmarks.md.

cargo xtask bench peers

Starts deliver-sms and booking-api, and the same two written in Node.js and Python (tests/bench/peers), with AWS answered on loopback,
and takes their start, their first call, their calls when warm, their memory and their AWS calls. Needs Node.js 20 or later with npm.
Writes docs/benchmarks.md and docs/benchmarks.svg.

cargo xtask bench memory

Takes the start and the calls of deliver-sms and booking-api with the share of a processor that Lambda gives them by memory, from 128 MB to
1769 MB, and reckons what they cost. Takes root, on Linux. Writes docs/benchmarks.md and docs/benchmarks-memory.svg.

cargo xtask bench domain

Takes the time of planning a booking, deciding on a message and making its text, and counts their instructions with valgrind.
Writes docs/benchmarks.md. `cargo bench -p domain` takes the time only.

cargo xtask bench burst [MESSAGES]

Lets so many text messages, 1000 unless told otherwise, fall due at the same instant on the local stack, and takes the time until
all have left and the AWS calls of each. Writes docs/benchmarks.md.

cargo xtask bench api [REQUESTS]

Makes so many requests, 200 unless told otherwise, of each operation to the API on the local stack, by 1, 2 and 4 callers at once, and takes
their time and their AWS calls. Fails when an operation makes more calls than ARCHITECTURE.md grants it. Writes docs/benchmarks.md.

cargo xtask bench ratchet [--write]

Builds the functions as `cargo xtask test` does, not optimized, and compares the size of each, and its instructions up to its first request
for work, with those of tests/bench/ratchet.toml. Fails where there is more than a little of either. Needs valgrind.

  --write     writes what is there instead of comparing with it";

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let mut words = Vec::new();
    let mut write = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Arg::Long("write") if words.first().is_some_and(|part| part == "ratchet") => write = true,
            Arg::Value(word) => words.push(word.string()?),
            other => bail!("{}; `cargo xtask bench --help` tells more", other.unexpected()),
        }
    }
    let Some((part, given)) = words.split_first() else { return whole() };
    match (part.as_str(), given) {
        ("startup", only) => bench_startup::run(only),
        ("size", []) => bench_size::run(),
        ("peers", []) => bench_peers::run(),
        ("memory", []) => bench_memory::run(),
        ("domain", []) => bench_domain::run(),
        ("burst", []) => bench_burst::run(BURST),
        ("burst", [messages]) => bench_burst::run(messages.parse()?),
        ("api", []) => bench_api::run(REQUESTS),
        ("api", [requests]) => bench_api::run(requests.parse()?),
        ("ratchet", []) => bench_ratchet::run(write),
        _ => bail!("there is no `bench {}`; `cargo xtask bench --help` tells more", words.join(" ")),
    }
}

/// Messages of the burst, unless told otherwise.
const BURST: u32 = 1000;

/// Requests of each operation, unless told otherwise.
const REQUESTS: usize = 200;

/// Every part; one that fails does not keep the others from being measured. The functions are built before anything is measured.
fn whole() -> Result<()> {
    let mut steps = Steps::new();
    bench_size::install(&mut steps)?;
    steps.run("build each function for this machine and for arm64", build_functions)?;
    let parts = [
        ("startup", bench_startup::run(&[])),
        ("size", bench_size::run()),
        ("peers", bench_peers::run()),
        ("memory", bench_memory::run()),
        ("domain", bench_domain::run()),
        ("burst", bench_burst::run(BURST)),
        ("api", bench_api::run(REQUESTS)),
    ];
    let failed: Vec<String> = parts
        .into_iter()
        .filter_map(|(part, done)| done.err().map(|error| format!("{part}: {error:#}")))
        .collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
    }
    Ok(())
}

/// Builds a function, or the bare runtime, as it leaves for AWS, and gives its path. One package at a time: built together, each would carry the
/// features of all. From its own folder, as `sam build` does it, so that the folder's `.cargo/config.toml` is read.
pub fn build(name: &str) -> Result<PathBuf> {
    process::run(cargo::command().current_dir(workspace::function(name)).args(["build", "--release"]))?;
    Ok(workspace::root().join("target/release").join(name))
}

/// Builds every function for this machine, and beside that for arm64: the optimization of a whole program takes one processor.
fn build_functions() -> Result<()> {
    let functions = workspace::functions()?;
    let each =
        |build: fn(&str) -> Result<PathBuf>| functions.iter().try_for_each(|name| build(name).map(drop));
    thread::scope(|scope| {
        let here = scope.spawn(|| each(build));
        let there = each(bench_size::build);
        here.join().map_err(|_| anyhow!("the builds for this machine panicked"))?.and(there)
    })
}

/// The value that `percent` of the values do not exceed.
pub fn quantile<T: Ord + Copy + Default>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// The day of the measurement.
#[expect(clippy::disallowed_methods, reason = "a report carries the day it was made")]
pub fn today() -> jiff::civil::Date {
    jiff::Zoned::now().date()
}

/// Puts the section into the file in the place of the one with the same heading, or at the end.
pub fn write_section(path: &Path, section: &str) -> Result<()> {
    let before = fs::read_to_string(path).unwrap_or_else(|_| "# Benchmarks\n".to_owned());
    fs::write(path, replace_section(&before, section))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn replace_section(document: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let mut kept = String::new();
    let mut after = String::new();
    let (mut inside, mut found) = (false, false);
    for line in document.lines() {
        if line.starts_with("## ") {
            inside = line == heading;
            found |= inside;
        }
        if !inside {
            let part = if found { &mut after } else { &mut kept };
            part.push_str(line);
            part.push('\n');
        }
    }
    let after = if after.is_empty() { after } else { format!("\n{after}") };
    format!("{}\n\n{section}{after}", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_rest_of_the_document_kept() {
        let document = "# Benchmarks\n\n## Start-up\n\nold\n\n## Delivery\n\nkept\n";
        let once = replace_section(document, "## Start-up\n\nnew\n");
        assert_eq!(once, "# Benchmarks\n\n## Start-up\n\nnew\n\n## Delivery\n\nkept\n");
        assert_eq!(replace_section(&once, "## Start-up\n\nnew\n"), once);
        assert_eq!(
            replace_section("# Benchmarks\n", "## Start-up\n\nnew\n"),
            "# Benchmarks\n\n## Start-up\n\nnew\n"
        );
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=30).rev().collect();
        assert_eq!(quantile(&values, 50), 15);
        assert_eq!(quantile(&values, 90), 27);
        assert_eq!(quantile(&[7], 90), 7);
    }
}
