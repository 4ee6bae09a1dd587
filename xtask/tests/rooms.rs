//! The rooms of ARCHITECTURE.md, checked: who may depend on whom, and how small a function's `main.rs` is.

// A test's helpers are tests too.
#![allow(clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folders(parent: &str) -> Vec<PathBuf> {
    let found: Vec<PathBuf> = fs::read_dir(root().join(parent))
        .expect(parent)
        .map(|entry| entry.expect(parent).path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect();
    assert!(!found.is_empty(), "{parent} has no crates");
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The names on the left in `[dependencies]`.
fn dependencies(krate: &str) -> Vec<String> {
    let manifest = read(&root().join(krate).join("Cargo.toml"));
    let section = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let name = |line: &str| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned();
    section.lines().map(name).filter(|name| !name.is_empty() && !name.starts_with('#')).collect()
}

#[test]
fn only_shared_aws_names_the_aws_sdk() {
    for krate in folders("shared").into_iter().chain(folders("functions")) {
        if krate.ends_with("shared/aws") {
            continue;
        }
        for file in sources(&krate).into_iter().chain([krate.join("Cargo.toml")]) {
            let text = read(&file);
            assert!(
                !text.contains("aws_sdk_") && !text.contains("aws-sdk-"),
                "{} names the AWS SDK",
                file.display()
            );
        }
    }
}

#[test]
fn dependencies_point_one_way() {
    let domain = dependencies("shared/domain");
    for outward in ["app", "aws", "runtime", "tokio", "futures", "tracing", "lambda_runtime"] {
        assert!(!domain.contains(&outward.to_owned()), "domain depends on {outward}");
    }
    let app = dependencies("shared/app");
    for outward in ["aws", "runtime", "tokio", "lambda_runtime"] {
        assert!(!app.contains(&outward.to_owned()), "app depends on {outward}");
    }
    assert!(app.contains(&"domain".to_owned()), "the manifest was not read right");
    let ours = ["domain", "app", "aws", "runtime"].map(str::to_owned);
    assert!(!dependencies("shared/cldr").iter().any(|name| ours.contains(name)), "cldr depends on us");
    assert!(!dependencies("shared/aws").contains(&"runtime".to_owned()), "aws depends on runtime");
}

/// The version of a crate that is locked. Where there are several, ICU4X's is the latest.
fn locked(lock: &str, krate: &str) -> String {
    let start = format!("name = \"{krate}\"\nversion = \"");
    let after = lock.rsplit_once(&start).unwrap_or_else(|| panic!("{krate} is not locked")).1;
    after.split('"').next().unwrap_or_default().to_owned()
}

/// Formatters read the data as their version lays it out, without checking.
#[test]
fn the_data_of_languages_is_of_the_version_that_reads_it() {
    let [ours, generator] =
        ["Cargo.lock", "shared/cldr/generate/Cargo.lock"].map(|lock| read(&root().join(lock)));
    for krate in dependencies("shared/cldr") {
        let versions = [&ours, &generator].map(|lock| locked(lock, &krate));
        assert_eq!(versions[0], versions[1], "{krate}: generate the data anew (shared/cldr/generate)");
    }
}

#[test]
fn no_function_is_built_with_what_looks_at_the_account() {
    for krate in folders("functions").into_iter().chain(folders("shared")) {
        let manifest = read(&krate.join("Cargo.toml"));
        let asked = manifest
            .lines()
            .filter(|line| line.starts_with("aws = "))
            .any(|line| line.contains("\"account\""));
        assert!(!asked, "{} asks for the feature `account` of aws", krate.display());
    }
    assert!(
        read(&root().join("infra/admin/Cargo.toml")).contains("\"account\""),
        "the admin tool asks for it"
    );
}

#[test]
fn a_function_wires_and_nothing_more() {
    for function in folders("functions") {
        let main = function.join("src/main.rs");
        let lines = read(&main).lines().count();
        assert!(lines <= 40, "{} has {lines} lines", main.display());
    }
}
