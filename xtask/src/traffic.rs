//! What so many bookings make the system do: requests, messages, timers, invocations, read and write units.
//!
//! A model, not a measurement. How often something happens follows from [`Inputs`]; what it takes each time is in [`operations`], from
//! the table under "Access patterns" in ARCHITECTURE.md, at the dearer end where that has a range. `cargo xtask cost` puts prices to it,
//! `cargo xtask scale` holds it against quotas.

use serde::Serialize;

/// What the reckoning starts from. Each default has its source beside it.
#[derive(Debug, Clone, Serialize)]
pub struct Inputs {
    /// New bookings.
    pub bookings: u64,
    /// Businesses that make them. Assumed: one for 300 bookings a month, three chairs with four or five visits a day.
    pub businesses: u64,
    /// Messages that a booking makes if nothing happens to it. Three notices at once and three reminders: what the defaults of SPEC.md §3
    /// make of a booking, and what tests/e2e/tests/all/calls.rs counts.
    pub messages_per_booking: u64,
    /// How many of a hundred of them wait for a timer: the three reminders of six.
    pub later_percent: u64,
    /// Checks of a booking with a timer each: whether the client is late (the same test).
    pub checks_per_booking: u64,
    /// Bookings of a hundred that are moved once. Assumed.
    pub moved_percent: u64,
    /// Bookings of a hundred that are called off before their reminders. Assumed. The others arrive and are completed.
    pub cancelled_percent: u64,
    /// Requests that only read, for each booking, a page of twenty bookings each. Assumed: the calendar is looked at.
    pub looks_per_booking: u64,
    /// E-mails of a hundred messages: one of the six of `messages_per_booking`.
    pub email_percent: u64,
    /// Text messages of a hundred messages: two of the six. The rest is push.
    pub sms_percent: u64,
    /// Size of a row of the ledger with its text and its traces, in KB. Assumed; ARCHITECTURE.md counts with 1.
    pub row_kb: u64,
    /// Queue messages that an invocation gets at once where they came from timers. The template allows 10; visits begin on the quarter of an
    /// hour, so timers come together. Assumed. What is due at once comes alone.
    pub timer_batch: u64,
    /// Changes that the event publisher gets at once: it waits a second for more. Assumed.
    pub publish_batch: u64,
    /// How long the functions run.
    pub durations: Durations,
    /// Memory of a function, in MB: `MemorySize` in template.yaml.
    pub memory_mb: u64,
    /// What CloudWatch Logs takes in for an invocation: three lines of the platform's and one of ours. Assumed.
    pub log_bytes: u64,
    /// What SNS writes there for each text message. Assumed.
    pub sms_log_bytes: u64,
}

/// Billed milliseconds of one invocation. Assumed, not measured on AWS: a read or write of DynamoDB 6, a transaction 15, Scheduler 30, SQS
/// and EventBridge 8, a provider 80, our own part 2, in the order in which ARCHITECTURE.md lists the calls. The records of a batch are
/// worked on at the same time (`shared/runtime/src/batch.rs`), so a batch takes as long as one record.
#[derive(Debug, Clone, Serialize)]
pub struct Durations {
    /// The authorizer: one read.
    pub authorize_ms: u64,
    /// A request: a read, a transaction, the count.
    pub request_ms: u64,
    /// Planning a booking: two reads, timers, a transaction, queues.
    pub plan_ms: u64,
    /// Delivering: a read, the claim, the provider, the record.
    pub deliver_ms: u64,
    /// Checking a booking: a read, a transaction.
    pub check_ms: u64,
    /// Taking a report: a query, a read, a write.
    pub report_ms: u64,
    /// Telling the bus: a read, one call for ten events.
    pub publish_ms: u64,
    /// One query of a polling design.
    pub poll_ms: u64,
    /// A sweep: sixteen queries, and what they find.
    pub sweep_ms: u64,
}

/// Bookings of a business in a month, where `--businesses` does not say otherwise.
const BOOKINGS_PER_BUSINESS: u64 = 300;

/// Minutes of a month of thirty days.
pub const MINUTES: u64 = 43_200;

/// Sweeps in a month: one each quarter of an hour.
pub const SWEEPS: u64 = MINUTES / 15;

impl Inputs {
    /// The defaults for so many bookings.
    pub fn new(bookings: u64) -> Self {
        Self {
            bookings,
            businesses: bookings.div_ceil(BOOKINGS_PER_BUSINESS),
            messages_per_booking: 6,
            later_percent: 50,
            checks_per_booking: 1,
            moved_percent: 10,
            cancelled_percent: 15,
            looks_per_booking: 3,
            email_percent: 17,
            sms_percent: 33,
            row_kb: 2,
            timer_batch: 5,
            publish_batch: 2,
            durations: Durations {
                authorize_ms: 8,
                request_ms: 29,
                plan_ms: 67,
                deliver_ms: 100,
                check_ms: 23,
                report_ms: 20,
                publish_ms: 16,
                poll_ms: 6,
                sweep_ms: 2_000,
            },
            memory_mb: 256,
            log_bytes: 1_500,
            sms_log_bytes: 700,
        }
    }
}

