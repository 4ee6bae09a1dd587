//! Whether functions may do what they do, and nothing more. The local stack holds every call of a function against its policy in
//! `template.yaml`, and writes down what it granted, what was used and what it refused; here that is read once the end-to-end tests have run.
//!
//! What this cannot show: a grant that only a path without a test needs is missed before it is wanted, so what is taken away must have no caller in
//! the code; and what is not called through a sandbox, such as the roles of EventBridge Scheduler and SNS, is not seen at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace;

/// Grants that no end-to-end test uses, and why they stay: function, action, resource, reason.
const UNSEEN: [(&str, &str, &str, &str); 0] = [];

/// Functions that run the same use case, `app::deliver`, each with its own provider: what one of them does on tables and timers, each may have to do.
const ALIKE: [&str; 6] = [
    "deliver-assisted",
    "deliver-email",
    "deliver-push",
    "deliver-sms",
    "deliver-telegram",
    "deliver-whatsapp",
];

/// A line of what local stacks wrote down.
#[derive(Deserialize)]
struct Line {
    what: What,
    function: String,
    action: String,
    resource: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Granted,
    Used,
    Refused,
}

/// Where the stacks of the end-to-end tests write: cargo's folder for tests.
fn file() -> PathBuf {
    workspace::root().join("target/tmp/grants.jsonl")
}

/// Forgets what earlier tests did.
pub fn forget() -> Result<()> {
    let file = file();
    match fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Fails for whatever was refused to a function, or is granted to one and was not used by all of the end-to-end tests.
pub fn check() -> Result<()> {
    let file = file();
    let written = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let wrong = wrong(&written, &UNSEEN)?;
    if !wrong.is_empty() {
        bail!("policies in template.yaml:\n    {}", wrong.join("\n    "));
    }
    Ok(())
}

fn wrong(written: &str, unseen: &[(&str, &str, &str, &str)]) -> Result<Vec<String>> {
    let lines = written.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>()?;
    let of = |what: What| -> BTreeSet<(&str, &str, &str)> {
        let lines = lines.iter().filter(|line| line.what == what);
        lines.map(|line| (line.function.as_str(), line.action.as_str(), line.resource.as_str())).collect()
    };
    let (granted, used, refused) = (of(What::Granted), of(What::Used), of(What::Refused));
    if granted.is_empty() {
        bail!("no local stack has run");
    }
    let unseen: BTreeSet<_> =
        unseen.iter().map(|(function, action, on, _)| (*function, *action, *on)).collect();
    let say = |(function, action, on): &(&str, &str, &str), what| format!("{function} {action} {on}: {what}");
    let missing = refused.iter().map(|one| say(one, "was needed and is not granted"));
    let of_all: BTreeSet<_> = used.iter().map(|one| shared(*one)).collect();
    let idle = granted.iter().filter(|one| !of_all.contains(&shared(**one)) && !unseen.contains(*one));
    let idle = idle.map(|one| say(one, "is granted and was not used"));
    let known = unseen.iter().filter(|one| used.contains(*one) || !granted.contains(*one));
    let known = known
        .map(|one| say(one, "is used or no longer granted: take it off the list in xtask/src/policies.rs"));
    Ok(missing.chain(idle).chain(known).collect())
}

/// A grant by the name under which all functions that are alike have it.
fn shared<'a>((function, action, on): (&'a str, &'a str, &'a str)) -> (&'a str, &'a str, &'a str) {
    (if ALIKE.contains(&function) { "deliver" } else { function }, action, on)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = r#"{"what":"granted","function":"f","action":"a:Get","resource":"t"}
{"what":"granted","function":"f","action":"a:Put","resource":"t"}
{"what":"used","function":"f","action":"a:Get","resource":"t"}
"#;

    #[test]
    fn a_grant_must_be_used_or_known_to_be_unseen() {
        assert_eq!(wrong(WRITTEN, &[]).unwrap(), ["f a:Put t: is granted and was not used"]);
        assert!(wrong(WRITTEN, &[("f", "a:Put", "t", "why")]).unwrap().is_empty());
        let known = wrong(WRITTEN, &[("f", "a:Put", "t", "why"), ("f", "a:Get", "t", "why")]).unwrap();
        assert!(known[0].starts_with("f a:Get t: is used or no longer granted"), "{known:?}");
    }

    #[test]
    fn what_one_function_that_delivers_uses_all_may_have() {
        let two = WRITTEN.replace(
            r#""granted","function":"f","action":"a:Put""#,
            r#""granted","function":"deliver-sms","action":"a:Put""#,
        );
        let used = r#"{"what":"used","function":"deliver-email","action":"a:Put","resource":"t"}"#;
        assert_eq!(wrong(&two, &[]).unwrap(), ["deliver-sms a:Put t: is granted and was not used"]);
        assert!(wrong(&format!("{two}{used}\n"), &[]).unwrap().is_empty());
    }

    #[test]
    fn what_was_refused_is_told() {
        let refused = r#"{"what":"refused","function":"f","action":"a:Delete","resource":"t"}"#;
        let wrong = wrong(&format!("{WRITTEN}{refused}\n"), &[("f", "a:Put", "t", "why")]).unwrap();
        assert_eq!(wrong, ["f a:Delete t: was needed and is not granted"]);
    }

    #[test]
    fn nothing_written_down_proves_nothing() {
        assert!(wrong("", &[]).is_err());
    }
}
