//! `cargo xtask rules`: docs/rules.md, the table of the rules and the tests that prove them.
//!
//! What a rule says is written in docs/rules.toml; which tests prove it is read from their names: `s31_s35_the_tick…` proves
//! rules 31 and 35.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use lexopt::Arg;
use serde::Deserialize;

use crate::workspace;

const HELP: &str = "\
cargo xtask rules [--check]

Writes docs/rules.md from docs/rules.toml and the names of the tests, and lists the rules that no test proves.

  --check    write nothing; fail when the committed table is not what would be written, when a rule that is not marked as
             waiting has no test, and when a mark no longer holds";

/// The rules are numbered from 1 to this.
const LAST: u32 = 76;

/// Where tests are. Nothing else in the checkout has any.
const FOLDERS: [&str; 5] = ["shared", "functions", "infra", "tests", "xtask"];

/// A rule as docs/rules.toml tells it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// The systems it was read from, as letters.
    from: String,
    /// What holds, in one sentence.
    words: String,
    /// The part of the work it waits for.
    waits: Option<String>,
    /// Whether tests prove what is there of it already, while it waits.
    #[serde(default)]
    partly: bool,
}

/// The rules by number.
type Rules = BTreeMap<u32, Rule>;

/// A test that names a rule: its file from the root of the checkout, and its name.
type Proof = (String, String);

/// The proofs by the number of the rule.
type Proofs = BTreeMap<u32, BTreeSet<Proof>>;

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let mut check_only = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Arg::Long("check") => check_only = true,
            other => bail!("{}; `cargo xtask rules --help` lists the options", other.unexpected()),
        }
    }
    if check_only { check() } else { write() }
}

/// Fails unless the committed table is what the tests say and every rule is proven or waits.
pub fn check() -> Result<()> {
    let (rules, proofs) = read()?;
    let mut wrong = holes(&rules, &proofs);
    if fs::read_to_string(workspace::root().join("docs/rules.md")).unwrap_or_default()
        != document(&rules, &proofs)
    {
        wrong.push("docs/rules.md is not what the tests say: run `cargo xtask rules`".to_owned());
    }
    for line in &wrong {
        println!("    {line}");
    }
    if !wrong.is_empty() {
        bail!("the rules table has {} faults", wrong.len());
    }
    println!("    {LAST} rules, {} proven", proofs.len());
    Ok(())
}

fn write() -> Result<()> {
    let (rules, proofs) = read()?;
    let path = workspace::root().join("docs/rules.md");
    fs::write(&path, document(&rules, &proofs))
        .with_context(|| format!("cannot write {}", path.display()))?;
    let wrong = holes(&rules, &proofs);
    for line in &wrong {
        println!("{line}");
    }
    println!("docs/rules.md written: {} of {LAST} rules proven, {} faults", proofs.len(), wrong.len());
    Ok(())
}

fn read() -> Result<(Rules, Proofs)> {
    let path = workspace::root().join("docs/rules.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rules = parse(&text).with_context(|| path.display().to_string())?;
    let mut proofs = Proofs::new();
    for folder in FOLDERS {
        collect(&workspace::root(), Path::new(folder), &mut proofs)?;
    }
    if let Some((number, tests)) = proofs.iter().find(|(number, _)| !rules.contains_key(number)) {
        bail!("there is no rule S{number}, and yet it is named by {tests:?}");
    }
    Ok((rules, proofs))
}

/// The rules of docs/rules.toml; each number from 1 to the last exactly once.
fn parse(text: &str) -> Result<Rules> {
    let by_name: BTreeMap<String, Rule> = toml::from_str(text)?;
    let mut rules = Rules::new();
    for (name, rule) in by_name {
        let number = name.strip_prefix('S').and_then(|digits| digits.parse().ok());
        let number = number.with_context(|| format!("{name} is no rule's number"))?;
        rules.insert(number, rule);
    }
    if !rules.keys().copied().eq(1..=LAST) {
        bail!("expected the rules S1 to S{LAST}, each once");
    }
    Ok(rules)
}

/// Adds the tests of every Rust file below `folder`.
fn collect(root: &Path, folder: &Path, proofs: &mut Proofs) -> Result<()> {
    let path = root.join(folder);
    for entry in fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))? {
        let entry = entry?;
        let inner = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &inner, proofs)?;
        } else if inner.extension().is_some_and(|extension| extension == "rs") {
            for test in tests(&fs::read_to_string(entry.path())?) {
                for number in numbers(&test) {
                    let proof = (inner.to_string_lossy().into_owned(), test.clone());
                    proofs.entry(number).or_default().insert(proof);
                }
            }
        }
    }
    Ok(())
}

/// Names of the test functions of a file that run: each is the first function after a test's attribute. What is ignored
/// proves nothing.
fn tests(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut test, mut ignored) = (false, false);
    for line in source.lines().map(str::trim_start) {
        test |= ["#[test]", "#[rstest", "#[tokio::test"].iter().any(|attribute| line.starts_with(attribute));
        ignored |= line.starts_with("#[ignore");
        let declared = line.strip_prefix("pub ").unwrap_or(line);
        let declared = declared.strip_prefix("async ").unwrap_or(declared);
        if let Some(declared) = declared.strip_prefix("fn ") {
            if test && !ignored {
                names.push(declared.split(['(', '<']).next().unwrap_or_default().to_owned());
            }
            (test, ignored) = (false, false);
        }
    }
    names
}

