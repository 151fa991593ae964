//! The drain window, and what a report shows of it.

use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::steps::Steps;
use crate::request::Request;
use crate::request::account::Look;

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
