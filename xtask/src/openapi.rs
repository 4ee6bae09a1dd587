//! `cargo xtask openapi`: docs/openapi.json, written anew from the code.

use anyhow::{Result, bail};
use lexopt::Arg;

use crate::{cargo, process};

const HELP: &str = "\
cargo xtask openapi

Writes docs/openapi.json anew from the code. A test fails where it is behind.";

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    match args.next()? {
        None => process::run(
            cargo::command()
                .env("WRITE_OPENAPI", "1")
                .args(["test", "--package", "booking-api", "--lib", "--profile", "local"])
                .arg("the_committed_document_is_what_the_code_says"),
        ),
        Some(Arg::Short('h') | Arg::Long("help")) => {
            println!("{HELP}");
            Ok(())
        }
        Some(other) => bail!("{}; `cargo xtask openapi --help` lists the options", other.unexpected()),
    }
}
