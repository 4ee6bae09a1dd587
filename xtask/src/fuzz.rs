//! `cargo xtask fuzz`: what parses foreign input, under inputs nobody would write.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lexopt::Arg;

use crate::steps::Steps;
use crate::{cargo, process, tools, workspace};

const HELP: &str = "\
cargo xtask fuzz [OPTIONS] [TARGET...]

Gives the targets of tests/fuzz one input after the other, guided by libFuzzer to those that reach new code. It takes a C++
compiler to build; where there is none, inputs are drawn by chance. What breaks a target is kept among its seeds in
tests/fuzz/seeds, and ends the command with exit code 1.

  --seconds N    how long each target is tried (60)
  --random       draw inputs by chance, without libFuzzer
  TARGET         only these; the folders of tests/fuzz/seeds are the targets";

/// Time between two lines that tell how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The longest input, in bytes: a long booking has 2,000.
const LONGEST: usize = 4096;

/// An input over which a target takes longer than this, in seconds, is a fault.
const PATIENCE: u32 = 5;

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let (mut seconds, mut random, mut targets) = (60_u32, false, Vec::new());
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Arg::Long("seconds") => {
                let given = args.value()?;
                seconds = given.to_string_lossy().parse().context("--seconds takes a whole number")?;
            }
            Arg::Long("random") => random = true,
            Arg::Value(target) => targets.push(target.to_string_lossy().into_owned()),
            other => bail!("{}; `cargo xtask fuzz --help` lists the options", other.unexpected()),
        }
    }
    let known = known_targets()?;
    if let Some(unknown) = targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no target {unknown}; there are {}", known.join(", "));
    }
    let targets = if targets.is_empty() { known } else { targets };
    if !random && !has_cpp_compiler() {
        println!("no C++ compiler here, so inputs are drawn by chance");
        random = true;
    }
    let mut steps = Steps::new();
    let result = if random {
        by_chance(&mut steps, &targets, seconds)
    } else {
        by_libfuzzer(&mut steps, &targets, seconds)
    };
    steps.summary();
    result
}

fn seeds() -> PathBuf {
    workspace::root().join("tests/fuzz/seeds")
}

fn known_targets() -> Result<Vec<String>> {
    let folder = seeds();
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Whether what compiles C++ for Rust's build scripts is here: <https://docs.rs/cc/latest/cc/#external-configuration-via-environment-variables>
fn has_cpp_compiler() -> bool {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    process::output(Command::new(compiler).arg("--version")).is_ok()
}

fn by_chance(steps: &mut Steps, targets: &[String], seconds: u32) -> Result<()> {
    steps.run("build", || {
        let package = ["--package", "fuzz", "--bin", "random"];
        process::run(cargo::command().args(["build", "--profile", "local"]).args(package))
    })?;
    for target in targets {
        steps.run(target, || {
            let binary = workspace::root().join("target/local/random");
            process::run(Command::new(binary).args([target, &seconds.to_string()]))
        })?;
    }
    Ok(())
}

fn by_libfuzzer(steps: &mut Steps, targets: &[String], seconds: u32) -> Result<()> {
    let root = workspace::root();
    steps.run("cargo-fuzz", || tools::FUZZ.install())?;
    let build = root.join("target/fuzz");
    steps.run("build", || {
        process::run(
            tools::FUZZ
                .command()
                .args(["fuzz", "build", "libfuzzer", "--fuzz-dir", "tests/fuzz", "--features", "libfuzzer"])
                // There is no unsafe code of ours to watch but generated tables, and without a sanitizer the stable compiler will do.
                .args(["--sanitizer", "none", "--debug-assertions", "--target-dir"])
                .arg(&build)
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_STRIP", "none"),
        )
    })?;
    let binary = built(&build)?;
    for target in targets {
        steps.run(target, || run_libfuzzer(&binary, target, seconds))?;
    }
    Ok(())
}

/// The binary below the folder of its platform.
fn built(build: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(build).with_context(|| format!("cannot list {}", build.display()))? {
        let binary = entry?.path().join("release/libfuzzer");
        if binary.is_file() {
            return Ok(binary);
        }
    }
    bail!("cargo-fuzz built no binary below {}", build.display())
}

/// Runs one target. What was found to reach new code is kept below target/fuzz for the next time.
fn run_libfuzzer(binary: &Path, target: &str, seconds: u32) -> Result<()> {
    let corpus = workspace::root().join("target/fuzz/corpus").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    let seeds = seeds().join(target);
    let mut child = Command::new(binary)
        .env("FUZZ_TARGET", target)
        // The fuzzer's own frames would push what went wrong out of sight.
        .env("RUST_BACKTRACE", "0")
        .arg(&corpus)
        .arg(&seeds)
        .arg(format!("-artifact_prefix={}/", seeds.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST}"))
        .arg(format!("-timeout={PATIENCE}"))
        .arg("-print_final_stats=1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    let stderr = child.stderr.take().context("the output of libFuzzer is not piped")?;
    let (mut said, mut told) = (String::new(), Instant::now());
    let mut executions = None;
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            executions = Some(count.trim().to_owned());
        }
        if !line.starts_with('#') {
            said.push_str(&line);
            said.push('\n');
        } else if told.elapsed() >= TELL_EVERY {
            println!("    {target}: {}", progress(&line));
            told = Instant::now();
        }
    }
    let status = child.wait()?;
    if !status.success() {
        eprintln!("{}", process::tail(&said));
        if let Some(path) = artifact(&said) {
            let input = fs::read(path).with_context(|| format!("cannot read {path}"))?;
            eprintln!("the input is \"{}\", kept in {path}", input.escape_ascii());
        }
        bail!("libFuzzer ended with {status}");
    }
    println!("    {target}: {} executions, nothing found", executions.context("libFuzzer told no number")?);
    Ok(())
}

/// `1024 executions, 512 places in the code reached, 300 a second` of libFuzzer's line
/// `#1024 NEW cov: 512 ft: 7 corp: 3/12b lim: 4 exec/s: 300 rss: 30Mb`: <https://llvm.org/docs/LibFuzzer.html#output>
fn progress(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name);
        at.and_then(|at| words.get(at + 1)).copied().unwrap_or("?")
    };
    let executions = words.first().map_or("?", |word| word.trim_start_matches('#'));
    format!(
        "{executions} executions, {} places in the code reached, {} a second",
        after("cov:"),
        after("exec/s:")
    )
}

/// Where libFuzzer says it has put the input that broke the target.
fn artifact(said: &str) -> Option<&str> {
    said.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_told_in_words() {
        let line =
            "#1024\tNEW    cov: 512 ft: 7 corp: 3/12b lim: 4 exec/s: 300 rss: 30Mb L: 2/4 MS: 1 CopyPart-";
        assert_eq!(progress(line), "1024 executions, 512 places in the code reached, 300 a second");
        let said = "thread panicked\nartifact_prefix='/s/'; Test unit written to /s/crash-da39\n";
        assert_eq!(artifact(said), Some("/s/crash-da39"));
        assert_eq!(artifact("all is well\n"), None);
    }

    #[test]
    fn every_target_has_seeds() {
        for target in known_targets().unwrap() {
            assert!(fs::read_dir(seeds().join(&target)).unwrap().next().is_some(), "{target}");
        }
    }
}
