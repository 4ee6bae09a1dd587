//! `cargo xtask bench memory`: what a function takes and costs by the memory it is given, which on Lambda is how much of a processor it gets.

use std::path::PathBuf;

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table};

use crate::bench::{build, quantile, today, write_section};
use crate::bench_plot::{Panel, plot};
use crate::contest::{self, Contestant, Measured, milliseconds};
use crate::prices::Prices;
use crate::steps::{Steps, table};
use crate::workspace;

/// One that hands on a message, and one that somebody waits for.
const FUNCTIONS: [&str; 2] = ["deliver-sms", "booking-api"];

/// MB: what Lambda can give, from its least to a whole processor.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const SIZES: [u64; 7] = [128, 192, 256, 384, 512, 1024, 1769];

/// How long each call of AWS is taken to last (milliseconds): "single-digit", says DynamoDB's page.
const AWS_TAKES: u64 = 4;

/// Starts of each, in turns, and warm calls of each start.
const ROUNDS: usize = 2;
const CALLS: usize = 20;

/// A function of one size, with its measurement.
struct Row {
    function: &'static str,
    memory: u64,
    measured: Measured,
    /// What a million warm calls cost in GB-seconds (dollars).
    dollars: f64,
}

impl Row {
    fn median(values: &[u64]) -> f64 {
        milliseconds(quantile(values, 50))
    }
}

/// What a million calls like these cost in GB-seconds (microdollars). Lambda bills whole milliseconds.
fn microdollars(prices: &Prices, memory: u64, calls: &[u64]) -> Result<u128> {
    let milliseconds: u128 = calls.iter().map(|call| u128::from(call.div_ceil(1_000_000))).sum();
    let count = u128::try_from(calls.len()).context("so many calls cannot be")?;
    let used = 1_000_000 * milliseconds * u128::from(memory);
    Ok(prices.get("lambda_duration")?.of(used, count * 1_000 * 1_024)?.microdollars())
}

/// Measures, and writes the section of docs/benchmarks.md and its picture.
pub fn run() -> Result<()> {
    let mut steps = Steps::new();
    let mut programs = Vec::new();
    for name in FUNCTIONS {
        programs.push((name, steps.run(&format!("build {name}"), || build(name))?));
    }
    steps.run("build what measures them", contest::build)?;
    let rows = steps.run("measure", || measure(&programs))?;
    let table = report(&rows);
    println!("\n{table}");
    let docs = workspace::root().join("docs");
    plot(&docs.join("benchmarks-memory.svg"), &panels(&rows))?;
    write_section(&docs.join("benchmarks.md"), &section(&table)?)
}

fn measure(programs: &[(&'static str, PathBuf)]) -> Result<Vec<Row>> {
    let prices = Prices::read()?;
    let environment = contest::environment()?;
    let mut contestants = Vec::new();
    for &(function, ref program) in programs {
        contestants.extend(SIZES.map(|memory| Contestant {
            function,
            command: vec![program.to_string_lossy().into_owned()],
            environment: environment.clone(),
            folder: workspace::root().to_owned(),
            memory: Some(memory),
            aws_takes: AWS_TAKES,
        }));
    }
    let measured = contest::measure(&contestants, ROUNDS, CALLS)?;
    let row = |(contestant, measured): (Contestant, Measured)| {
        let memory = contestant.memory.unwrap_or_default();
        let dollars = microdollars(&prices, memory, &measured.warm)? as f64 / 1e6;
        Ok(Row { function: contestant.function, memory, measured, dollars })
    };
    contestants.into_iter().zip(measured).map(row).collect()
}

fn report(rows: &[Row]) -> Table {
    let mut table = table(&[
        "function",
        "memory",
        "start",
        "first call",
        "warm call",
        "p99",
        "used",
        "a million warm calls",
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in rows {
        let time = |milliseconds: f64| format!("{milliseconds:.1} ms");
        let measured = &row.measured;
        table.add_row([
            row.function.to_owned(),
            format!("{} MB", row.memory),
            time(Row::median(&measured.start)),
            time(Row::median(&measured.first)),
            time(Row::median(&measured.warm)),
            time(milliseconds(quantile(&measured.warm, 99))),
            format!("{:.1} MiB", quantile(&measured.memory, 50) as f64 / 1024.0),
            format!("$ {:.2}", row.dollars),
        ]);
    }
    table
}

fn panels(rows: &[Row]) -> Vec<Panel> {
    let panel = |title: &str, unit, value: &dyn Fn(&Row) -> f64| {
        Panel::new(
            title,
            unit,
            rows.iter().map(|row| (row.function, format!("{} MB", row.memory), value(row))),
        )
    };
    vec![
        panel("start and first call", "ms", &|row| {
            Row::median(&row.measured.start) + Row::median(&row.measured.first)
        }),
        panel("warm call", "ms", &|row| Row::median(&row.measured.warm)),
        panel("a million warm calls", "$", &|row| row.dollars),
    ]
}

fn section(table: &Table) -> Result<String> {
    Ok(format!(
        "## Memory\n\n\
         What each size of a function takes and costs. Lambda gives a processor by memory, a whole one at 1769 MB; here the kernel keeps each process to that\n\
         share, in periods of 20 ms. Every call of AWS is made to last {AWS_TAKES} ms, which costs as much as working does. Medians of {ROUNDS} starts, in turns,\n\
         and of {CALLS} warm calls of each, after a hundred; the cost is that of the GB-seconds at the list price, each call rounded up to a millisecond.\n\
         The start is slower here than on Lambda, which gives more of a processor while a sandbox starts.\n\n\
         {table}\n\n\
         ![Start and first call, warm call and cost of both functions by memory](benchmarks-memory.svg)\n\n\
         Measured on {} with {} cores, {}, load {}, by `cargo xtask bench memory`.\n",
        today(),
        std::thread::available_parallelism()?,
        std::env::consts::ARCH,
        contest::load(),
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_call_is_billed_in_whole_milliseconds() {
        let prices = Prices::read().unwrap();
        let cost = |memory, warm: &[u64]| microdollars(&prices, memory, warm).unwrap();
        assert_eq!(cost(256, &[1, 1_000_000]), cost(256, &[1_000_000]));
        assert_eq!(cost(256, &[1_000_001]), cost(256, &[2_000_000]));
        assert!(cost(512, &[10_000_000]).abs_diff(2 * cost(256, &[10_000_000])) <= 1);
    }

    #[test]
    fn a_row_names_its_memory() {
        let row = Row {
            function: "deliver-sms",
            memory: 128,
            measured: Measured {
                start: vec![1],
                first: vec![1],
                warm: vec![5_000_000],
                memory: vec![1],
                aws_calls: BTreeMap::new(),
                calls: 1,
            },
            dollars: 0.01,
        };
        assert!(report(&[row]).to_string().contains("128 MB"));
    }
}
