//! `cargo xtask bench burst`: many messages due at the same instant, on the local stack.

use anyhow::{Context, Result, bail};

use crate::bench::{today, write_section};
use crate::steps::Steps;
use crate::{cargo, process, python, workspace};

/// The end-to-end test that makes the burst and prints what it saw.
const TEST: &str = "delivery::messages_that_fall_due_together_at_eight_drain_at_the_pace_of_the_provider";

/// Runs the burst with so many messages, prints what it took, and writes the section of docs/benchmarks.md.
pub fn run(messages: u32) -> Result<()> {
    let mut steps = Steps::new();
    steps.run("Python environment .venv", || python::RUN.install())?;
    steps.run("build everything", cargo::build_all)?;
    let said = steps.run("burst", || {
        process::output(
            cargo::command()
                .args(["test", "--package", "e2e", "--profile", "local", "--test", "all", "--"])
                .args(["--exact", TEST, "--nocapture"])
                .env("BURST", messages.to_string()),
        )
    })?;
    let seen = seen(&said).context("the test said nothing of a burst")?;
    println!("\n{seen}");
    if !seen.starts_with(&messages.to_string()) {
        bail!("the test made another burst than asked for");
    }
    write_section(&workspace::root().join("docs/benchmarks.md"), &section(seen))
}

/// The line in which the test says what it saw.
fn seen(said: &str) -> Option<&str> {
    said.lines().find(|line| line.contains(" sms due at 08:00 left in "))
}

fn section(seen: &str) -> String {
    format!(
        "## Burst\n\n\
         Text messages held back by quiet hours until eight in the morning, with a timer each: on the local stack, the real\n\
         `deliver-sms` in two sandboxes at the pace of the template's `SmsPerSecond`, until all have left.\n\n\
         {seen}.\n\n\
         Measured on {}, {}, by `cargo xtask bench burst`.\n",
        today(),
        std::env::consts::ARCH,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_test_saw_is_found_in_what_it_said() {
        let said = "running 1 test\n60 sms due at 08:00 left in 3.1 s, 19.4 a second; 4.00 AWS calls each: {}\ntest … ok\n";
        assert!(seen(said).unwrap().starts_with("60 sms"));
        assert_eq!(seen("running 0 tests\n"), None);
    }
}
