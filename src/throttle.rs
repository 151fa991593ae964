//! Limits how often an event is logged.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Passes the first event of each period. A client can cause some events as often as it likes, and these must not fill
/// the log.
#[derive(Debug)]
pub(crate) struct Throttle {
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the last event passed; `None` before the first one.
    last: Option<Instant>,
    /// How many events were suppressed since then.
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

    /// Returns `Some` if an event at this moment passes, with the number of events that were suppressed since the last
    /// one. `is_enabled` is called only if the period is over. If it returns false, the event counts neither as passed
    /// nor as suppressed. The caller writes the event afterwards, so neither `is_enabled` nor a subscriber runs under
    /// the lock.
    pub(crate) fn pass(&self, now: Instant, is_enabled: impl FnOnce() -> bool) -> Option<usize> {
        if self.lock().is_early(now, self.period) || !is_enabled() {
            return None;
        }
        // Checked again, because an event of another thread may have passed meanwhile.
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
    /// Returns true if the period is not over. The event then counts as suppressed.
    fn is_early(&mut self, now: Instant, period: Duration) -> bool {
        // The moments of two threads may arrive in the opposite order. The difference is then zero.
        let is_early = self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < period);
        self.suppressed += usize::from(is_early);
        is_early
    }
}
