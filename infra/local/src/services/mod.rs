//! The services this stack answers for itself: EventBridge and its Scheduler, SES, SNS, AWS End User Messaging Social and the
//! Telegram Bot API, with their outbox, what they tell of messages later, and the time machine.

mod control;
mod events;
mod feedback;
mod functions;
mod outbox;
mod page;
mod providers;
mod scheduler;
mod ses;
mod sns;
mod social;
mod telegram;
mod text;
mod ticks;
mod time_machine;
mod topics;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower::ServiceExt as _;
use uuid::Uuid;

pub use outbox::{Attachment, Button, Entry, Header, MessageTemplate};
pub use providers::Channel;
pub use scheduler::{Expression, Fired, Outcome, PendingSchedule};
pub(crate) use text::is_meant;
pub use time_machine::RunToError;

use crate::clock::Clock;
use crate::seams::Stack;
use crate::template::{EventDestination, FunctionSpec, LogSubscription, Topic};

/// How often the background task looks for due schedules.
const TICK: Duration = Duration::from_millis(200);

/// Kept state is written down this seldom, since it is written as a whole.
const TICKS_BETWEEN_SAVES: u32 = 10;

/// Says which service a request handed over by the proxy is for: one of [`SERVICES`].
pub const SERVICE_HEADER: &str = "x-local-service";

/// The services, by their names in a request's signature; Telegram's requests have none.
pub const SERVICES: [&str; 6] = ["events", "scheduler", "ses", "sns", "social-messaging", "telegram"];

/// Puts messages into SQS queues, on the scheduler's behalf.
pub trait QueueSender: Send + Sync {
    /// Sends `body` to the queue with this ARN.
    ///
    /// # Errors
    /// Why the queue did not take it, in one line.
    fn send(&self, queue_arn: &str, body: String) -> BoxFuture<'_, Result<(), String>>;
}

/// What the services need to know of the stack they run in.
#[derive(Clone, Debug)]
pub struct ServicesConfig {
    /// AWS account number in every ARN.
    pub account: String,
    /// Region in every ARN.
    pub region: String,
    /// Verified sender, such as `Salon <hello@example.com>`; its whole domain may send.
    pub email_from: String,
    /// Event buses that exist.
    pub event_buses: Vec<String>,
    /// Schedule groups that exist from the start, besides `default`.
    pub schedule_groups: Vec<String>,
    /// SNS topics with the queues that listen to them.
    pub topics: Vec<Topic>,
    /// SES configuration sets that exist.
    pub configuration_sets: Vec<String>,
    /// Where configuration sets publish their events.
    pub event_destinations: Vec<EventDestination>,
    /// The functions that get the lines of log groups.
    pub log_subscriptions: Vec<LogSubscription>,
    /// The functions, for their schedules and for what becomes of failed invocations.
    pub functions: Vec<FunctionSpec>,
    /// SNS platform applications that exist from the start.
    pub platform_applications: Vec<String>,
    /// E-mails that SES takes in 24 hours before it says "Daily message quota exceeded".
    pub email_daily_quota: u32,
    /// E-mails that SES takes in a second before it says "Maximum sending rate exceeded".
    pub email_per_second: u32,
    /// Text messages a calendar month that SNS delivers before the spend limit stops them silently; none: no limit.
    pub sms_per_month: Option<u32>,
    /// Where `outbox.jsonl` and `services.json` lie.
    pub state_dir: PathBuf,
    /// Whether what an earlier run left in `state_dir` is read back, and this run's schedules and endpoints are kept there.
    pub keep: bool,
}

impl ServicesConfig {
    /// A sender, a place for files, and for the rest what a new production account has.
    pub fn new(email_from: impl Into<String>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            email_from: email_from.into(),
            event_buses: Vec::new(),
            schedule_groups: Vec::new(),
            topics: Vec::new(),
            configuration_sets: Vec::new(),
            event_destinations: Vec::new(),
            log_subscriptions: Vec::new(),
            functions: Vec::new(),
            platform_applications: ["APNS", "GCM"]
                .map(|platform| format!("arn:aws:sns:us-east-1:000000000000:app/{platform}/local"))
                .to_vec(),
            email_daily_quota: 50_000,
            email_per_second: 14,
            sms_per_month: None,
            state_dir: state_dir.into(),
            keep: false,
        }
    }
}

/// What outlives a run when it is kept, besides the outbox.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    scheduler: scheduler::Saved,
    sns: sns::Saved,
}

/// The local services, sharing one clock.
pub struct Services {
    clock: Arc<Clock>,
    queues: Arc<dyn QueueSender>,
    config: ServicesConfig,
    events: events::Events,
    scheduler: scheduler::Scheduler,
    outbox: outbox::Outbox,
    providers: providers::Providers,
    ses: ses::Ses,
    sns: sns::Sns,
    telegram: telegram::Telegram,
    feedback: feedback::Feedback,
    ticks: ticks::Ticks,
    /// Held while feedback arrives and functions are called by the clock, as `firing` is for schedules.
    arriving: tokio::sync::Mutex<()>,
    /// Held while schedules fire, so that the background task and the time machine take turns.
    firing: tokio::sync::Mutex<()>,
}

