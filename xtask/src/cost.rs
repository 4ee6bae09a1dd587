//! `cargo xtask cost`: what a month's bookings cost at list price, in our design and in two others.

use anyhow::{Result, bail};
use comfy_table::{CellAlignment, Table};
use lexopt::Arg;
use serde_json::{Value, json};

use crate::count::{self, MANY, grouped};
use crate::prices::{Money, Price, Prices};
use crate::steps::table;
use crate::traffic::{Events, Inputs, MINUTES, SWEEPS, operations, work};

const HELP: &str = "\
cargo xtask cost [OPTIONS]

What the bookings of a month cost at AWS's list prices, by service, in three designs that do the same for the business:

  ours        a timer for each message and check, which puts it into a queue; functions take several at a time
  polling     no timers: every minute a query for each business asks what is due, and puts that into the queues
  per timer   a timer for each, which invokes a function; no queue for it, one message at a time

Prices are those of infra/prices.toml, with their days and pages; `?` marks one that no copy of an AWS page was found to
confirm. What bookings make the system do is reckoned in xtask/src/traffic.rs: the calls and units of each operation from the
tables of ARCHITECTURE.md, the rest assumptions that stand there with their reasons. Left out: free tiers, data transfer,
X-Ray, webhooks, campaigns, messengers, what clients' own pages take, and retries. So what `ours` is billed while messages wait for
their turn at eight in the morning is not in its column, nor in that of `per timer` what the provider then refuses.

  --bookings N              bookings of the month, such as 1e6 (1e6)
  --businesses N            businesses that make them (one for 300 bookings): what polling depends on
  --messages-per-booking N  messages of a booking to which nothing happens, half of them reminders (6)
  --json                    the inputs, what all designs do with DynamoDB and Lambda, and all amounts, in millionths of a dollar";

/// Metrics that the alarms of template.yaml watch: an alarm over several costs as often.
const ALARMS: u128 = 57;

/// Metrics that functions tell: seven of the sweeper, four of each of six channels, three of planning and the API, and one for each reason for which
/// messages are withheld or fail. Twenty reasons are assumed.
const METRICS: u128 = 7 + 4 * 6 + 3 + 20;

/// Queues that a function is fed from, in template.yaml. While such a queue is empty, Lambda asks five at a time whether it still is, for
/// twenty seconds each. Assumed; <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html> does not say how long.
const QUEUES: u64 = 10;
const ASKED_A_MINUTE: u64 = 5 * 3;

/// Months that a booking and its messages are kept (SPEC.md §6).
const MONTHS_KEPT: u64 = 13;

/// What is kept of a booking beside its rows in the ledger, in KB: itself, its part of its client's bookings, and their copies in indexes.
const BOOKING_KB: u64 = 4;

/// What indexes hold of a row of the ledger, in KB: keys, three times.
const ROW_INDEX_KB: u64 = 1;

/// Queries of a polling function at a time, as `booking-stream` plans.
const POLLED_AT_ONCE: u64 = 16;

/// Messages in one `SendMessageBatch`.
const SENT_AT_ONCE: u64 = 10;

/// The most messages of a booking that are reckoned with.
const MOST_MESSAGES: u64 = 100;

/// A way to have something happen at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Design {
    Ours,
    Polling,
    PerTimer,
}

impl Design {
    const ALL: [Self; 3] = [Self::Ours, Self::Polling, Self::PerTimer];

    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Polling => "polling",
            Self::PerTimer => "per timer",
        }
    }
}

/// How much of something is used, as a fraction of its unit.
type Quantity = (u128, u128);

/// What a design uses of everything that has a price: its name in infra/prices.toml, what the table calls it, how much.
#[derive(Debug)]
struct Usage(Vec<(&'static str, &'static str, Quantity)>);

/// The lines of the messages themselves.
const MESSAGES: [&str; 3] = ["ses", "sms", "push"];

