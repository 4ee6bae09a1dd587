//! `cargo xtask coverage`: which lines of `shared/domain` its tests reach.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use comfy_table::CellAlignment;
use lexopt::Arg;

use crate::steps::{Steps, table};
use crate::{process, python, workspace};

const HELP: &str = "\
cargo xtask coverage

Runs the tests of shared/domain and tells, file by file, how many of its lines they reach and which they do not. The lines of
the tests themselves do not count. Fails under 95 %.";

/// The least share of the lines that has to be reached, in percent.
const LIMIT: usize = 95;

/// What the tests reached of a file: for each line with code, whether it ran.
type Lines = BTreeMap<usize, bool>;

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    match args.next()? {
        Some(Arg::Short('h') | Arg::Long("help")) => {
            println!("{HELP}");
            return Ok(());
        }
        Some(other) => bail!("{}; `cargo xtask coverage --help` tells more", other.unexpected()),
        None => {}
    }
    let mut steps = Steps::new();
    steps.run("Python environment .proof", || python::PROOF.install())?;
    let report = workspace::root().join("target/coverage.lcov");
    steps.run("tests of shared/domain", || measure(&report))?;
    let written = fs::read_to_string(&report).with_context(|| format!("cannot read {}", report.display()))?;
    let mut files = parse(&written)?;
    for (file, lines) in &mut files {
        let source = fs::read_to_string(workspace::root().join(file))
            .with_context(|| format!("cannot read {file}"))?;
        let end = first_test_line(&source);
        lines.retain(|line, _| *line < end);
    }
    tell(&files)
}

fn measure(report: &Path) -> Result<()> {
    let llvm = llvm()?;
    process::run(
        python::PROOF
            .command("cargo-llvm-cov")
            .args(["llvm-cov", "test", "--package", "domain", "--tests", "--profile", "local", "--quiet"])
            .args(["--lcov", "--output-path"])
            .arg(report)
            .env("LLVM_COV", llvm.join("llvm-cov"))
            .env("LLVM_PROFDATA", llvm.join("llvm-profdata"))
            // The tools in the environment were built without zlib.
            .env("RUSTFLAGS", "-Cllvm-args=-enable-name-compression=false"),
    )
}

/// The folder of LLVM's tools within the environment; its path names the version of Python.
fn llvm() -> Result<PathBuf> {
    let libraries = python::PROOF.folder().join("lib");
    for entry in fs::read_dir(&libraries).with_context(|| format!("cannot list {}", libraries.display()))? {
        let folder = entry?.path().join("site-packages/llvm/bin");
        if folder.join("llvm-cov").is_file() {
            return Ok(folder);
        }
    }
    bail!("there is no llvm-cov in {}", libraries.display())
}

/// Reads an lcov report: the lines of each file, by its path from the root of the checkout.
/// The format: <https://manpages.debian.org/bookworm/lcov/geninfo.1.en.html#FILES>
fn parse(report: &str) -> Result<BTreeMap<String, Lines>> {
    let root = workspace::root();
    let mut files: BTreeMap<String, Lines> = BTreeMap::new();
    let mut file = String::new();
    for line in report.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = Path::new(path).strip_prefix(&root).unwrap_or(Path::new(path)).display().to_string();
        } else if let Some(data) = line.strip_prefix("DA:") {
            let mut parts = data.split(',');
            let (number, count) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let number = number.parse().with_context(|| format!("a line without a number: {line}"))?;
            let ran = files.entry(file.clone()).or_default().entry(number).or_insert(false);
            *ran |= count != "0";
        }
    }
    if files.is_empty() {
        bail!("the report names no file");
    }
    Ok(files)
}

/// The line on which the tests of a file begin; they are its last part. Past its end when it has none.
fn first_test_line(source: &str) -> usize {
    source.lines().position(|line| line == "#[cfg(test)]").map_or(usize::MAX, |index| index + 1)
}

fn tell(files: &BTreeMap<String, Lines>) -> Result<()> {
    let mut table = table(&["file", "lines", "reached", "%", "not reached"]);
    let (mut all, mut reached) = (0, 0);
    for (file, lines) in files {
        let ran = lines.values().filter(|ran| **ran).count();
        table.add_row([
            file.clone(),
            lines.len().to_string(),
            ran.to_string(),
            percent(ran, lines.len()),
            missed(lines),
        ]);
        all += lines.len();
        reached += ran;
    }
    table.add_row([
        "all".to_owned(),
        all.to_string(),
        reached.to_string(),
        percent(reached, all),
        String::new(),
    ]);
    for column in table.column_iter_mut().skip(1).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n{table}");
    if reached * 100 < all * LIMIT {
        bail!("the tests reach {} % of the lines of shared/domain, under {LIMIT} %", percent(reached, all));
    }
    Ok(())
}

/// A share in percent with one decimal, rounded down.
fn percent(part: usize, whole: usize) -> String {
    let thousandths = (part * 1000).checked_div(whole).unwrap_or(1000);
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

/// The lines that did not run, neighbours as one: `12 30-33`.
fn missed(lines: &Lines) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut before_ran = true;
    for (&line, &ran) in lines {
        match ranges.last_mut() {
            Some(range) if !ran && !before_ran => range.1 = line,
            _ if !ran => ranges.push((line, line)),
            _ => {}
        }
        before_ran = ran;
    }
    let told = |(from, to): &(usize, usize)| {
        if from == to { from.to_string() } else { format!("{from}-{to}") }
    };
    ranges.iter().map(told).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_by_file_and_line() {
        let report = format!("SF:{}/a.rs\nDA:1,3\nDA:2,0\nend_of_record\n", workspace::root().display());
        let expected = BTreeMap::from([("a.rs".to_owned(), Lines::from([(1, true), (2, false)]))]);
        assert_eq!(parse(&report).unwrap(), expected);
        assert!(parse("").is_err());
    }

    #[test]
    fn the_tests_of_a_file_do_not_count() {
        assert_eq!(first_test_line("fn a() {}\n\n#[cfg(test)]\nmod tests {}\n"), 3);
        assert_eq!(first_test_line("fn a() {}\n"), usize::MAX);
    }

    #[test]
    fn too_little_fails_and_lines_without_code_are_no_gap() {
        let lines = |reached| (1..=100).map(|line| (line * 2, line <= reached)).collect::<Lines>();
        assert!(tell(&BTreeMap::from([("a.rs".to_owned(), lines(94))])).is_err());
        assert!(tell(&BTreeMap::from([("a.rs".to_owned(), lines(95))])).is_ok());
        assert_eq!(missed(&lines(95)), "192-200");
        assert_eq!(missed(&Lines::from([(1, false), (2, true), (5, false)])), "1 5");
        assert_eq!(percent(946, 1000), "94.6");
    }
}
