//! The whole system on one machine: runs the real function binaries from the real `template.yaml`.
//!
//! [`LocalStack::start`] reads the template, starts MiniStack (or uses another endpoint), creates tables and queues,
//! and puts the HTTP API, the event source mappings and the AWS services of [`services`] around the functions.
//! The `local-stack` binary does that from the command line.

pub mod activity;
pub mod clock;
mod control;
pub mod error;
pub mod event_source;
pub mod faults;
pub mod http_api;
mod ministack;
pub mod policy;
pub mod ports;
pub mod proxy;
pub mod resources;
pub mod running;
pub mod sandbox;
pub mod seams;
pub mod services;
pub mod template;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use axum::Router;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use activity::{Activity, Sources};
use clock::Clock;
use error::StackError;
use event_source::LastBatches;
use event_source::sqs::QueuePoller;
use event_source::streams::StreamPoller;
use event_source::visibility::{Visibility, queue_name};
use faults::Faults;
use http_api::HttpApi;
use ministack::MiniStack;
use policy::Ledger;
use ports::Ports;
use proxy::Proxy;
use resources::{Clients, Queues};
use running::RunningStack;
use sandbox::{Function, Host, Journal};
use seams::Stack;
use services::{Services, ServicesConfig};
use template::{FunctionSpec, Table, Template};

/// How long a stop with kept data waits for the streams to be read: MiniStack does not keep stream records.
const LAST_DRAIN: Duration = Duration::from_secs(10);

/// Who serves DynamoDB and SQS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataServices {
    /// A MiniStack that the stack starts and stops: the program's path.
    MiniStack(PathBuf),
    /// Something that runs already, such as `http://127.0.0.1:8000`. It must take requests signed by anyone.
    Endpoint(String),
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The SAM template.
    pub template: PathBuf,
    /// Where the functions' binaries are, named like the last part of their `CodeUri`.
    pub functions_dir: PathBuf,
    /// Where logs and kept data go.
    pub state_dir: PathBuf,
    /// The API's port; the others follow it. 0: free ports.
    pub base_port: u16,
    /// Who serves DynamoDB and SQS.
    pub data_services: DataServices,
    /// The template's parameters.
    pub parameters: BTreeMap<String, String>,
    /// Whether data outlives the stack.
    pub keep: bool,
    /// The file that is told what functions may do and did, if anybody wants to know.
    pub grants: Option<PathBuf>,
}

/// Where everything is, once it runs.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// The HTTP API, without a path.
    pub api: String,
    /// The control server: outbox, time machine, faults.
    pub control: String,
    /// The data services.
    pub ministack: String,
    /// Table names by logical id.
    pub tables: BTreeMap<String, String>,
    /// Queue URLs by logical id.
    pub queues: BTreeMap<String, String>,
    /// Function names, which are their binaries' names.
    pub functions: Vec<String>,
    /// The folder of the logs, one file per function.
    pub logs: PathBuf,
}

/// A running stack. Dropping it leaves no process behind, but only [`LocalStack::stop`] lets MiniStack save its data.
#[derive(Debug)]
pub struct LocalStack {
    /// Where everything is.
    pub ready: Ready,
    running: Arc<RunningStack>,
    services: SavedServices,
    tasks: JoinSet<()>,
    ministack: Option<MiniStack>,
    keep: bool,
}

/// [`Services`] without the wish to be printed.
struct SavedServices(Arc<Services>);

impl std::fmt::Debug for SavedServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Services")
    }
}

