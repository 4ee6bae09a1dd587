//! How many requests a business may make in a minute, over all sandboxes: counted in slices. A sandbox takes a slice of the minute's requests
//! and gives them out; so the count is never above the limit, and costs one call for many requests. What a sandbox has left when the minute
//! ends is lost with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::ids::BusinessId;
use jiff::{SignedDuration, Timestamp};

use crate::ports::{Count, PortError, Take, Taken};

/// The most requests a sandbox takes at once. A thirtieth of the limit where that is less, so that a few sandboxes do not hoard it.
const LARGEST_SLICE: u64 = 20;

/// The length of what is counted, in seconds.
const MINUTE: i64 = 60;

/// What a sandbox knows of the present minute.
#[derive(Debug)]
pub struct RequestLimit {
    per_minute: u64,
    slices: Mutex<Slices>,
}

#[derive(Debug, Default)]
struct Slices {
    /// Minutes since the epoch.
    minute: i64,
    of: HashMap<BusinessId, Taken>,
}

/// Whether a request may be made, and how the limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Whether this request may be made.
    pub admitted: bool,
    /// How many a minute has.
    pub limit: u64,
    /// How many are left of it, as far as this sandbox knows.
    pub remaining: u64,
    /// In how many seconds the next minute begins: 1 to 60.
    pub seconds_left: u64,
}

impl RequestLimit {
    /// So many requests a minute for each business, at least one.
    pub fn per_minute(per_minute: u64) -> Self {
        Self { per_minute: per_minute.max(1), slices: Mutex::default() }
    }

    /// Whether a business may make one more request at `now` (UTC).
    ///
    /// # Errors
    /// The count cannot be made. The request should be let through: a limit protects, and is not worth an outage.
    pub async fn admit(
        &self,
        meter: &impl Take,
        business_id: &BusinessId,
        now: Timestamp,
    ) -> Result<Quota, PortError> {
        let seconds_left = u64::try_from(MINUTE - now.as_second().rem_euclid(MINUTE)).unwrap_or(1);
        let quota = |admitted, remaining| Quota { admitted, limit: self.per_minute, remaining, seconds_left };
        let minute = match self.give_one(business_id, now.as_second().div_euclid(MINUTE)) {
            Here::Given(remaining) => return Ok(quota(true, remaining)),
            Here::UsedUp => return Ok(quota(false, 0)),
            Here::Nothing(minute) => minute,
        };
        let count = Count {
            what: format!("REQUESTS#{minute}"),
            add: (self.per_minute / 30).clamp(1, LARGEST_SLICE),
            most: self.per_minute,
            expires_at: now + SignedDuration::from_hours(1),
        };
        let taken = meter.take(business_id, &count).await?;
        let mut slices = self.slices();
        if slices.minute == minute {
            // Another request of this sandbox may have taken a slice at the same time.
            let here = slices.of.entry(business_id.clone()).or_insert(Taken { taken: 0, left: 0 });
            *here = Taken { taken: here.taken + taken.taken, left: taken.left };
        }
        drop(slices);
        match self.give_one(business_id, minute) {
            Here::Given(remaining) => Ok(quota(true, remaining)),
            _ => Ok(quota(false, 0)),
        }
    }

    /// Gives out one of the requests that this sandbox has taken.
    fn give_one(&self, business_id: &BusinessId, minute: i64) -> Here {
        let mut slices = self.slices();
        if minute > slices.minute {
            *slices = Slices { minute, of: HashMap::new() };
        }
        // A request that comes late counts with those of its arrival.
        let minute = slices.minute;
        match slices.of.get_mut(business_id) {
            Some(Taken { taken, left }) if *taken > 0 => {
                *taken -= 1;
                Here::Given(*taken + *left)
            }
            Some(Taken { left: 0, .. }) => Here::UsedUp,
            _ => Here::Nothing(minute),
        }
    }

    fn slices(&self) -> MutexGuard<'_, Slices> {
        self.slices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a sandbox can say by itself.
enum Here {
    /// It had one, and so many are left.
    Given(u64),
    /// The minute is used up.
    UsedUp,
    /// It has none left; in this minute.
    Nothing(i64),
}
