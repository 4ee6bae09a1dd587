//! The pace that a provider can keep: so many messages a second from the whole account, whatever falls due at eight in the morning.
//!
//! Each sandbox keeps its share of it. What a provider gets beyond its rate it drops or throttles.
//! <https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html>

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use app::ports::{Outgoing, Provider, ProviderError, Receipt};
use domain::contact::Email;
use tokio::time::{Instant, sleep_until};

use crate::variable;

/// What a claim, the provider's call and the record of it take at most: three, five and three seconds, see `aws::connect`.
const SEND: Duration = Duration::from_secs(11);

/// The share of a provider's rate that one sandbox has. It lives as long as the sandbox.
#[derive(Debug)]
pub struct Pace {
    /// Between two messages; none is no limit.
    gap: Option<Duration>,
    /// When the next message may leave.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// So many messages a second, from so many sandboxes together.
    pub fn new(per_second: u32, sandboxes: u32) -> Self {
        let gap = Duration::from_secs(u64::from(sandboxes.max(1))) / per_second.max(1);
        Self { gap: Some(gap), next: Mutex::default() }
    }

    /// No limit.
    pub fn free() -> Self {
        Self { gap: None, next: Mutex::default() }
    }

    /// From `PER_SECOND`, the rate of the account, and `SANDBOXES`, how many there are of the function at most. A channel without a rate has
    /// no limit.
    pub fn from_environment() -> Self {
        let number = |name| variable(name).ok().and_then(|text| text.parse().ok());
        match (number("PER_SECOND"), number("SANDBOXES")) {
            (Some(per_second), sandboxes) => Self::new(per_second, sandboxes.unwrap_or(1)),
            (None, _) => Self::free(),
        }
    }

    /// Waits for the next turn, and takes it; `false`, at once, where it comes after `by`.
    async fn turn(&self, by: Instant) -> bool {
        let Some(gap) = self.gap else { return true };
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
            if turn > by {
                return false;
            }
            *next = Some(turn + gap);
            turn
        };
        sleep_until(turn).await;
        true
    }
}

/// A provider whose messages leave at a pace.
pub(crate) struct Paced<'a, P> {
    provider: &'a P,
    pace: &'a Pace,
    by: Instant,
}

impl<'a, P: Provider> Paced<'a, P> {
    /// Within an invocation that ends in `left`: what gets its turn can still be sent and recorded.
    pub(crate) fn new(provider: &'a P, pace: &'a Pace, left: Duration) -> Self {
        Self { provider, pace, by: Instant::now() + left.saturating_sub(SEND) }
    }
}

impl<P: Provider> Provider for Paced<'_, P> {
    fn sender(&self) -> Option<&Email> {
        self.provider.sender()
    }

    async fn ready(&self) -> bool {
        self.pace.turn(self.by).await
    }

    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        self.provider.send(outgoing).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    /// When each of `count` messages that are due at once gets its turn, in milliseconds; those that get none are left out.
    async fn turns(pace: &Pace, count: usize, within: Duration) -> Vec<u128> {
        let start = Instant::now();
        let turns = (0..count)
            .map(|_| async { pace.turn(start + within).await.then(|| start.elapsed().as_millis()) });
        join_all(turns).await.into_iter().flatten().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn two_sandboxes_together_keep_the_rate() {
        let (one, other) = (Pace::new(14, 2), Pace::new(14, 2));
        let left = Duration::from_secs(60);
        let (first, second) = futures::join!(turns(&one, 70, left), turns(&other, 70, left));
        let all: Vec<u128> = first.iter().chain(&second).copied().collect();
        assert_eq!(all.len(), 140);
        for second in 0..10 {
            let within = all.iter().filter(|at| **at / 1000 == second).count();
            assert!(within <= 14 + 2, "{within} in second {second}");
        }
        let last = *all.iter().max().unwrap();
        assert!((9_500..10_500).contains(&last), "140 messages at 14 a second took {last} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_batch_goes_on_where_the_one_before_ended() {
        let pace = Pace::new(10, 1);
        turns(&pace, 5, Duration::from_secs(9)).await;
        assert_eq!(turns(&pace, 2, Duration::from_secs(9)).await, [100, 200]);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(turns(&pace, 2, Duration::from_secs(9)).await, [0, 100], "no turns are saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_beyond_the_end_of_the_invocation() {
        let pace = Pace::new(1, 2);
        assert_eq!(turns(&pace, 10, Duration::from_secs(9)).await, [0, 2000, 4000, 6000, 8000]);
        assert_eq!(turns(&Pace::free(), 100, Duration::ZERO).await, [0; 100]);
    }
}
