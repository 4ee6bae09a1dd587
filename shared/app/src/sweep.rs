//! Sweeping: every quarter of an hour the rows that wait or are under way are compared with their timers and their queues, and what got lost
//! between them is put right. Nothing is lost in a day on which all goes well; what is found is told as drift.
//!
//! - What is overdue is put into its queue again. A copy too many does no harm: a delivery finds a row that is settled and does nothing, finds
//!   one that is leased and leaves it to its holder, and decides anew whether it may leave; a check finds that its fact is written.
//! - What waits and is due soon has its timer set again. One that is there stays; one that was not there was lost.
//! - Timers that no row waits for are withdrawn: a few in each run, from another part of their names each time.
//!
//! Every step may be repeated and none depends on another, so two sweeps may run at once, and one that dies is made good by the next.

use std::collections::HashSet;
use std::ops::AddAssign;

use domain::message::{CheckKind, Message, MessageStatus};
use domain::reconcile::QUEUED_AHEAD;
use futures::future::{join, join_all};
use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};

use crate::error::chain;
use crate::plan_subject::{due_of, due_of_check, waits};
use crate::ports::{
    CancelTimer, Due, DueWhat, Enqueue, FindTimers, Item, Key, OpenRows, PortError, Read, Refs, SetTimer,
};
use crate::settle::delivery_check;

/// How often a sweep runs, as in template.yaml.
pub const EVERY: SignedDuration = SignedDuration::from_mins(15);

/// How many parts the open rows are kept in.
pub const SHARDS: u8 = 16;

/// How many rows [`OpenRows`] finds at a time.
pub const PAGE: usize = 100;

/// How far back a sweep looks. What is overdue for longer was put into its queue again ten times, lies in a DLQ, and is for people to mend.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(72);

/// How far ahead timers are looked after: farther than the next sweep, so that each is once.
const LOOK_AHEAD: SignedDuration = SignedDuration::from_mins(20);

/// How late a timer may be. The Scheduler is precise to a minute.
const TIMER_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// How long what is due may be in its queue.
const QUEUE_GRACE: SignedDuration = SignedDuration::from_mins(30);

/// How long after its lease's end a message is still left to the copy in its queue.
const LEASE_GRACE: SignedDuration = SignedDuration::from_mins(10);

/// How old a timer is, and how far ahead, before it is withdrawn: it is set before its row is written, and if a row should come to wait for
/// it at this very moment, the look ahead will set it again.
const ORPHAN_MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// How many hex digits of an id a part of the timers' names has at most: fewer as long as a hundred timers are in it.
const NAME_DIGITS: u32 = 8;

/// How many rows of a shard are looked after at the same time.
const AT_ONCE: usize = 8;

/// What a sweep found. All but the last are drift: 0 in a system that is well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages that are due, and neither at their provider nor held by anybody.
    pub due_not_queued: u64,
    /// Messages that were claimed and given up.
    pub abandoned_leases: u64,
    /// Checks that are due.
    pub overdue_checks: u64,
    /// Timers that were not there and were set again.
    pub lost_schedules: u64,
    /// Timers that no row waited for and were withdrawn.
    pub orphaned_schedules: u64,
    /// Steps that failed and are left to the next sweep.
    pub failures: u64,
    /// How late the latest message is.
    pub oldest_overdue: SignedDuration,
    /// How many copies were put into queues.
    pub queued: u64,
}

impl AddAssign for Swept {
    fn add_assign(&mut self, other: Self) {
        self.due_not_queued += other.due_not_queued;
        self.abandoned_leases += other.abandoned_leases;
        self.overdue_checks += other.overdue_checks;
        self.lost_schedules += other.lost_schedules;
        self.orphaned_schedules += other.orphaned_schedules;
        self.failures += other.failures;
        self.oldest_overdue = self.oldest_overdue.max(other.oldest_overdue);
        self.queued += other.queued;
    }
}

