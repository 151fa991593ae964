//! The wait and its window.

use std::task::Waker;

use tokio::time::Instant;

use super::{Phase, State, WakesOn};
use crate::process::registry::Registration;
use crate::request::account::Look;
use crate::request::effects::Effects;

impl<H> State<H> {
    /// Looks whether tasks are alive.
    #[inline]
    pub(crate) fn look(&self, in_tracker: bool) -> Look {
        Look {
            own: self.waited_for() > 0,
            in_tracker,
            required_failed: self.required_failed,
        }
    }

    /// Like [`look`](Self::look). If a task is alive, keeps `waker`, and the end of the last task wakes it. Returns an
    /// unused waker, to be dropped outside of the lock.
    pub(crate) fn look_and_keep_waker(
        &mut self,
        waker: Waker,
        in_tracker: bool,
    ) -> (Look, Option<Waker>) {
        let look = self.look(in_tracker);
        let unused = if look.own || in_tracker {
            self.wakes_on = WakesOn::Tasks;
            self.waker.replace(waker)
        } else {
            Some(waker)
        };
        (look, unused)
    }

    /// Keeps the waker of a wait that waits for no task now. A change of a limit wakes it. Returns the previous waker,
    /// to be dropped outside of the lock: the last waker of a task may drop the task, which may be one of this request.
    pub(crate) fn wake_on_limits(&mut self, waker: Waker) -> Option<Waker> {
        self.wakes_on = WakesOn::Limits;
        self.waker.replace(waker)
    }

    /// Opens the drain window. The request is listed from now on, even if it waits for a hook alone. Returns whether it
    /// has joined the registry with this call.
    pub(crate) fn open_window(
        &mut self,
        now: Instant,
        join: impl FnOnce() -> Registration,
    ) -> bool {
        if self.phase == Phase::Running {
            self.phase = Phase::Window {
                opened: now,
                stopped_before: self.stopped(),
            };
        }
        self.table.stamp(now);
        let has_joined = self.registration.is_none();
        if has_joined {
            self.registration = Some(join());
        }
        has_joined
    }

    /// Closes the window. The request goes on, or is released next. Nothing waits any longer, so the waker is returned,
    /// to be dropped outside of the lock.
    #[must_use = "a waker is to be dropped outside of the lock"]
    pub(crate) fn close_window(&mut self) -> Option<Waker> {
        if let Phase::Window { .. } = self.phase {
            self.phase = Phase::Running;
        }
        self.waker.take()
    }

    /// Notes that the client has gone. A handler that runs on is no longer among the unfinished tasks that are aborted.
    pub(crate) fn client_gone(&mut self) {
        if let Phase::Running | Phase::Window { .. } = self.phase {
            self.phase = Phase::Leaving;
        }
    }

    /// Wakes the wait, to look again.
    pub(crate) fn wake(&mut self) -> Effects<H> {
        Effects {
            wake: self.waker.take(),
            ..Effects::none()
        }
    }
}
