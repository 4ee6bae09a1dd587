//! What the delivering functions do with a batch.

use std::sync::atomic::{AtomicUsize, Ordering};

use app::deliver::{Delivered, Shift, deliver};
use app::error::chain;
use app::ports::{ClientBookings, Due, Meter, Provider, Read, SetTimer, WriteFacts, WriteLedger};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent};

use crate::batch::{Record, each_due};
use crate::now;
use crate::pace::{Pace, Paced};

/// Delivers what is due in a batch, at the provider's pace. `pages` is what stands before `/c/` in the addresses of clients' own pages.
///
/// # Errors
/// None: each record's failure is reported in the answer.
pub async fn deliver_batch(
    store: &(impl Read + WriteLedger + WriteFacts + ClientBookings + Meter),
    timers: &impl SetTimer,
    provider: &impl Provider,
    pace: &Pace,
    pages: &str,
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    // Nobody else touches a claimed message while this invocation can still be at work on it.
    let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
    let until = Timestamp::from_millisecond(deadline)?;
    let left = until.duration_since(now()).unsigned_abs();
    let provider = &Paced::new(provider, pace, left);
    // A holder for each record: a message that is twice in this batch must not take its other copy's claim for its own.
    let (invocation, records) = (event.context.request_id.as_str(), &AtomicUsize::new(0));
    let response = each_due(event.payload, |due: Due| async move {
        let holder = &format!("{invocation}/{}", records.fetch_add(1, Ordering::Relaxed));
        let shift = Shift { holder, wall: now(), until, pages };
        match deliver(store, timers, provider, &due, shift).await {
            Ok(delivered) => {
                tracing::info!(due.id = %due.what, ?delivered, "delivered");
                if matches!(delivered, Delivered::Again(_)) { Record::Again } else { Record::Done }
            }
            Err(error) => {
                tracing::error!(due.id = %due.what, error = %chain(&error), "could not deliver");
                Record::Again
            }
        }
    })
    .await;
    Ok(response)
}
