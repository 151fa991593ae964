//! At most one event in a period.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lets the first event of each period through: what a client can cause as often as it likes must not fill the log.
#[derive(Debug)]
pub(crate) struct Throttle {
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the last event was let through; `None` before the first one.
    last: Option<Instant>,
    /// How many were not, since then.
    suppressed: usize,
}

impl Throttle {
    pub(crate) const fn new(period: Duration) -> Self {
        let state = State {
            last: None,
            suppressed: 0,
        };
        Self {
            period,
            state: Mutex::new(state),
        }
    }

    /// Returns how many events were suppressed since the last one, if an event of this moment is let through. `may`
    /// is called only where it is time for one, and an event that it refuses counts as none. The caller writes the
    /// event afterwards: neither `may` nor a subscriber runs under the lock.
    pub(crate) fn pass(&self, now: Instant, may: impl FnOnce() -> bool) -> Option<usize> {
        if self.lock().is_early(now, self.period) || !may() {
            return None;
        }
        // Another thread may have been quicker.
        let mut state = self.lock();
        if state.is_early(now, self.period) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether it is too early for another event, which then counts as suppressed.
    fn is_early(&mut self, now: Instant, period: Duration) -> bool {
        // Two threads may come with their moments in the other order: the earlier one is no time after the later.
        let is_early = self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < period);
        self.suppressed += usize::from(is_early);
        is_early
    }
}
