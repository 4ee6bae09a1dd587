//! `cargo xtask mutants`: whether a test notices when the rules are changed in one place.

use std::fs;

use anyhow::{Result, bail};
use lexopt::Arg;

use crate::steps::Steps;
use crate::{tools, workspace};

const HELP: &str = "\
cargo xtask mutants [MODULE...]

Changes what plans and decides in shared/domain in one place after the other and runs its tests each time. Fails when a change
is not noticed. Changes that are known to make no difference are listed in .cargo/mutants.toml. What each run said is in
target/mutants.out. All of it takes about ten minutes.

  MODULE    only these modules of shared/domain, such as timing";

/// The modules that say when and whether a message leaves.
const MODULES: [&str; 6] = ["plan", "decide", "precedence", "quiet_hours", "reconcile", "timing"];

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let mut modules = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Arg::Value(module) => modules.push(module.to_string_lossy().into_owned()),
            other => bail!("{}; `cargo xtask mutants --help` tells more", other.unexpected()),
        }
    }
    if modules.is_empty() {
        modules = MODULES.map(str::to_owned).into();
    }
    let files: Vec<String> = modules.iter().map(|module| format!("shared/domain/src/{module}.rs")).collect();
    if let Some(missing) = files.iter().find(|file| !workspace::root().join(file).is_file()) {
        bail!("there is no {missing}");
    }
    let mut steps = Steps::new();
    steps.run("cargo-mutants", || tools::MUTANTS.install())?;
    steps.run("changes", || change(&files))
}

fn change(files: &[String]) -> Result<()> {
    let jobs = std::thread::available_parallelism()?;
    let mut command = tools::MUTANTS.command();
    command.args(["mutants", "--package", "domain", "--output", "target", "--no-shuffle"]);
    command.arg(format!("--jobs={jobs}"));
    command.args(files.iter().flat_map(|file| ["--file", file]));
    let status = command.status()?;
    // Exit codes: <https://mutants.rs/exit-codes.html>
    match status.code() {
        Some(0) => Ok(()),
        Some(2 | 3) => {
            for (list, what) in [("missed", "not noticed"), ("timeout", "did not end")] {
                let path = workspace::root().join(format!("target/mutants.out/{list}.txt"));
                for line in fs::read_to_string(path)?.lines() {
                    println!("    {what}: {line}");
                }
            }
            bail!("write a test that notices, or say in .cargo/mutants.toml why none can")
        }
        _ => bail!("cargo-mutants ended with {status}"),
    }
}