impl LocalStack {
    /// Starts everything and returns once the API answers.
    ///
    /// # Errors
    /// What is missing, taken or not understood, in one line.
    pub async fn start(options: Options) -> Result<Self, StackError> {
        let mut template = Template::read(&options.template, &options.parameters)?;
        let tables = template.tables()?;
        let ports = Ports::from_base(options.base_port);
        let (api_listener, api_address) = ports::listen(ports.api).await?;
        let (control_listener, control_address) = ports::listen(ports.control).await?;
        let state_dir = prepare_state_dir(&options.state_dir, options.keep)?;
        let functions_dir = absolute(&options.functions_dir)?;

        let (ministack, authority) = match &options.data_services {
            DataServices::MiniStack(program) => {
                let port = ports::free(ports.ministack).await?;
                let ministack = MiniStack::start(program, port, &state_dir, options.keep).await?;
                let authority = ministack.authority.clone();
                (Some(ministack), authority)
            }
            DataServices::Endpoint(url) => (None, authority_of(url)?),
        };
        let clients = Clients::new(&authority);
        let created = create_resources(&clients, &mut template, &tables).await?;
        for bucket in template.buckets() {
            resources::create_bucket(&authority, &bucket).await?;
        }
        template.set_api_url(format!("http://{api_address}"));
        let specs = template.functions()?;

        let clock = Arc::new(Clock::default());
        let activity = Arc::new(Activity::default());
        let faults = Arc::new(Faults::default());
        let visibility = Arc::new(Visibility::new(Arc::clone(&clock)));
        let sources = Arc::new(sources(&specs));
        let queues =
            Arc::new(Queues::new(clients.sqs.clone(), created, Arc::clone(&sources), Arc::clone(&activity)));
        let services = Services::new(
            Arc::clone(&clock),
            Arc::clone(&queues) as Arc<dyn services::QueueSender>,
            services_config(&template, &specs, &state_dir, options.keep)?,
        );
        let ledger = options.grants.as_deref().map(Ledger::to).transpose()?.unwrap_or_default();
        for spec in &specs {
            ledger.granted(&spec.name, &spec.policy);
        }
        let proxy = Proxy::new(
            authority.clone(),
            services.aws_router(),
            Arc::clone(&faults),
            Arc::clone(&sources),
            Arc::clone(&visibility),
            Arc::clone(&activity),
            ledger,
        );
        let logs = state_dir.join("logs");
        let host = Arc::new(Host {
            functions_dir,
            logs_dir: logs.clone(),
            clock: Arc::clone(&clock),
            proxy,
            faults,
            activity,
            journal: Journal::default(),
        });
        let functions = specs
            .into_iter()
            .map(|spec| Function::new(spec, Arc::clone(&host)))
            .collect::<Result<Vec<_>, _>>()?;
        let api = HttpApi::new(template.api()?.unwrap_or_default(), &functions, clock)?;
        let running = Arc::new(RunningStack {
            functions,
            host,
            api: Arc::clone(&api),
            queues,
            sources,
            visibility,
            last: Arc::new(LastBatches::default()),
        });

        let mut tasks = JoinSet::new();
        start_pollers(&running, &clients, &tables, &mut tasks)?;
        let stack = Arc::clone(&running) as Arc<dyn Stack>;
        let (in_background, around) = (Arc::clone(&services), Arc::clone(&stack));
        tasks.spawn(async move { in_background.run(around.as_ref()).await });
        tasks.spawn(serve(api_listener, api.router()));
        let control = services.control_router(stack).merge(control::router(Arc::clone(&running)));
        tasks.spawn(serve(control_listener, control));

        let ready = Ready {
            api: format!("http://{api_address}"),
            control: format!("http://{control_address}"),
            ministack: format!("http://{authority}"),
            tables: tables.into_iter().map(|table| (table.logical_id, table.name)).collect(),
            queues: running.queues.urls(),
            functions: running.functions.iter().map(|function| function.spec.name.clone()).collect(),
            logs,
        };
        write_ready(&ready, &state_dir.join("ready.json"))?;
        Ok(Self { ready, running, services: SavedServices(services), tasks, ministack, keep: options.keep })
    }

    /// Resolves when the stack cannot go on, because MiniStack has ended.
    pub async fn failed(&mut self) -> StackError {
        match &mut self.ministack {
            Some(ministack) => ministack.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Stops the functions and MiniStack; with kept data, only after what was written has been handled.
    pub async fn stop(mut self) {
        if self.keep {
            let running = &self.running;
            if let Err(busy) = running.host.activity.drained(&running.sources, LAST_DRAIN).await {
                tracing::warn!(busy, "stopped before everything was handled");
            }
        }
        self.tasks.shutdown().await;
        self.services.0.save();
        if let Some(ministack) = self.ministack.take() {
            ministack.stop().await;
        }
    }
}

async fn serve(listener: TcpListener, router: Router) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, service).await {
        tracing::error!(%error, "a server stopped");
    }
}

fn absolute(path: &Path) -> Result<PathBuf, StackError> {
    std::path::absolute(path).map_err(|source| StackError::file(path, source))
}

/// Makes the folder; without `keep` what an earlier run left there is removed, and nothing else.
fn prepare_state_dir(path: &Path, keep: bool) -> Result<PathBuf, StackError> {
    let path = absolute(path)?;
    let cannot = |at: &Path| {
        let at = at.to_owned();
        move |source| StackError::File { path: at, source }
    };
    let data: &[&str] = if keep { &[] } else { &["logs", "ministack", "services.json", "outbox.jsonl"] };
    for ours in data.iter().chain(&["ready.json"]).map(|name| path.join(name)) {
        if ours.is_dir() {
            std::fs::remove_dir_all(&ours).map_err(cannot(&ours))?;
        } else if ours.exists() {
            std::fs::remove_file(&ours).map_err(cannot(&ours))?;
        }
    }
    let logs = path.join("logs");
    std::fs::create_dir_all(&logs).map_err(cannot(&logs))?;
    Ok(path)
}

