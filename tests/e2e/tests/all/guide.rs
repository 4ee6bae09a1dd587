//! docs/guide.md is true: its commands are run as they stand there, section by section, each after the section that opens the salon, and
//! what they print is compared with what the guide says they print.
//!
//! A block marked `sh` is run, in bash; a block marked `text` right below one is what that prints. `…` in it stands for anything within a line, and
//! how many spaces are between words does not matter.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::stack::Stack;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The section in which a salon is opened.
const OPENING: &str = "A salon to work with";

/// The sections that need an account or go on for as long as the reader likes.
const NOT_RUN: [&str; 1] = ["Deploy it"];

/// Where the guide finds `cargo xtask run`.
const API: &str = "http://127.0.0.1:4600";
const CONTROL: &str = "http://127.0.0.1:4601";

/// The stack's clock goes on while commands are run: at most so many minutes within a section's stretch between two journeys.
const TOOK: u32 = 3;

/// Commands, and what they print.
#[derive(Debug, PartialEq)]
struct Block {
    line: usize,
    commands: String,
    prints: String,
}

/// The sections of the guide by their headings, each with its blocks.
fn sections(guide: &str) -> Vec<(String, Vec<Block>)> {
    let mut sections: Vec<(String, Vec<Block>)> = Vec::new();
    // What the fence that is open began with, and whether a block of text would be what the last commands print.
    let (mut open, mut prints) = (None, false);
    for (number, line) in guide.lines().enumerate() {
        match (open, line.strip_prefix("```"), sections.last_mut()) {
            (None, None, _) if line.starts_with("## ") => {
                sections.push((line[3..].to_owned(), Vec::new()));
                prints = false;
            }
            (None, None, _) => prints &= line.is_empty(),
            (None, Some(kind), Some((_, blocks))) => {
                if kind == "sh" {
                    blocks.push(Block { line: number + 1, commands: String::new(), prints: String::new() });
                }
                assert!(kind == "sh" || kind != "text" || prints, "line {}: what prints this?", number + 1);
                open = Some(kind);
            }
            (Some(kind), Some(""), _) => {
                (open, prints) = (None, kind == "sh");
            }
            (Some("sh"), _, Some((_, blocks))) => {
                writeln!(blocks.last_mut().unwrap().commands, "{line}").unwrap()
            }
            (Some("text"), _, Some((_, blocks))) => {
                writeln!(blocks.last_mut().unwrap().prints, "{line}").unwrap()
            }
            _ => {}
        }
    }
    sections
}

fn guide() -> Vec<(String, Vec<Block>)> {
    sections(&std::fs::read_to_string(Path::new(ROOT).join("docs/guide.md")).unwrap())
}

/// Whether a line is as expected. `…` stands for anything; a time may be later by the minutes that the commands themselves took.
fn is_like(line: &str, expected: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (mut line, expected) = (words(line), words(expected));
    // In step up to the first thing that is different each time.
    for (word, expected) in line.iter_mut().zip(&expected).take_while(|(_, expected)| !expected.contains('…'))
    {
        if let (Some(minute), Some(named)) = (minute_of_day(word), minute_of_day(expected))
            && (named..named + TOOK).contains(&minute)
        {
            word.clone_from(expected);
        }
    }
    let (line, expected) = (line.join(" "), expected.join(" "));
    let mut parts = expected.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last.is_some_and(|last| rest.ends_with(last))
}

/// The minutes of a time such as `10:01`.
fn minute_of_day(word: &str) -> Option<u32> {
    let (hours, minutes) = word.split_once(':').filter(|_| word.len() == 5)?;
    Some(hours.parse::<u32>().ok()? * 60 + minutes.parse::<u32>().ok()?)
}

fn prints_as_expected(printed: &str, expected: &str) -> bool {
    let (printed, expected): (Vec<&str>, Vec<&str>) =
        (printed.trim().lines().collect(), expected.lines().collect());
    printed.len() == expected.len()
        && printed.iter().zip(&expected).all(|(line, expected)| is_like(line, expected))
}

