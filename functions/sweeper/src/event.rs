//! What the template's schedule sends, and what a sweep tells.

use app::sweep::Swept;
use jiff::Timestamp;
use runtime::metrics::Metric;
use serde::Deserialize;

/// A sweep is due.
#[derive(Debug, Deserialize)]
pub struct Due {
    /// The instant it was scheduled for (UTC).
    pub at: Timestamp,
}

/// What was found, as the alarms of template.yaml watch it.
pub fn metrics(swept: Swept) -> [Metric; 7] {
    let late = u64::try_from(swept.oldest_overdue.as_secs()).unwrap_or(0);
    [
        Metric::count("DueNotQueued", swept.due_not_queued),
        Metric::count("AbandonedLeases", swept.abandoned_leases),
        Metric::count("OverdueChecks", swept.overdue_checks),
        Metric::count("LostSchedules", swept.lost_schedules),
        Metric::count("OrphanedSchedules", swept.orphaned_schedules),
        Metric::count("SweepFailures", swept.failures),
        Metric::seconds("OldestOverdue", late),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_what_the_template_sends() {
        let template = include_str!("../../../template.yaml");
        let input = r#"{"at":"<aws.scheduler.scheduled-time>"}"#;
        assert!(template.contains(input) && template.contains("rate(15 minutes)"));
        let event = input.replace("<aws.scheduler.scheduled-time>", "2026-11-23T10:00:00Z");
        assert_eq!(serde_json::from_str::<Due>(&event).unwrap().at, "2026-11-23T10:00:00Z".parse().unwrap());
    }
}
