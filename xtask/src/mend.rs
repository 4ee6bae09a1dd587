//! `cargo xtask redrive` and `cargo xtask replay`: what was given up is put back, and what was not planned is brought again. The admin tool does
//! it; here it is only told where.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{cargo, process, stack, workspace};

/// The local stack's name, as in the names of its queues.
const LOCAL: &str = "local";

/// Builds the admin tool and has it do `what` with the rest of the arguments, `--local` being the stack that `cargo xtask run` has up.
pub fn command(what: &str, mut args: lexopt::Parser) -> Result<()> {
    let (rest, local) = stack_named(args.raw_args()?.collect());
    cargo::build_admin()?;
    let mut admin = Command::new(workspace::root().join("target/local/admin"));
    admin.arg(what).args(rest);
    if local {
        let environment = stack::saved_environment();
        if environment.is_empty() {
            bail!("no local stack is up in this checkout; `cargo xtask run` starts it");
        }
        admin.envs(environment);
    }
    process::run(&mut admin)
}

/// The arguments with the local stack called by its name, and whether it is meant.
fn stack_named(args: Vec<OsString>) -> (Vec<OsString>, bool) {
    let local = args.iter().any(|arg| arg == "--local");
    let mut rest: Vec<OsString> = args.into_iter().filter(|arg| arg != "--local").collect();
    if local {
        rest.extend(["--stack".into(), LOCAL.into()]);
    }
    (rest, local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_stack_is_named_as_its_queues_are() {
        let args = |args: &[&str]| args.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(stack_named(args(&["--local", "--all"])), (args(&["--all", "--stack", "local"]), true));
        assert_eq!(stack_named(args(&["--stack", "salon"])), (args(&["--stack", "salon"]), false));
    }
}
