//! `cargo xtask admin`: builds the admin tool and hands everything else to it.

use std::process::Command;

use anyhow::Result;

use crate::{cargo, process, stack, workspace};

/// Builds and runs the admin tool. While `cargo xtask run` is up, and no table is named in the environment, the tool works on
/// the local stack.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let elsewhere = std::env::var_os("BOOKINGS_TABLE").is_some();
    let environment = if elsewhere { Default::default() } else { stack::saved_environment() };
    if environment.is_empty() {
        cargo::build_admin()?;
    } else {
        // As `cargo xtask run` has built it: by itself it would be built anew, with the features that it alone asks for.
        cargo::build_local()?;
    }
    let mut admin = Command::new(workspace::root().join("target/local/admin"));
    admin.args(args.raw_args()?).envs(environment);
    process::run(&mut admin)
}
