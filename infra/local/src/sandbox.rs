//! Runs the functions: a process per concurrent invocation, fed by the Lambda Runtime API
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>) and kept warm.
//!
//! Each sandbox has a loopback listener of its own, which serves the Runtime API and, on every other path, its AWS
//! calls: so it is always known which invocation calls.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::activity::Activity;
use crate::clock::Clock;
use crate::error::StackError;
use crate::faults::Faults;
use crate::proxy::{Calls, Proxy};
use crate::template::{FunctionSpec, REGION};

/// A function has this long from its start to its first request for work.
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib>
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// The largest answer of a synchronous invocation, in bytes.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const LARGEST_ANSWER: usize = 6 * 1024 * 1024;
/// How many invocations the journal remembers.
const JOURNAL_LENGTH: usize = 10_000;

/// What all functions share.
#[derive(Debug)]
pub struct Host {
    /// Where the binaries are.
    pub functions_dir: PathBuf,
    /// Where each function's log is written.
    pub logs_dir: PathBuf,
    /// The stack's time.
    pub clock: Arc<Clock>,
    /// The way to the AWS services.
    pub proxy: Proxy,
    /// Faults that wait for an invocation.
    pub faults: Arc<Faults>,
    /// Who is busy.
    pub activity: Arc<Activity>,
    /// What ran.
    pub journal: Journal,
}

/// What became of an invocation. Payloads are JSON, Lambda's own error object where the function gave none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The function answered.
    Ok(Bytes),
    /// The function reported an error, at start or for this event.
    FunctionError(Bytes),
    /// The function took longer than its timeout and was killed.
    Timeout(Bytes),
    /// The process ended or could not start.
    Crash(Bytes),
    /// Its reserved concurrency was used up.
    Throttled,
}

impl Outcome {
    /// The function's answer, if it gave one.
    pub fn answer(&self) -> Option<&Bytes> {
        match self {
            Self::Ok(answer) => Some(answer),
            _ => None,
        }
    }

    /// What there is to read, an answer or an error.
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Ok(payload)
            | Self::FunctionError(payload)
            | Self::Timeout(payload)
            | Self::Crash(payload) => payload,
            Self::Throttled => {
                b"{\"errorMessage\":\"Rate Exceeded.\",\"errorType\":\"TooManyRequestsException\"}"
            }
        }
    }

    /// One word for the journal.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::FunctionError(_) => "function_error",
            Self::Timeout(_) => "timeout",
            Self::Crash(_) => "crash",
            Self::Throttled => "throttled",
        }
    }
}

/// A finished invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Its request id.
    pub request_id: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether it has written to a table or sent to a queue, so that others may have something to do.
    pub wrote: bool,
}

/// One line of the journal.
#[derive(Debug, Clone, Serialize)]
pub struct JournalEntry {
    /// The function's name.
    pub function: String,
    /// The invocation's request id.
    pub request_id: String,
    /// When it began, in the stack's time.
    pub started: Timestamp,
    /// How long it took, the sandbox's start included, in real milliseconds.
    pub duration_ms: u64,
    /// Whether a sandbox had to be started for it.
    pub cold: bool,
    /// `ok`, `function_error`, `timeout`, `crash` or `throttled`.
    pub outcome: &'static str,
    /// Its AWS calls by operation, as `dynamodb:UpdateItem`.
    pub aws_calls: BTreeMap<String, u32>,
}

/// The latest invocations, in the order they ended.
#[derive(Debug, Default)]
pub struct Journal(Mutex<VecDeque<JournalEntry>>);

impl Journal {
    /// A copy of what is remembered.
    pub fn entries(&self) -> Vec<JournalEntry> {
        lock(&self.0).iter().cloned().collect()
    }

    fn add(&self, entry: JournalEntry) {
        let mut entries = lock(&self.0);
        if entries.len() == JOURNAL_LENGTH {
            entries.pop_front();
        }
        entries.push_back(entry);
    }
}

/// A function of the template with its warm sandboxes.
#[derive(Debug)]
pub struct Function {
    /// What the template says of it.
    pub spec: FunctionSpec,
    host: Arc<Host>,
    binary: PathBuf,
    warm: Mutex<Vec<Sandbox>>,
    reserved: Option<Semaphore>,
}

