//! The decision trace: each check a message went through, with its inputs and its verdict, in order.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// What came of it.
    pub verdict: Verdict,
    /// The inputs, readable by staff; holds no name, and addresses only masked.
    pub because: Cow<'static, str>,
}

/// What a check looks at, in the order in which the checks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Is the message still owed by the booking as it is now?
    Owed,
    /// Is the address suppressed?
    Suppression,
    /// Has the business forbidden it on the client card (S44, S45)?
    Ban,
    /// Has the client agreed to marketing (S43), and opted out of nothing that this is?
    OptOut,
    /// Was the operation made without a notice, or with one in any case (S31, S35)?
    Notify,
    /// Is it switched on by the rule that prevails (S13, S57, S58)?
    Switch,
    /// Has the business taken the paid sms option (S15)?
    SmsOption,
    /// Is there an address for the channel?
    Address,
    /// Do the business's limits on sms allow it?
    Limits,
    /// Does another channel stand before it in the cascade (S4)?
    Cascade,
    /// Does the client have a future booking, so that no invitation is needed (S1)?
    FutureBooking,
    /// Was the booking made too late for this timing?
    Lateness,
    /// Is the message still of use?
    UseBy,
    /// Does it fall into quiet hours (S27)?
    QuietHours,
    /// Could the text be made?
    Template,
    /// Did the provider take it?
    Provider,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing in the way.
    Pass,
    /// The message moves to another time.
    Move,
    /// The message does not leave.
    Suppress,
}

/// The checks of one judgement: made when the message was planned and again when it was about to leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    /// The instant the judgement was made for (UTC).
    pub at: Timestamp,
    /// The version of the rules it was made by.
    pub rules_version: u64,
    /// The checks in the order they were made. A suppressing check is the last.
    pub findings: Vec<Finding>,
}

impl Trace {
    /// An empty trace.
    pub fn new(at: Timestamp, rules_version: u64) -> Self {
        // As many checks as a message that leaves goes through.
        Self { at, rules_version, findings: Vec::with_capacity(8) }
    }

    /// Notes a check.
    pub fn note(&mut self, check: Check, verdict: Verdict, because: impl Into<Cow<'static, str>>) {
        self.findings.push(Finding { check, verdict, because: because.into() });
    }
}
