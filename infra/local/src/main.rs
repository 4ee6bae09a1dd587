//! Starts the local stack, prints where everything is as one line of JSON, and stops it at SIGINT or SIGTERM.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use local_stack::error::StackError;
use local_stack::{DataServices, LocalStack, Options};
use tokio::signal::unix::{SignalKind, signal};

const HELP: &str = "\
local-stack [OPTIONS]

Runs the functions of a SAM template on this machine. Prints where everything is as one line of JSON.

  --template FILE          the SAM template (default template.yaml)
  --functions-dir DIR      where the functions' binaries are (default target/local)
  --state-dir DIR          where logs and kept data go (default .local/run)
  --base-port PORT         port of the API; the control server and MiniStack take the next two; 0: free ports (default 4600)
  --ministack PROGRAM      the MiniStack to start (default .venv/bin/ministack)
  --endpoint URL           DynamoDB and SQS that run already, such as http://127.0.0.1:8000, instead of MiniStack
  --parameter NAME=VALUE   a parameter of the template; may be given many times
  --grants FILE            write down what functions may do, did, and were refused
  --keep                   keep data between runs";

/// The options, or none if only help was asked for.
fn options(mut arguments: lexopt::Parser) -> Result<Option<Options>, lexopt::Error> {
    use lexopt::{Arg, ValueExt};
    let mut options = Options {
        template: PathBuf::from("template.yaml"),
        functions_dir: PathBuf::from("target/local"),
        state_dir: PathBuf::from(".local/run"),
        base_port: 4600,
        data_services: DataServices::MiniStack(PathBuf::from(".venv/bin/ministack")),
        parameters: BTreeMap::new(),
        keep: false,
        grants: None,
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("template") => options.template = arguments.value()?.into(),
            Arg::Long("functions-dir") => options.functions_dir = arguments.value()?.into(),
            Arg::Long("state-dir") => options.state_dir = arguments.value()?.into(),
            Arg::Long("base-port") => options.base_port = arguments.value()?.parse()?,
            Arg::Long("ministack") => {
                options.data_services = DataServices::MiniStack(arguments.value()?.into());
            }
            Arg::Long("endpoint") => {
                options.data_services = DataServices::Endpoint(arguments.value()?.string()?);
            }
            Arg::Long("parameter") => {
                let text = arguments.value()?.string()?;
                let (name, value) = text.split_once('=').ok_or("--parameter takes NAME=VALUE")?;
                options.parameters.insert(name.to_owned(), value.to_owned());
            }
            Arg::Long("grants") => options.grants = Some(arguments.value()?.into()),
            Arg::Long("keep") => options.keep = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let failed = match options(lexopt::Parser::from_env()) {
        Ok(Some(options)) => run(options).await.err().map(|error| error.to_string()),
        Ok(None) => {
            eprintln!("{HELP}");
            None
        }
        Err(error) => Some(format!("{error}; --help lists the options")),
    };
    match failed {
        None => ExitCode::SUCCESS,
        Some(problem) => {
            eprintln!("local-stack: {problem}");
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
