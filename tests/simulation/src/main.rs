//! Plays seeds and reports. `cargo xtask simulate` builds and runs it.
#![allow(clippy::print_stdout, reason = "a command line tool")]

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::Arg;
use simulation::burst::burst;
use simulation::planted::{Bug, SEEDS, caught};
use simulation::{BOOKINGS, Report, simulate, tell};

/// How many violations are shown.
const SHOWN: usize = 20;

/// How many seeds are played when nothing is said.
const DEFAULT_SEEDS: u64 = 100;

/// Time between two lines that tell how far it is, where there is no terminal for a bar.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What was asked for.
struct Options {
    seed: Option<u64>,
    seeds: Option<u64>,
    bookings: Option<u64>,
    size: u32,
    planted: bool,
    burst: Option<u32>,
    booking: Option<String>,
}

fn main() -> ExitCode {
    match options().and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut args = lexopt::Parser::from_env();
    let mut options = Options {
        seed: None,
        seeds: None,
        bookings: None,
        size: BOOKINGS,
        planted: false,
        burst: None,
        booking: None,
    };
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("seed") => options.seed = Some(number(&mut args)?),
            Arg::Long("seeds") => options.seeds = Some(number(&mut args)?),
            Arg::Long("bookings") => options.bookings = Some(number(&mut args)?),
            Arg::Long("size") => options.size = u32::try_from(number(&mut args)?)?.max(1),
            Arg::Long("burst") => options.burst = Some(u32::try_from(number(&mut args)?)?),
            Arg::Long("booking") => options.booking = Some(args.value()?.to_string_lossy().into_owned()),
            Arg::Long("planted") => options.planted = true,
            other => bail!("{}; `cargo xtask simulate --help` lists the options", other.unexpected()),
        }
    }
    Ok(options)
}

fn number(args: &mut lexopt::Parser) -> Result<u64> {
    let given = args.value()?;
    given.to_string_lossy().parse().context("expected a whole number")
}

/// Does what was asked for. `false` when something is not as it should be.
fn run(options: Options) -> Result<bool> {
    if let Some(messages) = options.burst {
        let drained = burst(messages);
        println!("{drained}");
        return Ok(drained.left == drained.due);
    }
    if let (Some(seed), Some(booking)) = (options.seed, &options.booking) {
        tell(seed, options.size, None, booking);
        return Ok(true);
    }
    if options.planted {
        quietly();
        return Ok(planted());
    }
    let seeds = match (options.seeds, options.bookings, options.seed) {
        (Some(seeds), ..) => seeds,
        (_, Some(bookings), _) => bookings.div_ceil(u64::from(options.size)),
        (.., Some(_)) => 1,
        _ => DEFAULT_SEEDS,
    };
    if seeds > 1 {
        quietly();
    }
    // Small enough to be typed again.
    let first = options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    let begun = Instant::now();
    let report = play(first, seeds, options.size);
    show(&report, options.size, begun.elapsed());
    Ok(report.violations.is_empty())
}

/// A panic is told with its seed as a violation; of many seeds nobody wants every backtrace.
fn quietly() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Plays seeds, as many at a time as there are cores.
fn play(first: u64, seeds: u64, size: u32) -> Report {
    let bar = ProgressBar::new(seeds);
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} seeds, {msg}, {elapsed} of about {duration}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (next, report) = (AtomicU64::new(0), Mutex::new(Report::default()));
    let told = Mutex::new(Instant::now());
    let tell = |report: &Report| {
        let faults: u64 = report.faults.values().sum();
        let text =
            format!("{} bookings, {faults} faults, {} violations", report.bookings, report.violations.len());
        bar.set_message(text.clone());
        bar.inc(1);
        if let Ok(mut told) = told.lock()
            && !std::io::stderr().is_terminal()
            && told.elapsed() > TELL_EVERY
        {
            eprintln!("{}/{seeds} seeds, {text}", report.seeds);
            *told = Instant::now();
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= seeds {
                        return;
                    }
                    let one = simulate(first + number, size, None);
                    if let Ok(mut report) = report.lock() {
                        report.add(one);
                        tell(&report);
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    report.into_inner().unwrap_or_default()
}

fn show(report: &Report, size: u32, took: Duration) {
    println!("{} seeds, {} bookings, {:.1} s", report.seeds, report.bookings, took.as_secs_f64());
    println!("calls             {}", report.calls);
    println!("messages sent     {}", report.sent);
    println!(
        "owed by the model {}, of which {} did not leave for a true reason",
        report.owed, report.excused
    );
    println!("messages by what became of them:");
    for (outcome, count) in &report.outcomes {
        println!("  {outcome:<32} {count}");
    }
    println!("faults injected:");
    for ((service, fault), count) in &report.faults {
        println!("  {:<32} {count}", format!("{service:?} {fault:?}"));
    }
    let tally = &report.tally;
    println!("  {:<32} {}", "outages of 5 to 70 minutes", report.outages);
    println!("  {:<32} {}", "sandboxes that died", tally.died);
    println!("  {:<32} {}", "of those: their time was up", tally.timed_out);
    println!("  {:<32} {}", "copies of messages and batches", tally.twice);
    println!("  {:<32} {}", "timers that got lost", tally.lost);
    println!("  {:<32} {}", "mended by the sweeper", tally.swept);
    println!("  {:<32} {}", "brought back from DLQs", tally.redriven);
    println!("reports of providers, some twice, all late: {}", tally.reports);
    println!("requests refused for what they asked: {}", tally.refused);
    println!("violations        {}", report.violations.len());
    for (seed, violation) in report.violations.iter().take(SHOWN) {
        println!("  {violation}\n    {}", replay(*seed, size));
    }
    if report.violations.len() > SHOWN {
        let seeds: BTreeSet<u64> = report.violations.iter().map(|(seed, _)| *seed).collect();
        println!("  and more, in {} seeds", seeds.len());
    }
}

/// The command that plays a seed again.
fn replay(seed: u64, size: u32) -> String {
    let size = if size == BOOKINGS { String::new() } else { format!(" --size {size}") };
    format!("cargo xtask simulate --seed {seed}{size}")
}

/// Plants every bug. `false` when one is not caught.
fn planted() -> bool {
    let mut all = true;
    for bug in Bug::ALL {
        match caught(bug, BOOKINGS) {
            Some((seed, violation)) => {
                println!("{}: caught at seed {seed}", bug.name());
                println!("  {violation}");
                println!("  without the bug: {}", replay(seed, BOOKINGS));
            }
            None => {
                println!("{}: NOT caught within {SEEDS} seeds", bug.name());
                all = false;
            }
        }
    }
    all
}
