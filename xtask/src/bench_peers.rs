//! `cargo xtask bench peers`: two of the functions beside the same two in Node.js and Python, all on one stand-in for Lambda and AWS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table};

use crate::bench::{build, quantile, today, write_section};
use crate::bench_plot::{Panel, plot};
use crate::contest::{self, Contestant, Measured, milliseconds};
use crate::steps::{Steps, table};
use crate::{process, python, workspace};

/// Starts of each handler. They take turns.
const ROUNDS: usize = 6;

/// Warm calls of each start.
const CALLS: usize = 200;

/// What is measured in every language.
const FUNCTIONS: [&str; 2] = ["deliver-sms", "booking-api"];

/// Our own, and the others.
const LANGUAGES: [&str; 3] = ["Rust", "Node.js", "Python"];

/// A peer takes at least so many times as long to its first request for work,
const START_TIMES: f64 = 30.0;

/// so many times as long for a call when warm,
const WARM_TIMES: f64 = 3.0;

/// and so many times the memory.
const MEMORY_TIMES: f64 = 4.0;

/// One handler in one language, with its measurement.
struct Row {
    function: &'static str,
    language: &'static str,
    size: u64,
    measured: Measured,
}

impl Row {
    fn start(&self) -> u64 {
        quantile(&self.measured.start, 50)
    }

    fn first(&self) -> u64 {
        quantile(&self.measured.first, 50)
    }

    fn warm(&self) -> u64 {
        quantile(&self.measured.warm, 50)
    }

    fn memory(&self) -> u64 {
        quantile(&self.measured.memory, 50)
    }
}

/// Measures, writes the section of docs/benchmarks.md and the picture, and fails when a limit is not kept.
pub fn run() -> Result<()> {
    let mut steps = Steps::new();
    for name in FUNCTIONS {
        steps.run(&format!("build {name}"), || build(name))?;
    }
    steps.run("build what measures them", contest::build)?;
    steps.run("Python environment .peers", || python::PEERS.install())?;
    steps.run("Node.js packages and bundles", bundle)?;
    let rows = steps.run("measure", measure)?;

    let measured = report(&rows);
    let (limits, broken) = limits(&rows)?;
    println!("\n{measured}\n\n{limits}");
    let docs = workspace::root().join("docs");
    write_section(&docs.join("benchmarks.md"), &section(&measured, &limits)?)?;
    plot(&docs.join("benchmarks.svg"), &panels(&rows))?;
    if !broken.is_empty() {
        bail!("limits not kept: {}", broken.join(", "));
    }
    Ok(())
}

/// Where the handlers in Node.js are.
fn node() -> PathBuf {
    workspace::root().join("tests/bench/peers/node")
}

/// Installs what the lock file says, unless it is there, and bundles the handlers.
fn bundle() -> Result<()> {
    let npm = |arguments: &[&str]| process::output(Command::new("npm").args(arguments).current_dir(node()));
    let wanted = fs::read_to_string(node().join("package-lock.json"))?;
    // A copy of the lock file is laid beside the packages last, so a copy that is the same means a finished install.
    let stamp = node().join("node_modules/installed.json");
    if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        npm(&["ci", "--no-audit", "--no-fund", "--ignore-scripts"])?;
        fs::write(&stamp, wanted)?;
    }
    npm(&["run", "build"]).map(|_| ())
}

/// What a language runs of a function: its command, and the file that is uploaded.
fn program(language: &str, function: &str) -> Result<(Vec<String>, PathBuf)> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let root = workspace::root();
    Ok(match language {
        "Rust" => {
            let binary = root.join("target/release").join(function);
            (vec![text(&binary)], binary)
        }
        "Node.js" => {
            let handler = node().join("dist").join(format!("{function}.mjs"));
            // The heap that Lambda gives a function of 256 MB.
            let heap = ["--max-semi-space-size=12", "--max-old-space-size=230"].map(str::to_owned);
            let program = [text(&find("node")?)].into_iter().chain(heap);
            (program.chain([text(&node().join("runtime.js")), text(&handler)]).collect(), handler)
        }
        _ => {
            let module = function.replace('-', "_");
            let program =
                [text(&python::PEERS.program("python")), "-m".to_owned(), "awslambdaric".to_owned()];
            let handler = folder().join(format!("{module}.py"));
            (program.into_iter().chain([format!("{module}.handler")]).collect(), handler)
        }
    })
}