impl Function {
    /// A function ready to be invoked; nothing is started yet.
    ///
    /// # Errors
    /// Its binary does not exist.
    pub fn new(spec: FunctionSpec, host: Arc<Host>) -> Result<Arc<Self>, StackError> {
        let binary = host.functions_dir.join(&spec.name);
        std::fs::metadata(&binary).map_err(|source| StackError::file(&binary, source))?;
        let reserved = spec.reserved_concurrency.map(Semaphore::new);
        Ok(Arc::new(Self { spec, host, binary, warm: Mutex::default(), reserved }))
    }

    /// Invokes the function with an event in JSON. It runs to its end even if the caller goes away.
    pub async fn invoke(self: &Arc<Self>, event: Bytes) -> Invocation {
        let function = Arc::clone(self);
        match tokio::spawn(async move { function.run(event).await }).await {
            Ok(invocation) => invocation,
            Err(stopped) => Invocation {
                request_id: String::new(),
                outcome: Outcome::Crash(error_object("Runtime.Stopped", &stopped.to_string())),
                wrote: true,
            },
        }
    }

    async fn run(&self, event: Bytes) -> Invocation {
        let _running = self.host.activity.begin();
        let request_id = Uuid::new_v4().to_string();
        let (started, begun) = (self.host.clock.now(), Instant::now());
        let FunctionSpec { name, policy, .. } = &self.spec;
        let calls = Arc::new(Calls::new(name, policy, self.host.faults.take_kill(name)));
        let mut cold = false;
        let outcome = self.attempt(&request_id, event, &calls, &mut cold).await;
        self.host.journal.add(JournalEntry {
            function: self.spec.name.clone(),
            request_id: request_id.clone(),
            started,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            cold,
            outcome: outcome.word(),
            aws_calls: calls.counts(),
        });
        Invocation { request_id, outcome, wrote: calls.wrote() }
    }

    async fn attempt(&self, request_id: &str, event: Bytes, calls: &Arc<Calls>, cold: &mut bool) -> Outcome {
        let _permit = match self.reserved.as_ref().map(Semaphore::try_acquire) {
            Some(Err(_)) => return Outcome::Throttled,
            Some(Ok(permit)) => Some(permit),
            None => None,
        };
        let mut sandbox = match self.warm_sandbox() {
            Some(sandbox) => {
                sandbox.shared.now_calling(calls);
                sandbox
            }
            None => {
                *cold = true;
                match self.start(calls).await {
                    Ok(sandbox) => sandbox,
                    Err(outcome) => return outcome,
                }
            }
        };
        let (outcome, reusable) = sandbox.handle(request_id, event, self, calls).await;
        if reusable {
            lock(&self.warm).push(sandbox);
        }
        outcome
    }

    fn warm_sandbox(&self) -> Option<Sandbox> {
        let mut warm = lock(&self.warm);
        while let Some(mut sandbox) = warm.pop() {
            if matches!(sandbox.process.try_wait(), Ok(None)) {
                return Some(sandbox);
            }
        }
        None
    }

    /// Starts a sandbox and waits until it asks for work.
    async fn start(&self, calls: &Arc<Calls>) -> Result<Sandbox, Outcome> {
        let crash = |problem: String| Outcome::Crash(error_object("Runtime.InvalidEntrypoint", &problem));
        let mut sandbox = Sandbox::start(self, calls).await.map_err(|error| crash(error.to_string()))?;
        let shared = Arc::clone(&sandbox.shared);
        tokio::select! {
            () = shared.ready.notified() => Ok(sandbox),
            () = calls.killed() => {
                sandbox.kill().await;
                Err(Outcome::Crash(error_object("Runtime.ExitError", "killed while starting")))
            }
            status = sandbox.process.wait() => Err(match lock(&shared.init_error).take() {
                Some(error) => Outcome::FunctionError(error),
                None => Outcome::Crash(exit_error(status)),
            }),
            () = tokio::time::sleep(INIT_LIMIT) => {
                sandbox.kill().await;
                let text = format!("Init phase timed out after {} s", INIT_LIMIT.as_secs());
                Err(Outcome::Timeout(error_object("Sandbox.Timedout", &text)))
            }
        }
    }

