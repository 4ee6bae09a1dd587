//! `cargo xtask bench domain`: how long the rules take, in time and in instructions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table};
use serde_json::Value;

use crate::bench::{today, write_section};
use crate::steps::{Steps, table};
use crate::{cargo, process, workspace};

/// What `shared/domain/benches/domain.rs` measures, and the time each may take.
const LIMITS: [(&str, Duration); 5] = [
    ("plan", Duration::from_micros(20)),
    ("decide", Duration::from_micros(5)),
    ("render_sms", Duration::from_micros(50)),
    ("render_push", Duration::from_micros(50)),
    ("render_email", Duration::from_micros(50)),
];

/// Instructions are counted over this many calls, less those of a run with one call: what is left is the calls alone.
const CALLS: u64 = 1000;

/// One of the things that are measured.
struct Measured {
    name: &'static str,
    limit: Duration,
    median: Duration,
    instructions: u64,
}

/// Measures, writes the section of docs/benchmarks.md, and fails when something is over its limit.
pub fn run() -> Result<()> {
    let mut steps = Steps::new();
    let binary = steps.run("build", build)?;
    let home = workspace::root().join("target/criterion");
    steps.run("time", || {
        process::run(Command::new(&binary).args(["--bench", "--noplot"]).env("CRITERION_HOME", &home))
    })?;
    let all = steps.run("instructions", || {
        LIMITS
            .iter()
            .map(|&(name, limit)| {
                let estimates = home.join(name).join("new/estimates.json");
                let median = median(
                    &fs::read_to_string(&estimates)
                        .with_context(|| format!("cannot read {}", estimates.display()))?,
                )?;
                let (many, one) = (count(&binary, name, CALLS + 1)?, count(&binary, name, 1)?);
                Ok(Measured { name, limit, median, instructions: many.saturating_sub(one) / CALLS })
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let table = report(&all);
    println!("\n{table}");
    write_section(&workspace::root().join("docs/benchmarks.md"), &section(&table))?;
    let over: Vec<&str> = all.iter().filter(|one| one.median > one.limit).map(|one| one.name).collect();
    if !over.is_empty() {
        bail!("over the limit: {}", over.join(", "));
    }
    Ok(())
}

/// Builds the benchmark as it leaves for AWS and gives its path.
fn build() -> Result<PathBuf> {
    let messages = process::output(
        cargo::command()
            .args(["bench", "--package", "domain", "--bench", "domain", "--no-run", "--quiet"])
            .arg("--message-format=json"),
    )?;
    executable(&messages).context("cargo did not say where the benchmark is")
}

/// The executable in cargo's messages: <https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
}

/// The median of criterion's estimates, which are in nanoseconds.
fn median(estimates: &str) -> Result<Duration> {
    let estimates: Value = serde_json::from_str(estimates).context("criterion's estimates are no JSON")?;
    let median = estimates["median"]["point_estimate"].as_f64().context("the estimates have no median")?;
    Ok(Duration::from_secs_f64(median / 1e9))
}

/// The instructions of a run that makes so many calls.
fn count(binary: &Path, name: &str, calls: u64) -> Result<u64> {
    let log = workspace::root().join("target/callgrind.log");
    process::run(
        Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(format!("--log-file={}", log.display()))
            .arg(binary)
            .args(["--repeat", name, &calls.to_string()])
            .stdout(Stdio::null()),
    )
    .context("instructions are counted by valgrind; on Debian: apt-get install valgrind")?;
    collected(&fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?)
}

/// The total in valgrind's last words: `==12== Collected : 3456`.
pub fn collected(log: &str) -> Result<u64> {
    let total = log.lines().find_map(|line| line.split_once("Collected :")).map(|(_, total)| total.trim());
    total.and_then(|total| total.parse().ok()).context("valgrind told no total")
}

fn report(all: &[Measured]) -> Table {
    let mut table = table(&["function", "median", "limit", "of the limit", "instructions"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for one in all {
        table.add_row([
            one.name.to_owned(),
            format!("{:.1} µs", one.median.as_secs_f64() * 1e6),
            format!("{} µs", one.limit.as_micros()),
            format!("{:.2}", one.median.as_secs_f64() / one.limit.as_secs_f64()),
            one.instructions.to_string(),
        ]);
    }
    table
}

fn section(table: &Table) -> String {
    format!(
        "## Rules\n\n\
         A booking under ten rules on three channels each: its whole plan, the decision on one of its messages, and the text of a reminder.\n\
         Median by criterion; instructions by callgrind, the mean of {CALLS} calls, to compare machines by. Built as for AWS.\n\n\
         {table}\n\n\
         Measured on {}, {}, by `cargo xtask bench domain`.\n",
        today(),
        std::env::consts::ARCH,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_benchmark_is_found_among_cargos_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n{\"executable\":\"/t/domain-1\"}\n{\"reason\":\"build-finished\"}\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/t/domain-1")));
        assert_eq!(executable("{}\n"), None);
    }

    #[test]
    fn a_median_is_read_in_nanoseconds() {
        assert_eq!(median(r#"{"median":{"point_estimate":1500.0}}"#).unwrap(), Duration::from_nanos(1500));
        assert!(median("{}").is_err());
    }

    #[test]
    fn instructions_are_read_from_valgrinds_last_words() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 3456\n==7== \n").unwrap(), 3456);
        assert!(collected("").is_err());
    }
}
