//! The wait of one request, its drain window, and what a report shows of them.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::hooks::Hooks;
use super::steps::{Leaving, Steps};
use crate::report::DrainReport;
use crate::request::Request;
use crate::request::account::Look;

/// The wait of one request.
#[derive(Default)]
pub(super) struct Wait {
    /// `Some` while a window is open.
    pub(super) window: Option<Window>,
    pub(super) hooks: Hooks,
    /// The time during which windows were open, without a window that is open now.
    pub(super) drained: Duration,
    /// The part of it during which the response was held.
    pub(super) held: Duration,
    /// A window was opened.
    pub(super) has_waited: bool,
    /// The last end in a window that has drained.
    pub(super) last: Option<LastEnd>,
    /// The window closed before the tasks were done.
    pub(super) cut_short: bool,
    /// The window closed before the tasks were done, and the head of a stream was held. So a task may have waited for
    /// the end of its own response's body.
    pub(super) stream_was_held: bool,
    /// The result of a request in [`Stage::Expired`].
    pub(super) ended: Ended,
    /// `Some` in [`Stage::Leaving`].
    pub(super) leaving: Option<Leaving>,
}

/// The drain window: it opens when the response could be released, and closes at its deadline at the latest.
pub(super) struct Window {
    pub(super) opened: Instant,
    /// The tasks have had one turn of the scheduler since the window opened. Until then no waker is registered and no
    /// timer is made, because most tasks end within that turn.
    pub(super) had_turn: bool,
    /// What was alive at the last check that found something alive.
    pub(super) alive: Option<Alive>,
    pub(super) steps: Steps,
    /// Nothing was alive at the last check. The window closes with the release, or at once if the request goes on.
    pub(super) is_drained: bool,
    /// A required task had failed at the last check. Final once the window has drained.
    pub(super) required_failed: bool,
}

/// What a report shows of the wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WaitSummary {
    /// The time during which windows were open.
    pub(super) drain: Duration,
    /// The part of it during which the response was held.
    pub(super) held: Duration,
    /// The last end that the wait needed.
    pub(super) last: Option<LastEnd>,
}

/// The last end that a window waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastEnd {
    pub(super) kind: Alive,
    /// `None` until the window closes.
    pub(super) at: Option<Instant>,
}

/// What is alive of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alive {
    /// Tasks of the crate, and possibly some in the tokio-util tracker.
    Tasks,
    /// Nothing but tasks in the tokio-util tracker.
    TrackerOnly,
}

/// The result of a request that was released, until it is reported.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) required_failed: bool,
    /// `None` if nothing reads it, or there is nothing to report.
    pub(super) report: Option<Arc<DrainReport>>,
}

impl Wait {
    /// Returns whether the abort step before the deadline was taken.
    #[cfg(feature = "http")]
    pub(super) fn is_stopping(&self) -> bool {
        let window = self.window.as_ref();
        window.is_some_and(|window| window.steps.stopped_before().is_some())
    }

    /// Returns for how long windows were open up to `now`, and for how long of that the response was held. `is_held`:
    /// an open window holds the response.
    pub(super) fn durations(&self, now: Instant, is_held: bool) -> (Duration, Duration) {
        let window = self.window.as_ref();
        let open_for = window.map_or(Duration::ZERO, |window| {
            now.saturating_duration_since(window.opened)
        });
        let held = if is_held { open_for } else { Duration::ZERO };
        (self.drained + open_for, self.held + held)
    }

    /// Returns the window if its tasks have had their first turn, and something was alive at the last check.
    #[inline]
    pub(super) fn awaiting(&mut self) -> Option<&mut Window> {
        let window = self.window.as_mut();
        window.filter(|window| window.had_turn && !window.is_drained)
    }

    /// Ends the held time of the open window: the response is not held any more.
    #[cfg(feature = "http")]
    pub(super) fn stop_holding(&mut self) {
        if let Some(window) = &self.window {
            self.held += window.opened.elapsed();
            crate::metrics::held(-1.0);
        }
    }
}

impl Window {
    /// Records a check of the tasks. Ready if no task is alive.
    #[inline]
    pub(super) fn update(&mut self, look: Look) -> Poll<()> {
        self.required_failed = look.required_failed;
        match Alive::of(look) {
            None => Poll::Ready(()),
            alive => {
                self.alive = alive;
                Poll::Pending
            }
        }
    }

    pub(super) fn new(opened: Instant, alive: Option<Alive>) -> Self {
        Self {
            opened,
            had_turn: false,
            alive,
            steps: Steps::default(),
            is_drained: false,
            required_failed: false,
        }
    }

    /// Returns whether the deadline, or the end of a shutdown, has stopped a task. A task that could not be aborted may
    /// have ended by itself in time, and does not count.
    pub(super) fn has_cut_short(&self, request: &Request) -> bool {
        match self.steps.stopped_before() {
            Some(before) => request.stopped() > before,
            // The end of a shutdown aborts tasks, possibly just before this window ends.
            None => request.process().is_over() && request.has_stopped_in_window(),
        }
    }
}

impl Alive {
    /// Returns `None` if nothing is alive.
    #[inline]
    pub(super) fn of(look: Look) -> Option<Self> {
        if look.own {
            Some(Alive::Tasks)
        } else if look.in_tracker {
            Some(Alive::TrackerOnly)
        } else {
            None
        }
    }
}