/// How often what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// Bookings moved.
    pub moved: u64,
    /// Bookings called off.
    pub cancelled: u64,
    /// Bookings that came about.
    pub visits: u64,
    /// Changes of bookings that are planned: made, moved, called off, arrived, completed.
    pub changes: u64,
    /// Requests to the API.
    pub requests: u64,
    /// Timers set.
    pub timers_set: u64,
    /// Timers that come to fire: those of moved and cancelled bookings are withdrawn.
    pub timers_fired: u64,
    /// Messages that leave at once.
    pub now: u64,
    /// Messages that leave when their timer fires.
    pub later: u64,
    /// Checks.
    pub checks: u64,
    /// E-mails among the messages.
    pub emails: u64,
    /// Text messages among them.
    pub sms: u64,
    /// Push messages among them.
    pub push: u64,
    /// Reports of providers: one for each e-mail and each text message.
    pub reports: u64,
    /// Rows of the ledger that come into being.
    pub rows_planned: u64,
    /// Rows that are superseded.
    pub rows_superseded: u64,
    /// Events on the bus: each change, and of each message that it left and what was reported of it.
    pub bus_events: u64,
}

impl Events {
    /// What follows from the inputs.
    pub fn new(inputs: &Inputs) -> Self {
        let bookings = inputs.bookings;
        let percent = |of: u64, percent: u64| of * percent / 100;
        let moved = percent(bookings, inputs.moved_percent);
        let cancelled = percent(bookings, inputs.cancelled_percent);
        let visits = bookings - cancelled;
        let changes = bookings + moved + cancelled + 2 * visits;
        let later_each = percent(inputs.messages_per_booking, inputs.later_percent);
        let now_each = inputs.messages_per_booking - later_each;
        let timers_each = later_each + inputs.checks_per_booking;
        // A move and a cancellation tell as many as the booking itself did.
        let now = now_each * (bookings + moved + cancelled);
        let later = later_each * visits;
        let messages = now + later;
        let (emails, sms) = (percent(messages, inputs.email_percent), percent(messages, inputs.sms_percent));
        let reports = emails + sms;
        Self {
            moved,
            cancelled,
            visits,
            changes,
            requests: changes + bookings * inputs.looks_per_booking,
            timers_set: timers_each * (bookings + moved),
            timers_fired: timers_each * visits,
            now,
            later,
            checks: inputs.checks_per_booking * visits,
            emails,
            sms,
            push: messages - emails - sms,
            reports,
            rows_planned: (inputs.messages_per_booking + inputs.checks_per_booking) * (bookings + moved)
                + now_each * cancelled,
            rows_superseded: timers_each * (moved + cancelled),
            bus_events: changes + messages + reports,
        }
    }

    /// All messages.
    pub fn messages(&self) -> u64 {
        self.now + self.later
    }
}

/// A table of DynamoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Table {
    /// The facts.
    Bookings,
    /// The ledger.
    Messages,
}

/// An operation on a table: how often, and what it takes each time.
#[derive(Debug, Clone, Serialize)]
pub struct Operation {
    /// As ARCHITECTURE.md calls it.
    pub name: &'static str,
    /// The table.
    pub table: Table,
    /// How often.
    pub times: u64,
    /// Read request units each time, in halves: an eventually consistent read takes half a unit.
    pub half_reads: u64,
    /// Write request units each time, those of indexes included.
    pub writes: u64,
    /// Writes to the index of open rows among them.
    pub open_writes: u64,
}

