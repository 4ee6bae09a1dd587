//! `cargo xtask deploy`: the way to a real account.

use std::ffi::OsString;
use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::steps::Steps;
use crate::{process, python, workspace};

const HELP: &str = "\
cargo xtask deploy [--guided] [--x86] [SAM DEPLOY OPTIONS...]

Builds the functions as they leave for AWS and deploys template.yaml with SAM, as samconfig.toml says. Asks before it
changes anything. The first time use --guided: it asks for the parameters and keeps the answers in samconfig.toml.

  --guided   ask for region and parameters
  --x86      for x86_64 instead of arm64; only with --guided, the choice is kept

Anything else is handed to `sam deploy`, for example --stack-name, --no-confirm-changeset, --parameter-overrides.
AWS credentials come from where the AWS CLI takes them: AWS_PROFILE, AWS_ACCESS_KEY_ID, ...";

/// What the template calls the other processor.
const X86: &str = "Architecture=x86_64";

/// Compiler target of arm64 functions.
const ARM_TARGET: &str = "aarch64-unknown-linux-gnu";

/// Says which account the credentials lead to, or why they lead nowhere.
const WHO_AM_I: &str = "
import boto3, sys
try:
    session = boto3.Session()
    identity = session.client('sts', region_name=session.region_name or 'us-east-1').get_caller_identity()
    print('account', identity['Account'])
except Exception as error:
    sys.exit(str(error))
";

/// Parses the options, checks what a deploy needs, builds and deploys.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let (mut guided, mut x86, mut rest) = (false, false, Vec::new());
    for arg in args.raw_args()? {
        match arg.to_str() {
            Some("-h" | "--help") => {
                println!("{HELP}");
                return Ok(());
            }
            Some("--guided" | "-g") => guided = true,
            Some("--x86") => x86 = true,
            _ => rest.push(arg),
        }
    }
    let config = fs::read_to_string(workspace::root().join("samconfig.toml")).unwrap_or_default();
    let overrides = rest.iter().any(|arg| arg == "--parameter-overrides");
    if !guided && !overrides && !config.contains("parameter_overrides") {
        bail!("samconfig.toml has no parameters yet; the first time: cargo xtask deploy --guided");
    }
    // Both commands have to be told the same processor: SAM builds for it, and the template names it.
    let kept = if overrides { rest.iter().any(is_x86) } else { config.contains("x86_64") };
    if x86 && !guided && !kept {
        bail!("--x86 goes with --guided: the choice is then kept in samconfig.toml and needs no flag");
    }
    let x86 = x86 || kept;
    let architecture = if x86 { X86 } else { "Architecture=arm64" };

    let mut steps = Steps::new();
    steps.run("Python environment .tools", || python::TOOLS.install())?;
    check_compiler(x86)?;
    check_credentials(value_of("--profile", &rest))?;
    steps.run("sam build", || process::run(sam("build").args(["--parameter-overrides", architecture])))?;
    let mut deploy = sam("deploy");
    if guided {
        deploy.args(["--guided"]);
        if !overrides {
            deploy.args(["--parameter-overrides", architecture]);
        }
    }
    steps.run("sam deploy", || process::run(deploy.args(&rest)))
}

fn is_x86(arg: &OsString) -> bool {
    arg.to_str().is_some_and(|arg| arg.split_whitespace().any(|word| word == X86))
}

/// The value after an option.
fn value_of<'a>(option: &str, args: &'a [OsString]) -> Option<&'a OsString> {
    args.iter().skip_while(|arg| *arg != option).nth(1)
}

fn sam(subcommand: &str) -> Command {
    let mut command = python::TOOLS.command("sam");
    command.arg(subcommand).env("SAM_CLI_TELEMETRY", "0");
    // SAM knows the older name only.
    if let (Some(region), None) = (std::env::var_os("AWS_REGION"), std::env::var_os("AWS_DEFAULT_REGION")) {
        command.env("AWS_DEFAULT_REGION", region);
    }
    if subcommand == "build" {
        command.args(["--template", "template.yaml", "--build-in-source"]);
    }
    command
}

/// cargo-lambda brings the linker for arm64; the standard library for it has to be in the Rust toolchain.
pub fn check_compiler(x86: bool) -> Result<()> {
    if x86 || cfg!(target_arch = "aarch64") {
        return Ok(());
    }
    let folder =
        process::output(Command::new("rustc").args(["--print", "target-libdir", "--target", ARM_TARGET]))?;
    if !std::path::Path::new(folder.trim()).exists() {
        bail!(
            "Rust cannot compile for arm64 yet: rustup target add {ARM_TARGET} (or deploy for x86_64 with --x86)"
        );
    }
    Ok(())
}

fn check_credentials(profile: Option<&OsString>) -> Result<()> {
    let mut python = python::TOOLS.command("python");
    if let Some(profile) = profile {
        python.env("AWS_PROFILE", profile);
    }
    let output = python.args(["-c", WHO_AM_I]).output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!(
            "no access to AWS: {}; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            why.trim()
        );
    }
    println!("    {}", String::from_utf8_lossy(&output.stdout).trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_found_among_sams_options() {
        let args: Vec<OsString> =
            ["--profile", "salon", "--parameter-overrides", "EmailFrom=a@b.example Architecture=x86_64"]
                .map(OsString::from)
                .into();
        assert!(args.iter().any(is_x86));
        assert!(!args[..3].iter().any(is_x86));
        assert_eq!(value_of("--profile", &args), Some(&args[1]));
        assert_eq!(value_of("--region", &args), None);
    }
}
