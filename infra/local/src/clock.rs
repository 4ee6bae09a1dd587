//! The stack's clock: the wall clock, moved ahead by the time machine.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Real time plus an offset that only grows. Everything in the stack that asks "what time is it" asks here.
#[derive(Debug, Default)]
pub struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// The stack's present instant (UTC).
    pub fn now(&self) -> Timestamp {
        self.at(self.wall())
    }

    /// The stack's instant for an instant of the wall clock, as the data services stamp their records.
    pub fn at(&self, wall: Timestamp) -> Timestamp {
        wall + SignedDuration::from_millis(self.offset_ms.load(Ordering::SeqCst))
    }

    /// The wall clock, for what a function measures itself: its deadline.
    #[allow(clippy::disallowed_methods, reason = "this is the stack's one reading of the wall clock")]
    pub fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Moves the clock ahead to `instant`; does nothing when that has passed already.
    pub fn advance_to(&self, instant: Timestamp) {
        let ahead = instant.as_millisecond() - self.now().as_millisecond();
        if ahead > 0 {
            self.offset_ms.fetch_add(ahead, Ordering::SeqCst);
        }
    }
}
