//! End-to-end tests: the real function binaries and the real `template.yaml` in the local stack, spoken to over HTTP only.
//!
//! Every test starts a stack of its own, because its clock is the time machine's and is moved by the test. What is asserted is what left
//! the outbox, and what the ledger says of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod access;
mod bad_input;
mod browser;
mod calls;
mod campaigns;
mod concurrency;
mod conversation;
mod delivery;
mod doctor;
mod document;
mod every_rule;
mod failures;
mod guide;
mod http;
mod isolation;
mod killed;
mod log;
mod operations;
mod pages;
mod quiet_hours;
mod salon;
mod slice;
mod stack;
mod tenants;
mod webhooks;
