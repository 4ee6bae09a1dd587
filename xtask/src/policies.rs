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

/// Grants whose callers are in the code and in no end-to-end test, and what they are for; the tests of `testkit` do it all in memory. Those of all functions
/// that deliver stand under `deliver`.
const UNSEEN: [(&str, &str); 19] = [
    (
        "booking-api s3:PutObject local-imagesbucket/images/*",
        "what a signed upload may do; no test uploads a file",
    ),
    (
        "booking-check iam:PassRole role/local-SchedulerRole",
        "a rule that has come to give a client more time",
    ),
    ("booking-check scheduler:CreateSchedule schedule/local-bookings/*", "the same"),
    ("booking-stream sqs:SendMessage local-CheckQueue", "a check that is due within a quarter of an hour"),
    ("campaigns dynamodb:GetItem table/local-BookingsTable", "the only client of a list"),
    ("campaigns dynamodb:Query table/local-BookingsTable/index/by_client", "a filter on visits"),
    (
        "deliver dynamodb:GetItem table/local-BookingsTable",
        "one item more that is needed, as a staff member of the location",
    ),
    ("deliver dynamodb:UpdateItem table/local-MessagesTable", "limits on sms"),
    (
        "delivery-feedback iam:PassRole role/local-SchedulerRole",
        "a cascade that goes on where no delivery is seen",
    ),
    ("delivery-feedback scheduler:CreateSchedule schedule/local-bookings/*", "the same"),
    (
        "event-publisher dynamodb:BatchGetItem table/local-BookingsTable",
        "webhooks of several businesses in one batch",
    ),
    ("sweeper dynamodb:BatchGetItem table/local-MessagesTable", "more than one row that waits"),
    ("sweeper sqs:SendMessage local-AssistedQueue", "a copy that got lost on its way"),
    ("sweeper sqs:SendMessage local-CheckQueue", "a copy that got lost on its way"),
    ("sweeper sqs:SendMessage local-EmailQueue", "a copy that got lost on its way"),
    ("sweeper sqs:SendMessage local-PushQueue", "a copy that got lost on its way"),
    ("sweeper sqs:SendMessage local-SmsQueue", "a copy that got lost on its way"),
    ("sweeper sqs:SendMessage local-TelegramQueue", "a copy that got lost on its way"),
    ("sweeper sqs:SendMessage local-WhatsappQueue", "a copy that got lost on its way"),
];

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

impl Line {
    /// What it is about: function, action and the resource's own part of its ARN.
    fn about(&self) -> String {
        let resource = self.resource.rsplit(':').next().unwrap_or_default();
        format!("{} {} {resource}", self.function, self.action)
    }

    /// The same by the name under which all functions that are alike have it.
    fn shared(&self) -> String {
        let function = if ALIKE.contains(&self.function.as_str()) { "deliver" } else { &self.function };
        self.about().replacen(&self.function, function, 1)
    }
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

fn wrong(written: &str, unseen: &[(&str, &str)]) -> Result<Vec<String>> {
    let lines = written.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>()?;
    let of = |what: What| lines.iter().filter(move |line| line.what == what);
    let granted: BTreeSet<String> = of(What::Granted).map(Line::shared).collect();
    let used: BTreeSet<String> = of(What::Used).map(Line::shared).collect();
    if granted.is_empty() {
        bail!("no local stack has run");
    }
    let is_unseen = |grant: &str| unseen.iter().any(|(unseen, _)| *unseen == grant);
    let missing = of(What::Refused).map(|line| format!("{}: was needed and is not granted", line.about()));
    let idle = of(What::Granted).filter(|line| !used.contains(&line.shared()) && !is_unseen(&line.shared()));
    let idle = idle.map(|line| format!("{}: is granted and was not used", line.about()));
    // Some of them a test uses now and then, as its processes happen to meet: that is no reason to fail.
    let stale = unseen.iter().filter(|(grant, _)| !granted.contains(*grant));
    let stale =
        stale.map(|(grant, _)| format!("{grant}: is no longer granted; take it off xtask/src/policies.rs"));
    let all: BTreeSet<String> = missing.chain(idle).chain(stale).collect();
    Ok(all.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = r#"{"what":"granted","function":"f","action":"a:Get","resource":"arn:x:t"}
{"what":"granted","function":"f","action":"a:Put","resource":"arn:x:t"}
{"what":"used","function":"f","action":"a:Get","resource":"arn:x:t"}
"#;

    #[test]
    fn a_grant_must_be_used_or_known_to_be_unseen() {
        assert_eq!(wrong(WRITTEN, &[]).unwrap(), ["f a:Put t: is granted and was not used"]);
        assert!(wrong(WRITTEN, &[("f a:Put t", "why")]).unwrap().is_empty());
        assert!(wrong(WRITTEN, &[("f a:Put t", "why"), ("f a:Get t", "why")]).unwrap().is_empty());
        let stale = wrong(WRITTEN, &[("f a:Put t", "why"), ("f a:Delete t", "why")]).unwrap();
        assert!(stale[0].starts_with("f a:Delete t: is no longer granted"), "{stale:?}");
    }

    #[test]
    fn what_one_function_that_delivers_uses_all_may_have() {
        let sms = r#"{"what":"granted","function":"deliver-sms","action":"a:Put","resource":"arn:x:t"}"#;
        let used = r#"{"what":"used","function":"deliver-email","action":"a:Put","resource":"arn:x:t"}"#;
        assert_eq!(wrong(sms, &[]).unwrap(), ["deliver-sms a:Put t: is granted and was not used"]);
        assert!(wrong(&format!("{sms}\n{used}"), &[]).unwrap().is_empty());
        assert!(wrong(sms, &[("deliver a:Put t", "why")]).unwrap().is_empty());
    }

    #[test]
    fn what_was_refused_is_told() {
        let refused = r#"{"what":"refused","function":"f","action":"a:Delete","resource":"arn:x:t"}"#;
        let wrong = wrong(&format!("{WRITTEN}{refused}"), &[("f a:Put t", "why")]).unwrap();
        assert_eq!(wrong, ["f a:Delete t: was needed and is not granted"]);
    }

    #[test]
    fn nothing_written_down_proves_nothing() {
        assert!(wrong("", &[]).is_err());
    }
}