    /// Lambda's variables, the template's, and nothing of the shell's.
    fn environment(&self, address: &str) -> BTreeMap<String, String> {
        let spec = &self.spec;
        let task_root = self.host.functions_dir.display().to_string();
        let stream =
            format!("{}/[$LATEST]{}", self.host.clock.now().strftime("%Y/%m/%d"), Uuid::new_v4().simple());
        let mut environment = spec.environment.clone();
        environment.extend(
            [
                ("AWS_LAMBDA_RUNTIME_API", address.to_owned()),
                ("AWS_ENDPOINT_URL", format!("http://{address}")),
                ("TELEGRAM_ENDPOINT", format!("http://{address}")),
                // Receivers of webhooks and the issuer of tokens may be on this machine. The template never says so.
                ("WEBHOOKS_ALLOW_LOCAL", "true".to_owned()),
                ("OIDC_ALLOW_LOCAL", "true".to_owned()),
                ("AWS_LAMBDA_FUNCTION_NAME", spec.lambda_name.clone()),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory.to_string()),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
                ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
                ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", spec.lambda_name)),
                ("AWS_LAMBDA_LOG_STREAM_NAME", stream),
                ("AWS_LAMBDA_LOG_FORMAT", if spec.json_logs { "JSON" } else { "Text" }.to_owned()),
                ("AWS_REGION", REGION.to_owned()),
                ("AWS_DEFAULT_REGION", REGION.to_owned()),
                ("AWS_ACCESS_KEY_ID", "test".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
                ("AWS_SESSION_TOKEN", "test".to_owned()),
                ("_HANDLER", "bootstrap".to_owned()),
                ("LAMBDA_TASK_ROOT", task_root),
                ("TZ", ":UTC".to_owned()),
                ("LANG", "en_US.UTF-8".to_owned()),
                ("PATH", "/usr/bin:/bin".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        environment
    }
}

/// A command whose process ends with the stack, however the stack ends, and that Ctrl-C in the terminal does not
/// reach: the stack stops it itself.
pub(crate) fn tied_command(program: &Path) -> Command {
    // From util-linux. Where it is missing, a killed stack leaves processes that end at their next request for work.
    const SETPRIV: &str = "/usr/bin/setpriv";
    let mut command = if Path::new(SETPRIV).exists() {
        let mut command = Command::new(SETPRIV);
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true).process_group(0);
    command
}

/// A process and its end of the Runtime API.
#[derive(Debug)]
struct Sandbox {
    process: Child,
    work: mpsc::Sender<Work>,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// An event on its way to the process.
#[derive(Debug)]
struct Work {
    request_id: String,
    event: Bytes,
    deadline_ms: i64,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
enum Answer {
    Response(Bytes),
    Error(Bytes),
}

/// What the sandbox's listener knows.
#[derive(Debug)]
struct Shared {
    host: Arc<Host>,
    function_arn: String,
    work: tokio::sync::Mutex<mpsc::Receiver<Work>>,
    current: Mutex<Option<(String, oneshot::Sender<Answer>)>>,
    calls: Mutex<Arc<Calls>>,
    init_error: Mutex<Option<Bytes>>,
    ready: Notify,
}

impl Shared {
    fn now_calling(&self, calls: &Arc<Calls>) {
        *lock(&self.calls) = Arc::clone(calls);
    }

    fn answer(&self, request_id: &str, answer: Answer) -> Response {
        let mut current = lock(&self.current);
        match current.take() {
            Some((id, reply)) if id == request_id => {
                // The caller may have gone; the function need not know.
                let _ = reply.send(answer);
                (StatusCode::ACCEPTED, "{\"status\":\"OK\"}").into_response()
            }
            other => {
                *current = other;
                (StatusCode::BAD_REQUEST, error_object("InvalidRequestID", "Invalid request ID"))
                    .into_response()
            }
        }
    }
}

impl Sandbox {
    async fn start(function: &Function, calls: &Arc<Calls>) -> Result<Self, StackError> {
        let (listener, address) = crate::ports::listen(0).await?;
        let (work, receiver) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            host: Arc::clone(&function.host),
            function_arn: function.spec.arn.clone(),
            work: tokio::sync::Mutex::new(receiver),
            current: Mutex::default(),
            calls: Mutex::new(Arc::clone(calls)),
            init_error: Mutex::default(),
            ready: Notify::new(),
        });
        let log = open_log(&function.host.logs_dir.join(format!("{}.log", function.spec.name)))?;
        let errors = log.try_clone().map_err(|source| StackError::file(&function.binary, source))?;
        let process = tied_command(&function.binary)
            .envs(function.environment(&address.to_string()))
            .current_dir(&function.host.functions_dir)
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|source| StackError::file(&function.binary, source))?;
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { process, work, shared, server })
    }

    /// Hands the event to the process and waits for its answer, its end, its timeout or a fault. The flag tells
    /// whether the sandbox can take another event.
    async fn handle(
        &mut self,
        request_id: &str,
        event: Bytes,
        function: &Function,
        calls: &Calls,
    ) -> (Outcome, bool) {
        let timeout = function.spec.timeout;
        let (answer, answered) = oneshot::channel();
        let deadline_ms = function.host.clock.wall().as_millisecond()
            + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 2);
        let work = Work { request_id: request_id.to_owned(), event, deadline_ms, answer };
        // The process may have ended meanwhile; then its end is what `select` sees.
        let _ = self.work.send(work).await;
        tokio::select! {
            biased;
            () = calls.killed() => {
                self.kill().await;
                (Outcome::Crash(exit_error(self.process.wait().await)), false)
            }
            Ok(answer) = answered => match answer {
                Answer::Response(payload) => (Outcome::Ok(payload), true),
                Answer::Error(payload) => (Outcome::FunctionError(payload), true),
            },
            status = self.process.wait() => (Outcome::Crash(exit_error(status)), false),
            () = tokio::time::sleep(timeout) => {
                self.kill().await;
                let text = format!("RequestId: {request_id} Error: Task timed out after {:.2} seconds", timeout.as_secs_f64());
                (Outcome::Timeout(error_object("Sandbox.Timedout", &text)), false)
            }
        }
    }

