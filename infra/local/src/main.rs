//! Starts the local stack, prints where everything is as one line of JSON, and stops it at SIGINT or SIGTERM.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use local_stack::error::StackError;
use local_stack::{DataServices, LocalStack, Options};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the functions of a SAM template on this machine.
#[derive(Debug, Parser)]
#[command(name = "local-stack")]
struct Arguments {
    /// The SAM template.
    #[arg(long, default_value = "template.yaml")]
    template: PathBuf,
    /// Where the functions' binaries are.
    #[arg(long, default_value = "target/local")]
    functions_dir: PathBuf,
    /// Where logs and kept data go.
    #[arg(long, default_value = ".local/run")]
    state_dir: PathBuf,
    /// Port of the API; the control server and MiniStack take the next two. 0: free ports.
    #[arg(long, default_value_t = 4600)]
    base_port: u16,
    /// The MiniStack program to start.
    #[arg(long, default_value = ".venv/bin/ministack", conflicts_with = "endpoint")]
    ministack: PathBuf,
    /// DynamoDB and SQS that run already, as http://127.0.0.1:PORT, instead of MiniStack.
    #[arg(long)]
    endpoint: Option<String>,
    /// A parameter of the template, as NAME=VALUE. May be given many times.
    #[arg(long = "parameter", value_parser = name_and_value)]
    parameters: Vec<(String, String)>,
    /// Keeps data between runs.
    #[arg(long)]
    keep: bool,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not of the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl From<Arguments> for Options {
    fn from(arguments: Arguments) -> Self {
        Self {
            template: arguments.template,
            functions_dir: arguments.functions_dir,
            state_dir: arguments.state_dir,
            base_port: arguments.base_port,
            data_services: match arguments.endpoint {
                Some(url) => DataServices::Endpoint(url),
                None => DataServices::MiniStack(arguments.ministack),
            },
            parameters: BTreeMap::from_iter(arguments.parameters),
            keep: arguments.keep,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    match run(Arguments::parse().into()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local-stack: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), StackError> {
    // Before anything is started, so that a signal during the start also stops it in order.
    let cannot = |source| StackError::file("signals", source);
    let mut interrupted = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut stack = tokio::select! {
        stack = LocalStack::start(options) => stack?,
        _ = interrupted.recv() => return Ok(()),
        _ = terminated.recv() => return Ok(()),
    };
    let ready = serde_json::to_string(&stack.ready).unwrap_or_default();
    let mut stdout = std::io::stdout();
    // Whoever started the stack may not be reading; it runs all the same.
    let _ = writeln!(stdout, "{ready}").and_then(|()| stdout.flush());
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
        error = stack.failed() => return Err(error),
    }
    stack.stop().await;
    Ok(())
}
