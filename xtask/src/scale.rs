//! `cargo xtask scale`: which quota binds at how many bookings a day, and how long what waited for eight in the morning takes to leave.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table};
use lexopt::Arg;
use serde::{Deserialize, Serialize};

use crate::count::{self, MANY, grouped};
use crate::steps::table;
use crate::traffic::{self, Events, Inputs, Operation, operations, work};
use crate::{cost, workspace};

const HELP: &str = "\
cargo xtask scale [--check | --bookings N]

Holds what 10^5 to 10^8 bookings a day make the system do against the quotas in infra/quotas.toml, and lets what quiet hours
held back fall due at eight in the morning, minute by minute, until the last message has left. Writes the tables of docs/scale.md,
a table of `cargo xtask cost` among them. What is assumed stands in xtask/src/traffic.rs and xtask/src/scale.rs, with the reasons.

  --check       write nothing; fail when docs/scale.md is not what would be written
  --bookings N  write nothing; print the loads and every minute of the morning for so many bookings a day, such as 1e6";

/// The document that has the tables.
const DOCUMENT: &str = "docs/scale.md";

/// Bookings a day that the document looks at.
const DAYS: [u64; 4] = [100_000, 1_000_000, 10_000_000, 100_000_000];

/// Businesses that a million bookings a month may come from, for the comparison with polling.
const BUSINESSES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// The busiest second beside the mean of the day. Assumed: bookings are made in ten hours of the day (2.4), and in the best of them
/// twice as often.
const PEAK: u64 = 5;

/// Timers of a hundred in a day that are due in the same minute. Assumed: visits begin on the quarter of an hour, forty times a day, and
/// in the fullest of them twice as often.
const FULLEST_MINUTE_PERCENT: u64 = 5;

/// Days that a timer stands on average: as long before the visit as it is booked. Assumed.
const LEAD_DAYS: u64 = 5;

/// Messages of a hundred in a day that quiet hours hold back until eight, all in one time zone. Assumed; e-mail is held back by default
/// nowhere (SPEC.md §4), and counted as if every business had switched that on.
const HELD_PERCENT: u64 = 10;

/// How much of the other messages comes while the held ones leave, beside the mean of the day. Assumed: the shops open.
const MORNING: u64 = 2;

/// Bookings a day that fill a cell, a stack in an account of its own: up to there what no quota can raise is used to two thirds at most.
const CELL: u64 = 1_000_000;

/// Timers that a sweep sets again each second, for what is due soon: sixteen parts with eight rows at a time, 30 ms each
/// (`shared/app/src/sweep.rs`; the time is assumed).
const SWEPT_A_SECOND: u64 = 16 * 8 * 1_000 / 30;

/// By when the morning should be over, in minutes after eight: as long as the sweeper leaves a message to its queue (`QUEUE_GRACE`), and as
/// an alarm stays quiet (`OldestOverdue`).
const GOAL: u64 = 30;

/// How long the morning is watched, in minutes.
const WATCHED: u64 = 24 * 60;

/// Events in one `PutEvents` when there are many.
const EVENTS_AT_ONCE: u64 = 10;

const SECONDS: u64 = 86_400;

/// A quota as infra/quotas.toml tells it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quota {
    /// What is held against it: see [`Day::load`].
    load: String,
    name: String,
    /// The service, and the quota's code or name, in Service Quotas; none where an account cannot be asked.
    service_quota: Option<(String, String)>,
    value: u64,
    unit: String,
    /// The day it was noted, the page of AWS it is from, and what was at hand.
    noted: jiff::civil::Date,
    page: String,
    seen: String,
    #[serde(default)]
    unconfirmed: bool,
    /// What to do when it binds.
    raise: String,
}

impl Quota {
    fn shown(&self) -> String {
        format!("{}{}", self.name, if self.unconfirmed { " ?" } else { "" })
    }
}

/// infra/quotas.toml.
#[derive(Debug, Deserialize)]
struct Quotas {
    region: String,
    quota: Vec<Quota>,
}

