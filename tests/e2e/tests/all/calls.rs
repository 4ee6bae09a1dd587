//! What operations cost in AWS calls: no more than ARCHITECTURE.md grants them under "Access patterns"; and how fast the API answers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Zoned};
use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::salon::{Salon, TOKYO};
use crate::stack::Stack;

/// Calls by operation, as the stack counts them.
type Calls = BTreeMap<String, u64>;

/// The calls that something may make, each at most so often.
type Budget = &'static [(&'static str, u64)];

const BATCH_GET: &str = "dynamodb:BatchGetItem";
const GET: &str = "dynamodb:GetItem";
const PUT: &str = "dynamodb:PutItem";
const QUERY: &str = "dynamodb:Query";
const TRANSACT: &str = "dynamodb:TransactWriteItems";
const UPDATE: &str = "dynamodb:UpdateItem";
const SCHEDULE: &str = "scheduler:CreateSchedule";
const SEND: &str = "sqs:SendMessage";

const CREATE: Budget = &[(BATCH_GET, 1), (TRANSACT, 1)];
const CREATE_BY_STAFF: Budget = &[(BATCH_GET, 1), (QUERY, 1), (TRANSACT, 1)];
const CONFIRM: Budget = &[(GET, 1), (PUT, 1)];
const ARRIVE: Budget = &[(GET, 1), (TRANSACT, 1)];
const CANCEL: Budget = &[(GET, 2), (TRANSACT, 1)];
const RESCHEDULE: Budget = &[(GET, 1), (BATCH_GET, 1), (TRANSACT, 1)];
const TIMELINE: Budget = &[(BATCH_GET, 2), (QUERY, 1)];
const DRY_RUN: Budget = &[(BATCH_GET, 3), (QUERY, 1)];
const CATALOGUE: Budget = &[(GET, 1), (PUT, 1)];
const LIST: Budget = &[(QUERY, 1)];
const LIST_MESSAGES: Budget = &[(QUERY, 1), (BATCH_GET, 1)];
const READ: Budget = &[(GET, 1)];
/// With the note that the key is used.
const AUTHORIZE: Budget = &[(GET, 1), (UPDATE, 1)];

/// How many requests a sandbox counts by one call (`app::limit_requests`).
const SLICE: u64 = 20;

/// What invocations of a function called since so many had run, all together.
fn calls_since(stack: &Stack, function: &str, before: usize) -> Calls {
    let mut calls = Calls::new();
    for run in &stack.invocations(function)[before..] {
        assert_eq!(run["outcome"], "ok", "{run}");
        for (operation, count) in run["aws_calls"].as_object().unwrap() {
            *calls.entry(operation.clone()).or_default() += count.as_u64().unwrap();
        }
    }
    calls
}

/// Does something and says what a function called because of it.
fn calls_of<T>(stack: &Stack, function: &str, act: impl FnOnce() -> T) -> (T, Calls) {
    let before = stack.invocations(function).len();
    let done = act();
    (done, calls_since(stack, function, before))
}

/// Whether calls keep to what so many of an operation may make.
#[track_caller]
fn assert_within(what: &str, calls: &Calls, budget: Budget, times: u64) {
    assert!(!calls.is_empty(), "{what} calls nothing");
    for (operation, count) in calls {
        let granted = budget.iter().find(|(granted, _)| granted == operation).map_or(0, |(_, count)| *count);
        assert!(
            *count <= granted * times,
            "{what} calls {operation} {count} times for {times}, of {granted} each: {calls:?}"
        );
    }
}

/// Takes the counting of requests out of the calls of so many: one for each slice, and one more for each sandbox and minute.
#[track_caller]
fn without_counting(calls: &mut Calls, requests: u64, sandboxes: u64) {
    let counted = calls.remove(UPDATE).unwrap_or(0);
    assert!(counted <= requests.div_ceil(SLICE) + sandboxes, "{counted} counts of {requests} requests");
}

/// Makes a request of the API, which must succeed, within a budget.
#[track_caller]
fn request(stack: &Stack, what: &str, budget: Budget, act: impl FnOnce() -> Answer) -> Value {
    let (answer, mut calls) = calls_of(stack, "booking-api", act);
    let answer = answer.ok();
    without_counting(&mut calls, 1, 0);
    assert_within(what, &calls, budget, 1);
    stack.settle();
    answer
}

