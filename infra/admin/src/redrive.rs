//! `admin redrive`: from DLQs back into the queues.
//!
//! Each message is put back, then deleted from the DLQ: dying in between leaves it in both, and a message that is there twice leaves once.
//! SQS can move messages by itself, but only on AWS and without telling what they are.

use std::collections::BTreeMap;

use app::ports::{Due, DueDelivery, DueWhat};
use aws::letters::{Letter, LetterBox, queues_of};
use jiff::Timestamp;
use lexopt::prelude::{Long, Short, ValueExt};
use serde::{Deserialize, Serialize};

use crate::{Failure, HELP, print};

/// The DLQ of the Scheduler: what is in it belongs into the queue that it was for.
const SCHEDULES: &str = "Schedule";

struct Options {
    stack: String,
    /// The DLQ of which queue; none: all.
    queue: Option<String>,
    dry_run: bool,
}

/// Redrives.
pub async fn command(arguments: lexopt::Parser) -> Result<(), Failure> {
    let Some(options) = read(arguments)? else { return print(HELP) };
    let config = aws::connect::connect()?;
    let queues = queues_of(&config, &options.stack).await?;
    let dlqs: Vec<&str> = queues
        .keys()
        .filter_map(|id| id.strip_suffix("Dlq"))
        .filter(|of| options.queue.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(of)))
        .collect();
    if dlqs.is_empty() {
        let wanted = options.queue.unwrap_or_default();
        return Err(format!("the stack {} has no {wanted} DLQ", options.stack).into());
    }
    let boxes: BTreeMap<&str, LetterBox> =
        queues.iter().map(|(id, url)| (id.as_str(), LetterBox::new(&config, url.clone()))).collect();
    let mut left = 0;
    for of in dlqs {
        left += redrive(&boxes, of, options.dry_run).await?;
    }
    if left > 0 {
        return Err(format!(
            "{left} messages belong into no queue and were left; what they are is said above"
        )
        .into());
    }
    Ok(())
}

/// Empties one DLQ; tells how many messages were left in it.
async fn redrive(boxes: &BTreeMap<&str, LetterBox>, of: &str, dry_run: bool) -> Result<usize, Failure> {
    let name = format!("{of}Dlq");
    let dlq = boxes.get(name.as_str()).ok_or("the DLQ is gone")?;
    let letters = dlq.take().await?;
    print(&summary(&name, &letters))?;
    let mut left = 0;
    for (number, letter) in letters.iter().enumerate() {
        let (queue, body) = belongs_into(of, letter);
        let queue = boxes.get(queue.as_str()).filter(|_| !dry_run);
        let Some(queue) = queue else {
            left += usize::from(!dry_run);
            dlq.leave(letter).await?;
            continue;
        };
        queue.put(&body).await?;
        dlq.delete(letter).await?;
        if (number + 1) % 100 == 0 {
            eprintln!("{name}: {} of {} put back", number + 1, letters.len());
        }
    }
    if !dry_run && !letters.is_empty() {
        eprintln!("{name}: {} put back", letters.len() - left);
    }
    Ok(left)
}

/// The logical id of the queue that a letter belongs into, and what it says there.
fn belongs_into(of: &str, letter: &Letter) -> (String, String) {
    if of != SCHEDULES {
        return (format!("{of}Queue"), letter.body.clone());
    }
    let Some(due) = due_in(letter) else { return (String::new(), letter.body.clone()) };
    let queue = match &due {
        Brought::Due(Due { what: DueWhat::Message { channel, .. }, .. }) => queue_id(channel.name()),
        Brought::Due(Due { what: DueWhat::Check { .. }, .. }) => queue_id("check"),
        Brought::Due(Due { what: DueWhat::Campaign { .. }, .. }) => queue_id("campaign"),
        Brought::Delivery(_) => queue_id("webhook"),
    };
    (queue, serde_json::to_string(&due).unwrap_or_else(|_| letter.body.clone()))
}

fn queue_id(name: &str) -> String {
    let (first, rest) = name.split_at(name.len().min(1));
    format!("{}{rest}Queue", first.to_uppercase())
}

/// What a queue brings.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Brought {
    /// A message or a check.
    Due(Due),
    /// An event for a webhook.
    Delivery(DueDelivery),
}

/// What a letter brings. A schedule that was given up may not say its instant: then the one at which it was given up, since when it is due.
fn due_in(letter: &Letter) -> Option<Brought> {
    let mut body: serde_json::Value = serde_json::from_str(&letter.body).ok()?;
    let instant = body["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    if instant.is_none() {
        body["at"] = letter.sent_at.to_string().into();
    }
    serde_json::from_value(body).ok()
}

