//! `cargo xtask bench ratchet`: that functions grow neither in size nor in what they do at their start, unnoticed.
//!
//! Weighed is what `sam build` makes for the deploy check: not optimized, so several times as large and slow as what leaves for AWS, but
//! the gate builds it anyway, and it grows with the same causes. What leaves for AWS is measured by `cargo xtask bench startup`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use comfy_table::CellAlignment;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::bench_domain::collected;
use crate::bench_startup::started;
use crate::count::grouped;
use crate::steps::{Steps, table};
use crate::{check, process, python, workspace};

/// More than so many hundredths beyond what is recorded is refused.
const MARGIN: u64 = 3;

/// What the functions weighed when it was last written down, and by which compiler they were built: another one's are not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Recorded {
    compiler: String,
    functions: BTreeMap<String, Weight>,
}

/// What a function weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Weight {
    /// Of the stripped binary, in bytes.
    size: u64,
    /// Instructions up to the first request for work. Not known where valgrind, which counts them, is not on the machine.
    start: Option<u64>,
}

/// Builds all functions and compares them with what is recorded, or records them.
pub fn run(write: bool) -> Result<()> {
    let mut steps = Steps::new();
    steps.run("Python environment .tools", || python::TOOLS.install())?;
    steps.run("sam build", || process::run(&mut check::sam_build()))?;
    if write {
        let found = steps.run("weigh", weigh_all)?;
        if found.functions.values().any(|weight| weight.start.is_none()) {
            bail!("starts are counted by valgrind; on Debian: apt-get install valgrind");
        }
        let head = format!(
            "# Bytes of each binary as `sam build` makes it for the deploy check, and instructions up to its first request for work.\n\
             # {MARGIN} % more are refused. Written by `cargo xtask bench ratchet --write`.\n\n"
        );
        return fs::write(file(), head + &toml::to_string(&found)?).context("cannot write what was weighed");
    }
    steps.run("weigh and compare", compare_all)
}

/// Compares what `sam build` left with what is recorded.
pub fn compare_all() -> Result<()> {
    let text = fs::read_to_string(file()).with_context(|| file().display().to_string())?;
    let recorded: Recorded = toml::from_str(&text).with_context(|| file().display().to_string())?;
    let found = weigh_all()?;
    if found.compiler != recorded.compiler {
        println!("    not compared: built by {}, and recorded by {}", found.compiler, recorded.compiler);
        return Ok(());
    }
    compare(&recorded.functions, &found.functions)
}

fn file() -> std::path::PathBuf {
    workspace::root().join("tests/bench/ratchet.toml")
}

/// Each function, as many at a time as there are processors.
fn weigh_all() -> Result<Recorded> {
    let compiler = process::output(Command::new("rustc").arg("--version"))?.trim().to_owned();
    let waiting = Mutex::new(workspace::functions()?);
    let next = || waiting.lock().ok().and_then(|mut names| names.pop());
    let weigh_some = || {
        std::iter::from_fn(next)
            .map(|name| {
                let binary =
                    workspace::root().join(".aws-sam/build").join(logical_id(&name)).join("bootstrap");
                let weight = weigh(&binary).with_context(|| name.clone())?;
                Ok((name, weight))
            })
            .collect::<Result<Vec<_>>>()
    };
    let mut functions = BTreeMap::new();
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let weighing: Vec<_> = (0..workers).map(|_| scope.spawn(weigh_some)).collect();
        for some in weighing {
            functions.extend(some.join().map_err(|_| anyhow!("weighing failed"))??);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(Recorded { compiler, functions })
}

/// `DeliverSms` of `deliver-sms`: what the template calls a function.
fn logical_id(name: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    name.split('-').map(capital).collect()
}

fn weigh(binary: &Path) -> Result<Weight> {
    let size = fs::metadata(binary).with_context(|| binary.display().to_string())?.len();
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Ok(Weight { size, start: None });
    }
    let log = binary.with_extension("callgrind");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", log.display()))
        .arg(binary);
    started(&mut valgrind, |child, _| {
        // It counts up to its end, which comes soon: there is no work.
        kill_process(Pid::from_child(child), Signal::TERM)?;
        child.wait().map(|_| ()).context("valgrind does not end")
    })?;
    let counted = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    // What is in the folder would be deployed.
    fs::remove_file(&log)?;
    Ok(Weight { size, start: Some(collected(&counted)?) })
}

fn compare(recorded: &BTreeMap<String, Weight>, found: &BTreeMap<String, Weight>) -> Result<()> {
    let mut table = table(&["function", "size", "recorded", "start", "recorded", ""]);
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut grown = Vec::new();
    for (name, now) in found {
        let Some(before) = recorded.get(name) else {
            bail!("{name} is not recorded; `cargo xtask bench ratchet --write` records it")
        };
        let more = |now: u64, before: u64| now * 100 > before * (100 + MARGIN);
        let starts_slower = now.start.zip(before.start).is_some_and(|(now, before)| more(now, before));
        let what: Vec<&str> = [(more(now.size, before.size), "size"), (starts_slower, "start")]
            .into_iter()
            .filter_map(|(more, what)| more.then_some(what))
            .collect();
        let bytes = |size: u64| format!("{:.2} MB", size as f64 / 1e6);
        let instructions =
            |count: Option<u64>| count.map_or("not counted".to_owned(), |count| grouped(count.into()));
        let (sizes, starts) =
            ([now.size, before.size].map(bytes), [now.start, before.start].map(instructions));
        let verdict = if what.is_empty() { "ok".to_owned() } else { format!("grown: {}", what.join(", ")) };
        table.add_row([name.clone()].into_iter().chain(sizes).chain(starts).chain([verdict]));
        if !what.is_empty() {
            grown.push(format!("{name} ({})", what.join(", ")));
        }
    }
    println!("\n{table}");
    if found.values().any(|weight| weight.start.is_none()) {
        println!(
            "    what a start takes is counted by valgrind, which is not on this machine; on Debian: apt-get install valgrind"
        );
    }
    if !grown.is_empty() {
        bail!(
            "grown by more than {MARGIN} %: {}; `cargo xtask bench ratchet --write` records it if that is meant",
            grown.join(", ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let functions = BTreeMap::from([("deliver-sms".to_owned(), Weight { size: 7, start: Some(8) })]);
        let recorded = Recorded { compiler: "rustc 1".to_owned(), functions };
        assert_eq!(toml::from_str::<Recorded>(&toml::to_string(&recorded).unwrap()).unwrap(), recorded);
    }

    #[test]
    fn functions_are_called_in_the_template_as_their_folders() {
        let resources = workspace::template_resources().unwrap();
        for name in workspace::functions().unwrap() {
            assert!(resources.contains(&logical_id(&name)), "{name}");
        }
    }

    #[test]
    fn more_than_the_margin_is_refused() {
        let of = |size, start: u64| {
            BTreeMap::from([("deliver-sms".to_owned(), Weight { size, start: Some(start) })])
        };
        let recorded = of(1000, 1000);
        compare(&recorded, &of(1030, 500)).unwrap();
        assert!(compare(&recorded, &of(1031, 500)).unwrap_err().to_string().contains("deliver-sms (size)"));
        assert!(compare(&recorded, &of(1000, 1031)).unwrap_err().to_string().contains("(start)"));
        assert!(compare(&BTreeMap::new(), &recorded).is_err());
        let without_valgrind =
            BTreeMap::from([("deliver-sms".to_owned(), Weight { size: 1031, start: None })]);
        assert!(
            compare(&recorded, &without_valgrind).unwrap_err().to_string().contains("deliver-sms (size)")
        );
    }
}