#[test]
fn each_request_keeps_to_its_calls() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let api = &salon.api;
    let mut body = salon.booking(&salon.day(2, "15:00"));
    body["source"] = json!("online");
    request(&stack, "trying a booking", DRY_RUN, || api.post("/v1/bookings?dry_run=true", &body));
    let made = request(&stack, "making a booking", CREATE, || api.post("/v1/bookings", &body));
    let keyed = api.with("idempotency-key", "made-once");
    body["start"] = json!(salon.day(2, "17:00").datetime().to_string());
    request(&stack, "making a booking once", CREATE, || keyed.post("/v1/bookings", &body));
    let by_staff = salon.booking(&salon.day(4, "15:00"));
    request(&stack, "making a booking by staff", CREATE_BY_STAFF, || api.post("/v1/bookings", &by_staff));

    let booking = format!("/v1/bookings/{}", made["id"].as_str().unwrap());
    let change = |operation: &str| api.post(&format!("{booking}/{operation}"), &json!({}));
    request(&stack, "confirming", CONFIRM, || change("confirm"));
    let moved = json!({ "start": salon.day(2, "19:00").datetime().to_string() });
    request(&stack, "moving", RESCHEDULE, || api.post(&format!("{booking}/reschedule"), &moved));
    request(&stack, "reading a booking", READ, || api.get(&booking));
    request(&stack, "reading a timeline", TIMELINE, || api.get(&format!("{booking}/timeline")));
    request(&stack, "arriving", ARRIVE, || change("arrive"));
    let other = request(&stack, "making another", CREATE, || {
        body["start"] = json!(salon.day(3, "10:00").datetime().to_string());
        api.post("/v1/bookings", &body)
    });
    let cancel = format!("/v1/bookings/{}/cancel", other["id"].as_str().unwrap());
    request(&stack, "cancelling", CANCEL, || api.post(&cancel, &json!({})));
    request(&stack, "making a service", CATALOGUE, || {
        api.post("/v1/services", &json!({ "name": "Colour", "duration_minutes": 90 }))
    });
    request(&stack, "listing tasks", LIST, || api.get("/v1/tasks"));
}

#[test]
fn planning_delivering_and_the_authorizer_keep_to_their_calls() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let functions = ["booking-stream", "deliver-email", "deliver-sms", "deliver-push", "booking-check"];
    let before = functions.map(|function| stack.invocations(function).len());
    let since = |function: &str| {
        let index = functions.iter().position(|it| *it == function).unwrap();
        calls_since(&stack, function, before[index])
    };
    salon.book(&salon.day(2, "15:00"));
    // Three reminders and the check whether the client is late have timers; three notices leave at once.
    let plan: Budget = &[(BATCH_GET, 1), (QUERY, 1), (SCHEDULE, 4), (TRANSACT, 1), (SEND, 3)];
    assert_within("planning a booking", &since("booking-stream"), plan, 1);
    let deliver: [(&str, Budget); 3] = [
        ("deliver-email", &[(BATCH_GET, 1), (PUT, 2), ("ses:SendEmail", 1)]),
        ("deliver-sms", &[(BATCH_GET, 1), (PUT, 2), ("sns:Publish", 1)]),
        ("deliver-push", &[(BATCH_GET, 1), (PUT, 2), ("sns:CreatePlatformEndpoint", 1), ("sns:Publish", 1)]),
    ];
    for (function, budget) in deliver {
        assert_within(function, &since(function), budget, 1);
    }
    salon.run_to(&salon.day(2, "15:11"));
    let check: Budget = &[(BATCH_GET, 1), (TRANSACT, 1)];
    assert_within("looking whether a client is late", &since("booking-check"), check, 1);
    // However many requests there were.
    let authorized = calls_since(&stack, "authorizer", 0);
    assert_within("authorizing", &authorized, AUTHORIZE, stack.invocations("authorizer").len() as u64);
    assert_eq!(authorized[UPDATE], 1, "a key's use is noted once an hour");
}

// ------------------------------------------------------------------ load

/// An operation under load: its name, and what each request may call.
const UNDER_LOAD: [(&str, Budget); 4] = [
    ("read the business", READ),
    ("create a booking", CREATE),
    ("list tasks", LIST),
    ("list 50 messages", LIST_MESSAGES),
];