impl Swept {
    /// A step failed: the others go on.
    fn failed(step: &'static str, error: &PortError) -> Self {
        tracing::error!(step, error = %chain(error), "a step of the sweep failed");
        Self { failures: 1, ..Self::default() }
    }
}

/// When a row that waits or is under way is due (UTC); `None` for one that is settled. This is its place among the open rows: a row whose claim
/// is abandoned stays where it was when it was due.
pub fn open_due(item: &Item) -> Option<Timestamp> {
    match item {
        Item::Message(message) => {
            let open = message.status.is_open() || message.status == MessageStatus::Sending;
            let watched = message.undelivered_at.filter(|_| message.status == MessageStatus::Accepted);
            open.then_some(message.due).or(watched)
        }
        Item::Check(check) => (!check.withdrawn).then_some(check.due),
        _ => None,
    }
}

/// The shard of a row: the first hex digit of its id.
pub fn shard_of(id: &str) -> u8 {
    let digit = id.chars().next().and_then(|first| first.to_digit(u32::from(SHARDS)));
    digit.and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0)
}

/// Sweeps once. `now` (UTC) is the later of the clock and the instant the sweep was scheduled for.
pub async fn sweep(
    store: &(impl Read + OpenRows),
    timers: &(impl SetTimer + CancelTimer + FindTimers),
    queues: &impl Enqueue,
    now: Timestamp,
) -> Swept {
    let rows = join_all((0..SHARDS).map(|shard| sweep_rows(store, timers, queues, shard, now)));
    let orphans = join_all(
        ["message", "check"].map(|kind| async move { sweep_timers(store, timers, kind, now).await }),
    );
    let (rows, orphans) = join(rows, orphans).await;
    let mut swept = Swept::default();
    rows.into_iter().chain(orphans).for_each(|part| swept += part);
    swept
}

// ------------------------------------------------------------------ rows

async fn sweep_rows(
    store: &(impl Read + OpenRows),
    timers: &impl SetTimer,
    queues: &impl Enqueue,
    shard: u8,
    now: Timestamp,
) -> Swept {
    let mut swept = Swept::default();
    let mut after = (now - LOOK_BACK, None);
    loop {
        let page = match store.open_rows(shard, &after, now + LOOK_AHEAD).await {
            Ok(page) => page,
            Err(error) => {
                swept += Swept::failed("finding open rows", &error);
                return swept;
            }
        };
        let more = page.len() >= PAGE;
        if let Some((due, key)) = page.last() {
            after = (*due, Some(key.clone()));
        }
        // What is behind by the index is as it is in the table.
        match read(store, page.into_iter().map(|(_, key)| key).collect()).await {
            Ok(rows) => {
                let cared = rows.iter().map(|row| care(timers, queues, row, now));
                let cared: Vec<Swept> = stream::iter(cared).buffer_unordered(AT_ONCE).collect().await;
                cared.into_iter().for_each(|part| swept += part);
            }
            Err(error) => swept += Swept::failed("reading open rows", &error),
        }
        if !more {
            return swept;
        }
    }
}

async fn read(store: &impl Read, keys: Vec<Key>) -> Result<Vec<Item>, PortError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    Ok(store.read(keys).await?.into_iter().map(|stored| stored.item).collect())
}

/// What a row needs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Need {
    /// Nothing: it is settled, or somebody has it.
    Nothing,
    /// Its timer, which should be there.
    Timer(Due),
    /// To be put into its queue: it is overdue by so long, and by so much more than it may be.
    Queue { due: Due, overdue: SignedDuration, beyond: SignedDuration },
}