fn usage(design: Design, inputs: &Inputs, events: &Events) -> Usage {
    let timers = events.later + events.checks;
    // An invocation for each timer, or for what was in the queue at once.
    let batch = if design == Design::PerTimer { 1 } else { inputs.timer_batch };
    let delivered = (events.later.div_ceil(batch), inputs.durations.deliver_ms);
    let checked = (events.checks.div_ceil(batch), inputs.durations.check_ms);
    let polls = inputs.businesses * MINUTES;
    let waking = match design {
        Design::Polling => {
            let ms = inputs.businesses.div_ceil(POLLED_AT_ONCE) * inputs.durations.poll_ms;
            (MINUTES, ms)
        }
        Design::Ours | Design::PerTimer => (SWEEPS, inputs.durations.sweep_ms),
    };
    let runs: Vec<(u64, u64)> = work(inputs, events)
        .iter()
        .map(|work| (work.invocations, work.ms))
        .chain([delivered, checked, waking])
        .collect();
    let invocations: u64 = runs.iter().map(|(times, _)| times).sum();
    let ms: u64 = runs.iter().map(|(times, ms)| times * ms).sum();

    let all = operations(inputs, events);
    let (mut half_reads, mut writes) = (0, 0);
    for operation in &all {
        half_reads += operation.times * operation.half_reads;
        writes += operation.times * operation.writes;
    }
    match design {
        // Each query takes half a unit at the least. What it found is marked, so that the next does not find it again.
        Design::Polling => {
            half_reads += polls;
            writes += timers * inputs.row_kb;
        }
        // Sweeps: eight units, and one for each row that is due soon, which most are in two sweeps.
        Design::Ours | Design::PerTimer => half_reads += 2 * (SWEEPS * 8 + 2 * timers),
    }

    // What is due at once: sent, received and deleted one at a time. Reports of e-mails too.
    let alone = 3 * (events.now + events.emails);
    let taken = 2 * timers.div_ceil(inputs.timer_batch);
    let idle = QUEUES * ASKED_A_MINUTE * MINUTES;
    let requests_of_queues = alone
        + idle
        + match design {
            Design::Ours => timers + taken,
            Design::Polling => timers.div_ceil(SENT_AT_ONCE) + taken,
            Design::PerTimer => 0,
        };
    let fired = match design {
        Design::Ours | Design::PerTimer => events.timers_fired + SWEEPS,
        Design::Polling => MINUTES,
    };
    let kept_kb = inputs.bookings * BOOKING_KB + events.rows_planned * (inputs.row_kb + ROW_INDEX_KB);
    let backed_up_kb = inputs.bookings * BOOKING_KB + events.rows_planned * inputs.row_kb;
    let log_bytes = invocations * inputs.log_bytes + events.sms * inputs.sms_log_bytes;

    let whole = |quantity: u64| (u128::from(quantity), 1);
    let gb = |kb: u64| (u128::from(kb * MONTHS_KEPT), 1_000_000);
    Usage(vec![
        ("lambda_requests", "Lambda, requests", whole(invocations)),
        ("lambda_duration", "Lambda, GB-seconds", (u128::from(ms * inputs.memory_mb), 1_000 * 1_024)),
        ("http_api", "API Gateway, HTTP API", whole(events.requests)),
        ("dynamodb_reads", "DynamoDB, reads", (u128::from(half_reads), 2)),
        ("dynamodb_writes", "DynamoDB, writes", whole(writes)),
        ("dynamodb_streams", "DynamoDB, streams", whole(events.changes + events.bus_events)),
        ("dynamodb_storage", "DynamoDB, storage for 13 months", gb(kept_kb)),
        ("dynamodb_backups", "DynamoDB, backups", gb(backed_up_kb)),
        ("sqs", "SQS", whole(requests_of_queues)),
        ("scheduler", "EventBridge Scheduler", whole(fired)),
        ("event_bus", "EventBridge bus", whole(events.bus_events)),
        ("sns_publish", "SNS, reports of e-mails", whole(events.emails)),
        ("logs", "CloudWatch, logs", (u128::from(log_bytes), 1_000_000_000)),
        ("alarms", "CloudWatch, alarms", (ALARMS, 1)),
        ("metrics", "CloudWatch, metrics", (METRICS, 1)),
        ("ses", "SES, e-mails", whole(events.emails)),
        ("sms", "SNS, text messages", whole(events.sms)),
        ("push", "SNS, push messages", whole(events.push)),
    ])
}

