//! The use cases, each repeated, failed and killed at every call.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod disturbed;