fn need_of(row: &Item, now: Timestamp) -> Need {
    let (due, since, grace, waits) = match row {
        Item::Message(message) => {
            let refs = Refs::of(message.business_id.clone(), message.subject.clone());
            let due = due_of(message, &refs);
            match (&message.lease, message.status) {
                (None, MessageStatus::Accepted) => match delivery_check(message, &refs) {
                    Some(due) => {
                        let at = due.at;
                        (due, at, TIMER_GRACE, true)
                    }
                    None => return Need::Nothing,
                },
                (Some(lease), MessageStatus::Sending) => (due, lease.until, LEASE_GRACE, false),
                _ if waits(message) => (due, message.due, TIMER_GRACE, true),
                _ => (due, message.due, QUEUE_GRACE, false),
            }
        }
        Item::Check(check) => {
            let due = due_of_check(check, &Refs::of(check.business_id.clone(), check.subject.clone()));
            (due, check.due, TIMER_GRACE, true)
        }
        _ => return Need::Nothing,
    };
    let overdue = now.duration_since(since);
    if open_due(row).is_none() {
        Need::Nothing
    } else if waits && since > now + QUEUED_AHEAD {
        Need::Timer(due)
    } else if overdue >= grace {
        Need::Queue { due, overdue, beyond: overdue - grace }
    } else {
        Need::Nothing
    }
}

/// Whether it is the turn of what has been overdue for so long: in the first sweep that finds it, then after one, two, four, eight … more. What is
/// stuck in a slow queue or in a DLQ is not multiplied.
fn is_its_turn(beyond: SignedDuration) -> bool {
    let sweeps = beyond.as_secs() / EVERY.as_secs();
    sweeps.count_ones() <= 1
}

async fn care(timers: &impl SetTimer, queues: &impl Enqueue, row: &Item, now: Timestamp) -> Swept {
    match need_of(row, now) {
        Need::Nothing => Swept::default(),
        Need::Timer(due) => match timers.set_timer(&due).await {
            Ok(false) => Swept::default(),
            Ok(true) => {
                tracing::warn!(due.id = %due.what, due.at = %due.at, "a timer was lost and is set again");
                Swept { lost_schedules: 1, ..Swept::default() }
            }
            Err(error) => Swept::failed("setting a timer again", &error),
        },
        Need::Queue { due, overdue, beyond } => {
            let mut swept = found_overdue(row, overdue);
            if is_its_turn(beyond) {
                tracing::warn!(due.id = %due.what, due.at = %due.at, "overdue and queued again");
                match queues.enqueue(&due, 0).await {
                    Ok(()) => swept.queued += 1,
                    Err(error) => swept += Swept::failed("queueing again", &error),
                }
            }
            swept
        }
    }
}

fn found_overdue(row: &Item, overdue: SignedDuration) -> Swept {
    let none = Swept::default();
    match row {
        Item::Message(Message { lease: Some(_), .. }) => {
            Swept { abandoned_leases: 1, oldest_overdue: overdue, ..none }
        }
        Item::Message(Message { status: MessageStatus::Accepted, .. }) => Swept { overdue_checks: 1, ..none },
        Item::Message(_) => Swept { due_not_queued: 1, oldest_overdue: overdue, ..none },
        _ => Swept { overdue_checks: 1, ..none },
    }
}

// ------------------------------------------------------------------ timers

/// Looks for orphans among the timers of a kind: in a part of their names that is another one in each sweep, and narrow enough to have a
/// hundred of them at most.
async fn sweep_timers(
    store: &impl Read,
    timers: &(impl CancelTimer + FindTimers),
    kind: &str,
    now: Timestamp,
) -> Swept {
    let turn = now.as_second().div_euclid(EVERY.as_secs());
    let mut prefix = format!("{kind}-");
    for place in 0..NAME_DIGITS {
        let digit = u32::try_from((turn >> (4 * place)) & 15).unwrap_or(0);
        prefix.extend(char::from_digit(digit, 16));
        let found = match timers.timers_named(&prefix).await {
            Ok(found) => found,
            Err(error) => return Swept::failed("finding timers", &error),
        };
        if !found.more || place + 1 == NAME_DIGITS {
            let old = found.timers.into_iter().filter(|(name, set_at)| {
                let ahead = fires_at(name).is_some_and(|at| at > now + ORPHAN_MARGIN);
                ahead && *set_at < now - ORPHAN_MARGIN
            });
            return withdraw_orphans(store, timers, old.map(|(name, _)| name).collect()).await;
        }
    }
    Swept::default()
}

