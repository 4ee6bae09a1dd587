//! `cargo xtask bench`: how long things take. Here, `startup`: from the start of a function's process to its first request for work.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::{Arg, ValueExt};

use crate::steps::{Steps, table};
use crate::{bench_api, bench_burst, bench_domain, cargo, process, workspace};

const HELP: &str = "\
cargo xtask bench startup [FUNCTION...]

Builds every function and the bare runtime as they leave for AWS, starts each 30 times against a Runtime API on loopback and
takes the time from the start of the process to its first request for work, and its memory then. Writes docs/benchmarks.md.

  FUNCTION    only these, beside the bare runtime; writes nothing

cargo xtask bench domain

Takes the time of planning a booking, deciding on a message and making its text, and counts their instructions with valgrind.
Writes docs/benchmarks.md. `cargo bench -p domain` takes the time only.

cargo xtask bench burst [MESSAGES]

Lets so many text messages, 1000 unless told otherwise, fall due at the same instant on the local stack, and takes the time until
all have left and the AWS calls of each. Writes docs/benchmarks.md.

cargo xtask bench api [REQUESTS]

Makes so many requests, 400 unless told otherwise, of each operation to the API on the local stack, by 1, 4 and 16 callers at once, and takes
their time and their AWS calls. Fails when an operation makes more calls than ARCHITECTURE.md grants it. Writes docs/benchmarks.md.";

/// Starts of each binary. They take turns, so that whatever else the machine does meets all of them.
const ROUNDS: usize = 30;

/// A start over this is noticed by a person waiting for an API answer (median).
const START_LIMIT: Duration = Duration::from_millis(5);

/// A binary over this is slow to load when Lambda starts a sandbox (stripped, bytes).
const SIZE_LIMIT: u64 = 8_000_000;

/// Longest wait for one start.
const PATIENCE: Duration = Duration::from_secs(10);

/// The yardstick: a function that does nothing.
const BARE: &str = "bare";

const HEADING: &str = "## Start-up";

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    match args.next()? {
        Some(Arg::Short('h') | Arg::Long("help")) => println!("{HELP}"),
        Some(Arg::Value(what)) if what == "startup" => {
            let mut only = Vec::new();
            while let Some(arg) = args.next()? {
                match arg {
                    Arg::Value(name) => only.push(name.to_string_lossy().into_owned()),
                    Arg::Short('h') | Arg::Long("help") => {
                        println!("{HELP}");
                        return Ok(());
                    }
                    other => bail!("{}; `cargo xtask bench --help` tells more", other.unexpected()),
                }
            }
            startup(&only)?;
        }
        Some(Arg::Value(what)) if what == "domain" => match args.next()? {
            None => bench_domain::run()?,
            Some(Arg::Short('h') | Arg::Long("help")) => println!("{HELP}"),
            Some(other) => bail!("{}; `cargo xtask bench --help` tells more", other.unexpected()),
        },
        Some(Arg::Value(what)) if what == "burst" => match args.next()? {
            None => bench_burst::run(1000)?,
            Some(Arg::Value(messages)) => bench_burst::run(messages.parse()?)?,
            Some(Arg::Short('h') | Arg::Long("help")) => println!("{HELP}"),
            Some(other) => bail!("{}; `cargo xtask bench --help` tells more", other.unexpected()),
        },
        Some(Arg::Value(what)) if what == "api" => match args.next()? {
            None => bench_api::run(400)?,
            Some(Arg::Value(requests)) => bench_api::run(requests.parse()?)?,
            Some(Arg::Short('h') | Arg::Long("help")) => println!("{HELP}"),
            Some(other) => bail!("{}; `cargo xtask bench --help` tells more", other.unexpected()),
        },
        _ => bail!("say what to measure: cargo xtask bench startup, domain, burst or api"),
    }
    Ok(())
}

/// What the starts of one binary took.
struct Measured {
    name: String,
    binary: PathBuf,
    starts: Vec<Duration>,
    /// Highest resident memory by the first request for work, in KiB, of each start.
    resident: Vec<u64>,
}

impl Measured {
    fn size(&self) -> Result<u64> {
        Ok(fs::metadata(&self.binary)?.len())
    }
}

fn startup(only: &[String]) -> Result<()> {
    let functions = workspace::functions()?;
    if let Some(unknown) = only.iter().find(|name| !functions.contains(name)) {
        bail!("there is no function {unknown}; there are {}", functions.join(", "));
    }
    let wanted = functions.into_iter().filter(|name| only.is_empty() || only.contains(name));
    let mut steps = Steps::new();
    let mut all = Vec::new();
    let names = std::iter::once(BARE.to_owned()).chain(wanted);
    for name in names {
        // One package at a time: built together, each would carry the features of all.
        steps.run(&format!("build {name}"), || {
            process::run(cargo::command().args(["build", "--release", "--package", &name]))
        })?;
        let binary = workspace::root().join("target/release").join(&name);
        all.push(Measured { name, binary, starts: Vec::new(), resident: Vec::new() });
    }
    steps.run("measure", || measure(&mut all))?;

    let (table, over) = report(&all)?;
    println!("\n{table}");
    if only.is_empty() {
        write_section(&workspace::root().join("docs/benchmarks.md"), &section(&table)?)?;
    }
    if !over.is_empty() {
        bail!(
            "over the limit of {} ms or {} MB: {}",
            START_LIMIT.as_millis(),
            SIZE_LIMIT / 1_000_000,
            over.join(", ")
        );
    }
    Ok(())
}

