//! Faults on demand: what goes wrong in production, at a moment of the tester's choice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use crate::services::is_meant;

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

/// Which calls of a service meet a fault.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceFault {
    /// Its name in the request's signature, such as `sns`; of Telegram's requests, which have none, `telegram`.
    pub service: String,
    /// How many calls meet it.
    #[serde(default = "first")]
    pub count: u32,
    /// Milliseconds by which they take longer.
    #[serde(default)]
    pub milliseconds: u64,
    /// Part of the calls that meet it, 0 to 1, until there were `count`; each of them by default.
    #[serde(default)]
    pub share: Option<f64>,
    /// Chooses that part by chance, always the same for the same seed; without it, it is spread evenly.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Calls so far.
    #[serde(skip)]
    pub calls: u64,
}

impl ServiceFault {
    /// Counts a call; tells whether it meets the fault.
    fn meet(&mut self) -> bool {
        self.calls += 1;
        let meets = self.count > 0 && is_meant(self.share, self.seed, self.calls);
        self.count -= u32::from(meets);
        meets
    }
}

/// What a function's call of a service meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The service refuses it as one too many.
    pub throttled: bool,
    /// The service fails, and does nothing.
    pub failed: bool,
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
    throttles: BTreeMap<String, ServiceFault>,
    failures: BTreeMap<String, ServiceFault>,
    delays: BTreeMap<String, ServiceFault>,
    shuffles: BTreeSet<String>,
}

impl Faults {
    /// Kills the next invocation of a function at a call.
    pub fn kill(&self, kill: Kill) {
        self.waiting().kills.push(kill);
    }

    /// Refuses calls as too many.
    pub fn throttle(&self, fault: ServiceFault) {
        self.waiting().throttles.insert(fault.service.clone(), fault);
    }

    /// Fails calls, as in an outage.
    pub fn fail(&self, fault: ServiceFault) {
        self.waiting().failures.insert(fault.service.clone(), fault);
    }

    /// Makes calls take longer.
    pub fn delay(&self, fault: ServiceFault) {
        self.waiting().delays.insert(fault.service.clone(), fault);
    }

    /// Delivers a function's next stream batch twice, and out of order as far as a stream allows.
    pub fn shuffle(&self, function: String) {
        self.waiting().shuffles.insert(function);
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
        let throttled = waiting.throttles.get_mut(service).is_some_and(ServiceFault::meet);
        let failed = waiting.failures.get_mut(service).is_some_and(ServiceFault::meet);
        let delay = waiting.delays.get_mut(service);
        let delay_ms = delay.map_or(0, |fault| if fault.meet() { fault.milliseconds } else { 0 });
        Trouble { throttled, failed, delay_ms }
    }

    pub(crate) fn take_shuffle(&self, function: &str) -> bool {
        self.waiting().shuffles.remove(function)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> ServiceFault {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_share_of_the_calls_fails_until_the_count_is_reached() {
        let run = |json: &str| -> Vec<bool> {
            let faults = Faults::default();
            faults.fail(fault(json));
            (0..40).map(|_| faults.meet("sqs").failed).collect()
        };
        let half = run(r#"{"service": "sqs", "count": 5, "share": 0.5}"#);
        assert_eq!(half[..4], [false, true, false, true]);
        assert_eq!(half.iter().filter(|failed| **failed).count(), 5);
        let seeded = r#"{"service": "sqs", "count": 100, "share": 0.5, "seed": 4}"#;
        assert_eq!(run(seeded), run(seeded));
        assert!((10..30).contains(&run(seeded).into_iter().filter(|failed| *failed).count()));
    }

    #[test]
    fn a_throttle_ends_after_its_count() {
        let faults = Faults::default();
        faults.throttle(fault(r#"{"service": "sns", "count": 2}"#));
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
        faults.delay(fault(r#"{"service": "dynamodb", "milliseconds": 50}"#));
        faults.shuffle("f".to_owned());
        faults.clear();
        assert_eq!(faults.meet("dynamodb"), Trouble::default());
        assert!(!faults.take_shuffle("f"));
    }
}