/// The instant in a timer's name (UTC).
fn fires_at(name: &str) -> Option<Timestamp> {
    let (_, second) = name.rsplit_once('-')?;
    Timestamp::from_second(second.parse().ok()?).ok()
}

async fn withdraw_orphans(
    store: &impl Read,
    timers: &(impl CancelTimer + FindTimers),
    names: Vec<String>,
) -> Swept {
    let mut swept = Swept::default();
    let looks = stream::iter(names).map(|name| async move { timers.timer(&name).await });
    let mut set = Vec::new();
    for found in looks.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        match found {
            Ok(due) => set.extend(due),
            Err(error) => swept += Swept::failed("looking at a timer", &error),
        }
    }
    // A row that was put off may have two timers, and a read names no key twice.
    let keys: HashSet<Key> = set.iter().map(key_of).collect();
    let rows = match read(store, keys.into_iter().collect()).await {
        Ok(rows) => rows,
        Err(error) => {
            swept += Swept::failed("reading what timers are for", &error);
            return swept;
        }
    };
    let waited_for: Vec<String> = rows.iter().filter_map(awaited).collect();
    for due in set.into_iter().filter(|due| !waited_for.contains(&due.timer_name())) {
        match timers.cancel_timer(&due).await {
            Ok(()) => {
                tracing::warn!(due.id = %due.what, due.at = %due.at, "nobody waits for a timer and it is withdrawn");
                swept.orphaned_schedules += 1;
            }
            Err(error) => swept += Swept::failed("withdrawing a timer", &error),
        }
    }
    swept
}

/// The row that a timer is for.
fn key_of(due: &Due) -> Key {
    let of = |refs: &Refs| (refs.business_id.clone(), refs.subject.clone());
    match &due.what {
        DueWhat::Message { message_id, refs, .. } => {
            let (business, subject) = of(refs);
            Key::Message(business, subject, message_id.clone())
        }
        DueWhat::Check { check_id, kind, refs } => {
            let (business, subject) = of(refs);
            match check_id.as_str().parse() {
                Ok(message_id) if *kind == CheckKind::Undelivered => {
                    Key::Message(business, subject, message_id)
                }
                _ => Key::Check(business, subject, check_id.clone()),
            }
        }
        DueWhat::Campaign { business_id, campaign_id } => {
            Key::Campaign(business_id.clone(), campaign_id.clone())
        }
    }
}

/// The name of the timer that a row waits for.
fn awaited(row: &Item) -> Option<String> {
    match row {
        Item::Message(message) if waits(message) => {
            let refs = Refs::of(message.business_id.clone(), message.subject.clone());
            Some(due_of(message, &refs).timer_name())
        }
        Item::Message(message) => {
            let refs = Refs::of(message.business_id.clone(), message.subject.clone());
            delivery_check(message, &refs).map(|due| due.timer_name())
        }
        Item::Check(check) if !check.withdrawn => {
            let refs = Refs::of(check.business_id.clone(), check.subject.clone());
            Some(due_of_check(check, &refs).timer_name())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_overdue_is_queued_ever_more_seldom() {
        let turns = |hours: i64| {
            let sweeps = 0..hours * 4;
            sweeps.filter(|sweep| is_its_turn(EVERY * i32::try_from(*sweep).unwrap())).count()
        };
        assert_eq!((turns(1), turns(24), turns(72)), (3, 8, 10));
    }

    #[test]
    fn a_row_is_in_one_of_sixteen_shards() {
        assert_eq!((shard_of("0a"), shard_of("a0"), shard_of("f"), shard_of("zebra")), (0, 10, 15, 0));
        assert!((0..=255_u8).map(|byte| shard_of(&format!("{byte:02x}"))).all(|shard| shard < SHARDS));
    }

    #[test]
    fn the_instant_of_a_timer_is_in_its_name() {
        assert_eq!(fires_at("message-00ff-1795428000"), "2026-11-23T10:00:00Z".parse().ok());
        assert_eq!(fires_at("somebody-elses"), None);
    }
}
