//! `cargo xtask`: the developer's one entrance.
//!
//! Every command prints what it is doing and how long it took, and ends with one line and exit code 1 when it cannot go on.

// A command line tool speaks on standard output.
#![allow(clippy::print_stdout)]

mod admin;
mod bench;
mod bench_api;
mod bench_burst;
mod bench_domain;
mod bench_memory;
mod bench_peers;
mod bench_plot;
mod bench_ratchet;
mod bench_size;
mod bench_startup;
mod cargo;
mod check;
mod contest;
mod contract;
mod cost;
mod count;
mod coverage;
mod demo;
mod deploy;
mod doctor;
mod fuzz;
mod http;
mod mend;
mod mutants;
mod openapi;
mod policies;
mod prices;
mod process;
mod python;
mod rules;
mod run;
mod sbom;
mod scale;
mod simulate;
mod stack;
mod steps;
mod test;
mod tools;
mod traffic;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::Arg;

const HELP: &str = "\
cargo xtask COMMAND [OPTIONS]

  run             start everything on this machine, seed a demo salon, play a booking through three days
  test            everything that has to hold: format, rules, tests, the API against its document, and all that follows
  check           what has to hold and needs nothing running: lints, dependencies, the template built and deployed
  doctor          look whether an AWS account lets messages leave: sandboxes, quotas, the sender, settings of sms and push
  deploy          build for Lambda and deploy with SAM
  sbom            what each function is made of: a CycloneDX list of its crates
  rules           the table of the rules and the tests that prove them; `--check` fails when one has none
  openapi         docs/openapi.json, written anew from the code
  contract        the API called against its document, in ways that this allows and in ways that it does not
  coverage        how many lines of shared/domain its tests reach
  fuzz            what parses foreign input, under inputs nobody would write
  mutants         whether a test notices when the rules are changed in one place
  simulate        a year of bookings in one process, with everything going wrong that can, against a model of its own
  bench           all of the following into one report, docs/benchmarks.md, but for the ratchet
  bench startup   how long each function takes to its first request for work, beside the bare runtime
  bench size      how large each function is as it leaves for AWS
  bench peers     two functions beside the same two in Node.js and Python
  bench memory    what two functions take and cost by the memory that Lambda gives them
  bench domain    how long planning, deciding and rendering take, and how many instructions
  bench burst     how long a thousand messages due at the same instant take on the local stack
  bench api       how many requests a second the API answers on the local stack, and the AWS calls of each
  bench ratchet   whether a function has grown in size, or in what it does at its start
  cost            what so many bookings cost at AWS's list prices, in our design and in two others
  scale           which quota binds at how many bookings a day, and how long the morning's burst takes; docs/scale.md
  redrive         put what was given up back from the DLQs into the queues, of the local stack or on AWS
  replay          have the stream bring again what was not planned
  admin           the admin tool, built first; `cargo xtask admin --help` lists what it can do

`cargo xtask COMMAND --help` tells more.";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let mut args = lexopt::Parser::from_env();
    let Some(command) = args.next()? else {
        println!("{HELP}");
        return Ok(());
    };
    match command {
        Arg::Short('h') | Arg::Long("help") => {
            println!("{HELP}");
            Ok(())
        }
        Arg::Value(command) => match command.to_str() {
            Some("run") => run::command(args),
            Some("test") => test::command(args),
            Some("check") => check::command(args),
            Some("doctor") => doctor::command(args),
            Some("deploy") => deploy::command(args),
            Some("bench") => bench::command(args),
            Some("rules") => rules::command(args),
            Some("openapi") => openapi::command(args),
            Some("contract") => contract::command(args),
            Some("coverage") => coverage::command(args),
            Some("mutants") => mutants::command(args),
            Some("fuzz") => fuzz::command(args),
            Some("sbom") => sbom::command(args),
            Some("cost") => cost::command(args),
            Some("scale") => scale::command(args),
            Some("redrive") => mend::command("redrive", args),
            Some("replay") => mend::command("replay", args),
            Some("simulate") => simulate::command(args),
            Some("admin") => admin::command(args),
            _ => bail!("there is no command {command:?}; `cargo xtask --help` lists them"),
        },
        option => bail!("{}; `cargo xtask --help` lists the commands", option.unexpected()),
    }
}
