//! Cargo's own tools inside the checkout, compiled once for each version.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{cargo, process, workspace};

/// A tool of cargo's that is compiled here.
pub struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Changes a program in one place after the other and runs its tests.
pub const MUTANTS: Tool = Tool { name: "cargo-mutants", version: "27.1.0" };

/// Builds programs for libFuzzer.
pub const FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2" };

/// Lists the crates of a program as CycloneDX.
pub const CYCLONEDX: Tool = Tool { name: "cargo-cyclonedx", version: "0.5.9" };

impl Tool {
    /// Compiles the tool unless this version is there.
    pub fn install(&self) -> Result<()> {
        let Self { name, version } = self;
        // Cargo keeps this list of what it has installed.
        let installed = fs::read_to_string(folder().join(".crates.toml")).unwrap_or_default();
        if installed.contains(&format!("\"{name} {version} ")) {
            return Ok(());
        }
        process::run(
            cargo::command()
                .args(["install", "--locked", "--quiet", name, "--version", version, "--root"])
                .arg(folder()),
        )
    }

    /// A command that runs the tool at the root of the checkout.
    pub fn command(&self) -> Command {
        let mut command = Command::new(folder().join("bin").join(self.name));
        command.current_dir(workspace::root());
        command
    }
}

fn folder() -> PathBuf {
    workspace::root().join("target/tools")
}
