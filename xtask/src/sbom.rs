//! `cargo xtask sbom`: what each function is made of, for whoever has to know.
//!
//! cargo-cyclonedx lists what the workspace as a whole asks of each crate, so that every function would seem to hold every SDK. What a
//! function is built from, by itself and for its processor, is known to `cargo tree`: the lists are cut down to that.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::steps::Steps;
use crate::{cargo, process, tools, workspace};

const HELP: &str = "\
cargo xtask sbom [--x86]

Writes a software bill of materials for each function into target/sbom, as CycloneDX 1.5 in JSON: every crate that is built into it, with
version, licence, checksum and who needs it. What only builds or tests is left out. The first time the tool is compiled, which takes some
minutes.

  --x86   for functions deployed with --x86 instead of for arm64";

/// What the tool calls its files, beside each Cargo.toml.
const FILE: &str = "sbom";

/// A crate by name and version.
type Crate = (String, String);

/// Parses the options and writes.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let mut target = "aarch64-unknown-linux-gnu";
    for arg in args.raw_args()? {
        match arg.to_str() {
            Some("-h" | "--help") => {
                println!("{HELP}");
                return Ok(());
            }
            Some("--x86") => target = "x86_64-unknown-linux-gnu",
            _ => bail!("there is no option {arg:?}; `cargo xtask sbom --help` lists them"),
        }
    }
    let mut steps = Steps::new();
    steps.run("cargo-cyclonedx", || tools::CYCLONEDX.install())?;
    let written = steps.run("list the crates", || list(target));
    // Beside each manifest the tool has left a file, whether all went well or not.
    for folder in members()? {
        let _ = fs::remove_file(folder.join(FILE).with_extension("json"));
    }
    let written = written?;
    println!(
        "    {} lists in target/sbom, of {} crates at the most",
        written.len(),
        written.iter().max().unwrap_or(&0)
    );
    Ok(())
}