impl Services {
    /// Starts the services, with what an earlier run left if that is kept.
    ///
    /// A file that cannot be read or written is told in the log; the services then do without it.
    pub fn new(clock: Arc<Clock>, queues: Arc<dyn QueueSender>, config: ServicesConfig) -> Arc<Self> {
        let kept = if config.keep { read_kept(&config) } else { Kept::default() };
        Arc::new(Self {
            events: events::Events::default(),
            scheduler: scheduler::Scheduler::new(
                &config.region,
                &config.account,
                &config.schedule_groups,
                clock.now(),
                kept.scheduler,
            ),
            outbox: outbox::Outbox::new(&config.state_dir, config.keep),
            providers: providers::Providers::new(&config),
            ses: ses::Ses::default(),
            sns: sns::Sns::new(kept.sns),
            telegram: telegram::Telegram::default(),
            feedback: feedback::Feedback::default(),
            ticks: ticks::Ticks::new(&config.functions, clock.now()),
            arriving: tokio::sync::Mutex::default(),
            firing: tokio::sync::Mutex::default(),
            clock,
            queues,
            config,
        })
    }

    /// Answers the AWS APIs; the service is told by the header [`SERVICE_HEADER`].
    pub fn aws_router(self: &Arc<Self>) -> Router {
        let of =
            |router: Router<Arc<Self>>| router.layer(DefaultBodyLimit::disable()).with_state(self.clone());
        let services = Arc::new(AwsRouters {
            events: of(events::router()),
            scheduler: of(scheduler::router()),
            ses: of(ses::router()),
            sns: of(sns::router()),
            social: of(social::router()),
            telegram: of(telegram::router()),
        });
        Router::new().fallback(dispatch).with_state(services)
    }

    /// The control API and the outbox page.
    pub fn control_router(self: &Arc<Self>, stack: Arc<dyn Stack>) -> Router {
        control::router(self.clone(), stack)
    }

    /// Fires due schedules within a second and lets feedback arrive, for as long as it is polled.
    pub async fn run(&self, stack: &dyn Stack) {
        let schedules = async {
            loop {
                for _ in 0..TICKS_BETWEEN_SAVES {
                    tokio::time::sleep(TICK).await;
                    self.fire_due().await;
                }
                self.save();
            }
        };
        // Apart from the schedules, which a slow function must not hold up.
        let feedback = async {
            loop {
                tokio::time::sleep(TICK).await;
                self.arrive_due(stack).await;
            }
        };
        futures::join!(schedules, feedback);
    }

    /// Lets the feedback arrive that is due now, and calls the functions whose time has come.
    async fn arrive_due(&self, stack: &dyn Stack) {
        let _turn = self.arriving.lock().await;
        let now = self.clock.now();
        self.arrive(now, stack).await;
        self.ticks.catch_up(now);
        for pending in self.ticks.take_earliest(&self.config, now) {
            self.invoke(pending, stack).await;
        }
    }

    /// Fires everything that is due now, in order.
    async fn fire_due(&self) {
        let _turn = self.firing.lock().await;
        while !self.scheduler.fire_earliest(self.clock.now(), &self.queues).await.is_empty() {}
    }

    /// Writes schedules and endpoints down if they are kept and have changed. `run` does it too; call it before exit.
    pub fn save(&self) {
        if !self.config.keep || !(self.scheduler.has_changed() || self.sns.has_changed()) {
            return;
        }
        let file = self.config.state_dir.join("services.json");
        let draft = self.config.state_dir.join("services.json.new");
        let written = serde_json::to_vec(&Kept { scheduler: self.scheduler.state(), sns: self.sns.state() })
            .map_err(std::io::Error::from)
            .and_then(|json| std::fs::write(&draft, json))
            .and_then(|()| std::fs::rename(&draft, &file));
        if let Err(error) = written {
            tracing::error!(file = %file.display(), %error, "schedules not written down");
        }
    }
}

fn read_kept(config: &ServicesConfig) -> Kept {
    let file = config.state_dir.join("services.json");
    let json = match std::fs::read(&file) {
        Ok(json) => json,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Kept::default(),
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "schedules of the last run not read");
            return Kept::default();
        }
    };
    serde_json::from_slice(&json).unwrap_or_else(|error| {
        tracing::error!(file = %file.display(), %error, "schedules of the last run not understood");
        Kept::default()
    })
}

struct AwsRouters {
    events: Router,
    scheduler: Router,
    ses: Router,
    sns: Router,
    social: Router,
    telegram: Router,
}

async fn dispatch(State(routers): State<Arc<AwsRouters>>, request: Request) -> Response {
    let service =
        request.headers().get(SERVICE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let router = match service {
        "events" => &routers.events,
        "scheduler" => &routers.scheduler,
        "ses" => &routers.ses,
        "sns" => &routers.sns,
        "social-messaging" => &routers.social,
        "telegram" => &routers.telegram,
        _ => {
            let message = format!("header {SERVICE_HEADER} must be one of {}", SERVICES.join(", "));
            return (StatusCode::BAD_REQUEST, Json(json!({ "message": message }))).into_response();
        }
    };
    let mut response = match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if let Ok(id) = Uuid::new_v4().to_string().parse() {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

/// An error of a service that speaks JSON.
#[derive(Debug)]
struct AwsError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The member the message is in: services differ.
    member: &'static str,
}

impl IntoResponse for AwsError {
    fn into_response(self) -> Response {
        (self.status, [("x-amzn-errortype", self.code)], Json(json!({ self.member: self.message })))
            .into_response()
    }
}

/// Locks; what a panicking holder left is used as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
