//! Calls of cargo on this workspace.

use std::process::Command;

use anyhow::Result;

use crate::{process, workspace};

/// The cargo that runs us, at the workspace's root.
pub fn command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    // What cargo told us of this package would be told to build scripts too, and ring's has it all built anew when it differs: each time
    // `cargo xtask` follows on `cargo build`.
    for (name, _) in std::env::vars_os() {
        let name_of = name.to_string_lossy();
        if name_of.starts_with("CARGO_PKG_") || name_of.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Builds what the local stack runs, in one call: every function, the stack itself and the admin tool.
pub fn build_local() -> Result<()> {
    let mut command = command();
    command.args(["build", "--profile", "local", "--package", "admin", "--package", "local-stack"]);
    for name in workspace::functions()? {
        command.args(["--package", &name]);
    }
    process::run(&mut command)
}

/// Builds the admin tool alone.
pub fn build_admin() -> Result<()> {
    process::run(command().args(["build", "--quiet", "--profile", "local", "--package", "admin"]))
}

/// Builds all there is, tests included: the tests run the binaries, and built together they share every dependency. Built apart,
/// most would be built twice, for the features that only tests ask for.
pub fn build_all() -> Result<()> {
    process::run(command().args(["build", "--workspace", "--all-targets", "--profile", "local"]))
}