/// Writes every function's list; tells how many crates each has.
fn list(target: &str) -> Result<Vec<usize>> {
    process::run(
        tools::CYCLONEDX
            .command()
            .args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5", "--no-build-deps"])
            .args(["--target", target, "--override-filename", FILE]),
    )?;
    let folder = workspace::root().join("target/sbom");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut written = Vec::new();
    for function in workspace::functions()? {
        let path = workspace::root().join("functions").join(&function).join(FILE).with_extension("json");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut bill = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let crates = crates_of(&function, target)?;
        cut_down(&mut bill, &crates);
        check(&bill, &function, &crates).with_context(|| format!("the list of {function}"))?;
        let file = folder.join(format!("{function}.cdx.json"));
        fs::write(&file, serde_json::to_string_pretty(&bill)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        written.push(crates.len());
    }
    Ok(written)
}

/// The folders of the workspace's crates.
fn members() -> Result<Vec<PathBuf>> {
    let told = process::output(cargo::command().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let told: Value = serde_json::from_str(&told).context("cargo metadata did not answer with JSON")?;
    let packages = told["packages"].as_array().context("cargo metadata names no packages")?;
    let manifests = packages.iter().filter_map(|package| package["manifest_path"].as_str());
    Ok(manifests.filter_map(|manifest| Path::new(manifest).parent().map(PathBuf::from)).collect())
}

/// The crates that a function is built from, itself among them.
fn crates_of(function: &str, target: &str) -> Result<BTreeSet<Crate>> {
    let tree = process::output(cargo::command().args([
        "tree",
        "--package",
        function,
        "--target",
        target,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    Ok(crates_in(&tree))
}

/// The crates in lines such as `ring v0.17.14 (*)`.
fn crates_in(tree: &str) -> BTreeSet<Crate> {
    let mut crates = BTreeSet::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            crates.insert((name.to_owned(), version.trim_start_matches('v').to_owned()));
        }
    }
    crates
}

fn crate_of(component: &Value) -> Crate {
    let text = |field: &str| component[field].as_str().unwrap_or_default().to_owned();
    (text("name"), text("version"))
}

/// Takes out what is not among the crates, and every mention of it.
fn cut_down(bill: &mut Value, crates: &BTreeSet<Crate>) {
    let mut refs: BTreeSet<String> = BTreeSet::new();
    refs.extend(bill["metadata"]["component"]["bom-ref"].as_str().map(str::to_owned));
    if let Some(components) = bill["components"].as_array_mut() {
        components.retain(|component| crates.contains(&crate_of(component)));
        let kept = components.iter().filter_map(|component| component["bom-ref"].as_str());
        refs.extend(kept.map(str::to_owned));
    }
    let known = |value: &Value| value.as_str().is_some_and(|name| refs.contains(name));
    if let Some(dependencies) = bill["dependencies"].as_array_mut() {
        dependencies.retain(|dependency| known(&dependency["ref"]));
        for dependency in dependencies {
            if let Some(on) = dependency.get_mut("dependsOn").and_then(Value::as_array_mut) {
                on.retain(known);
            }
        }
    }
}

/// Whether a list is CycloneDX's, of this function, and names each of its crates once, by where it is from.
fn check(bill: &Value, function: &str, crates: &BTreeSet<Crate>) -> Result<()> {
    ensure!(bill["bomFormat"] == "CycloneDX", "bomFormat is {}, expected CycloneDX", bill["bomFormat"]);
    let own = crate_of(&bill["metadata"]["component"]);
    ensure!(own.0 == function, "it is of {}, expected {function}", own.0);
    let components = bill["components"].as_array().context("it has no components")?;
    let mut named: BTreeSet<Crate> = BTreeSet::from([own]);
    for component in components {
        let (name, version) = crate_of(component);
        ensure!(component["purl"].is_string(), "{name} {version} has no purl");
        ensure!(named.insert((name.clone(), version.clone())), "{name} {version} is there twice");
    }
    let missing: Vec<String> =
        crates.difference(&named).map(|(name, version)| format!("{name} {version}")).collect();
    ensure!(missing.is_empty(), "{} are missing", missing.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bill() -> Value {
        let component = |name: &str| json!({ "name": name, "version": "1.0.0", "bom-ref": name, "purl": format!("pkg:cargo/{name}@1.0.0") });
        json!({
            "bomFormat": "CycloneDX",
            "metadata": { "component": component("deliver-sms") },
            "components": [component("ring"), component("aws-sdk-sts")],
            "dependencies": [
                { "ref": "deliver-sms", "dependsOn": ["aws-sdk-sts", "ring"] },
                { "ref": "aws-sdk-sts", "dependsOn": ["ring"] },
                { "ref": "ring" },
            ],
        })
    }

    fn crates() -> BTreeSet<Crate> {
        crates_in("deliver-sms v1.0.0 (/work/functions/deliver-sms)\nring v1.0.0\nring v1.0.0 (*)\n")
    }

    #[test]
    fn a_list_holds_what_the_function_is_built_from_and_nothing_else() {
        let mut bill = bill();
        cut_down(&mut bill, &crates());
        check(&bill, "deliver-sms", &crates()).unwrap();
        assert!(!bill.to_string().contains("aws-sdk-sts"), "{bill}");
        assert_eq!(
            bill["dependencies"],
            json!([{ "ref": "deliver-sms", "dependsOn": ["ring"] }, { "ref": "ring" }])
        );
    }

    #[test]
    fn a_list_that_is_not_complete_or_of_another_is_told() {
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut bill = bill();
            change(&mut bill);
            check(&bill, "deliver-sms", &crates()).unwrap_err().to_string()
        };
        assert_eq!(refused(&|bill| bill["components"] = json!([])), "ring 1.0.0 are missing");
        assert_eq!(
            refused(&|bill| bill["metadata"]["component"]["name"] = "x".into()),
            "it is of x, expected deliver-sms"
        );
        assert_eq!(
            refused(&|bill| bill["bomFormat"] = "SPDX".into()),
            r#"bomFormat is "SPDX", expected CycloneDX"#
        );
        assert_eq!(
            refused(&|bill| bill["components"][1] = bill["components"][0].clone()),
            "ring 1.0.0 is there twice"
        );
        assert_eq!(refused(&|bill| bill["components"][0]["purl"] = Value::Null), "ring 1.0.0 has no purl");
    }
}
