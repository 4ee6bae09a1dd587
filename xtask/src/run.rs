//! `cargo xtask run`: everything on this machine, with a demo salon in it.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lexopt::Arg;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::demo::{self, Salon};
use crate::stack::Stack;
use crate::steps::{Steps, seconds};
use crate::{cargo, python, workspace};

const HELP: &str = "\
cargo xtask run [--keep] [--port PORT] [--no-demo]

Installs what it needs into the checkout, builds, starts the local stack on 127.0.0.1, seeds a demo salon,
plays a booking through three days and prints what was sent and what was not. Stays up until Ctrl-C.

  --keep         keep the data for the next run, and go on with the data of the last one
  --port PORT    port of the HTTP API (default 4600); the outbox is at PORT + 1, the services behind at PORT + 2
  --no-demo      seed the salon, but play no booking";

/// Ports in a row that the local stack takes.
const PORTS: u16 = 3;

struct Options {
    keep: bool,
    port: u16,
    demo: bool,
}

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let mut options = Options { keep: false, port: 4600, demo: true };
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Arg::Long("keep") => options.keep = true,
            Arg::Long("no-demo") => options.demo = false,
            Arg::Long("port") => {
                let text = args.value()?;
                options.port = text
                    .to_str()
                    .and_then(|text| text.parse().ok())
                    .filter(|port| (1024..=65_000).contains(port))
                    .with_context(|| format!("--port takes a number from 1024 to 65000, not {text:?}"))?;
            }
            other => bail!("{}; `cargo xtask run --help` lists the options", other.unexpected()),
        }
    }
    run(&options)
}

fn run(options: &Options) -> Result<()> {
    for port in options.port..options.port + PORTS {
        workspace::need_free_port(port)?;
    }
    let mut steps = Steps::new();
    steps.run("Python environment .venv", || python::RUN.install())?;
    steps.run("build the functions, the local stack and the admin tool", cargo::build_local)?;

    let interrupted = on_ctrl_c()?;
    let mut stack = steps.run("start the local stack", || Stack::start(options.port, options.keep))?;
    let mut salon = steps.run("seed the demo salon", || demo::seed(&stack, options.keep))?;
    introduce(&stack, &salon)?;
    if options.demo {
        steps.run("play a booking through three days", || {
            demo::play(&stack, &mut salon, options.keep, &interrupted)
        })?;
    }
    println!("\nReady after {}. Ctrl-C stops everything.", seconds(steps.elapsed()));
    while interrupted.recv_timeout(Duration::from_millis(500)).is_err() {
        stack.check()?;
    }
    stack.stop()?;
    println!("\nStopped.");
    Ok(())
}

/// A message for every Ctrl-C, SIGTERM or hang-up. From here on they no longer end this process by themselves: whoever holds the
/// receiver does, after stopping what was started.
fn on_ctrl_c() -> Result<Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen for Ctrl-C")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more only when this process is on its way out.
        for _ in signals.forever() {
            let _ = sender.send(());
        }
    });
    Ok(receiver)
}

fn introduce(stack: &Stack, salon: &Salon) -> Result<()> {
    let (api, control, key) = (&stack.api, &stack.control, &salon.api_key);
    let json = "-H 'Content-Type: application/json'";
    let authorization = format!("-H 'Authorization: Bearer {key}'");
    println!(
        "
  API       {api}
  Docs      {api}/docs
  API key   {key}
  Outbox    {control}

  Try:
    curl -s {api}/v1/clients/{client} {authorization}
    curl -s {api}/v1/bookings {authorization} {json} -d '{booking}'
    curl -s {control}/outbox
",
        client = salon.client_id,
        booking = demo::booking_to_try(stack, salon)?,
    );
    Ok(())
}
