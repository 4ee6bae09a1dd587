//! Feedback: what a provider reports of a message after it took it.
//!
//! Reports come late, twice and out of order. Each only ever adds to what is known, and what arrived stands above what failed, so the end is
//! the same in whatever order they come.

use jiff::Timestamp;

use crate::client::Cause;
use crate::message::{Message, MessageStatus, Reason};

/// What a provider reports of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It has arrived.
    Delivered,
    /// It was opened, so it has arrived.
    Read,
    /// It was reported as spam, so it has arrived; the address is suppressed.
    Complaint,
    /// It did not arrive, and will not.
    Failed {
        /// Why.
        reason: Reason,
        /// Why the address must not be written to again, where that follows from it.
        suppress: Option<Cause>,
    },
}

impl Report {
    /// Why the address must not be written to again, if it must not.
    pub fn suppresses(self) -> Option<Cause> {
        match self {
            Report::Complaint => Some(Cause::Complaint),
            Report::Failed { suppress, .. } => suppress,
            Report::Delivered | Report::Read => None,
        }
    }

    fn status(self) -> MessageStatus {
        match self {
            Report::Delivered | Report::Complaint => MessageStatus::Delivered,
            Report::Read => MessageStatus::Read,
            Report::Failed { .. } => MessageStatus::Failed,
        }
    }
}

/// How much a status says about where a message ended. Reports move a message up only.
fn rank(status: MessageStatus) -> u8 {
    match status {
        MessageStatus::Failed => 1,
        MessageStatus::Delivered => 2,
        MessageStatus::Read => 3,
        _ => 0,
    }
}

/// The message with what a report of `at` (UTC) adds to it, or `None` where it adds nothing.
pub fn reported(message: &Message, report: Report, at: Timestamp) -> Option<Message> {
    let mut after = message.clone();
    let status = report.status();
    if rank(status) > rank(message.status) {
        after.status = status;
        after.reason = match report {
            Report::Failed { reason, .. } => Some(reason),
            _ => None,
        };
        after.lease = None;
        after.undelivered_at = None;
    }
    // A message that was opened had arrived by then. Of several reports the earliest tells when.
    if status != MessageStatus::Failed {
        after.delivered_at = Some(message.delivered_at.map_or(at, |known| known.min(at)));
    }
    if status == MessageStatus::Read {
        after.read_at = Some(message.read_at.map_or(at, |known| known.min(at)));
    }
    (after != *message).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn message(status: MessageStatus) -> Message {
        let mut message: Message = serde_json::from_str(
            r#"{"business_id":"b","booking_id":"k","id":"m","type":"reminder","step":"24h before start","revision":1,
                "client_id":"c","channel":"email","status":"accepted","due":"2026-11-23T10:00:00Z","attempts":1,"traces":[]}"#,
        )
        .unwrap();
        message.status = status;
        message
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    const BOUNCE: Report =
        Report::Failed { reason: Reason::InvalidAddress, suppress: Some(Cause::HardBounce) };

    #[rstest]
    #[case::arrives(MessageStatus::Accepted, Report::Delivered, MessageStatus::Delivered)]
    #[case::opened_first(MessageStatus::Accepted, Report::Read, MessageStatus::Read)]
    #[case::bounces(MessageStatus::Accepted, BOUNCE, MessageStatus::Failed)]
    #[case::never_back_from_delivered(MessageStatus::Delivered, BOUNCE, MessageStatus::Delivered)]
    #[case::never_back_from_read(MessageStatus::Read, Report::Delivered, MessageStatus::Read)]
    #[case::a_late_arrival_corrects_a_failure(
        MessageStatus::Failed,
        Report::Delivered,
        MessageStatus::Delivered
    )]
    #[case::what_was_unknown_is_known(MessageStatus::Unknown, Report::Delivered, MessageStatus::Delivered)]
    #[case::what_was_unknown_has_failed(MessageStatus::Unknown, BOUNCE, MessageStatus::Failed)]
    #[case::spam_has_arrived(MessageStatus::Accepted, Report::Complaint, MessageStatus::Delivered)]
    fn a_report_moves_a_message_up_only(
        #[case] before: MessageStatus,
        #[case] report: Report,
        #[case] expected: MessageStatus,
    ) {
        let message = message(before);
        let after = reported(&message, report, at(0)).unwrap_or_else(|| message.clone());
        assert_eq!(after.status, expected);
        assert_eq!(reported(&after, report, at(0)), None, "the same again adds nothing");
    }

    #[test]
    fn a_failure_says_why_and_an_arrival_takes_that_back() {
        let failed = reported(&message(MessageStatus::Accepted), BOUNCE, at(0)).unwrap();
        assert_eq!(failed.reason, Some(Reason::InvalidAddress));
        let arrived = reported(&failed, Report::Delivered, at(9)).unwrap();
        assert_eq!((arrived.reason, arrived.delivered_at), (None, Some(at(9))));
    }

    proptest! {
        #[test]
        fn the_end_is_the_same_in_whatever_order_reports_come(
            (given, shuffled) in prop::collection::vec((0..4_u8, 0..1000_i64), 1..8).prop_flat_map(|reports| {
                // Some of them come twice.
                let twice: Vec<_> = reports.iter().chain(reports.iter().take(2)).copied().collect();
                (Just(reports), Just(twice).prop_shuffle())
            })
        ) {
            let report = |kind| match kind {
                0 => Report::Delivered,
                1 => Report::Read,
                2 => Report::Complaint,
                _ => BOUNCE,
            };
            let end = |reports: &[(u8, i64)]| reports.iter().fold(message(MessageStatus::Accepted), |message, (kind, second)| {
                reported(&message, report(*kind), at(*second)).unwrap_or(message)
            });
            prop_assert_eq!(end(&given), end(&shuffled));
        }
    }
}