/// The numbers a test's name begins with: `s31_s35_the_tick` has 31 and 35. Further on, `s3` may be the service of AWS.
fn numbers(name: &str) -> impl Iterator<Item = u32> {
    name.split('_').map_while(|word| word.strip_prefix('s')?.parse().ok())
}

/// What keeps the table from being complete, a line each.
fn holes(rules: &Rules, proofs: &Proofs) -> Vec<String> {
    let fault = |(number, rule): (&u32, &Rule)| {
        let proven = proofs.contains_key(number);
        let words = &rule.words;
        match (&rule.waits, rule.partly, proven) {
            (None, false, false) => Some(format!("S{number} has no test: {words}")),
            (None, true, _) => Some(format!("S{number} is marked as partly there, but waits for nothing")),
            (Some(_), true, false) => {
                Some(format!("S{number} is marked as partly there and has no test: {words}"))
            }
            (Some(_), false, true) => Some(format!(
                "S{number} is marked as waiting and has a test: take the mark away, or add `partly = true`"
            )),
            (None, false, true) | (Some(_), true, true) | (Some(_), false, false) => None,
        }
    };
    rules.iter().filter_map(fault).collect()
}

fn document(rules: &Rules, proofs: &Proofs) -> String {
    let mut text = "# Rules\n\n\
        What the product keeps, rule by rule, and the tests that prove it. Made by `cargo xtask rules` from [rules.toml](rules.toml) and the names\n\
        of the tests: one that is named `s31_s35_…` proves S31 and S35. `cargo xtask rules --check` fails when a rule has none and does not wait.\n\n\
        From: Y YCLIENTS, PZ pozapisi, BX Bitrix24 online booking, DK DIKIDI.\n\n\
        | rule | what holds | from | proven by |\n|---|---|---|---|\n"
        .to_owned();
    for (number, rule) in rules {
        let mut cells: Vec<String> = Vec::new();
        let mut by_file: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (file, test) in proofs.get(number).into_iter().flatten() {
            by_file.entry(file).or_default().push(test);
        }
        for (file, tests) in by_file {
            cells.push(format!("[{file}](../{file}): `{}`", tests.join("`, `")));
        }
        if let Some(waits) = &rule.waits {
            cells.push(format!("*open, {waits}*"));
        }
        if cells.is_empty() {
            cells.push("**nothing yet**".to_owned());
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| S{number} | {} | {} | {} |", rule.words, rule.from, cells.join("<br>"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(waits: Option<&str>, partly: bool) -> Rule {
        Rule { from: "Y".into(), words: "Tea is hot.".into(), waits: waits.map(str::to_owned), partly }
    }

    fn proofs(numbers: &[u32]) -> Proofs {
        numbers
            .iter()
            .map(|number| (*number, BTreeSet::from([("a.rs".into(), format!("s{number}_tea"))])))
            .collect()
    }

    #[test]
    fn tests_that_run_are_found_and_other_functions_are_not() {
        let source = "
            fn s1_helper() {}
            @[test]
            fn s2_plain() { fn s3_inner() {} }
            @[rstest]
            @[case(Some(\"a\"),
                None)]
            fn s4_s5_table(@[case] a: Option<&str>) {}
            @[tokio::test]
            async fn s6_async() {}
            @[test]
            @[ignore = \"not now\"]
            fn s7_ignored() {}
            proptest! {
                @[test]
                fn s8_property(x in 0..3) {}
            }
        "
        .replace('@', "#"); // as it stands here, it would prove these rules
        assert_eq!(tests(&source), ["s2_plain", "s4_s5_table", "s6_async", "s8_property"]);
    }

    #[test]
    fn a_name_proves_the_rules_it_begins_with() {
        assert_eq!(numbers("s31_s35_the_tick").collect::<Vec<_>>(), [31, 35]);
        assert_eq!(numbers("sms_s31_is_not_at_the_beginning").count(), 0);
    }

    #[test]
    fn holes_and_marks_that_no_longer_hold_are_told() {
        let of = |rule, numbers: &[u32]| holes(&Rules::from([(1, rule)]), &proofs(numbers));
        assert_eq!(of(rule(None, false), &[]), ["S1 has no test: Tea is hot."]);
        assert!(of(rule(Some("part 3"), false), &[1])[0].contains("take the mark away"));
        assert!(of(rule(Some("part 3"), true), &[])[0].contains("has no test"));
        assert!(of(rule(None, true), &[1])[0].contains("waits for nothing"));
        assert!(of(rule(None, false), &[1]).is_empty());
        assert!(of(rule(Some("part 3"), false), &[]).is_empty());
        assert!(of(rule(Some("part 3"), true), &[1]).is_empty());
    }

    #[test]
    fn the_table_names_files_tests_and_what_is_open() {
        let rules = Rules::from([(1, rule(Some("part 3: tea"), true)), (2, rule(None, false))]);
        let document = document(&rules, &proofs(&[1]));
        assert!(
            document.contains("| S1 | Tea is hot. | Y | [a.rs](../a.rs): `s1_tea`<br>*open, part 3: tea* |"),
            "{document}"
        );
        assert!(document.contains("| S2 | Tea is hot. | Y | **nothing yet** |"), "{document}");
    }

    #[test]
    fn a_list_with_a_gap_is_refused() {
        assert!(parse("[S1]\nfrom = \"Y\"\nwords = \"Tea is hot.\"\n").is_err());
        assert!(parse("[T1]\nfrom = \"Y\"\nwords = \"Tea is hot.\"\n").is_err());
    }
}
