//! Rules: the settings of each notification type.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::booking::Source;
use crate::channel::Channel;
use crate::ids::BusinessId;
use crate::notification_type::NotificationType;
use crate::precedence::Level;
use crate::resource::ResourceKind;
use crate::timing::Timing;

/// The settings of one notification type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Off: nothing of this type is sent (S13, S60).
    pub enabled: bool,
    /// When, and on which channels. A reminder may have many; an event's message usually one.
    #[schema(max_items = 10)]
    pub steps: Vec<RuleStep>,
    /// Whether a step goes out on all of its channels, or on the first that works (S4).
    #[serde(default)]
    pub strategy: Strategy,
    /// In a cascade: minutes, 1 to 4320, after which a message that shows no delivery gives way to the next channel (S4). None: only one that
    /// failed for certain does. Push and Telegram never show a delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4320)]
    pub next_after_minutes: Option<u32>,
    /// What to do when a booking is made after a step's time has passed.
    #[serde(default)]
    pub late: LatePolicy,
    /// What to do when quiet hours would hold a message back beyond its use.
    #[serde(default)]
    pub quiet: QuietPolicy,
    /// Reminders only: whether they go out while the booking is not confirmed yet (S28).
    #[serde(default = "yes")]
    pub while_pending: bool,
    /// Reminders only: whether our own text asks the client to confirm, with a link to the page for it (S73).
    #[serde(default)]
    pub confirmation_link: bool,
    /// Recovery only: which endings of a booking it answers (S3).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<Ending>)]
    pub after: BTreeSet<Ending>,
}

fn yes() -> bool {
    true
}

/// One timing of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleStep {
    /// When.
    pub timing: Timing,
    /// On which channels; a cascade takes them in this order.
    #[schema(min_items = 1)]
    pub channels: Vec<Channel>,
    /// Only for bookings made by these; none means by anybody. So a booking made online may get other channels than one made by
    /// staff (S17, S19, S29).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<Source>)]
    pub sources: BTreeSet<Source>,
}

/// How a step uses its channels (S4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One message on each.
    #[default]
    All,
    /// In order: the next only when the one before has no address, is forbidden, or failed for certain.
    Cascade,
}

/// What to do with a step whose time has passed when the booking is made or moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Cancelled by the client or by staff.
    Cancelled,
    /// The client did not come.
    NoShow,
}

/// Rules by type: those that differ from what would hold without them.
pub type RulesByType = BTreeMap<NotificationType, Rule>;

/// All rules of a business at one version: what it has changed, over the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Whose rules.
    pub business_id: BusinessId,
    /// Rises by one with every change; named in each decision trace. A booking is planned by one version.
    pub version: u64,
    /// What holds for the business.
    #[serde(default)]
    pub changed: RulesByType,
    /// What holds for a kind of resource instead (S57).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<ResourceKind, RulesByType>,
    /// What every resource made from now on gets as its own (S59).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub new_resources: RulesByType,
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
        Self {
            business_id,
            version: 0,
            changed: RulesByType::new(),
            kinds: BTreeMap::new(),
            new_resources: RulesByType::new(),
        }
    }

    /// The rule for a type: the business's own, or the default.
    pub fn of(&self, kind: NotificationType) -> &Rule {
        self.changed.get(&kind).unwrap_or_else(|| Rule::default_for(kind))
    }

    /// The rule that prevails for a type, and where it comes from: the resource's `own`, else that of its kind, else the business's, else the
    /// default.
    pub fn prevailing<'a>(
        &'a self,
        kind: NotificationType,
        resource_kind: Option<ResourceKind>,
        own: Option<&'a Rule>,
    ) -> (Level, &'a Rule) {
        let own = own.map(|rule| (Level::Resource, rule));
        let of_kind = || Some((Level::ResourceKind, self.of_kind(resource_kind?, kind)?));
        let of_business = || Some((Level::Business, self.changed.get(&kind)?));
        own.or_else(of_kind).or_else(of_business).unwrap_or_else(|| (Level::Default, Rule::default_for(kind)))
    }

    /// The rule for a type on a kind of resource, where there is one.
    pub fn of_kind(&self, resource: ResourceKind, kind: NotificationType) -> Option<&Rule> {
        self.kinds.get(&resource)?.get(&kind)
    }
}

/// The defaults of every type (SPEC §3), in the order of [`NotificationType::ALL`].
static DEFAULTS: LazyLock<Vec<Rule>> =
    LazyLock::new(|| NotificationType::ALL.iter().map(|kind| built_in(*kind)).collect());