fn authority_of(url: &str) -> Result<String, StackError> {
    match url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) {
        Some(authority) if !authority.is_empty() && !authority.contains('/') => Ok(authority.to_owned()),
        _ => Err(StackError::template("--endpoint", format!("{url} is not of the form http://host:port"))),
    }
}

async fn create_resources(
    clients: &Clients,
    template: &mut Template,
    tables: &[Table],
) -> Result<Vec<(template::Queue, String)>, StackError> {
    let streams =
        futures::future::try_join_all(tables.iter().map(|table| clients.create_table(table))).await?;
    for (table, stream) in tables.iter().zip(streams) {
        if let Some(arn) = stream {
            template.set_stream_arn(&table.logical_id, arn);
        }
    }
    let mut created = Vec::new();
    // One after the other: a queue's dead-letter queue must be there first.
    for queue in template.queues()? {
        let url = clients.create_queue(&queue).await?;
        template.set_queue_url(&queue.logical_id, url.clone());
        created.push((queue, url));
    }
    Ok(created)
}

/// A signal for every event source of the functions.
fn sources(functions: &[FunctionSpec]) -> Sources {
    let mut sources = Sources::default();
    for function in functions {
        for mapping in &function.streams {
            sources.stream(table_of(&mapping.stream_arn), &function.name);
        }
        for mapping in &function.queues {
            sources.queue(queue_name(&mapping.queue_arn));
        }
    }
    sources
}

/// The table in `arn:aws:dynamodb:us-east-1:000000000000:table/NAME/stream/LABEL`.
fn table_of(stream_arn: &str) -> &str {
    stream_arn.split('/').nth(1).unwrap_or(stream_arn)
}

fn services_config(
    template: &Template,
    functions: &[FunctionSpec],
    state_dir: &Path,
    keep: bool,
) -> Result<ServicesConfig, StackError> {
    let mut config = ServicesConfig::new(template.parameter("EmailFrom").unwrap_or_default(), state_dir);
    config.event_buses = template.event_buses()?;
    config.schedule_groups = template.schedule_groups()?;
    config.topics = template.topics()?;
    config.configuration_sets = template.configuration_sets()?;
    config.event_destinations = template.event_destinations()?;
    config.log_subscriptions = template.log_subscriptions()?;
    config.functions = functions.to_vec();
    config.keep = keep;
    Ok(config)
}

fn start_pollers(
    running: &Arc<RunningStack>,
    clients: &Clients,
    tables: &[Table],
    tasks: &mut JoinSet<()>,
) -> Result<(), StackError> {
    for function in &running.functions {
        for mapping in &function.spec.streams {
            let name = table_of(&mapping.stream_arn);
            let (Some(table), Some(signal)) = (
                tables.iter().find(|table| table.name == name),
                running.sources.of_stream(name, &function.spec.name),
            ) else {
                return Err(StackError::template(
                    &function.spec.logical_id,
                    format!("there is no table {name}"),
                ));
            };
            let poller = Arc::new(StreamPoller {
                streams: clients.streams.clone(),
                function: Arc::clone(function),
                mapping: mapping.clone(),
                table: table.logical_id.clone(),
                partition_key: table.keys.first().map(|(name, _)| name.clone()).unwrap_or_default(),
                signal,
                queues: Arc::clone(&running.queues),
                last: Arc::clone(&running.last),
                faults: Arc::clone(&running.host.faults),
                clock: Arc::clone(&running.host.clock),
                unfinished: AtomicUsize::new(0),
            });
            tasks.spawn(poller.run());
        }
        for mapping in &function.spec.queues {
            let (Some((queue, url)), Some(signal)) = (
                running.queues.by_arn(&mapping.queue_arn),
                running.sources.of_queue(queue_name(&mapping.queue_arn)),
            ) else {
                let problem = format!("there is no queue {}", mapping.queue_arn);
                return Err(StackError::template(&function.spec.logical_id, problem));
            };
            let poller = Arc::new(QueuePoller {
                sqs: clients.sqs.clone(),
                function: Arc::clone(function),
                mapping: mapping.clone(),
                queue: queue.clone(),
                url: url.clone(),
                signal,
                visibility: Arc::clone(&running.visibility),
                last: Arc::clone(&running.last),
                clock: Arc::clone(&running.host.clock),
            });
            tasks.spawn(poller.run());
        }
    }
    Ok(())
}

fn write_ready(ready: &Ready, path: &Path) -> Result<(), StackError> {
    let json = serde_json::to_vec(ready).map_err(|error| StackError::file(path, error.into()))?;
    std::fs::write(path, json).map_err(|source| StackError::file(path, source))
}
