//! What the delivering functions do with a batch.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use app::deliver::{Delivered, Shift, deliver};
use app::error::chain;
use app::ports::{ClientBookings, Due, Meter, Provider, Read, SetTimer, WriteFacts, WriteLedger};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::message::Reason;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Error, LambdaEvent};

use crate::batch::{Record, each_due};
use crate::metrics::{Metric, Metrics};
use crate::now;
use crate::pace::{Pace, Paced};

/// What leaves so much after it was due is late.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// Delivers what is due in a batch, at the provider's pace, and tells what became of it. `pages` is what stands before `/c/` in the addresses of clients' own pages.
///
/// # Errors
/// None: each record's failure is reported in the answer.
pub async fn deliver_batch(
    store: &(impl Read + WriteLedger + WriteFacts + ClientBookings + Meter),
    timers: &impl SetTimer,
    provider: &impl Provider,
    pace: &Pace,
    pages: &str,
    metrics: &Metrics,
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    // Nobody else touches a claimed message while this invocation can still be at work on it.
    let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
    let until = Timestamp::from_millisecond(deadline)?;
    let left = until.duration_since(now()).unsigned_abs();
    let provider = &Paced::new(provider, pace, left);
    // A holder for each record: a message that is twice in this batch must not take its other copy's claim for its own.
    let (invocation, records) = (event.context.request_id.as_str(), &AtomicUsize::new(0));
    let told = &Mutex::new(Vec::new());
    let response = each_due(event.payload, |due: Due| async move {
        let holder = &format!("{invocation}/{}", records.fetch_add(1, Ordering::Relaxed));
        let shift = Shift { holder, wall: now(), until, pages };
        match deliver(store, timers, provider, &due, shift).await {
            Ok(delivered) => {
                tracing::info!(due.id = %due.what, ?delivered, "delivered");
                told.lock().unwrap_or_else(PoisonError::into_inner).extend(counted(delivered, due.at, now()));
                if matches!(delivered, Delivered::Again(_)) { Record::Again } else { Record::Done }
            }
            Err(error) => {
                tracing::error!(due.id = %due.what, error = %chain(&error), "could not deliver");
                Record::Again
            }
        }
    })
    .await;
    metrics.tell(&told.lock().unwrap_or_else(PoisonError::into_inner), now());
    Ok(response)
}

/// What a delivery of something that was due at an instant counts as, at `now` (both UTC).
fn counted(delivered: Delivered, due: Timestamp, now: Timestamp) -> Vec<Metric> {
    let because = |metric: Metric, reason: Reason| {
        let word = serde_json::to_value(reason).ok().and_then(|word| word.as_str().map(str::to_owned));
        vec![metric.because(word.unwrap_or_default())]
    };
    match delivered {
        Delivered::Accepted if now.duration_since(due) > LATE => {
            vec![Metric::count("Sent", 1), Metric::count("Late", 1)]
        }
        Delivered::Accepted => vec![Metric::count("Sent", 1)],
        Delivered::Withheld(reason) => because(Metric::count("Withheld", 1), reason),
        Delivered::Failed(reason) => because(Metric::count("Failed", 1), reason),
        Delivered::Deferred(_) => vec![Metric::count("Deferred", 1)],
        Delivered::Unknown => vec![Metric::count("Unknown", 1)],
        Delivered::Settled | Delivered::Gone | Delivered::Again(_) => vec![],
    }
}

#[cfg(test)]
mod tests {
    use app::deliver::Why;

    use super::*;

    #[test]
    fn a_delivery_counts_once_and_late_beside_it() {
        let due: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let one = |name| Metric::count(name, 1);
        for (delivered, minutes, expected) in [
            (Delivered::Accepted, 5, vec![one("Sent")]),
            (Delivered::Accepted, 6, vec![one("Sent"), one("Late")]),
            (Delivered::Withheld(Reason::TooLate), 60, vec![one("Withheld").because("too_late".to_owned())]),
            (Delivered::Failed(Reason::Refused), 0, vec![one("Failed").because("refused".to_owned())]),
            (Delivered::Deferred(due), 0, vec![one("Deferred")]),
            (Delivered::Unknown, 0, vec![one("Unknown")]),
            (Delivered::Settled, 0, vec![]),
            (Delivered::Gone, 0, vec![]),
            (Delivered::Again(Why::Leased), 0, vec![]),
        ] {
            let now = due + SignedDuration::from_mins(minutes);
            assert_eq!(counted(delivered, due, now), expected, "{delivered:?} after {minutes} minutes");
        }
    }
}