impl Quotas {
    fn read() -> Result<Self> {
        let path = workspace::root().join("infra/quotas.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// What the first quota on this load allows.
    fn value(&self, load: &str) -> Result<u64> {
        let quota = self.quota.iter().find(|quota| quota.load == load);
        Ok(quota.with_context(|| format!("infra/quotas.toml has no quota on {load}"))?.value)
    }
}

/// A day with so many bookings.
struct Day {
    inputs: Inputs,
    events: Events,
    operations: Vec<Operation>,
}

impl Day {
    fn new(bookings: u64) -> Self {
        let inputs = Inputs::new(bookings);
        let events = Events::new(&inputs);
        let operations = operations(&inputs, &events);
        Self { inputs, events, operations }
    }

    /// Units of the operations on a table in the busiest second.
    fn units(&self, table: traffic::Table, each: impl Fn(&Operation) -> u64) -> u64 {
        let of_table = self.operations.iter().filter(|operation| operation.table == table);
        busiest(of_table.map(|operation| operation.times * each(operation)).sum())
    }

    /// Rows that the sweep before eight finds due soon: what was held back, and a full minute of timers.
    fn due_soon(&self) -> u64 {
        (self.events.messages() * HELD_PERCENT + self.events.timers_fired * FULLEST_MINUTE_PERCENT) / 100
    }

    /// The load of that name, in the unit of its quota.
    fn load(&self, name: &str) -> Result<u64> {
        use traffic::Table::{Bookings, Messages};
        let Self { inputs, events, .. } = self;
        Ok(match name {
            "api_requests" => busiest(events.requests),
            "concurrency" => {
                let later = events.later.div_ceil(inputs.timer_batch) * inputs.durations.deliver_ms
                    + events.checks.div_ceil(inputs.timer_batch) * inputs.durations.check_ms;
                let ms = work(inputs, events).iter().map(|work| work.invocations * work.ms).sum::<u64>();
                busiest(ms + later).div_ceil(1_000)
            }
            // While it sweeps: then the sweeper sets what planning set, once more.
            "timers_set" => busiest(events.timers_set) + SWEPT_A_SECOND.min(self.due_soon()),
            "timers_standing" => events.timers_set * LEAD_DAYS,
            "timers_fired" => (events.timers_fired * FULLEST_MINUTE_PERCENT / 100).div_ceil(60),
            "emails_per_second" => busiest(events.emails),
            "emails" => events.emails,
            "sms_per_second" => busiest(events.sms),
            "push_per_second" => busiest(events.push),
            "bookings_writes" => self.units(Bookings, |operation| operation.writes),
            "messages_writes" => self.units(Messages, |operation| operation.writes),
            "bookings_reads" => self.units(Bookings, |operation| operation.half_reads).div_ceil(2),
            "open_writes" => self.units(Messages, |operation| operation.open_writes),
            "sweep_rows" => self.due_soon(),
            "puts_of_events" => busiest(events.bus_events.div_ceil(EVENTS_AT_ONCE)),
            other => bail!("infra/quotas.toml: there is no load named {other}"),
        })
    }
}

/// What so many bookings a day ask of an account, as `admin doctor --needs` reads it.
#[derive(Debug, Serialize)]
pub struct Needs {
    bookings: u64,
    emails: u64,
    emails_per_second: u64,
    quotas: Vec<Need>,
}

/// What is needed of a quota that Service Quotas knows.
#[derive(Debug, Serialize)]
struct Need {
    service: String,
    quota: String,
    name: String,
    unit: String,
    needed: u64,
    raise: String,
}

/// What so many bookings a day need. Of sandboxes at least `sandboxes`.
pub fn needs(bookings: u64, sandboxes: u64) -> Result<Needs> {
    let day = Day::new(bookings);
    let mut needs = Needs {
        bookings,
        emails: day.load("emails")?,
        emails_per_second: day.load("emails_per_second")?,
        quotas: Vec::new(),
    };
    for Quota { load, name, service_quota, unit, raise, .. } in Quotas::read()?.quota {
        let Some((service, quota)) = service_quota else { continue };
        let least = if load == "concurrency" { sandboxes } else { 0 };
        let needed = day.load(&load)?.max(least);
        needs.quotas.push(Need { service, quota, name, unit, needed, raise });
    }
    Ok(needs)
}

/// What so many a day are in the busiest second.
fn busiest(a_day: u64) -> u64 {
    (a_day * PEAK).div_ceil(SECONDS)
}

/// A channel on the morning.
#[derive(Debug, Clone)]
struct Channel {
    name: &'static str,
    /// Messages that wait for eight.
    held: u64,
    /// Other messages that come each minute.
    coming: u64,
    /// Messages that may leave each second.
    per_second: u64,
}

/// A channel in a minute, at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    /// Held messages whose timers have not fired.
    waiting: u64,
    /// Messages in the queue.
    queued: u64,
}

/// Lets the morning pass minute by minute until nothing waits, a day at the most. Timers of all channels share Scheduler's invocations;
/// each queue leaves at its provider's pace.
fn morning(channels: &[Channel], invocations_per_second: u64) -> Vec<Vec<State>> {
    let mut states: Vec<State> =
        channels.iter().map(|channel| State { waiting: channel.held, queued: 0 }).collect();
    let mut minutes = Vec::new();
    while minutes.len() < WATCHED as usize && states.iter().any(|state| *state != State::default()) {
        let waiting: u64 = states.iter().map(|state| state.waiting).sum();
        let fire = waiting.min(invocations_per_second * 60);
        for (state, channel) in states.iter_mut().zip(channels) {
            // Each channel's share, rounded up: at the end the last one fires, too.
            let share = u128::from(state.waiting) * u128::from(fire);
            let fired = share.div_ceil(u128::from(waiting.max(1))) as u64;
            state.waiting -= fired;
            let queued = state.queued + fired + channel.coming;
            state.queued = queued.saturating_sub(channel.per_second * 60);
        }
        minutes.push(states.clone());
    }
    minutes
}

/// After how many minutes the last held message of a channel had left; none where it does not within a day.
fn gone_after(minutes: &[Vec<State>], channel: usize) -> Option<usize> {
    let at = minutes.iter().position(|states| states[channel] == State::default());
    at.map(|index| index + 1)
}

/// The channels of a day's morning, at the rates of the quotas.
fn channels(day: &Day, quotas: &Quotas) -> Result<[Channel; 3]> {
    let of = |name, messages: u64, rate| -> Result<Channel> {
        Ok(Channel {
            name,
            held: messages * HELD_PERCENT / 100,
            coming: messages * MORNING / (24 * 60),
            per_second: quotas.value(rate)?,
        })
    };
    Ok([
        of("e-mail", day.events.emails, "emails_per_second")?,
        of("sms", day.events.sms, "sms_per_second")?,
        of("push", day.events.push, "push_per_second")?,
    ])
}

/// A table whose columns but for so many stand on the right.
fn numbers(header: &[&str], left: usize) -> Table {
    let mut table = table(header);
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The loads beside the quotas; what is over is in bold letters.
fn loads(quotas: &Quotas, days: &[u64]) -> Result<Table> {
    let sizes: Vec<String> = days.iter().map(|bookings| grouped((*bookings).into())).collect();
    let header: Vec<&str> = ["quota", "of"].into_iter().chain(sizes.iter().map(String::as_str)).collect();
    let mut table = numbers(&header, 1);
    for quota in &quotas.quota {
        let mut row = vec![quota.shown(), format!("{} {}", grouped(quota.value.into()), quota.unit)];
        for bookings in days {
            let load = Day::new(*bookings).load(&quota.load)?;
            let text = grouped(load.into());
            row.push(if load > quota.value { format!("**{text}**") } else { text });
        }
        table.add_row(row);
    }
    Ok(table)
}

/// What binds at each size, the tightest first, how many times the quota is needed, and in how many cells.
fn binding(quotas: &Quotas) -> Result<String> {
    let mut rows = Vec::new();
    for bookings in DAYS {
        let day = Day::new(bookings);
        let mut over = Vec::new();
        for quota in &quotas.quota {
            let load = day.load(&quota.load)?;
            if load > quota.value {
                over.push((load * 10 / quota.value, quota.shown()));
            }
        }
        over.sort_by_key(|(tenths, _)| std::cmp::Reverse(*tenths));
        let told: Vec<String> = over
            .iter()
            .map(|(tenths, name)| format!("{name}: {}.{}", grouped(u128::from(tenths / 10)), tenths % 10))
            .collect();
        let cells = bookings.div_ceil(CELL);
        rows.push([grouped(bookings.into()), told.join("<br>"), grouped(cells.into())]);
    }
    Ok(wide(["bookings a day", "what binds, and how many times over", "cells"], &rows))
}

/// What to do about each quota, and where it is from.
fn remedies(quotas: &Quotas) -> String {
    let row = |quota: &Quota| {
        let from = match quota.page.strip_prefix("https://") {
            Some(_) => format!("[AWS]({}), {}: {}", quota.page, quota.noted, quota.seen),
            None => format!("[{}](../{})", quota.seen, quota.page),
        };
        [quota.shown(), quota.raise.clone(), from]
    };
    let rows: Vec<_> = quotas.quota.iter().map(row).collect();
    wide(["quota", "when it binds", "from"], &rows)
}

/// What the tables rest on beside ARCHITECTURE.md.
fn assumptions() -> String {
    let inputs = Inputs::new(1);
    let durations = &inputs.durations;
    let rows = [
        ("messages of a booking, half of them reminders", inputs.messages_per_booking.to_string()),
        ("checks of a booking", inputs.checks_per_booking.to_string()),
        ("bookings moved, called off", format!("{} %, {} %", inputs.moved_percent, inputs.cancelled_percent)),
        ("e-mail, sms, the rest push", format!("{} %, {} %", inputs.email_percent, inputs.sms_percent)),
        ("looks at a page of twenty bookings, for each booking", inputs.looks_per_booking.to_string()),
        ("size of a row of the ledger with its traces", format!("{} KB", inputs.row_kb)),
        ("messages of timers in one invocation", inputs.timer_batch.to_string()),
        ("billed for planning, delivering", format!("{} ms, {} ms", durations.plan_ms, durations.deliver_ms)),
        ("the busiest second", format!("{PEAK} times the mean of the day")),
        ("timers due in the fullest minute", format!("{FULLEST_MINUTE_PERCENT} % of the day's")),
        ("a timer stands for", format!("{LEAD_DAYS} days")),
        ("messages that wait for eight, in one time zone", format!("{HELD_PERCENT} % of the day's")),
        ("other messages while those leave", format!("{MORNING} times the mean of the day")),
    ];
    wide(["what", "assumed"], &rows.map(|(what, value)| [what.to_owned(), value]))
}

/// A table in Markdown whose cells are too long to be aligned.
fn wide<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut text = format!("| {} |\n|{}", header.join(" | "), "---|".repeat(N));
    for row in rows {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n| {} |", row.join(" | "));
    }
    text
}

/// The mornings: how much waits, and when the last of it has left.
fn bursts(quotas: &Quotas) -> Result<Table> {
    let mut table = numbers(
        &[
            "bookings a day",
            "what",
            "waits",
            "a second",
            "longest queue",
            "last one after",
            "a second for 08:30",
        ],
        2,
    );
    for bookings in DAYS {
        let channels = channels(&Day::new(bookings), quotas)?;
        let invocations = quotas.value("timers_fired")?;
        let minutes = morning(&channels, invocations);
        let held: u64 = channels.iter().map(|channel| channel.held).sum();
        let fired = minutes.iter().position(|states| states.iter().all(|state| state.waiting == 0));
        table.add_row([
            grouped(bookings.into()),
            "timers".to_owned(),
            grouped(held.into()),
            grouped(invocations.into()),
            String::new(),
            time(fired.map(|index| index + 1)),
            grouped(held.div_ceil(GOAL * 60).into()),
        ]);
        for (index, channel) in channels.iter().enumerate() {
            let never = channel.coming >= channel.per_second * 60;
            let longest = minutes.iter().map(|states| states[index].queued).max().unwrap_or(0);
            let needed = (channel.held + channel.coming * GOAL).div_ceil(GOAL * 60);
            table.add_row([
                String::new(),
                channel.name.to_owned(),
                grouped(channel.held.into()),
                grouped(channel.per_second.into()),
                if never { "grows".to_owned() } else { grouped(longest.into()) },
                if never { "never: more comes".to_owned() } else { time(gone_after(&minutes, index)) },
                grouped(needed.into()),
            ]);
        }
    }
    Ok(table)
}

/// Minutes as people say them.
fn time(minutes: Option<usize>) -> String {
    match minutes {
        None => "more than a day".to_owned(),
        Some(minutes) if minutes < 60 => format!("{minutes} min"),
        Some(minutes) => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

/// The tables of the document by the names in its markers.
fn blocks() -> Result<Vec<(&'static str, String)>> {
    let quotas = Quotas::read()?;
    Ok(vec![
        ("assumptions", assumptions()),
        ("loads", loads(&quotas, &DAYS)?.to_string()),
        ("binding", binding(&quotas)?),
        ("remedies", remedies(&quotas)),
        ("burst", bursts(&quotas)?.to_string()),
        ("cost", cost::markdown(1_000_000)?),
        ("businesses", cost::by_businesses(1_000_000, &BUSINESSES)?),
    ])
}

/// Puts a table between its two markers.
fn replace_block(document: &str, name: &str, table: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {name}: cargo xtask scale -->\n"), "<!-- end -->");
    let (before, rest) = document
        .split_once(&begin)
        .with_context(|| format!("{DOCUMENT} has no line {:?}", begin.trim_end()))?;
    let (_, after) = rest
        .split_once(end)
        .with_context(|| format!("{DOCUMENT}: no {end:?} follows the marker of {name}"))?;
    let mut text = String::with_capacity(document.len() + table.len());
    // Writing to a String cannot fail.
    let _ = write!(text, "{before}{begin}\n{table}\n\n{end}{after}");
    Ok(text)
}

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let (mut check, mut bookings) = (false, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Arg::Long("check") => check = true,
            Arg::Long("bookings") => bookings = Some(count::option("--bookings", &args.value()?, MANY)?),
            other => bail!("{}; `cargo xtask scale --help` lists the options", other.unexpected()),
        }
    }
    match bookings {
        Some(_) if check => {
            bail!("--check and --bookings do not go together: the document has its own sizes")
        }
        Some(bookings) => tell(bookings),
        None => write(check),
    }
}

/// Writes the tables of the document, or fails where they are not what would be written.
fn write(check: bool) -> Result<()> {
    let path = workspace::root().join(DOCUMENT);
    let committed = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut document = committed.clone();
    for (name, table) in blocks()? {
        document = replace_block(&document, name, &table)?;
    }
    if check {
        if document != committed {
            bail!("{DOCUMENT} is not what the model says: run `cargo xtask scale`");
        }
        println!("    {DOCUMENT} is what the model says");
        return Ok(());
    }
    fs::write(&path, document).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{DOCUMENT} written");
    Ok(())
}

/// Prints a day's loads and its morning.
fn tell(bookings: u64) -> Result<()> {
    let quotas = Quotas::read()?;
    println!("Quotas of {}; what is over is in **bold**, `?` is unconfirmed.\n", quotas.region);
    println!("{}\n", loads(&quotas, &[bookings])?);
    let channels = channels(&Day::new(bookings), &quotas)?;
    let minutes = morning(&channels, quotas.value("timers_fired")?);
    let mut table =
        numbers(&["after eight", "timers to fire", "e-mail queued", "sms queued", "push queued"], 1);
    // What never ends is watched for as long as the rest takes, and for an hour at the least.
    let gone = (0..channels.len()).filter_map(|channel| gone_after(&minutes, channel)).max();
    for (index, states) in minutes.iter().take(gone.unwrap_or(0).max(60)).enumerate() {
        let waiting: u64 = states.iter().map(|state| state.waiting).sum();
        let mut row = vec![time(Some(index + 1)), grouped(waiting.into())];
        row.extend(states.iter().map(|state| grouped(state.queued.into())));
        table.add_row(row);
    }
    println!("{table}\n");
    for (index, channel) in channels.iter().enumerate() {
        println!(
            "last {} of {}: {}",
            channel.name,
            grouped(channel.held.into()),
            time(gone_after(&minutes, index))
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(held: u64, coming: u64, per_second: u64) -> Channel {
        Channel { name: "sms", held, coming, per_second }
    }

    #[test]
    fn a_morning_by_hand() {
        // 3,000 wait, 10 timers fire a second, 20 messages may leave a second: the timers are what takes five minutes.
        let minutes = morning(&[channel(3_000, 0, 20)], 10);
        assert_eq!(minutes.len(), 5);
        assert_eq!(minutes[0], [State { waiting: 2_400, queued: 0 }]);
        // 100 a second fire, 20 leave: the queue is longest after the first minute, and empty after 2.5.
        let minutes = morning(&[channel(3_000, 0, 20)], 100);
        assert_eq!(minutes[0], [State { waiting: 0, queued: 1_800 }]);
        assert_eq!(minutes[1], [State { waiting: 0, queued: 600 }]);
        assert_eq!(gone_after(&minutes, 0), Some(3));
    }

    #[test]
    fn what_comes_meanwhile_is_waited_for_too() {
        // Of 20 a second 10 are taken by what comes: 3,000 need five minutes.
        let minutes = morning(&[channel(3_000, 600, 20)], 1_000);
        assert_eq!(gone_after(&minutes, 0), Some(5));
        assert_eq!(gone_after(&morning(&[channel(3_000, 1_200, 20)], 1_000), 0), None);
    }

    #[test]
    fn channels_share_the_timers_and_none_is_lost() {
        let minutes = morning(&[channel(90, 0, 100), channel(30, 0, 100), channel(0, 0, 100)], 1);
        assert_eq!(minutes[0].iter().map(|state| state.waiting).collect::<Vec<_>>(), [45, 15, 0]);
        assert_eq!(minutes.len(), 2);
        assert!(morning(&[channel(0, 0, 1)], 1).is_empty(), "nothing waits");
    }

    #[test]
    fn a_longer_wait_never_ends_sooner_and_a_faster_provider_never_later() {
        let gone = |held, per_second| gone_after(&morning(&[channel(held, 60, per_second)], 50), 0).unwrap();
        for held in [1, 100, 10_000, 100_000] {
            assert!(gone(held * 2, 20) >= gone(held, 20));
            assert!(gone(held, 40) <= gone(held, 20));
        }
    }

    #[test]
    fn the_busiest_second_by_hand() {
        assert_eq!(busiest(86_400), PEAK);
        assert_eq!(busiest(1), 1, "rounded up");
        let day = Day::new(86_400);
        // Three reminders and a check for each booking, and again for each tenth; and a sweep at 128 in 30 ms.
        assert_eq!(day.load("timers_set").unwrap(), 4 * 5 * 11 / 10 + 4_266);
        assert_eq!(day.load("timers_standing").unwrap(), 4 * 95_040 * 5);
        assert!(day.load("tea").unwrap_err().to_string().contains("no load named tea"));
    }

    #[test]
    fn every_quota_is_on_a_load_and_loads_grow() {
        for quota in Quotas::read().unwrap().quota {
            let loads: Vec<u64> =
                DAYS.iter().map(|bookings| Day::new(*bookings).load(&quota.load).unwrap()).collect();
            assert!(loads.is_sorted(), "{}: {loads:?}", quota.name);
            assert!(quota.value > 0 && !quota.raise.is_empty() && !quota.seen.is_empty(), "{}", quota.name);
        }
    }

    #[test]
    fn what_the_template_sets_is_what_it_says() {
        let template = fs::read_to_string(workspace::root().join("template.yaml")).unwrap();
        let quotas = Quotas::read().unwrap();
        let throttle = format!("ThrottlingRateLimit: {}\n", quotas.value("api_requests").unwrap());
        assert!(template.contains(&throttle));
        for (parameter, load) in [
            ("EmailPerSecond", "emails_per_second"),
            ("SmsPerSecond", "sms_per_second"),
            ("PushPerSecond", "push_per_second"),
        ] {
            let default =
                format!("  {parameter}:\n    Type: Number\n    Default: {}\n", quotas.value(load).unwrap());
            assert!(template.contains(&default), "{parameter}");
        }
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_between_its_markers() {
        let document = "# Scale\n\n<!-- loads: cargo xtask scale -->\nold\n<!-- end -->\n\nkept\n";
        let once = replace_block(document, "loads", "| new |").unwrap();
        assert_eq!(once, "# Scale\n\n<!-- loads: cargo xtask scale -->\n\n| new |\n\n<!-- end -->\n\nkept\n");
        assert_eq!(replace_block(&once, "loads", "| new |").unwrap(), once);
        assert!(replace_block(document, "burst", "").is_err());
        assert!(replace_block("<!-- loads: cargo xtask scale -->\n", "loads", "").is_err());
    }

    #[test]
    fn a_full_cell_fits_what_has_no_quota_to_raise() {
        let quotas = Quotas::read().unwrap();
        let cell = Day::new(CELL);
        for load in ["open_writes", "sweep_rows"] {
            assert!(cell.load(load).unwrap() * 3 <= quotas.value(load).unwrap() * 2, "{load}");
        }
    }

    #[test]
    fn the_committed_document_is_what_the_model_says() {
        write(true).unwrap();
    }

    #[test]
    fn minutes_read_well() {
        assert_eq!(time(Some(59)), "59 min");
        assert_eq!(time(Some(125)), "2 h 05 min");
        assert_eq!(time(None), "more than a day");
    }
}
