//! Metrics: lines in CloudWatch's embedded metric format on standard output, which CloudWatch Logs makes metrics of.
//!
//! There is a crate for it, which brings a global recorder with counters that live from one invocation to the next. What is measured here is
//! known when it is told, and told in one line.

use std::io::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

/// The namespace of all metrics of the product.
const NAMESPACE: &str = "BookingNotifications";

/// A number of what happened, or how long something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    name: &'static str,
    value: u64,
    unit: &'static str,
}

impl Metric {
    /// How often something happened, or how many there are.
    pub fn count(name: &'static str, value: u64) -> Self {
        Self { name, value, unit: "Count" }
    }

    /// As CloudWatch and its alarms know it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How long, in seconds.
    pub fn seconds(name: &'static str, value: u64) -> Self {
        Self { name, value, unit: "Seconds" }
    }
}

/// Tells the metrics of a function at `now` (UTC). They have two dimensions: the stack, so that two in one account are told apart, and the
/// function.
pub fn put_metrics(stack: &str, function: &str, metrics: &[Metric], now: Timestamp) {
    // A line that cannot be written is one measurement less; there is nowhere to say so.
    let _ = writeln!(std::io::stdout(), "{}", line(stack, function, metrics, now));
}

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
fn line(stack: &str, function: &str, metrics: &[Metric], now: Timestamp) -> Value {
    let units: Vec<Value> =
        metrics.iter().map(|metric| json!({ "Name": metric.name, "Unit": metric.unit })).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Stack", "Function"]],
                "Metrics": units,
            }],
        },
        "Stack": stack,
        "Function": function,
    });
    for metric in metrics {
        line[metric.name] = metric.value.into();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_metrics_and_has_their_values_beside_the_dimensions() {
        let metrics = [Metric::count("LostSchedules", 2), Metric::seconds("OldestOverdue", 360)];
        let line = line("salon", "sweeper", &metrics, "2026-11-23T10:00:00Z".parse().unwrap());
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
        assert_eq!(line, expected);
        assert!(!line.to_string().contains('\n'), "one line is one event of the log");
    }
}
