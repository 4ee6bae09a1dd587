//! `cargo xtask bench size`: what each function weighs as it leaves for AWS, for arm64.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use comfy_table::CellAlignment;

use crate::bench::{today, write_section};
use crate::deploy::check_compiler;
use crate::steps::{Steps, table};
use crate::{process, python, workspace};

/// A binary over this is slow to load when Lambda starts a sandbox (stripped, bytes).
const LIMIT: u64 = 7_000_000;

/// Builds a function for arm64 as `sam build` has it built, and where, and gives its path. Beside what is built for this machine, so that neither
/// waits for the other.
pub fn build(name: &str) -> Result<PathBuf> {
    let target = workspace::root().join("target/arm64");
    process::run(
        python::TOOLS
            .command("cargo-lambda")
            .current_dir(workspace::function(name))
            .env("CARGO_TARGET_DIR", &target)
            .args(["lambda", "build", "--release", "--arm64"]),
    )?;
    Ok(target.join("lambda").join(name).join("bootstrap"))
}

/// What building for arm64 needs.
pub fn install(steps: &mut Steps) -> Result<()> {
    steps.run("Python environment .tools", || python::TOOLS.install())?;
    check_compiler(false)
}

/// Builds all functions, writes the section of docs/benchmarks.md, and fails when one is over the limit.
pub fn run() -> Result<()> {
    let mut steps = Steps::new();
    install(&mut steps)?;
    let mut table = table(&["function", "size", "limit"]);
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut over = Vec::new();
    for name in workspace::functions()? {
        let binary = steps.run(&format!("build {name} for arm64"), || build(&name))?;
        let size = fs::metadata(&binary).with_context(|| binary.display().to_string())?.len();
        let verdict = if size > LIMIT { "over" } else { "ok" };
        table.add_row([name.clone(), format!("{:.2} MB", size as f64 / 1e6), verdict.to_owned()]);
        if size > LIMIT {
            over.push(name);
        }
    }
    println!("\n{table}");
    let section = format!(
        "## Size\n\n\
         Of each binary as `sam build` makes it for arm64, which is what is deployed: fat LTO, one codegen unit, optimized for size, stripped.\n\
         Limit: {} MB.\n\n\
         {table}\n\n\
         Built on {} by `cargo xtask bench size`.\n",
        LIMIT / 1_000_000,
        today(),
    );
    write_section(&workspace::root().join("docs/benchmarks.md"), &section)?;
    if !over.is_empty() {
        bail!("over {} MB: {}", LIMIT / 1_000_000, over.join(", "));
    }
    Ok(())
}
