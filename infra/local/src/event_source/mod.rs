//! Event source mappings: what takes records from streams and messages from queues to the functions.

pub mod batch_response;
pub mod filter;
pub mod sqs;
pub mod streams;
pub mod visibility;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;

use crate::sandbox::{Function, Invocation};

/// The batch each event source delivered last, so that it can be delivered again.
#[derive(Debug, Default)]
pub struct LastBatches(Mutex<BTreeMap<String, (Arc<Function>, Bytes)>>);

impl LastBatches {
    /// Remembers `event` under the function's name and under `source`, the logical id of the table or queue.
    pub fn remember(&self, source: &str, function: &Arc<Function>, event: &Bytes) {
        let mut batches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for name in [source, function.spec.name.as_str()] {
            batches.insert(name.to_owned(), (Arc::clone(function), event.clone()));
        }
    }

    /// Delivers the last batch of `name` once more and tells what became of it; none if there was no batch yet.
    pub async fn redeliver(&self, name: &str) -> Option<Invocation> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let (function, event) = last?;
        Some(function.invoke(event).await)
    }
}
