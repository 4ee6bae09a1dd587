//! A local stack of a test's own.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::http::Http;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const PARAMETERS: [&str; 5] = [
    "EmailFrom=Salon <hello@salon.example>",
    "EmailIdentityArn=arn:aws:ses:us-east-1:000000000000:identity/salon.example",
    "ApnsApplicationArn=arn:aws:sns:us-east-1:000000000000:app/APNS/local",
    "FcmApplicationArn=arn:aws:sns:us-east-1:000000000000:app/GCM/local",
    "RequestsPerMinute=100000",
];

/// Longest wait for a condition.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running stack; stopped by its process id when dropped.
pub struct Stack {
    child: Child,
    state: PathBuf,
    ready: Value,
    /// The HTTP API, without a key.
    pub api: Http,
    /// Time machine, outbox, faults.
    pub control: Http,
}

impl Stack {
    /// Starts a stack on ports of its own and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with parameters of the template's that are not as in other tests: `Name=value`.
    pub fn start_with(parameters: &[&str]) -> Self {
        for program in programs() {
            assert!(program.exists(), "{} is missing: `cargo xtask test` builds it", program.display());
        }
        let name = thread::current().name().unwrap_or("stack").replace("::", "-");
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let mut command = Command::new(built("local-stack"));
        command
            .current_dir(ROOT)
            .args(["--functions-dir", "target/local", "--template", "template.yaml"])
            .args(["--base-port", &base_port().to_string()])
            .args(["--ministack", ".venv/bin/ministack", "--state-dir"])
            .arg(&state)
            // What functions did in all tests is held against what they may do; xtask/src/policies.rs.
            .args(["--grants", concat!(env!("CARGO_TARGET_TMPDIR"), "/grants.jsonl")]);
        let name_of = |parameter: &str| parameter.split('=').next().unwrap_or_default().to_owned();
        let own: Vec<String> = parameters.iter().map(|parameter| name_of(parameter)).collect();
        let usual = PARAMETERS.iter().filter(|parameter| !own.contains(&name_of(parameter)));
        for parameter in usual.chain(parameters) {
            command.args(["--parameter", parameter]);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut complaints = child.stderr.take().unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            let mut said = String::new();
            let _ = complaints.read_to_string(&mut said);
            let _ = child.wait();
            panic!("the local stack did not start: {said}");
        };
        // A full pipe would stop it. What it says of faults is not this test's matter.
        thread::spawn(move || std::io::copy(&mut complaints, &mut std::io::sink()));
        let http = |field: &str| Http::new(ready[field].as_str().unwrap());
        let stack = Self { api: http("api"), control: http("control"), child, state, ready };
        // What providers report of messages, tests say.
        for channel in ["email", "sms", "push", "whatsapp", "telegram"] {
            stack.control.post(&format!("/feedback/{channel}"), &json!({ "events": [] })).ok();
        }
        // The sweeper sweeps where a test asks for it: a sweep before each event of a long journey would be half of the work.
        stack.control.post("/function-schedules", &json!({ "mode": "off" })).ok();
        stack
    }

    /// Makes a business and returns its API key.
    pub fn business(&self, name: &str, zone: &str) -> String {
        let made = self.admin(&["create-business", "--name", name, "--zone", zone, "--json"]);
        let made: Value = serde_json::from_str(&made).unwrap();
        made["api_key"].as_str().unwrap().to_owned()
    }

    /// Runs a command of the operator's and returns what it prints.
    #[track_caller]
    pub fn admin(&self, command: &[&str]) -> String {
        let output = self.for_admin(Command::new(Self::admin_tool()).args(command)).output().unwrap();
        assert!(output.status.success(), "admin: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Where the operator's tool is.
    pub fn admin_tool() -> PathBuf {
        built("admin")
    }

    /// Tells a command what the operator's tool needs to work on this stack.
    pub fn for_admin<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", self.ready["ministack"].as_str().unwrap())
            .env("BOOKINGS_TABLE", self.table("BookingsTable"))
    }

    /// The same, as `cargo xtask redrive --local` and `replay` do it.
    #[track_caller]
    pub fn operate(&self, command: &[&str]) -> String {
        self.admin(&[command, &["--stack", "local"]].concat())
    }

    /// A table's stream: its ARN, its shard, and the numbers of the first and the last record.
    pub fn stream_of(&self, table: &str) -> (String, String, String, String) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let described = self.dynamodb("DescribeTable", table, json!({}));
        let arn = text(&described["Table"]["LatestStreamArn"]);
        let streams = |operation: &str, request: Value| {
            self.aws("dynamodb", &format!("DynamoDBStreams_20120810.{operation}"), &request)
        };
        let stream = streams("DescribeStream", json!({ "StreamArn": arn }));
        let shard = text(&stream["StreamDescription"]["Shards"][0]["ShardId"]);
        let oldest = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
        let iterator = streams("GetShardIterator", oldest)["ShardIterator"].take();
        let records = list(streams("GetRecords", json!({ "ShardIterator": iterator }))["Records"].take());
        let number = |record: Option<&Value>| text(&record.unwrap()["dynamodb"]["SequenceNumber"]);
        (arn, shard, number(records.first()), number(records.last()))
    }

    fn table(&self, id: &str) -> &str {
        self.ready["tables"][id].as_str().unwrap()
    }