fn measure(all: &mut [Measured]) -> Result<()> {
    let bar = ProgressBar::new((ROUNDS * all.len()) as u64);
    if let Ok(style) = ProgressStyle::with_template("    {bar:30} {pos}/{len} starts") {
        bar.set_style(style);
    }
    // What the template tells the functions, so that reading the configuration is part of the start.
    let variables = workspace::template_variables()?;
    for _ in 0..ROUNDS {
        for one in all.iter_mut() {
            let (start, resident) = start_once(&one.binary, &variables).with_context(|| one.name.clone())?;
            one.starts.push(start);
            one.resident.push(resident);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Starts a function once and ends it at its first request for work. Gives the time until then and its memory in KiB.
fn start_once(binary: &Path, variables: &[String]) -> Result<(Duration, u64)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let mut command = Command::new(binary);
    command
        .env_clear()
        .envs(variables.iter().map(|name| (name, "bench")))
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "bench")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let result = first_request(&listener, begun, &mut child).and_then(|(connection, took)| {
        let resident = high_water_mark(&fs::read_to_string(format!("/proc/{}/status", child.id()))?)?;
        Ok((connection, took, resident))
    });
    child.kill()?;
    let output = child.wait_with_output()?;
    // The connection stays open until the process has ended, so that it has nothing to complain about.
    result.map(|(_connection, took, resident)| (took, resident)).inspect_err(|_| {
        eprintln!("{}", process::tail(&String::from_utf8_lossy(&output.stderr)));
    })
}

fn first_request(listener: &TcpListener, begun: Instant, child: &mut Child) -> Result<(TcpStream, Duration)> {
    let connection = loop {
        match listener.accept() {
            Ok((connection, _)) => break connection,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if let Some(status) = child.try_wait()? {
                    bail!("it ended with {status} before it asked for work");
                }
                if begun.elapsed() > PATIENCE {
                    bail!("no request for work within {} s", PATIENCE.as_secs());
                }
                std::thread::sleep(Duration::from_micros(20));
            }
            Err(error) => return Err(error.into()),
        }
    };
    connection.set_nonblocking(false)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line)?;
    let took = begun.elapsed();
    if !line.starts_with("GET /2018-06-01/runtime/invocation/next ") {
        bail!("the first request was {:?}", line.trim());
    }
    Ok((connection, took))
}

/// `VmHWM` of a process status, in KiB.
fn high_water_mark(status: &str) -> Result<u64> {
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the status has no VmHWM")?;
    line.trim().trim_end_matches(" kB").parse().with_context(|| format!("VmHWM is no number: {line}"))
}

/// The table, and the names of the functions that are over a limit.
fn report(all: &[Measured]) -> Result<(Table, Vec<String>)> {
    let mut table = table(&["function", "median", "p90", "x bare", "memory", "size stripped"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let bare = all.iter().find(|one| one.name == BARE).context("the bare runtime was not measured")?;
    let yardstick = quantile(&bare.starts, 50);
    let mut over = Vec::new();
    for one in all {
        let (median, p90, size) = (quantile(&one.starts, 50), quantile(&one.starts, 90), one.size()?);
        if median > START_LIMIT || size > SIZE_LIMIT {
            over.push(one.name.clone());
        }
        table.add_row([
            one.name.clone(),
            format!("{:.2} ms", median.as_secs_f64() * 1e3),
            format!("{:.2} ms", p90.as_secs_f64() * 1e3),
            format!("{:.1}", median.as_secs_f64() / yardstick.as_secs_f64()),
            format!("{:.1} MiB", quantile(&one.resident, 50) as f64 / 1024.0),
            format!("{:.2} MB", size as f64 / 1e6),
        ]);
    }
    Ok((table, over))
}

/// The value that `percent` of the values do not exceed.
pub fn quantile<T: Ord + Copy + Default>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn section(table: &Table) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "{HEADING}\n\n\
         From the start of the process to its first `GET …/next` on loopback, median and p90 of {ROUNDS} starts, taken in turns.\n\
         Memory is the highest resident set by then. Built as for AWS (fat LTO, one codegen unit, stripped), one package at a time.\n\
         Limits: {} ms (median) and {} MB.\n\n\
         {table}\n\n\
         Measured on {} with {cores} cores, {}, by `cargo xtask bench startup`.\n",
        START_LIMIT.as_millis(),
        SIZE_LIMIT / 1_000_000,
        today(),
        std::env::consts::ARCH,
    ))
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

    #[test]
    fn memory_is_read_from_a_process_status() {
        assert_eq!(high_water_mark("Name:\tx\nVmHWM:\t    7412 kB\nVmRSS:\t 1 kB\n").unwrap(), 7412);
        assert!(high_water_mark("Name:\tx\n").is_err());
    }
}