    async fn kill(&mut self) {
        // Fails only when the process has ended already.
        let _ = self.process.kill().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let runtime_api = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .fallback(aws_call)
        .layer(DefaultBodyLimit::max(LARGEST_ANSWER))
        .with_state(shared);
    // Ends only when the sandbox does.
    let _ = axum::serve(listener, runtime_api).await;
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.ready.notify_one();
    let Some(work) = shared.work.lock().await.recv().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let trace = format!(
        "Root=1-{:08x}-{:.24};Sampled=0",
        work.deadline_ms / 1000,
        Uuid::new_v4().simple().to_string()
    );
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", work.request_id.clone()),
        ("lambda-runtime-deadline-ms", work.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", shared.function_arn.clone()),
        ("lambda-runtime-trace-id", trace),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    *lock(&shared.current) = Some((work.request_id, work.answer));
    (headers, work.event).into_response()
}

async fn response(
    State(shared): State<Arc<Shared>>,
    UrlPath(request_id): UrlPath<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = match body {
        Ok(body) => Answer::Response(body),
        Err(_) => Answer::Error(error_object(
            "Function.ResponseSizeTooLarge",
            "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        )),
    };
    shared.answer(&request_id, answer)
}

async fn error(
    State(shared): State<Arc<Shared>>,
    UrlPath(request_id): UrlPath<String>,
    body: Bytes,
) -> Response {
    shared.answer(&request_id, Answer::Error(body))
}

async fn init_error(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    *lock(&shared.init_error) = Some(body);
    (StatusCode::ACCEPTED, "{\"status\":\"OK\"}").into_response()
}

async fn aws_call(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let calls = Arc::clone(&lock(&shared.calls));
    shared.host.proxy.call(&calls, request).await
}

fn open_log(path: &Path) -> Result<std::fs::File, StackError> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| StackError::file(path, source))
}

/// Lambda's own error object.
fn error_object(kind: &str, message: &str) -> Bytes {
    json!({"errorType": kind, "errorMessage": message}).to_string().into()
}

fn exit_error(status: std::io::Result<std::process::ExitStatus>) -> Bytes {
    let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    error_object("Runtime.ExitError", &format!("Runtime exited: {how}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
