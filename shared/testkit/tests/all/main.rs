//! The use cases in the world of [`testkit`]: disturbed at every call, against each other, by strangers, and at random.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod campaigns;
mod concurrent;
mod disturbed;
mod erase;
mod facts;
mod import;
mod keys;
mod links;
mod lists;
mod once;
mod random;
mod refused;
mod replies;
mod reports;
mod requests;
mod settings;
mod sweep;
mod tenants;
mod waitlist;
mod webhooks;
mod world;