/// What all designs do in DynamoDB. The numbers are those of the rows of the same names in ARCHITECTURE.md.
pub fn operations(inputs: &Inputs, events: &Events) -> Vec<Operation> {
    use Table::{Bookings, Messages};
    let row = inputs.row_kb;
    // A consistent query of the booking's rows: a unit for each 4 KB.
    let ledger = ((inputs.messages_per_booking + inputs.checks_per_booking) * row).div_ceil(4);
    let of = |name, table, times, half_reads, writes| Operation {
        name,
        table,
        times,
        half_reads,
        writes,
        open_writes: 0,
    };
    let opening = |operation: Operation| Operation { open_writes: 1, ..operation };
    vec![
        // As if its answer were never in API Gateway's cache.
        of("authorize a key", Bookings, events.requests, 2, 0),
        // As if each were the first of its sandbox in its minute.
        of("count requests against the limit", Messages, events.requests, 0, 1),
        of("a page of bookings", Bookings, inputs.bookings * inputs.looks_per_booking, 1 + 2 * 20, 0),
        // By staff; and two indexes: by client, by month.
        of("create a booking", Bookings, inputs.bookings, 2 * 9 + 1, 8 + 2),
        of("reschedule", Bookings, events.moved, 2 * 6, 10 + 2),
        of("cancel", Bookings, events.cancelled, 2 * 3, 8 + 2),
        of("arrive, complete", Bookings, 2 * events.visits, 2 * 2, 6),
        of("plan a booking: facts", Bookings, events.changes, 2 * 7, 0),
        of("plan a booking: ledger", Messages, events.changes, 2 * ledger, 0),
        // In a transaction, so twice; and three indexes: by business, by recipient, open.
        opening(of("plan a booking: a new row", Messages, events.rows_planned, 0, 2 * row + 3)),
        opening(of("plan a booking: a superseded row", Messages, events.rows_superseded, 0, 2 * row + 1)),
        of("deliver: facts", Bookings, events.messages(), 2 * 8, 0),
        // The claim and the record; then the row is no longer open, and has a provider's id.
        opening(of("deliver: the row", Messages, events.messages(), 2 * row.div_ceil(4), 2 * row + 2)),
        of("check a booking: facts", Bookings, events.checks, 2 * 7, 0),
        opening(of("check a booking: the row", Messages, events.checks, 0, 2)),
        // By index where the provider does not say our name for the message.
        of("take a report", Messages, events.reports, 2 * 9 + 1, row),
    ]
}

/// Invocations of a function, and how long each is billed.
#[derive(Debug, Clone, Serialize)]
pub struct Work {
    /// The function.
    pub function: &'static str,
    /// How often.
    pub invocations: u64,
    /// Milliseconds each time.
    pub ms: u64,
}

/// What all designs run on Lambda: everything but what a timer leads to.
pub fn work(inputs: &Inputs, events: &Events) -> Vec<Work> {
    let durations = &inputs.durations;
    let of = |function, invocations, ms| Work { function, invocations, ms };
    vec![
        of("authorizer", events.requests, durations.authorize_ms),
        of("booking-api", events.requests, durations.request_ms),
        of("booking-stream", events.changes, durations.plan_ms),
        of("deliver-*, at once", events.now, durations.deliver_ms),
        of("delivery-feedback", events.reports, durations.report_ms),
        of("event-publisher", events.bus_events.div_ceil(inputs.publish_batch), durations.publish_ms),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred bookings: ten are moved, fifteen called off, 85 come about.
    #[test]
    fn a_hundred_bookings_by_hand() {
        let events = Events::new(&Inputs::new(100));
        assert_eq!((events.moved, events.cancelled, events.visits), (10, 15, 85));
        assert_eq!(events.changes, 100 + 10 + 15 + 170);
        assert_eq!(events.requests, 295 + 300);
        // Three reminders and a check each.
        assert_eq!((events.timers_set, events.timers_fired), (4 * 110, 4 * 85));
        assert_eq!((events.now, events.later, events.checks), (3 * 125, 3 * 85, 85));
        // Of 630 messages 17 % and 33 %, rounded down.
        assert_eq!((events.emails, events.sms, events.push), (107, 207, 316));
        // Seven rows for each plan of a booking that is ahead, three for the news of its end.
        assert_eq!((events.rows_planned, events.rows_superseded), (7 * 110 + 3 * 15, 4 * 25));
        assert_eq!(events.bus_events, 295 + 630 + 314);
    }

    #[test]
    fn more_bookings_and_more_messages_never_do_less() {
        let of = |bookings, messages| {
            let inputs = Inputs { messages_per_booking: messages, ..Inputs::new(bookings) };
            let events = Events::new(&inputs);
            let units = |operation: Operation| operation.times * (operation.half_reads + operation.writes);
            let ms = |work: Work| work.invocations * work.ms;
            (
                operations(&inputs, &events).into_iter().map(units).sum::<u64>(),
                super::work(&inputs, &events).into_iter().map(ms).sum::<u64>(),
                events.timers_fired,
            )
        };
        let mut before = (0, 0, 0);
        for bookings in [0, 1, 10, 99, 100, 1_000, 1_000_000] {
            let now = of(bookings, 6);
            assert!(now.0 >= before.0 && now.1 >= before.1 && now.2 >= before.2, "{bookings}");
            let more = of(bookings, 7);
            assert!(more.0 >= now.0 && more.1 >= now.1 && more.2 >= now.2, "{bookings}");
            before = now;
        }
    }

    #[test]
    fn a_booking_without_messages_sends_none() {
        let events = Events::new(&Inputs { messages_per_booking: 0, ..Inputs::new(100) });
        assert_eq!((events.messages(), events.reports), (0, 0));
        assert_eq!(events.timers_fired, 85, "its checks are left");
    }
}
