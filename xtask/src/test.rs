//! `cargo xtask test`: everything that has to hold before a change goes in.

use anyhow::{Result, bail};
use lexopt::Arg;

use crate::check::Beside;
use crate::steps::Steps;
use crate::{cargo, contract, policies, process, python, rules};

const HELP: &str = "\
cargo xtask test [FILTER...]

Format, the rules table, every test, the functions' policies against what they did in the tests, the API against its document, and beside that
all of `cargo xtask check`: lints, dependencies, the template built and deployed. Each of the two stops at its first failure, and both are told.

  FILTER    run only the tests whose name contains one of these, and nothing else";

/// What schemathesis starts from, where it chooses. `cargo xtask contract` takes another each time.
const SEED: u32 = 1;

/// Parses the filters and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let mut filters = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Arg::Value(filter) => filters.push(filter.to_string_lossy().into_owned()),
            other => bail!("{}; `cargo xtask test --help` lists the options", other.unexpected()),
        }
    }
    let mut steps = Steps::new();
    let result = if filters.is_empty() { everything(&mut steps) } else { some_tests(&mut steps, &filters) };
    steps.summary();
    result
}

fn everything(steps: &mut Steps) -> Result<()> {
    steps.run("format", || process::run(cargo::command().args(["fmt", "--all", "--check"])))?;
    steps.run("rules and the tests that prove them", rules::check)?;
    environments(steps)?;
    steps.run("build everything", cargo::build_all)?;
    steps.run("examples in the documentation", || {
        process::run(cargo::command().args(["test", "--doc", "--workspace", "--profile", "local"]))
    })?;
    let beside = Beside::start()?;
    let tested = running(steps);
    let checked = steps.run("beside that: cargo xtask check", || beside.finish());
    if let (Err(_), Err(error)) = (&tested, &checked) {
        eprintln!("error: {error:#}");
    }
    tested.and(checked)
}

/// What needs the system running.
fn running(steps: &mut Steps) -> Result<()> {
    policies::forget()?;
    tests(steps, &[])?;
    steps.run("policies: what functions may do is what they did", policies::check)?;
    // What is made up at random is for `cargo xtask contract`: what it finds depends on ids that are others each time.
    contract::check(steps, "examples,coverage", Some(SEED))
}

fn some_tests(steps: &mut Steps, filters: &[String]) -> Result<()> {
    environments(steps)?;
    steps.run("build everything", cargo::build_all)?;
    tests(steps, filters)
}

fn environments(steps: &mut Steps) -> Result<()> {
    steps.run("Python environments", || {
        python::install_all(&[python::RUN, python::TOOLS, python::BROWSER, python::SCAN, python::CONTRACT])
    })
}

fn tests(steps: &mut Steps, filters: &[String]) -> Result<()> {
    steps.run("tests", || {
        process::run(
            python::TOOLS
                .command("cargo-nextest")
                .args(["nextest", "run", "--workspace", "--cargo-profile", "local"])
                .args(filters),
        )
    })
}