/// How much lies in a DLQ, since when, and of what kind.
fn summary(name: &str, letters: &[Letter]) -> String {
    let Some(oldest) = letters.iter().map(|letter| letter.sent_at).min() else {
        return format!("{name}: empty\n");
    };
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for letter in letters {
        *kinds.entry(kind_of(letter)).or_default() += 1;
    }
    let mut text = format!("{name}: {} messages, the oldest of {oldest:.0}\n", letters.len());
    for (kind, count) in kinds {
        text.push_str(&format!("  {count:>6}  {kind}\n"));
    }
    text
}

fn kind_of(letter: &Letter) -> String {
    match due_in(letter) {
        Some(Brought::Due(Due { what: DueWhat::Message { kind, channel, .. }, .. })) => {
            format!("{kind} by {channel}")
        }
        Some(Brought::Due(Due { what: DueWhat::Check { kind, .. }, .. })) => {
            format!("check: {kind:?}").to_lowercase()
        }
        Some(Brought::Due(Due { what: DueWhat::Campaign { .. }, .. })) => "campaign".to_owned(),
        Some(Brought::Delivery(_)) => "event for a webhook".to_owned(),
        None => "not readable: it will come back, or is not ours".to_owned(),
    }
}

fn read(mut arguments: lexopt::Parser) -> Result<Option<Options>, Failure> {
    let (mut stack, mut queue, mut all, mut dry_run) = (None, None, false, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("stack") => stack = Some(arguments.value()?.string()?),
            Long("queue") => queue = Some(arguments.value()?.string()?),
            Long("all") => all = true,
            Long("dry-run") => dry_run = true,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    let (both, neither) = (all && queue.is_some(), !all && queue.is_none());
    if both || (neither && !dry_run) {
        return Err("say either --queue NAME or --all".into());
    }
    Ok(Some(Options { stack: stack.ok_or("--stack is missing")?, queue, dry_run }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(body: &str) -> Letter {
        Letter::new(body.to_owned(), "2026-11-23T10:00:00Z".parse().unwrap())
    }

    const REMINDER: &str = r#"{"due":"message","message_id":"m","channel":"sms","type":"reminder","refs":{"business_id":"b","booking_id":"k"},"at":"<aws.scheduler.scheduled-time>"}"#;
    const CHECK: &str = r#"{"due":"check","check_id":"c","kind":"late","refs":{"business_id":"b","booking_id":"k"},"at":"2026-11-23T09:00:00Z"}"#;

    const EVENT: &str = r#"{"business_id":"b","webhook_id":"w","delivery_id":"1795428000-d","at":"<aws.scheduler.scheduled-time>"}"#;

    #[test]
    fn what_lies_in_a_dlq_is_told_by_kind() {
        let letters = [letter(REMINDER), letter(CHECK), letter(CHECK), letter("no JSON")];
        assert_eq!(
            summary("SmsDlq", &letters),
            "SmsDlq: 4 messages, the oldest of 2026-11-23T10:00:00Z\n       2  check: late\n       1  not readable: it will come back, \
             or is not ours\n       1  reminder by sms\n"
        );
        assert_eq!(summary("SmsDlq", &[]), "SmsDlq: empty\n");
    }

    #[test]
    fn a_letter_goes_back_to_where_it_came_from_and_a_schedule_to_where_it_was_sent() {
        assert_eq!(belongs_into("Sms", &letter("anything")), ("SmsQueue".to_owned(), "anything".to_owned()));
        let (queue, body) = belongs_into(SCHEDULES, &letter(REMINDER));
        assert_eq!(queue, "SmsQueue");
        let due: Due = serde_json::from_str(&body).unwrap();
        assert_eq!(due.at, "2026-11-23T10:00:00Z".parse().unwrap(), "since when it is due at the latest");
        let (queue, body) = belongs_into(SCHEDULES, &letter(CHECK));
        assert_eq!(queue, "CheckQueue");
        let due: Due = serde_json::from_str(&body).unwrap();
        assert_eq!(due.at, "2026-11-23T09:00:00Z".parse().unwrap());
        let (queue, body) = belongs_into(SCHEDULES, &letter(EVENT));
        assert_eq!(queue, "WebhookQueue");
        let due: DueDelivery = serde_json::from_str(&body).unwrap();
        assert_eq!(due.at, "2026-11-23T10:00:00Z".parse().unwrap());
        assert_eq!(kind_of(&letter(EVENT)), "event for a webhook");
        assert_eq!(belongs_into(SCHEDULES, &letter("no JSON")).0, "");
    }

    #[test]
    fn what_to_redrive_has_to_be_said() {
        let read =
            |arguments: &[&str]| read(lexopt::Parser::from_args(arguments)).map(|options| options.is_some());
        assert!(read(&["--stack", "s", "--all"]).unwrap());
        assert!(read(&["--stack", "s", "--queue", "sms"]).unwrap());
        assert!(read(&["--stack", "s", "--dry-run"]).unwrap(), "looking at all is harmless");
        assert!(read(&["--stack", "s"]).is_err());
        assert!(read(&["--stack", "s", "--queue", "sms", "--all"]).is_err());
        assert!(read(&["--all"]).is_err());
    }
}
