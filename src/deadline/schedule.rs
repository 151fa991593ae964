//! When unfinished tasks are cancelled and aborted.

use std::time::Duration;

use tokio::time::Instant;

use crate::settings::Unfinished;

/// The longest time that aborted tasks get for their destructors, which are a part of the work.
pub(crate) const DESTRUCTOR_TIME: Duration = Duration::from_millis(100);

/// A time that is longer than any process runs, and short enough for the clock.
pub(crate) const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The last steps of a wait, in this order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// When the request's token is cancelled. `None` under [`Unfinished::Continue`].
    pub(crate) cancel: Option<Instant>,
    /// When the tasks are aborted. `None` under [`Unfinished::Continue`].
    pub(crate) abort: Option<Instant>,
    pub(crate) end: Instant,
}

impl Schedule {
    /// Returns the schedule of a window that opened at `opened` and closes at `end`.
    #[inline]
    pub(crate) fn at_deadline(opened: Instant, end: Instant, unfinished: Unfinished) -> Self {
        if unfinished == Unfinished::Continue {
            return Self {
                cancel: None,
                abort: None,
                end,
            };
        }
        let window = end.saturating_duration_since(opened);
        let mut destructors = DESTRUCTOR_TIME.min(window / 10);
        if let Unfinished::Cancel { grace } = unfinished {
            // At most half of the grace, so that a task has time to stop by itself before it is aborted.
            if !grace.is_zero() {
                destructors = destructors.min(grace / 2);
            }
        }
        let abort = before(end, destructors);
        let cancel = match unfinished {
            Unfinished::Cancel { grace } => before(end, grace.min(window)).min(abort),
            Unfinished::Abort | Unfinished::Continue => abort,
        };
        Self {
            cancel: Some(cancel),
            abort: Some(abort),
            end,
        }
    }

    /// Returns the schedule for a client that has left; `None` if the tasks run on.
    pub(crate) fn at_disconnect(now: Instant, unfinished: Unfinished) -> Option<Self> {
        match unfinished {
            Unfinished::Continue => None,
            Unfinished::Cancel { grace } => {
                let end = now + grace.min(FAR_FUTURE);
                Some(Self::at_deadline(now, end, unfinished))
            }
            Unfinished::Abort => Some(Self {
                cancel: Some(now),
                abort: Some(now),
                end: now + DESTRUCTOR_TIME,
            }),
        }
    }

    /// Returns this schedule, with no step later than `end`.
    pub(crate) fn capped(self, end: Option<Instant>) -> Self {
        let Some(end) = end else {
            return self;
        };
        Self {
            cancel: self.cancel.map(|at| at.min(end)),
            abort: self.abort.map(|at| at.min(end)),
            end: self.end.min(end),
        }
    }

    /// Returns the time of the first step.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn first(&self) -> Instant {
        self.cancel.unwrap_or(self.end)
    }

    /// Returns the time of the next step after `now`, or of the end if there is none.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let steps = [self.cancel, self.abort].into_iter().flatten();
        let later = steps.filter(|at| *at > now);
        later.min().unwrap_or(self.end)
    }
}

fn before(end: Instant, by: Duration) -> Instant {
    end.checked_sub(by).unwrap_or(end)
}
