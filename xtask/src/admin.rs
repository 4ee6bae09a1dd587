//! `cargo xtask admin`: builds the admin tool and hands everything else to it.

use std::process::Command;

use anyhow::Result;

use crate::{cargo, process, stack, workspace};

/// Builds and runs the admin tool. While `cargo xtask run` is up, and no table is named in the environment, the tool works on
/// the local stack.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    process::run(cargo::command().args(["build", "--quiet", "--profile", "local", "--package", "admin"]))?;
    let mut admin = Command::new(workspace::root().join("target/local/admin"));
    admin.args(args.raw_args()?);
    if std::env::var_os("BOOKINGS_TABLE").is_none() {
        admin.envs(stack::saved_environment());
    }
    process::run(&mut admin)
}
