//! The time machine: lets days pass in seconds, and everything that is due on the way happen in its order.

use jiff::{SignedDuration, Timestamp};

use super::{Fired, Services};
use crate::seams::Stack;

/// More steps than this on one journey are taken for a loop.
const MAX_STEPS: usize = 100_000;

/// A journey ends when what left on it has had the feedback that comes at once: within this many seconds after it.
const LAST_FEEDBACK: SignedDuration = SignedDuration::from_secs(5);

/// Why the time machine stopped. The clock stays where it was then.
#[derive(Debug, thiserror::Error)]
pub enum RunToError {
    /// The clock only goes forward.
    #[error("{instant} has passed already: it is {now}")]
    Past {
        /// Where the journey should have gone.
        instant: Timestamp,
        /// The stack's present.
        now: Timestamp,
    },
    /// The functions did not come to rest within the stack's time limit.
    #[error("stopped at {at}: the stack is still busy: {busy}")]
    StillBusy {
        /// How far it came.
        at: Timestamp,
        /// What was still busy.
        busy: String,
    },
    /// Something keeps firing.
    #[error("stopped at {at}: more than {MAX_STEPS} firings on the way")]
    TooMany {
        /// How far it came.
        at: Timestamp,
    },
}

impl Services {
    /// Moves the clock to `instant`, and on the way to each time when a schedule fires, feedback arrives, a function is
    /// called by its own schedule or a hidden queue message becomes visible; lets the stack come to rest each time, so
    /// that what follows from it takes its place in the order.
    ///
    /// Answers what fired, in order.
    ///
    /// # Errors
    /// If `instant` has passed, the stack does not come to rest, or there is no end of firings.
    pub async fn run_to(&self, stack: &dyn Stack, instant: Timestamp) -> Result<Vec<Fired>, RunToError> {
        let _turn = self.firing.lock().await;
        let _turn = self.arriving.lock().await;
        let now = self.clock.now();
        if instant < now {
            return Err(RunToError::Past { instant, now });
        }
        let mut fired = Vec::new();
        let mut steps = 0;
        let mut at_rest = false;
        loop {
            if !at_rest {
                stack.drained().await.map_err(|busy| RunToError::StillBusy { at: self.clock.now(), busy })?;
            }
            let before_end = |next: &Timestamp| *next <= instant;
            let due = self.scheduler.next_due().filter(before_end);
            let visible = stack.next_visible().filter(before_end);
            let told = self.feedback.next_due().filter(|next| next.duration_since(instant) <= LAST_FEEDBACK);
            let others = [due, visible, told].into_iter().flatten().min();
            if at_rest {
                self.ticks.leave_out(others.unwrap_or(instant).min(instant));
            }
            let tick = self.ticks.next_due().filter(before_end);
            let Some(next) = [others, tick].into_iter().flatten().min() else {
                self.clock.advance_to(instant);
                return Ok(fired);
            };
            self.clock.advance_to(next);
            at_rest = false;
            if tick == Some(next) {
                let mut wrote = false;
                for pending in self.ticks.take_earliest(&self.config, next) {
                    steps += 1;
                    wrote |= self.invoke(pending, stack).await;
                }
                // Nothing follows from a function that only looked.
                at_rest = !wrote && others != Some(next);
            }
            if told == Some(next) {
                steps += self.arrive_earliest(next, stack).await;
            }
            if due == Some(next) {
                let batch = self.scheduler.fire_earliest(next, &self.queues).await;
                steps += batch.len();
                fired.extend(batch);
            }
            if visible == Some(next) {
                steps += 1;
                stack.make_visible(next).await;
            }
            if steps > MAX_STEPS {
                return Err(RunToError::TooMany { at: self.clock.now() });
            }
        }
    }
}
