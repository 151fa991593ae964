//! The drain window, and what a report has of it.

use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::steps::Steps;
use crate::request::Request;
use crate::request::account::Look;

/// The drain window: from the moment the response could be released, to its deadline.
pub(super) struct Window {
    pub(super) opened: Instant,
    /// Tasks had a turn of the scheduler since then. Before that no waker is kept, and no timer is made: most tasks
    /// have ended when the wait looks again.
    pub(super) had_turn: bool,
    /// What was alive when it was last looked.
    pub(super) alive: Option<Alive>,
    pub(super) steps: Steps,
    /// Everything was done when it was last looked: it closes with the release, or now if the request goes on.
    pub(super) is_drained: bool,
    /// A required task had failed when it was last looked. Final once the window has drained.
    pub(super) required_failed: bool,
}

/// What a report has of the wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WaitSummary {
    /// For how long windows were open.
    pub(super) drain: Duration,
    /// For how long of that the response was kept back.
    pub(super) held: Duration,
    /// What ended last, of what was waited for.
    pub(super) last: Option<LastEnd>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct LastEnd {
    pub(super) kind: Alive,
    /// `None` until the window closes that waited for it.
    pub(super) at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alive {
    Tasks,
    /// Only those in the tokio-util tracker.
    TrackerOnly,
}

impl Alive {
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
    /// Ready if no task is alive.
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

    /// Whether tasks were cut short. What could not be aborted may have ended by itself in time.
    pub(super) fn has_cut_short(&self, request: &Request) -> bool {
        match self.steps.stopped_before() {
            Some(before) => request.stopped() > before,
            // The end of a shutdown aborts tasks, perhaps a moment before this window ends.
            None => request.process().is_over() && request.has_stopped_in_window(),
        }
    }
}