/// How many requests each operation has at each concurrency, and at which: `cargo xtask bench api` asks for more.
fn load() -> (usize, Vec<usize>) {
    match std::env::var("API_REQUESTS").ok().and_then(|many| many.parse().ok()) {
        Some(many) => (many, vec![1, 2, 4]),
        None => (8, vec![4]),
    }
}

/// What each caller works with: nothing of it is another's.
struct Caller {
    api: Http,
    /// The booking it makes, but for the start.
    booking: Value,
    /// When the next booking starts.
    next: Zoned,
}

impl Caller {
    fn new(salon: &Salon<'_>) -> Self {
        let next = salon.day(1, "00:00");
        let mut booking = salon.booking(&next);
        booking["resource_id"] = json!(salon.new_resource(1));
        booking["client_ids"] = json!([salon.new_client().id]);
        booking["source"] = json!("online");
        Self { api: salon.api.clone(), booking, next }
    }

    /// Calls until it is answered, and says how often it was asked to try again before: the stand-in for DynamoDB may be slower than the functions wait.
    fn call(&mut self, operation: &str) -> u64 {
        for again in 0.. {
            let answer = self.ask(operation);
            if answer.status != 503 || again == 10 {
                answer.ok();
                return again;
            }
        }
        unreachable!("it ends after ten")
    }

    fn ask(&mut self, operation: &str) -> Answer {
        match operation {
            "read the business" => self.api.get("/v1/business"),
            "list tasks" => self.api.get("/v1/tasks"),
            "list 50 messages" => self.api.get("/v1/messages?limit=50"),
            _ => {
                self.booking["start"] = json!(self.next.datetime().to_string());
                self.next += SignedDuration::from_hours(1);
                self.api.post("/v1/bookings", &self.booking)
            }
        }
    }
}

/// Has so many requests made by callers at the same time. Gives how long each took, all together, and how often somebody was asked to try again.
fn take_turns(callers: &mut [Caller], operation: &str, requests: usize) -> (Vec<Duration>, Duration, u64) {
    let (took, again) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let each = requests / callers.len();
    let begun = Instant::now();
    thread::scope(|scope| {
        for caller in callers {
            scope.spawn(|| {
                for _ in 0..each {
                    let asked = Instant::now();
                    again.fetch_add(caller.call(operation), Ordering::Relaxed);
                    took.lock().unwrap().push(asked.elapsed());
                }
            });
        }
    });
    (took.into_inner().unwrap(), begun.elapsed(), again.into_inner())
}

#[test]
#[expect(clippy::print_stdout, reason = "`cargo xtask bench api` reads it")]
fn requests_keep_to_their_calls_under_load() {
    let (requests, at_once) = load();
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for callers in at_once {
        let mut callers: Vec<Caller> = (0..callers).map(|_| Caller::new(&salon)).collect();
        // In rounds, so that whatever else the machine does meets all of them. The first starts every sandbox, and does not count.
        let mut seen: BTreeMap<&str, (Vec<Duration>, Duration, u64, Calls)> = BTreeMap::new();
        let per_round = requests.div_ceil(4).max(callers.len());
        for round in 0..=4 {
            for (operation, _) in UNDER_LOAD {
                let ((took, all, again), calls) =
                    calls_of(&stack, "booking-api", || take_turns(&mut callers, operation, per_round));
                if round > 0 {
                    let so_far = seen.entry(operation).or_default();
                    so_far.0.extend(took);
                    so_far.1 += all;
                    so_far.2 += again;
                    calls.into_iter().for_each(|(call, count)| *so_far.3.entry(call).or_default() += count);
                }
            }
        }
        for (operation, budget) in UNDER_LOAD {
            let (took, all, again, mut calls) = seen.remove(operation).unwrap();
            let line = calls.clone();
            // Each round may begin a minute.
            let requests = took.len() as u64 + again;
            without_counting(&mut calls, requests, 4 * callers.len() as u64);
            // What was answered late, the SDK asks for once more.
            if again == 0 {
                assert_within(operation, &calls, budget, requests);
            }
            let calls = line;
            let microseconds: Vec<u128> = took.iter().map(Duration::as_micros).collect();
            let line = json!({
                "operation": operation, "callers": callers.len(), "took_us": microseconds,
                "all_us": all.as_micros(), "again": again, "calls": calls,
            });
            println!("{line}");
        }
    }
}
