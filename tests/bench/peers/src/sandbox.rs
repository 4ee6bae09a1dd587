//! One sandbox: a process with a runtime API that gives it so many events, and AWS beside it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::BTreeMap;
use std::future::pending;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::aws::{BOOKINGS, Facts, MESSAGES};
use crate::processor::Share;
use crate::{Contestant, Error};

/// The longest life of a sandbox.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an invocation may last, as the template says.
const TIMEOUT: Duration = Duration::from_secs(20);

const DELIVER_SMS: &str = include_str!("../events/deliver-sms.json");
const BOOKING_API: &str = include_str!("../events/booking-api.json");

/// What a sandbox did from its start to its last answer.
pub(crate) struct Life {
    /// From the start of the process to its first request for work.
    pub start: Duration,
    /// Each call, from the hand-over of the event to the answer.
    pub calls: Vec<Duration>,
    /// The highest resident memory, in KiB.
    pub memory: u64,
    /// How often each operation of AWS was called.
    pub aws_calls: BTreeMap<String, u64>,
}

/// What the process and the measurement see together.
struct Sandbox {
    facts: Arc<Facts>,
    event: &'static str,
    calls: usize,
    aws_takes: Duration,
    seen: Mutex<Seen>,
    ended: Notify,
}

#[derive(Default)]
struct Seen {
    asked: Option<Instant>,
    handed_over: Option<Instant>,
    calls: Vec<Duration>,
    aws_calls: BTreeMap<String, u64>,
    failed: Option<String>,
}

impl Sandbox {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, why: String) {
        self.seen().failed.get_or_insert(why);
        self.ended.notify_one();
    }
}

type Shared = State<Arc<Sandbox>>;

/// Starts a contestant, gives it so many events, and ends it.
pub(crate) async fn live(contestant: &Contestant, facts: &Arc<Facts>, calls: usize) -> Result<Life, Error> {
    let event = match contestant.function.as_str() {
        "deliver-sms" => DELIVER_SMS,
        "booking-api" => BOOKING_API,
        other => return Err(format!("there is no event for {other}").into()),
    };
    let sandbox = Arc::new(Sandbox {
        facts: facts.clone(),
        event,
        calls,
        aws_takes: Duration::from_millis(contestant.aws_takes),
        seen: Mutex::default(),
        ended: Notify::new(),
    });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(error))
        .fallback(aws)
        .with_state(sandbox.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let [program, arguments @ ..] = contestant.command.as_slice() else { return Err("no command".into()) };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(&contestant.folder)
        .env_clear()
        .envs(&contestant.environment)
        .env("AWS_LAMBDA_RUNTIME_API", &address)
        .env("AWS_LAMBDA_FUNCTION_NAME", &contestant.function)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "bench")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .env("AWS_SESSION_TOKEN", "bench")
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .env("BOOKINGS_TABLE", BOOKINGS)
        .env("MESSAGES_TABLE", MESSAGES)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let share = contestant.memory.map(Share::of).transpose()?;
    let begun = Instant::now();
    let mut child = match &share {
        Some(share) => share.within(|| command.spawn())?,
        None => command.spawn()?,
    };
    let ended = timeout(PATIENCE, async {
        tokio::select! {
            () = sandbox.ended.notified() => Ok(()),
            status = child.wait() => Err(format!("it ended with {}", status?).into()),
        }
    });
    let ended: Result<(), Error> = ended.await.unwrap_or_else(|_| Err("it takes too long".into()));
    let memory = child.id().map(|id| std::fs::read_to_string(format!("/proc/{id}/status")));
    // It may have ended by itself.
    let _ = child.kill().await;
    server.abort();
    ended?;
    let Seen { asked, calls, aws_calls, failed, .. } = std::mem::take(&mut *sandbox.seen());
    if let Some(why) = failed {
        return Err(why.into());
    }
    Ok(Life {
        start: asked.ok_or("it never asked for work")?.duration_since(begun),
        calls,
        memory: high_water_mark(&memory.ok_or("it is gone")??).ok_or("its status has no VmHWM")?,
        aws_calls,
    })
}

/// `VmHWM` of a process status, in KiB.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a deadline is by the wall clock, which the handlers look at too"
)]
async fn next(State(sandbox): Shared) -> Response {
    let now = Instant::now();
    let number = {
        let mut seen = sandbox.seen();
        seen.asked.get_or_insert(now);
        seen.calls.len()
    };
    if number == sandbox.calls {
        sandbox.ended.notify_one();
        return pending().await;
    }
    let deadline = SystemTime::now() + TIMEOUT;
    let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let headers = [
        ("lambda-runtime-aws-request-id", format!("8476a536-e9f4-11e8-9739-{number:012}")),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".to_owned()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:bench".to_owned(),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    sandbox.seen().handed_over = Some(Instant::now());
    (headers, sandbox.event).into_response()
}

async fn response(State(sandbox): Shared, body: Bytes) -> StatusCode {
    let now = Instant::now();
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    // A batch of which nothing failed, or a booking that was made.
    let done =
        answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty) || answer["statusCode"] == 201;
    if !done {
        sandbox.fail(format!("it answered {}", String::from_utf8_lossy(&body)));
    }
    let mut seen = sandbox.seen();
    if let Some(handed_over) = seen.handed_over.take() {
        seen.calls.push(now.duration_since(handed_over));
    }
    StatusCode::ACCEPTED
}

async fn error(State(sandbox): Shared, body: Bytes) -> StatusCode {
    sandbox.fail(format!("it failed: {}", String::from_utf8_lossy(&body)));
    StatusCode::ACCEPTED
}

async fn aws(State(sandbox): Shared, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    match sandbox.facts.answer(target, &body) {
        Ok(answer) => {
            // A sleep of nothing would last until the clock's next millisecond.
            if !sandbox.aws_takes.is_zero() {
                tokio::time::sleep(sandbox.aws_takes).await;
            }
            *sandbox.seen().aws_calls.entry(answer.operation).or_default() += 1;
            ([(header::CONTENT_TYPE, answer.content_type)], answer.body).into_response()
        }
        Err(error) => {
            sandbox.fail(error.to_string());
            StatusCode::BAD_REQUEST.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_a_process_status() {
        assert_eq!(high_water_mark("Name:\tx\nVmHWM:\t    7412 kB\nVmRSS:\t 1 kB\n"), Some(7412));
        assert_eq!(high_water_mark("Name:\tx\n"), None);
    }
}
