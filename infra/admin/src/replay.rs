//! `admin replay`: has the stream bring again what was not planned.
//!
//! An item is brought again by raising its version and changing nothing else. What is planned follows from how things are by then, and what was
//! planned already is found in the ledger: replaying is always safe. What a failure was about is brought again before its record is deleted:
//! dying in between, it is brought once more.

use std::collections::BTreeMap;

use app::error::chain;
use app::offer_slot::offer_slot;
use app::ports::{Calendar, Key};
use aws::failures::{About, Failure as Failed, read_batch};
use aws::letters::{LetterBox, queues_of};
use aws::tables::Tables;
use domain::ids::BusinessId;
use jiff::Timestamp;
use lexopt::prelude::{Long, Short, ValueExt};
use runtime::now;

use crate::{Failure, HELP, print};

/// How many bookings are looked for at a time.
const PAGE: u32 = 100;

struct Options {
    stack: String,
    upcoming: Option<BusinessId>,
    dry_run: bool,
}

/// Replays.
pub async fn command(arguments: lexopt::Parser) -> Result<(), Failure> {
    let Some(Options { stack, upcoming, dry_run }) = read(arguments)? else { return print(HELP) };
    let config = aws::connect::connect()?;
    let tables = Tables::of_stack(&config, &stack).await?;
    if let Some(business) = upcoming {
        return replay_upcoming(&tables, &business, dry_run).await;
    }
    let queues = queues_of(&config, &stack).await?;
    let url =
        queues.get("StreamFailures").ok_or_else(|| format!("the stack {stack} has no StreamFailures"))?;
    let failures = LetterBox::new(&config, url.clone());
    let letters = failures.take().await?;
    print(&format!("StreamFailures: {} records\n", letters.len()))?;
    let mut left = 0;
    for letter in &letters {
        let about = match Failed::parse(&letter.body) {
            Some(Failed::Note(note)) => {
                print(&format!("  {}: {}\n", name_of(&note.about), note.why))?;
                Ok(vec![note.about])
            }
            Some(Failed::Batch(batch)) => {
                print(&format!(
                    "  records {} to {}\n",
                    batch.start_sequence_number, batch.end_sequence_number
                ))?;
                read_batch(&config, &batch).await.map_err(|error| {
                    format!("{}; after 24 hours the stream has it no more: --upcoming", chain(&error))
                })
            }
            None => Err("it is neither a note nor a report of Lambda".to_owned()),
        };
        let done = match about {
            Ok(about) if !dry_run => replay(&tables, &about).await.map(|()| true),
            Ok(_) => Ok(false),
            Err(why) => {
                left += 1;
                eprintln!("    left: {why}");
                Ok(false)
            }
        };
        match done {
            Ok(true) => failures.delete(letter).await?,
            Ok(false) => failures.leave(letter).await?,
            Err(error) => {
                failures.leave(letter).await?;
                return Err(error);
            }
        }
    }
    if left > 0 {
        return Err(format!("{left} records were left in StreamFailures").into());
    }
    Ok(())
}

async fn replay(tables: &Tables, about: &[About]) -> Result<(), Failure> {
    for about in about {
        match about {
            About::Item { pk, sk } => {
                if !tables.touch(pk, sk).await? {
                    eprintln!("    {} is there no more", name_of(about));
                }
            }
            // An offer's id follows from what freed the time: one that was made is not made again.
            About::Freed(freed) => {
                let offered = offer_slot(tables, freed, now()).await?;
                eprintln!(
                    "    {}: {}",
                    name_of(about),
                    if offered { "offered" } else { "nobody waits for it" }
                );
            }
        }
    }
    Ok(())
}

/// Touches every booking of a business that starts from now on.
async fn replay_upcoming(tables: &Tables, business: &BusinessId, dry_run: bool) -> Result<(), Failure> {
    let mut after: (Timestamp, _) = (now(), None);
    let mut days: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = 0;
    loop {
        let page = tables.bookings_after(business, &after, Timestamp::MAX, PAGE).await?;
        let Some((start, id)) = page.last() else { break };
        after = (*start, Some(id.clone()));
        for (start, id) in page {
            if !dry_run && let About::Item { pk, sk } = About::item(&Key::Booking(business.clone(), id)) {
                tables.touch(&pk, &sk).await?;
            }
            *days.entry(start.strftime("%Y-%m").to_string()).or_default() += 1;
            count += 1;
        }
        eprintln!("{count} bookings");
    }
    for (month, count) in days {
        print(&format!("  {month}  {count} bookings\n"))?;
    }
    print(&format!("{count} bookings ahead{}\n", if dry_run { "" } else { " are planned anew" }))
}

fn name_of(about: &About) -> String {
    match about {
        About::Item { pk, sk } => format!("{pk} {sk}"),
        About::Freed(freed) => format!("{} of {} at {}", freed.resource_id, freed.business_id, freed.start),
    }
}

fn read(mut arguments: lexopt::Parser) -> Result<Option<Options>, Failure> {
    let (mut stack, mut upcoming, mut dry_run) = (None, None, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("stack") => stack = Some(arguments.value()?.string()?),
            Long("upcoming") => upcoming = Some(arguments.value()?.parse()?),
            Long("dry-run") => dry_run = true,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(Options { stack: stack.ok_or("--stack is missing")?, upcoming, dry_run }))
}
