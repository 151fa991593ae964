//! At most one event in a period.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets the first event of each period through: what a client can cause as often as it likes must not fill the log.
#[derive(Debug)]
pub(crate) struct Throttle {
    period: Duration,
    /// When the last event was let through; `None` before the first one.
    last: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(crate) const fn new(period: Duration) -> Self {
        Self {
            period,
            last: Mutex::new(None),
        }
    }

    /// Returns whether an event of this moment is let through. The caller writes it afterwards: no subscriber runs
    /// under the lock.
    pub(crate) fn lets_through(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Two threads may come with their moments in the other order: the earlier one is no time after the later.
        let is_free = last.is_none_or(|last| now.saturating_duration_since(last) >= self.period);
        if is_free {
            *last = Some(now);
        }
        is_free
    }
}
