//! What the time machine needs to know of the part that runs the functions.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::sandbox::Invocation;

/// The running functions with their event sources, seen from the time machine.
pub trait Stack: Send + Sync + 'static {
    /// Resolves when nothing is left to handle: no stream record unread, no visible queue message, no invocation in flight.
    /// Resolves at the latest after a minute of real time, with what was still busy in the error.
    fn drained(&self) -> BoxFuture<'_, Result<(), String>>;

    /// When the next queue message hidden by a failed delivery becomes visible again, in the stack's time.
    fn next_visible(&self) -> Option<Timestamp>;

    /// Makes visible at once every queue message whose hiding ends at or before `instant`.
    fn make_visible(&self, instant: Timestamp) -> BoxFuture<'_, ()>;

    /// Invokes the function with this ARN with an event in JSON. None: there is no such function.
    fn invoke(&self, function_arn: &str, event: String) -> BoxFuture<'_, Option<Invocation>>;

    /// Answers a request to the HTTP API, as one that comes from the internet.
    fn request(&self, request: Request<Body>) -> BoxFuture<'_, Response>;
}
