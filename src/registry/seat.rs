//! The request's place on the roster: from its first spawn until it is over and no task is alive.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::Registry;

impl Registry {
    pub(crate) fn join_roster(self: &Arc<Self>) {
        self.process().join(self);
    }

    pub(crate) fn is_seated(&self) -> bool {
        self.seat.is_taken()
    }

    /// Leaves the roster once the request is over and no task of it is alive: to be called by whoever
    /// may be the last, that is after the end of a task.
    pub(crate) fn leave_if_over(self: &Arc<Self>) {
        // Who has spawned before this, and does not see `over` in what follows, is seen by `conclude`.
        fence(Ordering::SeqCst);
        self.leave_if_last(false);
    }

    /// The same, where a task has ended, which others may wait for.
    pub(super) fn leave_after_end(self: &Arc<Self>) {
        fence(Ordering::SeqCst);
        self.leave_if_last(true);
    }

    pub(super) fn leave_if_last(self: &Arc<Self>, has_ended: bool) {
        let mut waits = false;
        // Under the roster's lock: a late task is counted in before it takes that to join. Either it is
        // seen here, or it joins again.
        self.process().roster().leave_if(&self.seat, has_ended, || {
            let is_over = self.over.load(Ordering::Acquire);
            // The counts first: who tells has said so before a count goes down.
            if !is_over || self.alive_here() > 0 || self.tells() {
                return false;
            }
            waits = self.anonymous().is_some_and(|a| !a.tracker().is_empty());
            if !waits {
                self.handler_goes_on.store(false, Ordering::Relaxed);
            }
            !waits
        });
        if waits {
            self.leave_when_empty();
        }
    }

    pub(super) fn tells(&self) -> bool {
        self.telling.load(Ordering::Acquire) > 0
    }

    /// The tasks in the tokio-util tracker do not keep the request, but the handle has to see them.
    pub(super) fn leave_when_empty(self: &Arc<Self>) {
        let Some(anonymous) = self.anonymous() else {
            return;
        };
        let request = self.clone();
        anonymous.when_empty(move || request.leave_after_end());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // A spare has neither.
        if let (true, Some(shared)) = (self.seat.is_taken(), &self.shared) {
            shared.process.roster().leave_if(&self.seat, false, || true);
        }
    }
}
