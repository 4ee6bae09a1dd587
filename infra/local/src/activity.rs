//! Who is busy: how pollers are woken by a write, and how the time machine learns that nothing is left to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use tokio::sync::{Notify, watch};

/// Between two looks at an event source that nobody has written to.
pub const IDLE_POLL: Duration = Duration::from_secs(1);

/// One poller, as others see it.
#[derive(Debug)]
pub struct Signal {
    wake: Notify,
    asked: watch::Sender<u64>,
    idle: watch::Sender<u64>,
}

impl Default for Signal {
    fn default() -> Self {
        Self { wake: Notify::new(), asked: watch::Sender::new(0), idle: watch::Sender::new(0) }
    }
}

impl Signal {
    /// There may be something new: look at once.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// What the poller calls before it looks; it hands the number back with [`Signal::found_nothing`].
    pub fn looking(&self) -> u64 {
        *self.asked.borrow()
    }

    /// The look that began with `asked` found nothing, and nothing found earlier is still being handled.
    pub fn found_nothing(&self, asked: u64) {
        self.idle.send_replace(asked);
    }

    /// Waits for a wake-up, at most `limit`.
    pub async fn rest(&self, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.wake.notified()).await;
    }

    /// Resolves once a look that began after this call has found nothing.
    pub async fn idle(&self) {
        let mut asked = 0;
        self.asked.send_modify(|count| {
            *count += 1;
            asked = *count;
        });
        self.wake();
        // The sender lives in self, so waiting cannot fail.
        let _ = self.idle.subscribe().wait_for(|seen| *seen >= asked).await;
    }

    /// Resolves while somebody waits in [`Signal::idle`]: nothing more will come, so there is nothing to gather it for.
    pub async fn hurried(&self) {
        let _ = self.asked.subscribe().wait_for(|asked| *asked > *self.idle.borrow()).await;
    }
}

/// Every event source's poller, by the table's and the function's or by the queue's name.
#[derive(Debug, Default)]
pub struct Sources {
    streams: BTreeMap<(String, String), Arc<Signal>>,
    queues: BTreeMap<String, Arc<Signal>>,
}

impl Sources {
    /// The signal of who brings the stream of `table` to `function`.
    pub fn stream(&mut self, table: &str, function: &str) -> Arc<Signal> {
        Arc::clone(self.streams.entry((table.to_owned(), function.to_owned())).or_default())
    }

    /// The signal of `queue`.
    pub fn queue(&mut self, queue: &str) -> Arc<Signal> {
        Arc::clone(self.queues.entry(queue.to_owned()).or_default())
    }

    /// The signal of who brings the stream of `table` to `function`, if it listens to it.
    pub fn of_stream(&self, table: &str, function: &str) -> Option<Arc<Signal>> {
        self.streams.get(&(table.to_owned(), function.to_owned())).cloned()
    }

    /// The signal of `queue`, if a function listens to it.
    pub fn of_queue(&self, queue: &str) -> Option<Arc<Signal>> {
        self.queues.get(queue).cloned()
    }

    /// A write to DynamoDB, as `request`, has been done: wakes the streams of the tables it names.
    pub fn tables_written(&self, request: &str) {
        self.streams
            .iter()
            .filter(|((table, _), _)| request.contains(table))
            .for_each(|(_, signal)| signal.wake());
    }

    /// Something was sent to `queue`.
    pub fn queue_written(&self, queue: &str) {
        if let Some(signal) = self.queues.get(queue) {
            signal.wake();
        }
    }

    fn all(&self) -> impl Iterator<Item = (&String, &Arc<Signal>)> {
        self.streams.iter().map(|((table, _), signal)| (table, signal)).chain(&self.queues)
    }
}

/// Counts what happens in the stack, to tell a quiet moment from a pause.
#[derive(Debug, Default)]
pub struct Activity {
    changes: AtomicU64,
    running: AtomicUsize,
}

/// An invocation in flight; ends when dropped.
#[derive(Debug)]
pub struct Busy<'a>(&'a Activity);

impl Activity {
    /// Something changed that an event source may show.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// An invocation begins.
    pub fn begin(&self) -> Busy<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.changed();
        Busy(self)
    }

    /// Resolves when no invocation runs and every source was found empty with nothing happening meanwhile; after
    /// `limit`, tells what was still busy.
    ///
    /// # Errors
    /// The names of the sources that were not empty, or how many invocations were running.
    pub async fn drained(&self, sources: &Sources, limit: Duration) -> Result<(), String> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let before = self.changes.load(Ordering::SeqCst);
            try_join_all(sources.all().map(|(name, signal)| async move {
                tokio::time::timeout_at(end, signal.idle())
                    .await
                    .map_err(|_| format!("{name} was still busy"))
            }))
            .await?;
            let running = self.running.load(Ordering::SeqCst);
            if running == 0 && self.changes.load(Ordering::SeqCst) == before {
                return Ok(());
            }
            if tokio::time::Instant::now() >= end {
                return Err(format!("{running} invocations were still running"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A poller over a counter of things to handle.
    fn poller(signal: Arc<Signal>, activity: Arc<Activity>, left: Arc<AtomicUsize>) {
        tokio::spawn(async move {
            loop {
                let asked = signal.looking();
                if left.load(Ordering::SeqCst) == 0 {
                    signal.found_nothing(asked);
                    signal.rest(Duration::from_secs(60)).await;
                } else {
                    let _running = activity.begin();
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    left.fetch_sub(1, Ordering::SeqCst);
                }
            }
        });
    }

    #[tokio::test]
    async fn drained_waits_for_everything_that_follows() {
        let mut sources = Sources::default();
        let activity = Arc::new(Activity::default());
        let left = Arc::new(AtomicUsize::new(5));
        poller(sources.queue("q"), Arc::clone(&activity), Arc::clone(&left));
        activity.drained(&sources, Duration::from_secs(5)).await.unwrap();
        assert_eq!(left.load(Ordering::SeqCst), 0);

        left.store(3, Ordering::SeqCst);
        activity.drained(&sources, Duration::from_secs(5)).await.unwrap();
        assert_eq!(left.load(Ordering::SeqCst), 0, "a later call asks anew");
    }

    #[tokio::test]
    async fn whoever_gathers_is_hurried_while_somebody_waits() {
        let signal = Arc::new(Signal::default());
        let hurried = |signal: Arc<Signal>| async move {
            tokio::time::timeout(Duration::from_millis(20), signal.hurried()).await.is_ok()
        };
        assert!(!hurried(Arc::clone(&signal)).await);
        let waiting = tokio::spawn({
            let signal = Arc::clone(&signal);
            async move { signal.idle().await }
        });
        signal.rest(Duration::from_secs(5)).await;
        assert!(hurried(Arc::clone(&signal)).await);
        signal.found_nothing(signal.looking());
        waiting.await.unwrap();
        assert!(!hurried(signal).await);
    }

    #[tokio::test]
    async fn drained_names_what_stays_busy() {
        let mut sources = Sources::default();
        let _never_polled = sources.stream("local-BookingsTable", "booking-stream");
        let error = Activity::default().drained(&sources, Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error, "local-BookingsTable was still busy");
    }
}
