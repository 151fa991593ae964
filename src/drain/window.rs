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
    pub(super) awaited: Option<Awaited>,
    pub(super) steps: Steps,
    /// Everything was done when it was last looked: it closes with the release, or now if the request goes on.
    pub(super) is_drained: bool,
    /// A required task had failed when it was last looked. Final once the window has drained.
    pub(super) required_failed: bool,
}

/// What a report has of the wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waited {
    /// For how long windows were open.
    pub(super) drain: Duration,
    /// For how long of that the response was kept back.
    pub(super) held: Duration,
    /// What ended last, of what was waited for.
    pub(super) last: Option<Last>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    pub(super) awaited: Awaited,
    /// `None` until the window closes that waited for it.
    pub(super) at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    Tasks,
    /// Only those in the tokio-util tracker.
    Tracker,
}

impl Awaited {
    #[inline]
    pub(super) fn of(look: Look) -> Option<Self> {
        if look.own {
            Some(Awaited::Tasks)
        } else if look.in_tracker {
            Some(Awaited::Tracker)
        } else {
            None
        }
    }
}

impl Window {
    /// Ready if no task is alive.
    #[inline]
    pub(super) fn looked(&mut self, look: Look) -> Poll<()> {
        self.required_failed = look.required_failed;
        match Awaited::of(look) {
            None => Poll::Ready(()),
            awaited => {
                self.awaited = awaited;
                Poll::Pending
            }
        }
    }

    pub(super) fn new(opened: Instant, awaited: Option<Awaited>) -> Self {
        Self {
            opened,
            had_turn: false,
            awaited,
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
