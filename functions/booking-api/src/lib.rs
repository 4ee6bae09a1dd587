//! The HTTP API: writes facts to the `Bookings` table and nothing else, and lets callers upload images.

mod call;
mod document;
mod examples;
mod limit;
mod operations;
mod problem;
mod routes;
mod telling;

pub use document::openapi;
pub use routes::router;
pub use telling::telling;
