//! The request's place on the roster: from its first spawn until it is over and no task is alive.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, PoisonError};

use super::Registry;

impl Registry {
    pub(crate) fn join_roster(self: &Arc<Self>) {
        let mut ledger = self.ledger();
        if ledger.seat.is_none() {
            ledger.seat = Some(self.process().join(self));
        }
    }

    /// Leaves the roster once the request is over and no task of it is alive.
    pub(crate) fn leave_if_over(self: &Arc<Self>) {
        // The count is read under the lock, and a late task is counted in before it takes the lock
        // to join: either it is seen here, or it joins again.
        let (seat, waits) = {
            let mut ledger = self.ledger();
            // Who has spawned before this, and does not see `over` here, is seen by `conclude`.
            fence(Ordering::SeqCst);
            if !self.over.load(Ordering::Acquire) || self.counted() + self.detached.alive() > 0 {
                return;
            }
            match self.anonymous() {
                Some(anonymous) if !anonymous.tracker().is_empty() => (None, ledger.seat.is_some()),
                _ => {
                    ledger.handler_goes_on = false;
                    (ledger.seat.take(), false)
                }
            }
        };
        if let Some(seat) = seat {
            self.process().leave(seat);
        } else if waits {
            self.leave_when_empty();
        }
    }

    /// The tasks in the tokio-util tracker do not keep the request, but the handle has to see them.
    fn leave_when_empty(self: &Arc<Self>) {
        let Some(anonymous) = self.anonymous() else {
            return;
        };
        let request = self.clone();
        anonymous.when_empty(move || request.leave_if_over());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let ledger = self.ledger.get_mut();
        let seat = ledger.unwrap_or_else(PoisonError::into_inner).seat.take();
        // A spare has neither.
        if let (Some(seat), Some(shared)) = (seat, &self.shared) {
            shared.process.leave(seat);
        }
    }
}
