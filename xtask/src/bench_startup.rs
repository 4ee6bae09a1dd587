//! `cargo xtask bench startup`: from the start of a function's process to its first request for work.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};

use crate::bench::{build, quantile, today, write_section};
use crate::steps::{Steps, table};
use crate::workspace::BARE;
use crate::{process, workspace};

/// Starts of each binary. They take turns, so that whatever else the machine does meets all of them.
const ROUNDS: usize = 30;

/// A start may take so many times what the bare runtime takes (median),
const TIMES_BARE: f64 = 2.0;

/// or this, if that is more.
const START_LIMIT: Duration = Duration::from_millis(3);

/// Longest wait for one start, of a program that runs in valgrind beside the tests too.
const PATIENCE: Duration = Duration::from_secs(300);

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

/// Measures all functions, or only these, writes the section of docs/benchmarks.md unless only some were measured, and fails when one is over
/// a limit.
pub fn run(only: &[String]) -> Result<()> {
    let functions = workspace::functions()?;
    if let Some(unknown) = only.iter().find(|name| !functions.contains(name)) {
        bail!("there is no function {unknown}; there are {}", functions.join(", "));
    }
    let wanted = functions.into_iter().filter(|name| only.is_empty() || only.contains(name));
    let mut steps = Steps::new();
    let mut all = Vec::new();
    let names = std::iter::once(BARE.to_owned()).chain(wanted);
    for name in names {
        let binary = steps.run(&format!("build {name}"), || build(&name))?;
        all.push(Measured { name, binary, starts: Vec::new(), resident: Vec::new() });
    }
    steps.run("measure", || measure(&mut all))?;

    let (table, over) = report(&all)?;
    println!("\n{table}");
    if only.is_empty() {
        write_section(&workspace::root().join("docs/benchmarks.md"), &section(&table)?)?;
    }
    if !over.is_empty() {
        bail!("over a limit: {}", over.join(", "));
    }
    Ok(())
}

fn measure(all: &mut [Measured]) -> Result<()> {
    let bar = ProgressBar::new((ROUNDS * all.len()) as u64);
    if let Ok(style) = ProgressStyle::with_template("    {bar:30} {pos}/{len} starts") {
        bar.set_style(style);
    }
    for _ in 0..ROUNDS {
        for one in all.iter_mut() {
            let (start, resident) =
                start_once(&mut Command::new(&one.binary)).with_context(|| one.name.clone())?;
            one.starts.push(start);
            one.resident.push(resident);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// What the template tells the functions, so that reading the configuration is part of the start.
pub fn environment() -> Result<Vec<(String, &'static str)>> {
    let value = |name: &str| match name {
        "REQUESTS_PER_MINUTE" => "600",
        "RETENTION_MONTHS" => "13",
        _ => "bench",
    };
    Ok(workspace::template_variables()?.into_iter().map(|name| (name.clone(), value(&name))).collect())
}

/// Starts a function once and ends it at its first request for work. Gives the time until then and its memory in KiB.
fn start_once(command: &mut Command) -> Result<(Duration, u64)> {
    started(command, |child, took| {
        Ok((took, high_water_mark(&fs::read_to_string(format!("/proc/{}/status", child.id()))?)?))
    })
}

/// Starts a function, lets `look` at it when it asks for work the first time, and ends it.
pub fn started<T>(command: &mut Command, look: impl FnOnce(&mut Child, Duration) -> Result<T>) -> Result<T> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    // A connection to it opens, which is all that a function does before its first request for work.
    let aws = TcpListener::bind("127.0.0.1:0")?;
    command
        .env_clear()
        .envs(environment()?)
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "bench")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
        .env("AWS_ENDPOINT_URL", format!("http://{}", aws.local_addr()?))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let result = first_request(&listener, begun, &mut child)
        .and_then(|(connection, took)| Ok((connection, look(&mut child, took)?)));
    // It may have ended by itself.
    let _ = child.kill();
    let output = child.wait_with_output()?;
    // The connection stays open until the process has ended, so that it has nothing to complain about.
    result.map(|(_connection, seen)| seen).inspect_err(|_| {
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
    let mut table = table(&["function", "median", "p90", "x bare", "memory", "size stripped", "limit"]);
    for column in table.column_iter_mut().skip(1).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let bare = all.iter().find(|one| one.name == BARE).context("the bare runtime was not measured")?;
    let yardstick = quantile(&bare.starts, 50);
    let limit = START_LIMIT.max(yardstick.mul_f64(TIMES_BARE));
    let mut over = Vec::new();
    for one in all {
        let (median, p90, size) = (quantile(&one.starts, 50), quantile(&one.starts, 90), one.size()?);
        let verdict = if median > limit { "over" } else { "ok" };
        if median > limit {
            over.push(one.name.clone());
        }
        table.add_row([
            one.name.clone(),
            format!("{:.2} ms", median.as_secs_f64() * 1e3),
            format!("{:.2} ms", p90.as_secs_f64() * 1e3),
            format!("{:.1}", median.as_secs_f64() / yardstick.as_secs_f64()),
            format!("{:.1} MiB", quantile(&one.resident, 50) as f64 / 1024.0),
            format!("{:.2} MB", size as f64 / 1e6),
            verdict.to_owned(),
        ]);
    }
    Ok((table, over))
}

const HEADING: &str = "## Start-up";

fn section(table: &Table) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "{HEADING}\n\n\
         From the start of the process to its first `GET …/next` on loopback, median and p90 of {ROUNDS} starts, taken in turns.\n\
         Memory is the highest resident set by then. Built as for AWS (fat LTO, one codegen unit, stripped), one package at a time.\n\
         The connection to DynamoDB that a function opens ahead is one on loopback without TLS: on AWS the handshake comes on top.\n\
         Limit: a median of {TIMES_BARE} times that of the bare runtime, or {} ms if that is more.\n\n\
         {table}\n\n\
         Measured on {} with {cores} cores, {}, by `cargo xtask bench startup`.\n",
        START_LIMIT.as_millis(),
        today(),
        std::env::consts::ARCH,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_a_process_status() {
        assert_eq!(high_water_mark("Name:\tx\nVmHWM:\t    7412 kB\nVmRSS:\t 1 kB\n").unwrap(), 7412);
        assert!(high_water_mark("Name:\tx\n").is_err());
    }

    #[test]
    fn a_function_over_a_limit_is_told() {
        let binary = std::env::current_exe().unwrap();
        let one = |name: &str, milliseconds| Measured {
            name: name.to_owned(),
            binary: binary.clone(),
            starts: vec![Duration::from_millis(milliseconds)],
            resident: vec![1],
        };
        let (_, over) = report(&[one(BARE, 2), one("slow", 5), one("quick", 4)]).unwrap();
        assert!(over.iter().any(|name| name == "slow"), "{over:?}");
        assert!(!over.iter().any(|name| name == "quick"), "{over:?}");
    }
}