/// What each service costs in each design.
struct Report<'a> {
    inputs: &'a Inputs,
    events: Events,
    prices: &'a Prices,
    lines: Vec<Line<'a>>,
}

/// A line of the report.
struct Line<'a> {
    key: &'static str,
    service: &'static str,
    price: &'a Price,
    quantities: [Quantity; 3],
    costs: [Money; 3],
}

impl Line<'_> {
    fn is_message(&self) -> bool {
        MESSAGES.contains(&self.key)
    }
}

impl<'a> Report<'a> {
    fn new(inputs: &'a Inputs, prices: &'a Prices) -> Result<Self> {
        let events = Events::new(inputs);
        let used = Design::ALL.map(|design| usage(design, inputs, &events).0);
        let [ours, polling, per_timer] = &used;
        let mut lines = Vec::new();
        for ((ours, polling), per_timer) in ours.iter().zip(polling).zip(per_timer) {
            let (key, service, _) = *ours;
            let price = prices.get(key)?;
            let quantities = [ours.2, polling.2, per_timer.2];
            let mut costs = [Money::default(); 3];
            for (cost, (numerator, denominator)) in costs.iter_mut().zip(quantities) {
                *cost = price.of(numerator, denominator)?;
            }
            lines.push(Line { key, service, price, quantities, costs });
        }
        Ok(Self { inputs, events, prices, lines })
    }

    /// What the lines that `counts` accepts cost together.
    fn sum(&self, counts: impl Fn(&Line<'_>) -> bool) -> [Money; 3] {
        let mut sums = [Money::default(); 3];
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum = self.lines.iter().filter(|line| counts(line)).map(|line| line.costs[index]).sum();
        }
        sums
    }

    /// What the system costs, without the messages themselves.
    fn system(&self) -> [Money; 3] {
        self.sum(|line| !line.is_message())
    }

    /// The rows of the system's parts, or of the messages.
    fn rows(&self, messages: bool) -> impl Iterator<Item = (String, [Money; 3])> {
        self.lines.iter().filter(move |line| line.is_message() == messages).map(|line| {
            let mark = if line.price.unconfirmed { " ?" } else { "" };
            (format!("{}{mark}", line.service), line.costs)
        })
    }

    /// The rows that sum the system up: as it is, and for a million bookings where there are more or less.
    fn sums(&self) -> Vec<(String, [Money; 3])> {
        let system = self.system();
        let mut rows = vec![("**the system**".to_owned(), system)];
        if self.inputs.bookings != 1_000_000 {
            let scaled = system.map(|cost| cost.scaled(1_000_000, self.inputs.bookings));
            rows.push(("**the system, for a million bookings**".to_owned(), scaled));
        }
        rows
    }

