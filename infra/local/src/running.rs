//! The started functions and queues, as the control server and the time machine use them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::activity::Sources;
use crate::event_source::LastBatches;
use crate::event_source::visibility::Visibility;
use crate::http_api::HttpApi;
use crate::resources::Queues;
use crate::sandbox::{Function, Host, Invocation};
use crate::seams::Stack;

/// How long [`Stack::drained`] waits, in real time.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// The address a messenger's requests come from.
const FROM_THE_INTERNET: &str = "149.154.160.1";

/// What runs.
#[derive(Debug)]
pub struct RunningStack {
    /// The functions.
    pub functions: Vec<Arc<Function>>,
    /// What they share.
    pub host: Arc<Host>,
    /// The HTTP API in front of them.
    pub api: Arc<HttpApi>,
    /// The queues.
    pub queues: Arc<Queues>,
    /// Every event source's poller.
    pub sources: Arc<Sources>,
    /// What is hidden in the queues.
    pub visibility: Arc<Visibility>,
    /// For delivering a batch again.
    pub last: Arc<LastBatches>,
}

impl Stack for RunningStack {
    fn drained(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.host.activity.drained(&self.sources, DRAIN_LIMIT))
    }

    fn next_visible(&self) -> Option<Timestamp> {
        self.visibility.next()
    }

    fn make_visible(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (failed, delayed) = self.visibility.take_until(instant);
            if let Some(locked_until) = failed.iter().map(|message| message.locked_until).max() {
                let left = self.host.clock.wall().duration_until(locked_until);
                tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
            }
            for message in failed {
                if let Err(problem) = self.queues.show(&message.url, &message.receipt).await {
                    tracing::warn!(problem, "cannot end a message's hiding");
                }
                self.sources.queue_written(&message.queue);
            }
            for message in delayed {
                let queue = message.queue.clone();
                let (parts, body) = message.request();
                if let Err(problem) = self.host.proxy.forward(parts, body).await {
                    tracing::warn!(problem, "cannot send a delayed message ahead");
                }
                self.sources.queue_written(&queue);
            }
            self.host.activity.changed();
        })
    }

    fn invoke(&self, function_arn: &str, event: String) -> BoxFuture<'_, Option<Invocation>> {
        let function = self.functions.iter().find(|function| function.spec.arn == function_arn).cloned();
        Box::pin(async move { Some(function?.invoke(Bytes::from(event)).await) })
    }

    fn request(&self, request: Request<Body>) -> BoxFuture<'_, Response> {
        Box::pin(self.api.answer(FROM_THE_INTERNET.to_owned(), request))
    }
}