    /// Calls DynamoDB itself, past every function, for the table with this logical id.
    pub fn dynamodb(&self, operation: &str, table: &str, mut request: Value) -> Value {
        request["TableName"] = json!(self.table(table));
        self.aws("dynamodb", &format!("DynamoDB_20120810.{operation}"), &request)
    }

    /// Calls a service behind the functions.
    fn aws(&self, service: &str, target: &str, request: &Value) -> Value {
        let credential =
            format!("AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/{service}/aws4_request");
        Http::new(self.ready["ministack"].as_str().unwrap())
            .with("content-type", "application/x-amz-json-1.0")
            .with("x-amz-target", target)
            .with("authorization", &format!("{credential}, SignedHeaders=host, Signature=0"))
            .post("/", request)
            .ok()
    }

    /// Every row of both tables, in a fixed order.
    pub fn rows(&self) -> Vec<String> {
        let rows_of = |table| {
            let scanned = self.dynamodb("Scan", table, json!({ "ConsistentRead": true }));
            assert!(scanned.get("LastEvaluatedKey").is_none(), "one page holds all of them");
            list(scanned["Items"].clone()).into_iter().map(|row| row.to_string())
        };
        let mut rows: Vec<String> = rows_of("BookingsTable").chain(rows_of("MessagesTable")).collect();
        rows.sort();
        rows
    }

    /// [`rows`](Self::rows) but for what any request to the API may change: the counts of requests, and when a key was last used.
    pub fn facts(&self) -> Vec<String> {
        let mut rows = self.rows();
        rows.retain(|row| !row.contains("\"REQUESTS#") && !row.contains("\"credential\""));
        rows
    }

    /// The stack's time.
    pub fn now(&self) -> Timestamp {
        instant(&self.control.get("/time").ok()["now"])
    }

    /// Runs the stack to an instant: everything that is due on the way happens, each at its time.
    #[track_caller]
    pub fn run_to(&self, to: Timestamp) {
        self.control.post("/time/run-to", &json!({ "to": to.to_string() })).ok();
    }

    /// Runs the stack on by some time.
    #[track_caller]
    pub fn run_on(&self, time: SignedDuration) {
        self.run_to(self.now() + time);
    }

    /// Waits until nothing is left to do now.
    #[track_caller]
    pub fn settle(&self) {
        self.run_on(SignedDuration::from_secs(1));
    }

    /// Everything that left, oldest first.
    pub fn outbox(&self) -> Vec<Value> {
        list(self.control.get("/outbox").ok())
    }

    /// The schedules that wait.
    pub fn schedules(&self) -> Vec<Value> {
        list(self.control.get("/schedules").ok())
    }

    /// What ran, in the order it ended.
    pub fn invocations(&self, function: &str) -> Vec<Value> {
        let all = list(self.control.get("/invocations").ok());
        all.into_iter().filter(|entry| entry["function"] == function).collect()
    }

    /// The bodies of the messages in a queue that nobody listens to.
    pub fn messages_in(&self, queue: &str) -> Vec<String> {
        let messages = list(self.control.get(&format!("/queues/{queue}/messages")).ok());
        messages.iter().map(|message| message["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Brings about a fault.
    #[track_caller]
    pub fn fault(&self, kind: &str, how: Value) -> Value {
        self.control.post(&format!("/faults/{kind}"), &how).ok()
    }

    /// Tells a provider how to behave.
    #[track_caller]
    pub fn provider(&self, channel: &str, instruction: Value) {
        self.control.post(&format!("/providers/{channel}"), &instruction).ok();
    }

    /// Waits until an invocation of a function has died for the `count`th time.
    #[track_caller]
    pub fn wait_for_deaths(&self, function: &str, count: usize) {
        let died =
            || self.invocations(function).iter().filter(|entry| entry["outcome"] == "crash").count() >= count;
        wait_until(&format!("{function} died {count} times"), died);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let end = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("what the functions logged is in {}", self.state.join("logs").display());
        } else {
            let _ = std::fs::remove_dir_all(&self.state);
        }
    }
}

/// Waits for a condition.
#[track_caller]
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// An instant in JSON.
#[track_caller]
pub fn instant(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no instant"))
}

#[track_caller]
pub fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => panic!("{other} is no list"),
    }
}

fn built(program: &str) -> PathBuf {
    Path::new(ROOT).join("target/local").join(program)
}

/// The first of three free ports in a row. Below the range from which the system gives out ports, which could take one back before it is
/// used, and by this process's id, so that tests that run side by side do not look at the same ones.
fn base_port() -> u16 {
    static STACKS: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let index = (std::process::id() * 8 + STACKS.fetch_add(1, Ordering::Relaxed)) % 7_000;
        let base = 10_000 + 3 * u16::try_from(index).unwrap();
        if (base..base + 3).all(is_free) {
            return base;
        }
    }
}

/// What the stack is made of.
fn programs() -> Vec<PathBuf> {
    let functions = std::fs::read_dir(Path::new(ROOT).join("functions")).unwrap();
    let mut programs: Vec<PathBuf> =
        functions.map(|folder| built(folder.unwrap().file_name().to_str().unwrap())).collect();
    programs.extend([built("local-stack"), built("admin"), Path::new(ROOT).join(".venv/bin/ministack")]);
    programs
}