/// Runs a section of the guide after the one that opens the salon, on a stack of its own.
fn run(section: &str) {
    let stack = Stack::start();
    // Providers report as they usually do.
    stack.control.send("DELETE", "/feedback", Vec::new());
    let guide = guide();
    let of = |heading: &str| {
        let found = guide.iter().find(|(name, _)| name == heading);
        &found.unwrap_or_else(|| panic!("the guide has no section {heading:?}")).1
    };
    let opening = of(OPENING);
    let blocks: Vec<&Block> = if section == OPENING {
        opening.iter().collect()
    } else {
        opening.iter().chain(of(section)).collect()
    };

    // What `cargo xtask admin` runs, built already; and what is left running ends with the script.
    let mut script = "set -euo pipefail\ncargo() { shift 2; \"$ADMIN\" \"$@\"; }\ntrap 'kill $(jobs -p) 2> /dev/null' EXIT\n".to_owned();
    for block in &blocks {
        let commands = block.commands.replace(API, stack.api.base()).replace(CONTROL, stack.control.base());
        write!(script, "{commands}\nprintf '\\n%s\\n' '--- {}'\n", block.line).unwrap();
    }
    // A python3 that is found at once: version managers take longer to find one than most of these commands to run.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        std::iter::once(Path::new(ROOT).join(".venv/bin")).chain(std::env::split_paths(&path)),
    );
    let mut bash = Command::new("bash");
    let output = stack
        .for_admin(bash.arg("-c").arg(script).current_dir(ROOT))
        .env("ADMIN", Stack::admin_tool())
        .env("PATH", path.unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut report = String::new();
    let mut rest = printed.as_str();
    for block in &blocks {
        let mark = format!("--- {}\n", block.line);
        let Some((said, after)) = rest.split_once(&mark) else {
            write!(
                report,
                "\nline {}: ended with {:?}, {}:\n{rest}",
                block.line,
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )
            .unwrap();
            break;
        };
        rest = after;
        let prints = block.prints.replace(API, stack.api.base());
        if !prints_as_expected(said, &prints) {
            write!(
                report,
                "\nline {}: expected\n{}\nline {}: printed\n{}\n",
                block.line,
                prints,
                block.line,
                said.trim()
            )
            .unwrap();
        }
    }
    assert!(report.is_empty(), "docs/guide.md, {section:?}{report}");
}

/// A test for each section that is run.
macro_rules! sections {
    ($($name:ident: $heading:literal,)*) => {
        const RUN: &[&str] = &[$($heading),*];

        $(#[test]
        fn $name() {
            run($heading);
        })*
    };
}

sections! {
    the_first_reminder: "The first booking, and its reminder",
    a_key_for_each: "A key for each who calls",
    a_receiver_of_webhooks: "Recipe: a receiver of webhooks",
    pozapisis_settings: "Recipe: the settings of pozapisi",
    bitrix24s_four_messages: "Recipe: the four messages of Bitrix24",
    dikidis_defaults: "Recipe: the defaults of DIKIDI",
    winning_back_as_in_yclients: "Recipe: winning back, as in YCLIENTS",
}

#[test]
fn every_section_with_commands_is_run() {
    let known = |heading: &str| heading == OPENING || RUN.contains(&heading) || NOT_RUN.contains(&heading);
    for (heading, blocks) in guide() {
        assert!(blocks.is_empty() || known(&heading), "nothing runs the section {heading:?}");
        assert!(
            !RUN.contains(&heading.as_str()) || blocks.iter().any(|block| !block.prints.is_empty()),
            "the section {heading:?} shows nothing"
        );
    }
}

#[test]
fn a_section_has_its_commands_and_what_they_print() {
    let text = "# Guide\n\n## One\n\n```sh\na\nb\n```\n\n```text\nsays\n```\n\nWords.\n\n```json\n{}\n```\n\n## Two\n";
    let block = Block { line: 5, commands: "a\nb\n".into(), prints: "says\n".into() };
    assert_eq!(sections(text), [("One".to_owned(), vec![block]), ("Two".to_owned(), vec![])]);
}

#[test]
fn an_ellipsis_stands_for_anything_within_a_line() {
    assert!(prints_as_expected("\nday 0  10:00 sms\n", "day 0 10:00   sms\n"));
    assert!(prints_as_expected("id 7 is new", "id … is new\n"));
    assert!(prints_as_expected("id 7 is is new", "id … is new\n"));
    assert!(prints_as_expected("on Tuesday", "on …\n"));
    assert!(prints_as_expected("day 0 10:02 sms on Monday", "day 0 10:00 sms on …\n"));
    assert!(!prints_as_expected("day 0 10:03 sms", "day 0 10:00 sms\n"));
    assert!(!prints_as_expected("day 0 09:59 sms", "day 0 10:00 sms\n"));
    assert!(!prints_as_expected("id 7 is old", "id … is new\n"));
    assert!(!prints_as_expected("one\ntwo", "…\n"));
    assert!(!prints_as_expected("", "…\n"));
    assert!(!prints_as_expected("says", ""));
}
