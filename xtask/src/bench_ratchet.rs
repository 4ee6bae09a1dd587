//! `cargo xtask bench ratchet`: that functions grow neither in size nor in what they do at their start, unnoticed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use comfy_table::CellAlignment;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::bench::build;
use crate::bench_domain::collected;
use crate::bench_startup::started;
use crate::count::grouped;
use crate::steps::{Steps, table};
use crate::workspace;

/// More than so many hundredths beyond what is recorded is refused.
const MARGIN: u64 = 3;

/// What a function weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Weight {
    /// Of the stripped binary, in bytes.
    size: u64,
    /// Instructions up to the first request for work.
    start: u64,
}

/// Builds all functions, or only these, and compares them with what is recorded, or records them.
pub fn run(only: &[String], write: bool) -> Result<()> {
    let file = workspace::root().join("tests/bench/ratchet.toml");
    let mut recorded: BTreeMap<String, Weight> = match fs::read_to_string(&file) {
        Ok(text) => toml::from_str(&text).with_context(|| file.display().to_string())?,
        Err(_) => BTreeMap::new(),
    };
    let functions = workspace::functions()?;
    if let Some(unknown) = only.iter().find(|name| !functions.contains(name)) {
        bail!("there is no function {unknown}; there are {}", functions.join(", "));
    }
    let mut steps = Steps::new();
    let mut found = BTreeMap::new();
    for name in functions.into_iter().filter(|name| only.is_empty() || only.contains(name)) {
        let weight = steps.run(&name, || weigh(&build(&name)?))?;
        found.insert(name, weight);
    }
    if write {
        recorded.extend(found);
        return fs::write(&file, written(&recorded)).with_context(|| file.display().to_string());
    }
    compare(&recorded, &found)
}

fn weigh(binary: &Path) -> Result<Weight> {
    let log = workspace::root().join("target/callgrind.log");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", log.display()))
        .arg(binary);
    started(&mut valgrind, |child, _| {
        // It counts up to its end, which comes soon: there is no work.
        kill_process(Pid::from_child(child), Signal::TERM)?;
        child.wait().map(|_| ()).context("valgrind does not end")
    })
    .context("instructions are counted by valgrind; on Debian: apt-get install valgrind")?;
    let log = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(Weight { size: fs::metadata(binary)?.len(), start: collected(&log)? })
}

fn compare(recorded: &BTreeMap<String, Weight>, found: &BTreeMap<String, Weight>) -> Result<()> {
    let mut table = table(&["function", "size", "recorded", "start", "recorded", ""]);
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut grown = Vec::new();
    for (name, now) in found {
        let Some(before) = recorded.get(name) else { bail!("{name} is not recorded; --write records it") };
        let more = |now: u64, before: u64| now * 100 > before * (100 + MARGIN);
        let what: Vec<&str> =
            [(more(now.size, before.size), "size"), (more(now.start, before.start), "start")]
                .into_iter()
                .filter_map(|(more, what)| more.then_some(what))
                .collect();
        let bytes = |size: u64| format!("{:.2} MB", size as f64 / 1e6);
        let instructions = |count: u64| grouped(count.into());
        let (sizes, starts) =
            ([now.size, before.size].map(bytes), [now.start, before.start].map(instructions));
        let verdict = if what.is_empty() { "ok".to_owned() } else { format!("grown: {}", what.join(", ")) };
        table.add_row([name.clone()].into_iter().chain(sizes).chain(starts).chain([verdict]));
        if !what.is_empty() {
            grown.push(format!("{name} ({})", what.join(", ")));
        }
    }
    println!("\n{table}");
    if !grown.is_empty() {
        bail!("grown by more than {MARGIN} %: {}; --write records it if that is meant", grown.join(", "));
    }
    Ok(())
}

fn written(recorded: &BTreeMap<String, Weight>) -> String {
    let mut text = format!(
        "# Bytes of each stripped binary, and instructions up to its first request for work. {MARGIN} % more are refused.\n\
         # Written by `cargo xtask bench ratchet --write`.\n\n"
    );
    for (name, Weight { size, start }) in recorded {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{name} = {{ size = {size}, start = {start} }}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let recorded = BTreeMap::from([("deliver-sms".to_owned(), Weight { size: 7, start: 8 })]);
        let read: BTreeMap<String, Weight> = toml::from_str(&written(&recorded)).unwrap();
        assert_eq!(read, recorded);
    }

    #[test]
    fn more_than_the_margin_is_refused() {
        let of = |size, start| BTreeMap::from([("deliver-sms".to_owned(), Weight { size, start })]);
        let recorded = of(1000, 1000);
        compare(&recorded, &of(1030, 500)).unwrap();
        assert!(compare(&recorded, &of(1031, 500)).unwrap_err().to_string().contains("deliver-sms (size)"));
        assert!(compare(&recorded, &of(1000, 1031)).unwrap_err().to_string().contains("(start)"));
        assert!(compare(&BTreeMap::new(), &recorded).is_err());
    }
}