fn built_in(kind: NotificationType) -> Rule {
    use Channel::{Email, Push, Sms};
    use NotificationType as Type;
    let at = |text: &str, channels: &[Channel]| {
        let step = |timing| RuleStep { timing, channels: channels.to_vec(), sources: BTreeSet::new() };
        text.parse().ok().map(step).into_iter().collect::<Vec<_>>()
    };
    let steps = match kind {
        Type::BookingCreated | Type::BookingRescheduled => at("immediately", &[Email, Sms, Push]),
        Type::BookingConfirmed | Type::BookingCancelled => at("immediately", &[Email, Sms]),
        Type::BookingChanged => at("immediately", &[Email, Push]),
        Type::ConfirmationRequest => at("1d before start", &[Sms, Email]),
        Type::Reminder => {
            [at("24h before start", &[Push]), at("2h before start", &[Sms]), at("1h before start", &[Push])]
                .concat()
        }
        Type::RunningLate => at("10m after start", &[Sms, Push]),
        Type::MissedBooking => at("immediately", &[Email]),
        Type::NoShowRecovery => at("1d after", &[Email, Push, Sms]),
        Type::ReviewRequest => at("2h after end", &[Sms, Email, Push]),
        Type::RebookingReminder => at("per service", &[Sms, Push, Email]),
        Type::AccountOperation => at("immediately", &[Sms, Email]),
        Type::BonusAccrued => at("immediately", &[Push, Sms, Email]),
        Type::WaitlistOffer => at("immediately", &[Sms, Push, Email]),
        Type::StaffBookingCreated | Type::StaffBookingChanged | Type::StaffBookingCancelled => {
            at("immediately", &[Sms, Email, Push])
        }
        Type::StaffUnconfirmed => at("3h before start", &[Email]),
        Type::StaffRunningLate => at("immediately", &[Push]),
        Type::VerificationCode => at("immediately", &[Sms, Email]),
        Type::Individual | Type::Campaign => at("immediately", &[Email, Sms, Push]),
    };
    let after = match kind {
        Type::NoShowRecovery => BTreeSet::from([Ending::NoShow]),
        _ => BTreeSet::new(),
    };
    Rule {
        // Asking every client to confirm is something a business decides to do.
        enabled: kind != Type::ConfirmationRequest,
        steps,
        strategy: Strategy::All,
        next_after_minutes: None,
        late: LatePolicy::Grace,
        quiet: QuietPolicy::Advance,
        while_pending: true,
        confirmation_link: false,
        after,
    }
}

impl Rule {
    /// What holds for a type until the business changes it (SPEC §3).
    pub fn default_for(kind: NotificationType) -> &'static Self {
        &DEFAULTS[kind as usize]
    }

    /// Whether the rule, where it is on, sends on `channel` at `timing` for bookings made by `source`.
    pub fn sends(&self, timing: &Timing, channel: Channel, source: Source) -> bool {
        let fits = |step: &RuleStep| {
            step.timing == *timing && step.channels.contains(&channel) && step.is_for(source)
        };
        self.enabled && self.steps.iter().any(fits)
    }

    /// How long after its sending a message that shows no delivery gives way to the next channel, where it does.
    pub fn gives_way_after(&self) -> Option<SignedDuration> {
        let minutes = self.next_after_minutes.filter(|_| self.strategy == Strategy::Cascade)?;
        Some(SignedDuration::from_mins(i64::from(minutes)))
    }

    /// Whether the rule makes sense for `kind`: timings that fit the type, on at least one channel, no message twice.
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
            if step.sources.contains(&Source::System) {
                return wrong(format!("steps[{index}].sources"), "\"online\", \"staff\" or both");
            }
            for (at, channel) in step.channels.iter().enumerate() {
                for source in
                    [Source::Online, Source::Staff].into_iter().filter(|source| step.is_for(*source))
                {
                    // Every timing of a kind that depends on the service is the same one.
                    if !seen.insert((step.timing.on_a_sample_day(), *channel, source)) {
                        return wrong(
                            format!("steps[{index}].channels[{at}]"),
                            "each channel once for each timing and source",
                        );
                    }
                }
            }
            if let Err(expected) = fits(&step.timing, kind) {
                return wrong(format!("steps[{index}].timing"), expected);
            }
        }
        if let Some(minutes) = self.next_after_minutes {
            if self.strategy != Strategy::Cascade {
                return wrong("next_after_minutes".into(), "none unless the strategy is \"cascade\"");
            }
            if !(1..=4320).contains(&minutes) {
                return wrong("next_after_minutes".into(), "1 to 4320 minutes");
            }
        }
        if self.enabled && self.steps.is_empty() {
            return wrong("steps".into(), "at least one step while the rule is enabled");
        }
        if self.steps.len() > 1 && checked_once(kind) {
            return wrong("steps".into(), "one step: the client is looked for once");
        }
        if self.enabled && kind == NotificationType::NoShowRecovery && self.after.is_empty() {
            return wrong("after".into(), "\"cancelled\", \"no_show\" or both");
        }
        Ok(())
    }
}