    fn table(&self) -> Table {
        let [ours, polling, per_timer] = Design::ALL.map(Design::name);
        let mut table = table(&["service, US$", ours, polling, per_timer]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let rows = self.rows(false).chain(self.sums()).chain(self.rows(true));
        for (name, costs) in rows.chain([("**with the messages themselves**".to_owned(), self.sum(|_| true))])
        {
            let [ours, polling, per_timer] = costs.map(|cost| cost.to_string());
            table.add_row([name, ours, polling, per_timer]);
        }
        table
    }

    fn json(&self) -> Value {
        let amounts = |costs: [Money; 3]| {
            let [ours, polling, per_timer] = costs.map(|cost| json!(cost.microdollars()));
            json!({ "ours": ours, "polling": polling, "per_timer": per_timer })
        };
        let line = |line: &Line<'_>| {
            // Rounded up to whole units: a quantity beside an amount, not to reckon with.
            let [ours, polling, per_timer] = line.quantities.map(|(all, of)| json!(all.div_ceil(of)));
            json!({
                "price": line.key,
                "service": line.service,
                "unit": line.price.unit,
                "page": line.price.page,
                "noted": line.price.noted,
                "unconfirmed": line.price.unconfirmed,
                "quantity": { "ours": ours, "polling": polling, "per_timer": per_timer },
                "microdollars": amounts(line.costs),
            })
        };
        json!({
            "region": self.prices.region,
            "inputs": self.inputs,
            "operations": operations(self.inputs, &self.events),
            "functions": work(self.inputs, &self.events),
            "lines": self.lines.iter().map(line).collect::<Vec<_>>(),
            "system_microdollars": amounts(self.system()),
            "microdollars": amounts(self.sum(|_| true)),
        })
    }
}

/// The table for so many bookings a month, as docs/scale.md shows it.
pub fn markdown(bookings: u64) -> Result<String> {
    let (inputs, prices) = (Inputs::new(bookings), Prices::read()?);
    Ok(Report::new(&inputs, &prices)?.table().to_string())
}

/// What the system costs in our design and by polling, for so many bookings a month of so many businesses.
pub fn by_businesses(bookings: u64, all: &[u64]) -> Result<String> {
    let prices = Prices::read()?;
    let [ours, polling, _] = Design::ALL.map(Design::name);
    let mut table = table(&["businesses", ours, polling]);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for &businesses in all {
        let inputs = Inputs { businesses, ..Inputs::new(bookings) };
        let [ours, polling, _] = Report::new(&inputs, &prices)?.system().map(|cost| cost.to_string());
        table.add_row([grouped(businesses.into()), ours, polling]);
    }
    Ok(table.to_string())
}

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let mut inputs = Inputs::new(1_000_000);
    let (mut businesses, mut as_json) = (None, false);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Arg::Long("bookings") => {
                let bookings = count::option("--bookings", &args.value()?, MANY)?;
                inputs =
                    Inputs { messages_per_booking: inputs.messages_per_booking, ..Inputs::new(bookings) };
            }
            Arg::Long("businesses") => {
                businesses = Some(count::option("--businesses", &args.value()?, MANY)?);
            }
            Arg::Long("messages-per-booking") => {
                inputs.messages_per_booking =
                    count::option("--messages-per-booking", &args.value()?, 0..=MOST_MESSAGES)?;
            }
            Arg::Long("json") => as_json = true,
            other => bail!("{}; `cargo xtask cost --help` lists the options", other.unexpected()),
        }
    }
    inputs.businesses = businesses.unwrap_or(inputs.businesses);
    let prices = Prices::read()?;
    let report = Report::new(&inputs, &prices)?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&report.json())?);
    } else {
        tell(&report);
    }
    Ok(())
}

