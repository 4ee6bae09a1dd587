//! Faults on demand: what goes wrong in production, at a moment of the tester's choice.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

/// On which side of the AWS call the sandbox dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// AWS never sees the call.
    Before,
    /// AWS has done it; the function never hears of it.
    After,
}

/// Kills the sandbox at one AWS call of the next invocation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// The function's name, which is its binary's.
    pub function: String,
    /// Before or after the call.
    pub when: When,
    /// Which call, counted from 1.
    #[serde(default = "first")]
    pub call: u32,
    /// Counts only calls of this operation, for example `UpdateItem`.
    pub operation: Option<String>,
}

fn first() -> u32 {
    1
}

/// What a function's call of a service meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The service refuses it as one too many.
    pub throttled: bool,
    /// Milliseconds the service takes longer.
    pub delay_ms: u64,
}

/// The faults that wait for their moment.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    kills: Vec<Kill>,
    throttles: BTreeMap<String, u32>,
    delays: BTreeMap<String, (u32, u64)>,
    shuffle: bool,
}

impl Faults {
    /// Kills the next invocation of a function at a call.
    pub fn kill(&self, kill: Kill) {
        self.waiting().kills.push(kill);
    }

    /// Refuses the next `count` calls of `service` (its name in the request's signature, such as `sns`).
    pub fn throttle(&self, service: &str, count: u32) {
        self.waiting().throttles.insert(service.to_owned(), count);
    }

    /// Makes the next `count` calls of `service` take `delay_ms` longer.
    pub fn delay(&self, service: &str, count: u32, delay_ms: u64) {
        self.waiting().delays.insert(service.to_owned(), (count, delay_ms));
    }

    /// Delivers the next stream batch twice, and out of order as far as a stream allows.
    pub fn shuffle(&self) {
        self.waiting().shuffle = true;
    }

    /// Forgets every fault that waits.
    pub fn clear(&self) {
        *self.waiting() = Waiting::default();
    }

    /// The kill that waits for this function's next invocation, which is now.
    pub(crate) fn take_kill(&self, function: &str) -> Option<Kill> {
        let mut waiting = self.waiting();
        let index = waiting.kills.iter().position(|kill| kill.function == function)?;
        Some(waiting.kills.remove(index))
    }

    /// What one call of `service` meets now.
    pub(crate) fn meet(&self, service: &str) -> Trouble {
        let mut waiting = self.waiting();
        let throttled = waiting.throttles.get_mut(service).is_some_and(take_one);
        let delay = waiting.delays.get_mut(service);
        let delay_ms = delay.map_or(0, |(count, delay_ms)| if take_one(count) { *delay_ms } else { 0 });
        Trouble { throttled, delay_ms }
    }

    pub(crate) fn take_shuffle(&self) -> bool {
        std::mem::take(&mut self.waiting().shuffle)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_one(count: &mut u32) -> bool {
    let left = *count > 0;
    *count = count.saturating_sub(1);
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_ends_after_its_count() {
        let faults = Faults::default();
        faults.throttle("sns", 2);
        let met: Vec<bool> = (0..3).map(|_| faults.meet("sns").throttled).collect();
        assert_eq!(met, [true, true, false]);
        assert!(!faults.meet("sqs").throttled);
    }

    #[test]
    fn a_kill_is_for_the_next_invocation_of_its_function_only() {
        let faults = Faults::default();
        let kill: Kill =
            serde_json::from_str(r#"{"function":"deliver-sms","when":"after","operation":"UpdateItem"}"#)
                .unwrap();
        assert_eq!(kill.call, 1);
        faults.kill(kill.clone());
        assert_eq!(faults.take_kill("deliver-email"), None);
        assert_eq!(faults.take_kill("deliver-sms"), Some(kill));
        assert_eq!(faults.take_kill("deliver-sms"), None);
    }

    #[test]
    fn cleared_faults_never_happen() {
        let faults = Faults::default();
        faults.delay("dynamodb", 1, 50);
        faults.shuffle();
        faults.clear();
        assert_eq!(faults.meet("dynamodb"), Trouble::default());
        assert!(!faults.take_shuffle());
    }
}
