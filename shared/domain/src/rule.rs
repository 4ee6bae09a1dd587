//! Rules: the settings of each notification type.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::ids::BusinessId;
use crate::notification_type::NotificationType;
use crate::timing::Timing;

/// The settings of one notification type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Off: nothing of this type is planned (S13).
    pub enabled: bool,
    /// When, and on which channels. A reminder may have many; an event's message usually one. Each timing at most once.
    pub steps: Vec<RuleStep>,
    /// What to do when a booking is made after a step's time has passed.
    #[serde(default)]
    pub late: LatePolicy,
    /// What to do when quiet hours would hold a message back beyond its use.
    #[serde(default)]
    pub quiet: QuietPolicy,
    /// Reminders only: whether they go out while the booking is not confirmed yet (S28).
    #[serde(default = "yes")]
    pub while_pending: bool,
    /// Recovery only: which endings of a booking it answers (S3).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<Ending>,
}

fn yes() -> bool {
    true
}

/// One timing of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleStep {
    /// When.
    pub timing: Timing,
    /// On which channels.
    pub channels: BTreeSet<Channel>,
}

/// What to do with a step whose time has passed when the booking is made or moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatePolicy {
    /// Send if less than a third of the lead was missed and the visit has not begun.
    #[default]
    Grace,
    /// Send if the visit has not begun.
    SendNow,
    /// Never send.
    Skip,
}

/// What to do when quiet hours end after a message's use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuietPolicy {
    /// Send just before the quiet hours begin, if that is still ahead; else suppress.
    #[default]
    Advance,
    /// Suppress.
    Drop,
    /// Send in the quiet hours.
    Send,
}

/// How a booking can end without a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Cancelled by the client or by staff.
    Cancelled,
    /// The client did not come.
    NoShow,
}

/// All rules of a business: what it has changed, over the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Whose rules.
    pub business_id: BusinessId,
    /// Rises by one with every change; named in each decision trace.
    pub version: u64,
    /// The changed rules.
    #[serde(default)]
    pub changed: BTreeMap<NotificationType, Rule>,
}

/// Why a rule cannot be saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}")]
pub struct InvalidRule {
    /// The field, as a path.
    pub field: String,
    /// What was expected there.
    pub expected: &'static str,
}

impl Rules {
    /// The rules of a business that has changed none.
    pub fn defaults(business_id: BusinessId) -> Self {
        Self { business_id, version: 0, changed: BTreeMap::new() }
    }

    /// The rule for a type: the business's own, or the default.
    pub fn of(&self, kind: NotificationType) -> Rule {
        self.changed.get(&kind).cloned().unwrap_or_else(|| Rule::default_for(kind))
    }
}

impl Rule {
    /// What holds for a type until the business changes it (SPEC §3).
    pub fn default_for(kind: NotificationType) -> Self {
        use Channel::{Email, Push, Sms};
        let step = |timing: Timing, channels: &[Channel]| RuleStep {
            timing,
            channels: channels.iter().copied().collect(),
        };
        let now = |channels: &[Channel]| vec![step(Timing::Immediately, channels)];
        let parsed = |text: &str, channels: &[Channel]| {
            text.parse().ok().map(|timing| step(timing, channels)).into_iter().collect::<Vec<_>>()
        };
        let steps = match kind {
            NotificationType::BookingCreated | NotificationType::BookingRescheduled => {
                now(&[Email, Sms, Push])
            }
            NotificationType::BookingConfirmed | NotificationType::BookingCancelled => now(&[Email, Sms]),
            NotificationType::Reminder => [
                parsed("24h before start", &[Push]),
                parsed("2h before start", &[Sms]),
                parsed("1h before start", &[Push]),
            ]
            .concat(),
            NotificationType::RunningLate => parsed("10m after start", &[Sms, Push]),
            NotificationType::MissedBooking => now(&[Email]),
            NotificationType::NoShowRecovery => parsed("1d after", &[Email, Sms, Push]),
            _ => now(&[Email]),
        };
        let after = match kind {
            NotificationType::NoShowRecovery => BTreeSet::from([Ending::NoShow]),
            _ => BTreeSet::new(),
        };
        Self {
            enabled: true,
            steps,
            late: LatePolicy::Grace,
            quiet: QuietPolicy::Advance,
            while_pending: true,
            after,
        }
    }

    /// Whether the rule makes sense for `kind`: timings that fit the type, each once, on at least one channel.
    pub fn check(&self, kind: NotificationType) -> Result<(), InvalidRule> {
        let wrong = |field: String, expected| Err(InvalidRule { field, expected });
        if self.steps.len() > 10 {
            return wrong("steps".into(), "at most 10 steps");
        }
        let mut seen = BTreeSet::new();
        for (index, step) in self.steps.iter().enumerate() {
            if step.channels.is_empty() {
                return wrong(format!("steps[{index}].channels"), "at least one channel");
            }
            if !seen.insert(step.timing.on_a_sample_day()) {
                return wrong(format!("steps[{index}].timing"), "each timing once");
            }
            let (fits, expected) = match kind {
                NotificationType::Reminder => {
                    (step.timing.leads_up(), "a time before the start, such as \"24h before start\"")
                }
                NotificationType::RunningLate => (
                    matches!(step.timing, Timing::AfterStart(_)),
                    "a time after the start, such as \"10m after start\"",
                ),
                _ => (
                    matches!(step.timing, Timing::Immediately | Timing::After(_)),
                    "\"immediately\" or a time after the event, such as \"10m after\"",
                ),
            };
            if !fits {
                return wrong(format!("steps[{index}].timing"), expected);
            }
        }
        if self.enabled && self.steps.is_empty() {
            return wrong("steps".into(), "at least one step while the rule is enabled");
        }
        if kind == NotificationType::RunningLate && self.steps.len() > 1 {
            return wrong("steps".into(), "one step: a client is found late once");
        }
        if self.enabled && kind == NotificationType::NoShowRecovery && self.after.is_empty() {
            return wrong("after".into(), "\"cancelled\", \"no_show\" or both");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check() {
        for &kind in NotificationType::ALL {
            let rule = Rule::default_for(kind);
            assert!(!rule.steps.is_empty(), "{kind} has no step");
            assert_eq!(rule.check(kind), Ok(()), "{kind}");
        }
    }

    #[test]
    fn s64_push_reminders_go_a_day_and_an_hour_before() {
        let rule = Rule::default_for(NotificationType::Reminder);
        let push: Vec<String> = rule
            .steps
            .iter()
            .filter(|step| step.channels.contains(&Channel::Push))
            .map(|step| step.timing.to_string())
            .collect();
        assert_eq!(push, ["24h before start", "1h before start"]);
    }

    #[test]
    fn a_rule_that_makes_no_sense_names_the_field() {
        let mut rule = Rule::default_for(NotificationType::Reminder);
        rule.steps[1].timing = Timing::Immediately;
        assert_eq!(rule.check(NotificationType::Reminder).unwrap_err().field, "steps[1].timing");
        rule.steps[1] = rule.steps[0].clone();
        assert_eq!(rule.check(NotificationType::Reminder).unwrap_err().expected, "each timing once");
        rule.steps[0].channels.clear();
        assert_eq!(rule.check(NotificationType::Reminder).unwrap_err().field, "steps[0].channels");
        rule.steps.clear();
        assert_eq!(rule.check(NotificationType::Reminder).unwrap_err().field, "steps");
    }
}
