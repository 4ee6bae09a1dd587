//! The use cases' world in memory: the [ports](app::ports) with a virtual clock and faults on demand, a driver that repeats what AWS
//! would repeat, and the tests every use case must pass.
//!
//! - [`world`]: the stores, timers, queues and providers, and what can go wrong at each call;
//! - [`turns`]: use cases under way, and which goes on;
//! - [`platform`]: who calls the use cases, when, and again when they fail or die;
//! - [`invariants`]: what must hold after every single call;
//! - [`end_state`]: what is left when all is done, in lines that compare;
//! - [`disturb`]: every step failed, repeated and died at, against the undisturbed run;
//! - [`salon`]: the business the tests play in;
//! - [`recorded`]: a provider on this machine for the tests of adapters;
//! - [`issuer`]: an issuer of tokens on this machine.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests call it; a broken assumption shall stop the test"
)]

mod access;
pub mod disturb;
pub mod end_state;
mod feedback;
pub mod invariants;
pub mod issuer;
mod lists;
pub mod platform;
pub mod recorded;
pub mod salon;
mod store;
pub mod turns;
pub mod world;
