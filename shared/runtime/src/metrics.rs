//! Metrics: lines in CloudWatch's embedded metric format on standard output, which CloudWatch Logs makes metrics of.
//!
//! There is a crate for it, which brings a global recorder with counters that live from one invocation to the next. What is measured here is
//! known when it is told, and told in one line.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::environment::{MissingVariable, variable};

/// The namespace of all metrics of the product.
const NAMESPACE: &str = "BookingNotifications";

/// A number of what happened, or how long something took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    name: &'static str,
    value: u64,
    unit: &'static str,
    reason: Option<String>,
}

impl Metric {
    /// How often something happened, or how many there are.
    pub fn count(name: &'static str, value: u64) -> Self {
        Self { name, value, unit: "Count", reason: None }
    }

    /// As CloudWatch and its alarms know it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How long, in seconds.
    pub fn seconds(name: &'static str, value: u64) -> Self {
        Self { name, value, unit: "Seconds", reason: None }
    }

    /// What an HTTP answer with this status tells: something only where the failure is ours.
    pub fn of_answer(status: u16) -> Vec<Self> {
        if status >= 500 { vec![Self::count("ServerErrors", 1)] } else { vec![] }
    }

    /// With why it happened: one of a few words, never anything of a client's.
    pub fn because(self, reason: String) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

/// Where a function tells its metrics.
#[derive(Debug)]
pub struct Metrics {
    stack: String,
    function: &'static str,
}

impl Metrics {
    /// Those of `function` in the stack that `STACK_NAME` names, so that two stacks in one account are told apart.
    ///
    /// # Errors
    /// The environment does not name the stack.
    pub fn of(function: &'static str) -> Result<Self, MissingVariable> {
        Ok(Self { stack: variable("STACK_NAME")?, function })
    }

    /// Tells metrics at `now` (UTC), those of one name and reason as their sum. Their dimensions are the stack and the function, or the
    /// stack and the reason: each pair that occurs is a metric of its own, and costs.
    pub fn tell(&self, metrics: &[Metric], now: Timestamp) {
        for line in lines(&self.stack, self.function, metrics, now) {
            // A line that cannot be written is one measurement less; there is nowhere to say so.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}

/// A line for each reason, and one for what has none.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
fn lines(stack: &str, function: &str, metrics: &[Metric], now: Timestamp) -> Vec<Value> {
    let mut by_reason: BTreeMap<Option<&str>, BTreeMap<&str, (u64, &str)>> = BTreeMap::new();
    for metric in metrics {
        let of_reason = by_reason.entry(metric.reason.as_deref()).or_default();
        of_reason.entry(metric.name).or_insert((0, metric.unit)).0 += metric.value;
    }
    let line = |(reason, metrics): (Option<&str>, BTreeMap<&str, (u64, &str)>)| {
        let units: Vec<Value> =
            metrics.iter().map(|(name, (_, unit))| json!({ "Name": name, "Unit": unit })).collect();
        let dimensions = if reason.is_some() { ["Stack", "Reason"] } else { ["Stack", "Function"] };
        let mut line = json!({
            "_aws": {
                "Timestamp": now.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [dimensions],
                    "Metrics": units,
                }],
            },
            "Stack": stack,
            "Function": function,
        });
        if let Some(reason) = reason {
            line["Reason"] = reason.into();
        }
        for (name, (value, _)) in metrics {
            line[name] = value.into();
        }
        line
    };
    by_reason.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_metrics_and_has_their_values_beside_the_dimensions() {
        let metrics = [Metric::count("LostSchedules", 2), Metric::seconds("OldestOverdue", 360)];
        let lines = lines("salon", "sweeper", &metrics, "2026-11-23T10:00:00Z".parse().unwrap());
        let expected = json!({
            "_aws": {
                "Timestamp": 1_795_428_000_000_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "BookingNotifications",
                    "Dimensions": [["Stack", "Function"]],
                    "Metrics": [
                        { "Name": "LostSchedules", "Unit": "Count" },
                        { "Name": "OldestOverdue", "Unit": "Seconds" },
                    ],
                }],
            },
            "Stack": "salon",
            "Function": "sweeper",
            "LostSchedules": 2,
            "OldestOverdue": 360,
        });
        assert_eq!(lines, [expected]);
        assert!(!lines[0].to_string().contains('\n'), "one line is one event of the log");
    }

    #[test]
    fn what_has_a_reason_has_a_line_for_each_with_its_sum() {
        let withheld = |reason: &str| Metric::count("Withheld", 1).because(reason.to_owned());
        let metrics =
            [withheld("banned"), Metric::count("Sent", 1), withheld("too_late"), withheld("banned")];
        let lines = lines("salon", "deliver-sms", &metrics, "2026-11-23T10:00:00Z".parse().unwrap());
        let told: Vec<_> = lines
            .iter()
            .map(|line| (&line["Reason"], &line["Sent"], &line["Withheld"]))
            .map(|(reason, sent, withheld)| (reason.as_str(), sent.as_u64(), withheld.as_u64()))
            .collect();
        assert_eq!(
            told,
            [(None, Some(1), None), (Some("banned"), None, Some(2)), (Some("too_late"), None, Some(1))]
        );
        let dimensions = &lines[1]["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
        assert_eq!(*dimensions, json!([["Stack", "Reason"]]));
    }

    #[test]
    fn an_answer_tells_of_our_failures_only() {
        assert_eq!(Metric::of_answer(503), [Metric::count("ServerErrors", 1)]);
        assert!([200, 303, 404, 429].into_iter().all(|status| Metric::of_answer(status).is_empty()));
    }

    #[test]
    fn nothing_to_tell_is_no_line() {
        assert!(lines("salon", "sweeper", &[], "2026-11-23T10:00:00Z".parse().unwrap()).is_empty());
    }
}