/// Where the handlers in Python are, which are found by where they run.
fn folder() -> PathBuf {
    workspace::root().join("tests/bench/peers/python")
}

/// A program on the PATH: contestants run without it.
fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.with_context(|| format!("{name} is not on this machine"))
}

fn measure() -> Result<Vec<Row>> {
    let mut environment = contest::environment()?;
    // Node.js is older here than the next versions of its SDK will ask for.
    environment.insert("AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED".to_owned(), "true".to_owned());
    let (mut contestants, mut contested) = (Vec::new(), Vec::new());
    for function in FUNCTIONS {
        for language in LANGUAGES {
            let (command, file) = program(language, function)?;
            let size = fs::metadata(&file).with_context(|| file.display().to_string())?.len();
            contested.push((function, language, size));
            contestants.push(Contestant {
                function,
                command,
                environment: environment.clone(),
                folder: folder(),
                memory: None,
                aws_takes: 0,
            });
        }
    }
    let measured = contest::measure(&contestants, ROUNDS, CALLS)?;
    Ok(contested
        .into_iter()
        .zip(measured)
        .map(|((function, language, size), measured)| Row { function, language, size, measured })
        .collect())
}

fn report(rows: &[Row]) -> Table {
    let mut table = table(&[
        "function",
        "in",
        "start",
        "first call",
        "both",
        "warm call",
        "p90",
        "memory",
        "size",
        "AWS calls each",
    ]);
    for column in table.column_iter_mut().skip(2).take(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in rows {
        let time = |nanoseconds: u64| format!("{:.2} ms", milliseconds(nanoseconds));
        let each = |(call, count): (&String, &u64)| {
            let name = call.split_once(':').map_or(call.as_str(), |(_, name)| name);
            format!("{:.2} {name}", *count as f64 / row.measured.calls as f64)
        };
        table.add_row([
            row.function.to_owned(),
            row.language.to_owned(),
            time(row.start()),
            time(row.first()),
            time(row.start() + row.first()),
            time(row.warm()),
            time(quantile(&row.measured.warm, 90)),
            format!("{:.1} MiB", row.memory() as f64 / 1024.0),
            format!("{:.2} MB", row.size as f64 / 1e6),
            row.measured.aws_calls.iter().map(each).collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}

/// The table of the limits, and those that are not kept.
fn limits(rows: &[Row]) -> Result<(Table, Vec<String>)> {
    let mut table = table(&["function", "beside", "start", "warm call", "memory", "limits"]);
    for column in table.column_iter_mut().skip(2).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut broken = Vec::new();
    for ours in rows.iter().filter(|row| row.language == LANGUAGES[0]) {
        for peer in rows.iter().filter(|row| row.function == ours.function && row.language != ours.language) {
            let times = |ours: u64, peers: u64| peers as f64 / ours.max(1) as f64;
            let found = [
                ("start", times(ours.start(), peer.start()), START_TIMES),
                ("warm call", times(ours.warm(), peer.warm()), WARM_TIMES),
                ("memory", times(ours.memory(), peer.memory()), MEMORY_TIMES),
            ];
            let under: Vec<&str> =
                found.iter().filter(|(_, times, limit)| times < limit).map(|(what, ..)| *what).collect();
            let verdict =
                if under.is_empty() { "ok".to_owned() } else { format!("not kept: {}", under.join(", ")) };
            let ratios = found.iter().map(|(_, times, _)| format!("{times:.1} x"));
            let names = [ours.function.to_owned(), peer.language.to_owned()];
            table.add_row(names.into_iter().chain(ratios).chain([verdict]));
            broken.extend(
                under.iter().map(|what| format!("{} beside {} ({what})", ours.function, peer.language)),
            );
        }
    }
    if table.row_count() == 0 {
        bail!("nothing was measured");
    }
    Ok((table, broken))
}

fn panels(rows: &[Row]) -> Vec<Panel> {
    let panel = |title: &str, unit, value: &dyn Fn(&Row) -> f64| {
        Panel::new(title, unit, rows.iter().map(|row| (row.function, row.language, value(row))))
    };
    vec![
        panel("start to first request for work", "ms", &|row| milliseconds(row.start())),
        panel("first call", "ms", &|row| milliseconds(row.first())),
        panel("warm call", "ms", &|row| milliseconds(row.warm())),
        panel("highest memory", "MiB", &|row| row.memory() as f64 / 1024.0),
    ]
}

fn section(measured: &Table, limits: &Table) -> Result<String> {
    let version = |program: &Path| process::output(Command::new(program).arg("--version"));
    let (node, python) = (version(&find("node")?)?, version(&python::PEERS.program("python"))?);
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "## Beside Node.js and Python\n\n\
         Two functions, and the same two written plainly in Node.js (AWS SDK v3, bundled and minified by esbuild) and Python (boto3), in\n\
         tests/bench/peers. They make the same AWS calls with the same facts; they check and log less than ours. Each is started {ROUNDS} times,\n\
         in turns, on a Runtime API on loopback, which also answers for AWS, without TLS, and called {calls} times. The start is that of\n\
         the process up to its first `GET …/next`; a call lasts from the hand-over of the event to the answer. Warm are the last {CALLS} calls of\n\
         each start, after what programs that compile themselves need; all medians, and the p90 of the warm calls. Memory is the highest resident set at the end.\n\
         Size is that of the binary, of the bundle, and of the handler's source, for which Lambda brings the SDK.\n\
         In Node.js a loop of thirty lines stands for the runtime client, whose own needs cmake to install; in Python it is awslambdaric.\n\n\
         {measured}\n\n\
         How many times as much the peers take, and whether that is at least {START_TIMES} times for the start, {WARM_TIMES} times for a warm call and\n\
         {MEMORY_TIMES} times for the memory:\n\n\
         {limits}\n\n\
         ![Start, first call, warm call and memory of both functions in Rust, Node.js and Python](benchmarks.svg)\n\n\
         Measured on {} with {cores} cores, {}, load {}, Node.js {}, {}, by `cargo xtask bench peers`.\n",
        today(),
        std::env::consts::ARCH,
        contest::load(),
        node.trim(),
        python.trim(),
        calls = CALLS + 101,
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn row(language: &'static str, start: u64, warm: u64, memory: u64) -> Row {
        let measured = Measured {
            start: vec![start],
            first: vec![2 * start],
            warm: vec![warm],
            memory: vec![memory],
            aws_calls: BTreeMap::from([("sns:Publish".to_owned(), 10)]),
            calls: 10,
        };
        Row { function: "deliver-sms", language, size: 1, measured }
    }

    #[test]
    fn limits_are_ratios_of_the_same_run() {
        let rows = [row("Rust", 2, 10, 8), row("Node.js", 60, 29, 32), row("Python", 80, 30, 31)];
        let (_, broken) = limits(&rows).unwrap();
        assert_eq!(broken, ["deliver-sms beside Node.js (warm call)", "deliver-sms beside Python (memory)"]);
        assert!(limits(&[]).is_err());
    }

    #[test]
    fn calls_of_aws_are_told_for_each_call() {
        assert!(report(&[row("Rust", 1, 1, 1)]).to_string().contains("1.00 Publish"));
    }
}
