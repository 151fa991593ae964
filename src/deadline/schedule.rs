//! When unfinished tasks are cancelled and aborted.

use std::time::Duration;

use tokio::time::Instant;

use crate::report::NotDone;
use crate::settings::Unfinished;

/// The longest time that aborted tasks get for their destructors, which are a part of the work.
pub(crate) const DESTRUCTOR_TIME: Duration = Duration::from_millis(100);

/// The longest default of the time that is kept free for hand-offs.
const DEFAULT_HAND_OFF_GRACE: Duration = Duration::from_secs(2);

/// A time that is longer than any process runs, and short enough for the clock.
pub(crate) const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The last steps of a wait, in this order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// When the request's token is cancelled. `None` under [`Unfinished::Continue`].
    pub(crate) cancel: Option<Instant>,
    /// When the tasks are aborted. `None` under [`Unfinished::Continue`].
    pub(crate) abort: Option<Instant>,
    /// When the tasks with a hand-off are stopped and handed off. `None` if there are no such tasks.
    pub(crate) hand_off: Option<HandOffPoint>,
    pub(crate) end: Instant,
    /// Why a task that is aborted is not done.
    pub(crate) why: NotDone,
}

/// When the tasks with a hand-off are stopped and handed off, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandOffPoint {
    pub(crate) at: Instant,
    /// When the request's token is cancelled, so that these tasks have the whole grace of [`Unfinished::Cancel`] before
    /// they are stopped. `None` under any other policy.
    cancel: Option<Instant>,
    pub(crate) why: NotDone,
}

impl HandOffPoint {
    /// Returns the point of a window that opened at `opened`, for its limit at `end`. `grace`: the time that is kept
    /// free before the limit, if it was set. It begins with the window at the earliest. `unfinished`: what happens to
    /// other tasks at the limit.
    pub(crate) fn before(
        opened: Instant,
        end: Instant,
        grace: Option<Duration>,
        unfinished: Unfinished,
        why: NotDone,
    ) -> Self {
        let window = end.saturating_duration_since(opened);
        let grace = grace.unwrap_or_else(|| DEFAULT_HAND_OFF_GRACE.min(window / 4));
        let at = before(end, grace).max(opened);
        let cancel = match unfinished {
            Unfinished::Cancel { grace } => Some(before(at, grace).max(opened)),
            Unfinished::Abort | Unfinished::Continue => None,
        };
        Self { at, cancel, why }
    }
}

impl Schedule {
    /// Returns the schedule of a window that opened at `opened` and closes at `end`.
    #[inline]
    pub(crate) fn at_deadline(
        opened: Instant,
        end: Instant,
        unfinished: Unfinished,
        why: NotDone,
    ) -> Self {
        if unfinished == Unfinished::Continue {
            return Self {
                cancel: None,
                abort: None,
                hand_off: None,
                end,
                why,
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
            hand_off: None,
            end,
            why,
        }
    }

    /// Adds the hand-offs.
    #[cold]
    pub(crate) fn with_hand_off(self, point: HandOffPoint) -> Self {
        Self {
            cancel: [self.cancel, point.cancel].into_iter().flatten().min(),
            hand_off: Some(point),
            ..self
        }
    }

    /// Returns the schedule for a client that has left; `None` if the tasks run on.
    pub(crate) fn at_disconnect(now: Instant, unfinished: Unfinished) -> Option<Self> {
        match unfinished {
            Unfinished::Continue => None,
            Unfinished::Cancel { grace } => {
                let end = now + grace.min(FAR_FUTURE);
                Some(Self::at_deadline(now, end, unfinished, NotDone::ClientGone))
            }
            Unfinished::Abort => Some(Self {
                cancel: Some(now),
                abort: Some(now),
                hand_off: None,
                end: now + DESTRUCTOR_TIME,
                why: NotDone::ClientGone,
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
            ..self
        }
    }

    /// Returns the time of the first step.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn first(&self) -> Instant {
        let first = self.cancel.unwrap_or(self.end);
        match self.hand_off {
            Some(point) => first.min(point.at),
            None => first,
        }
    }

    /// Returns the time of the next step after `now`, or of the end if there is none.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let hand_off = self.hand_off.map(|point| point.at);
        let steps = [self.cancel, self.abort, hand_off].into_iter().flatten();
        let later = steps.filter(|at| *at > now);
        later.min().map_or(self.end, |at| at.min(self.end))
    }
}

fn before(end: Instant, by: Duration) -> Instant {
    end.checked_sub(by).unwrap_or(end)
}
