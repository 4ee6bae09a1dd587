//! `cargo xtask bench api`: how many requests a second the API answers on the local stack, how fast, and with how many AWS calls.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table};
use serde::Deserialize;

use crate::bench::{quantile, today, write_section};
use crate::steps::{Steps, table};
use crate::{cargo, process, python, workspace};

/// The end-to-end test that makes the requests, prints what it saw, and fails when an operation makes more calls than it may.
const TEST: &str = "calls::requests_keep_to_their_calls_under_load";

/// The operation the others are compared with: one read.
const YARDSTICK: &str = "read the business";

/// What the test saw of one operation, called by so many at the same time.
#[derive(Debug, Deserialize)]
struct Seen {
    operation: String,
    callers: usize,
    took_us: Vec<u64>,
    all_us: u64,
    again: u64,
    calls: BTreeMap<String, u64>,
}

/// Makes so many requests of each operation at each concurrency, prints what they took, and writes the section of docs/benchmarks.md.
pub fn run(requests: usize) -> Result<()> {
    let mut steps = Steps::new();
    steps.run("Python environment .venv", || python::RUN.install())?;
    steps.run("build everything", cargo::build_all)?;
    let said = steps.run("requests", || {
        process::output(
            cargo::command()
                .args(["test", "--package", "e2e", "--profile", "local", "--test", "all", "--"])
                .args(["--exact", TEST, "--nocapture"])
                .env("API_REQUESTS", requests.to_string()),
        )
    })?;
    let table = report(&seen(&said))?;
    println!("\n{table}");
    write_section(&workspace::root().join("docs/benchmarks.md"), &section(&table)?)
}

fn seen(said: &str) -> Vec<Seen> {
    // Before the first line the test's name may stand without a line's end.
    let line = |line: &str| line.find('{').and_then(|at| serde_json::from_str(&line[at..]).ok());
    said.lines().filter_map(line).collect()
}

fn report(all: &[Seen]) -> Result<Table> {
    if all.is_empty() {
        bail!("the test said nothing of requests");
    }
    let mut table =
        table(&["at once", "operation", "a second", "p50", "p99", "x one read", "503", "AWS calls each"]);
    for column in [0, 2, 3, 4, 5, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for one in all {
        let beside = all.iter().find(|other| other.operation == YARDSTICK && other.callers == one.callers);
        let yardstick = quantile(&beside.context("the yardstick was not measured")?.took_us, 50);
        let (median, p99) = (quantile(&one.took_us, 50), quantile(&one.took_us, 99));
        let milliseconds = |us: u64| format!("{:.1} ms", Duration::from_micros(us).as_secs_f64() * 1e3);
        let each = |(call, count): (&String, &u64)| {
            format!(
                "{:.2} {}",
                *count as f64 / one.took_us.len() as f64,
                call.trim_start_matches("dynamodb:")
            )
        };
        table.add_row([
            one.callers.to_string(),
            one.operation.clone(),
            format!("{:.1}", one.took_us.len() as f64 / Duration::from_micros(one.all_us).as_secs_f64()),
            milliseconds(median),
            milliseconds(p99),
            format!("{:.1}", median as f64 / yardstick as f64),
            one.again.to_string(),
            one.calls.iter().map(each).collect::<Vec<_>>().join(", "),
        ]);
    }
    Ok(table)
}

fn section(table: &Table) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "## API\n\n\
         Requests over HTTP to the real `booking-api` on the local stack, built with the profile `local` (not optimized), by so many callers at\n\
         once; what the bookings lead to, planning and deliveries, goes on beside it on the same cores. Most of the time is the stand-in for\n\
         DynamoDB: what holds elsewhere too is how an operation compares with one read in the same run, and the calls, which no operation may\n\
         make more of than ARCHITECTURE.md grants. A 503 is a call that the stand-in did not answer within three seconds; it is made again, in the same time.\n\n\
         {table}\n\n\
         Measured on {} with {cores} cores, {}, by `cargo xtask bench api`.\n",
        today(),
        std::env::consts::ARCH,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_test_saw_becomes_a_table() {
        let said = "running 1 test\ntest calls::x ... {\"operation\":\"read the business\",\"callers\":4,\"took_us\":[1000,2000],\"all_us\":3000,\"again\":0,\"calls\":{\"dynamodb:GetItem\":2}}\n\
            {\"operation\":\"create a booking\",\"callers\":4,\"took_us\":[4000,4000],\"all_us\":8000,\"again\":3,\"calls\":{\"dynamodb:BatchGetItem\":2,\"dynamodb:TransactWriteItems\":3}}\nok\n";
        let table = report(&seen(said)).unwrap().to_string();
        let row = table.lines().find(|line| line.contains("create a booking")).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(
            cells,
            [
                "4",
                "create a booking",
                "250.0",
                "4.0 ms",
                "4.0 ms",
                "4.0",
                "3",
                "1.00 BatchGetItem, 1.50 TransactWriteItems"
            ]
        );
        assert!(report(&[]).is_err());
    }
}
