//! `cargo xtask simulate`: the whole system in one process through a simulated year, with everything going wrong that can.

use std::ffi::OsString;

use anyhow::Result;
use lexopt::Arg;

use crate::{cargo, process, workspace};

const HELP: &str = "\
cargo xtask simulate [OPTIONS]

Plays years of bookings on the use cases with everything going wrong that can, and checks each against a model of its own
(tests/simulation). Tells what happened, and for each violation the command that plays its seed again; any violation ends it
with exit code 1.

  --bookings N   so many bookings in all
  --seeds N      so many seeds (100)
  --seed N       this seed alone; with --seeds or --bookings the first of them. Without it the first is drawn by chance
  --size N       bookings of a seed (100)
  --booking ID   with --seed: print everything that was written about a booking of it
  --planted      plant each known kind of bug and show that it is caught
  --burst N      let N messages fall due at eight o'clock, and watch them leave";

/// Builds the simulation with optimizations and gives it the options.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let mut given: Vec<OsString> = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Arg::Long("planted") => given.push("--planted".into()),
            Arg::Long(name @ ("bookings" | "seeds" | "seed" | "size" | "burst" | "booking")) => {
                given.push(format!("--{name}").into());
                given.push(args.value()?);
            }
            other => anyhow::bail!("{}; `cargo xtask simulate --help` lists the options", other.unexpected()),
        }
    }
    process::run(cargo::command().args(["build", "--profile", "simulation", "--package", "simulation"]))?;
    let binary = workspace::root().join("target/simulation/simulate");
    process::run(std::process::Command::new(binary).args(given))
}