impl RuleStep {
    /// Whether it is for bookings made by `source`.
    pub fn is_for(&self, source: Source) -> bool {
        self.sources.is_empty() || self.sources.contains(&source)
    }
}

/// Whether the type's timing is that of a check, of which a booking has one.
fn checked_once(kind: NotificationType) -> bool {
    matches!(kind, NotificationType::RunningLate | NotificationType::StaffUnconfirmed)
}

/// Whether a timing fits a type; what was expected, where it does not.
fn fits(timing: &Timing, kind: NotificationType) -> Result<(), &'static str> {
    use NotificationType as Type;
    let (fits, expected) = match kind {
        Type::Reminder | Type::ConfirmationRequest | Type::StaffUnconfirmed => {
            (timing.leads_up(), "a time before the start, such as \"24h before start\"")
        }
        Type::RunningLate => {
            (matches!(timing, Timing::AfterStart(_)), "a time after the start, such as \"10m after start\"")
        }
        // Of use for a week after the visit.
        Type::ReviewRequest => (
            match timing {
                Timing::AfterEnd(interval) | Timing::After(interval) => interval.in_minutes() <= 6 * 24 * 60,
                other => *other == Timing::Immediately,
            },
            "a time after the end, such as \"2h after end\", or after the event, such as \"10m after\", at most 6 days",
        ),
        Type::RebookingReminder => (
            matches!(timing, Timing::PerService | Timing::AfterEnd(_)),
            "\"per service\" or a time after the end, such as \"30d after end\"",
        ),
        Type::VerificationCode
        | Type::Individual
        | Type::Campaign
        | Type::WaitlistOffer
        | Type::StaffRunningLate => (*timing == Timing::Immediately, "\"immediately\""),
        // Of use for a day.
        Type::StaffBookingCreated | Type::StaffBookingChanged | Type::StaffBookingCancelled => (
            match timing {
                Timing::After(interval) => interval.in_minutes() <= 12 * 60,
                other => *other == Timing::Immediately,
            },
            "\"immediately\" or a time after the event, such as \"10m after\", at most 12 hours",
        ),
        _ => (
            matches!(timing, Timing::Immediately | Timing::After(_)),
            "\"immediately\" or a time after the event, such as \"10m after\"",
        ),
    };
    if fits { Ok(()) } else { Err(expected) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn every_default_passes_its_own_check() {
        for &kind in NotificationType::ALL {
            let rule = Rule::default_for(kind);
            assert!(!rule.steps.is_empty(), "{kind} has no step");
            assert_eq!(rule.check(kind), Ok(()), "{kind}");
        }
        assert_eq!(Rule::default_for(NotificationType::MissedBooking).steps[0].channels, [Channel::Email]);
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

    #[rstest]
    #[case("reminder", r#"[{"timing":"immediately","channels":["sms"]}]"#, "steps[0].timing")]
    #[case("reminder", r#"[{"timing":"1h before start","channels":[]}]"#, "steps[0].channels")]
    #[case("reminder", r#"[{"timing":"1h before start","channels":["sms","sms"]}]"#, "steps[0].channels[1]")]
    #[case("reminder", r#"[{"timing":"1h before start","channels":["sms"]},{"timing":"60m before start","channels":["push","sms"]}]"#, "steps[1].channels[1]")]
    #[case("reminder", "[]", "steps")]
    #[case(
        "booking_created",
        r#"[{"timing":"immediately","channels":["sms"],"sources":["system"]}]"#,
        "steps[0].sources"
    )]
    #[case("booking_created", r#"[{"timing":"1h before start","channels":["sms"]}]"#, "steps[0].timing")]
    #[case(
        "running_late",
        r#"[{"timing":"5m after start","channels":["sms"]},{"timing":"9m after start","channels":["sms"]}]"#,
        "steps"
    )]
    #[case("no_show_recovery", r#"[{"timing":"1d after","channels":["sms"]}]"#, "after")]
    #[case("review_request", r#"[{"timing":"2h before start","channels":["sms"]}]"#, "steps[0].timing")]
    #[case("review_request", r#"[{"timing":"7d after end","channels":["sms"]}]"#, "steps[0].timing")]
    #[case("staff_booking_created", r#"[{"timing":"13h after","channels":["sms"]}]"#, "steps[0].timing")]
    #[case("rebooking_reminder", r#"[{"timing":"2h after","channels":["sms"]}]"#, "steps[0].timing")]
    #[case("verification_code", r#"[{"timing":"2h after","channels":["sms"]}]"#, "steps[0].timing")]
    fn a_rule_that_makes_no_sense_names_the_field(
        #[case] kind: &str,
        #[case] steps: &str,
        #[case] field: &str,
    ) {
        let rule: Rule = serde_json::from_str(&format!(r#"{{"enabled":true,"steps":{steps}}}"#)).unwrap();
        assert_eq!(rule.check(kind.parse().unwrap()).unwrap_err().field, field);
    }

    #[rstest]
    #[case(
        "reminder",
        r#"[{"timing":"1h before start","channels":[]}]"#,
        "steps[0].channels: expected at least one channel"
    )]
    #[case(
        "no_show_recovery",
        r#"[{"timing":"1h before start","channels":["sms"]}]"#,
        "steps[0].timing: expected \"immediately\" or a time after the event, such as \"10m after\""
    )]
    #[case(
        "reminder",
        r#"[{"timing":"2h after","channels":["sms"]}]"#,
        "steps[0].timing: expected a time before the start, such as \"24h before start\""
    )]
    #[case("reminder", "[]", "steps: expected at least one step while the rule is enabled")]
    fn s71_a_bad_rule_says_what_was_expected(#[case] kind: &str, #[case] steps: &str, #[case] error: &str) {
        for strategy in ["all", "cascade"] {
            let json = format!(r#"{{"enabled":true,"strategy":"{strategy}","steps":{steps}}}"#);
            let rule: Rule = serde_json::from_str(&json).unwrap();
            assert_eq!(rule.check(kind.parse().unwrap()).unwrap_err().to_string(), error);
        }
    }

    #[rstest]
    #[case::reminder_of_minus_five_minutes(
        r#"{"enabled":true,"steps":[{"timing":"-5m before start","channels":["sms"]}]}"#,
        "expected a timing such as \"immediately\", \"10m after\", \"24h before start\", \"2h after end\", \
         \"at 09:00 on the day\", \"at 18:00 1d before\" or \"per service\" (1m to 366d), got \"-5m before start\""
    )]
    #[case::at_25_o_clock(
        r#"{"enabled":true,"steps":[{"timing":"at 25:00 on the day","channels":["sms"]}]}"#,
        "expected a timing such as \"immediately\", \"10m after\", \"24h before start\", \"2h after end\", \
         \"at 09:00 on the day\", \"at 18:00 1d before\" or \"per service\" (1m to 366d), got \"at 25:00 on the day\""
    )]
    #[case::no_such_channel(
        r#"{"enabled":true,"steps":[{"timing":"immediately","channels":["pigeon"]}]}"#,
        "unknown variant `pigeon`, expected one of"
    )]
    #[case::no_such_strategy(
        r#"{"enabled":true,"strategy":"best","steps":[]}"#,
        "unknown variant `best`, expected `all` or `cascade`"
    )]
    #[case::no_such_field(r#"{"enabled":true,"steps":[],"stepps":[]}"#, "unknown field `stepps`")]
    fn s56_bad_settings_are_refused_by_name(#[case] json: &str, #[case] error: &str) {
        let found = serde_json::from_str::<Rule>(json).unwrap_err().to_string();
        assert!(found.starts_with(error), "{found}");
    }

    #[test]
    fn s71_a_rule_has_at_most_ten_steps() {
        let step = |hours: u32| RuleStep {
            timing: format!("{hours}h before start").parse().unwrap(),
            channels: vec![Channel::Push],
            sources: BTreeSet::new(),
        };
        let rule = |count| Rule {
            steps: (1..=count).map(step).collect(),
            ..Rule::default_for(NotificationType::Reminder).clone()
        };
        assert_eq!(rule(10).check(NotificationType::Reminder), Ok(()));
        let error = rule(11).check(NotificationType::Reminder).unwrap_err();
        assert_eq!(error.to_string(), "steps: expected at most 10 steps");
    }

    #[test]
    fn a_channel_may_stand_once_for_each_source() {
        let rule: Rule = serde_json::from_str(
            r#"{"enabled":true,"steps":[{"timing":"immediately","channels":["email"],"sources":["online"]},
                {"timing":"immediately","channels":["email","sms"],"sources":["staff"]}]}"#,
        )
        .unwrap();
        assert_eq!(rule.check(NotificationType::BookingCreated), Ok(()));
    }
}
