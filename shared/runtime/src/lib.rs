//! What every function does the same way: its clock, its environment, its logs, its batches. No rules.

pub mod batch;
pub mod delivery;
mod environment;
mod ids;
mod logs;
pub mod metrics;
pub mod pace;

pub use environment::{BadVariable, MissingVariable, parsed, reach, variable};
pub use ids::RandomIds;
pub use logs::start_logs;

use jiff::Timestamp;

/// The present instant (UTC): the product's one reading of the clock. Everything below takes it as an argument.
#[allow(clippy::disallowed_methods, reason = "this is the one")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