fn tell(report: &Report<'_>) {
    let inputs = report.inputs;
    println!(
        "{} bookings in a month, of {} businesses, with {} messages each; list prices of {}.\n",
        grouped(inputs.bookings.into()),
        grouped(inputs.businesses.into()),
        inputs.messages_per_booking,
        report.prices.region,
    );
    println!("{}\n", report.table());
    if let Some((oldest, newest)) = report.prices.noted() {
        println!("Prices as noted from {oldest} to {newest} in infra/prices.toml.");
    }
    for (name, price) in report.prices.unconfirmed() {
        println!("? {name}: not confirmed by a copy of {}; at hand was {}", price.page, price.seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred bookings of one business; `traffic` has the events by hand.
    fn hundred() -> (Inputs, Events) {
        let inputs = Inputs { businesses: 1, ..Inputs::new(100) };
        let events = Events::new(&inputs);
        (inputs, events)
    }

    fn used(design: Design, key: &str) -> Quantity {
        let (inputs, events) = hundred();
        usage(design, &inputs, &events).0.into_iter().find(|(name, _, _)| *name == key).unwrap().2
    }

    #[test]
    fn queues_by_hand() {
        let idle = u128::from(10 * 15 * 43_200_u64);
        // 375 messages at once and 107 reports of e-mails, three requests each.
        let alone = 3 * (375 + 107);
        // 255 messages and 85 checks have timers: each is sent, and every five are received and deleted together.
        assert_eq!(used(Design::Ours, "sqs"), (idle + alone + 340 + 2 * 68, 1));
        assert_eq!(used(Design::Polling, "sqs"), (idle + alone + 34 + 2 * 68, 1));
        assert_eq!(used(Design::PerTimer, "sqs"), (idle + alone, 1));
    }

    #[test]
    fn what_wakes_whom_by_hand() {
        assert_eq!(used(Design::Ours, "scheduler"), (340 + 2_880, 1));
        assert_eq!(used(Design::PerTimer, "scheduler"), (340 + 2_880, 1));
        assert_eq!(used(Design::Polling, "scheduler"), (43_200, 1));
        // 255 deliveries in fives are 51 invocations, 85 checks 17.
        let (ours, per_timer) =
            (used(Design::Ours, "lambda_requests").0, used(Design::PerTimer, "lambda_requests").0);
        assert_eq!(per_timer - ours, (255 - 51) + (85 - 17));
    }

    #[test]
    fn polling_reads_for_each_business_and_minute_and_marks_what_it_took() {
        let (ours, polling) =
            (used(Design::Ours, "dynamodb_reads").0, used(Design::Polling, "dynamodb_reads").0);
        // In halves of a unit.
        assert_eq!(polling + 2 * (2_880 * 8 + 2 * 340) - ours, 43_200);
        let (ours, polling) =
            (used(Design::Ours, "dynamodb_writes").0, used(Design::Polling, "dynamodb_writes").0);
        assert_eq!(polling - ours, 340 * 2);
    }

    #[test]
    fn more_bookings_cost_more_and_businesses_cost_only_polling_more() {
        let prices = Prices::read().unwrap();
        let costs = |bookings, businesses| {
            let inputs = Inputs { businesses, ..Inputs::new(bookings) };
            Report::new(&inputs, &prices).unwrap().system()
        };
        let mut before = [Money::default(); 3];
        for bookings in [1, 1_000, 1_000_000, 10_000_000_000] {
            let now = costs(bookings, 1_000);
            assert!(now.iter().zip(before).all(|(now, before)| *now > before), "{bookings}");
            before = now;
        }
        let (few, many) = (costs(1_000, 1), costs(1_000, 1_000_000));
        assert_eq!((few[0], few[2]), (many[0], many[2]));
        assert!(few[1] < many[1]);
    }

    #[test]
    fn every_line_has_a_price_and_unconfirmed_ones_are_marked() {
        let (inputs, prices) = (Inputs::new(1_000_000), Prices::read().unwrap());
        let report = Report::new(&inputs, &prices).unwrap();
        let shown = report.table().to_string();
        for line in &report.lines {
            assert_eq!(
                shown.contains(&format!("{} ?", line.service)),
                line.price.unconfirmed,
                "{}",
                line.service
            );
        }
        assert_eq!(report.json()["lines"].as_array().unwrap().len(), report.lines.len());
    }

    #[test]
    fn what_the_template_has_is_counted_as_it_is() {
        let template = std::fs::read_to_string(crate::workspace::root().join("template.yaml")).unwrap();
        let count = |what: &str| template.lines().filter(|line| line.trim_start().starts_with(what)).count();
        assert_eq!(template.matches("MetricName:").count() as u128, ALARMS);
        assert_eq!(count("Queue: !GetAtt") as u64, QUEUES);
    }
}
