//! The ordinary case: a wait for tasks alone, which needs no [`Wait`](super::wait::Wait).

use std::task::{Context as TaskContext, Poll, ready};

use tokio::time::Instant;

use super::timer::Timer;
use super::wait::Alive;
use super::{Drain, HeldFor, Stage};
use crate::metrics;

impl Drain {
    /// Opens the window if a task is alive, gives the tasks one turn of the scheduler, and returns true.
    ///
    /// Returns false if no task is alive, or if this is no plain wait: the request has waited before, has hooks, or its
    /// response is not held for all tasks.
    #[inline]
    pub(crate) fn begin_plain_wait(&mut self, cx: &mut TaskContext<'_>) -> bool {
        if self.wait.is_some() || self.held_for != HeldFor::All || !self.is_open() {
            return false;
        }
        let Some(request) = self.context.own() else {
            return false;
        };
        let opened = Instant::now();
        let Some(alive) = Alive::of(request.open_if_busy(opened)) else {
            return false;
        };
        self.stage = Stage::PlainWait;
        metrics::held(1.0);
        if alive != Alive::Tasks {
            self.make_wait_for(alive, opened);
        }
        cx.waker().wake_by_ref();
        true
    }

    /// Ready when no task is alive, or the deadline has passed. The value is true if the request has ended in the same
    /// step. It is false if there may be more to do: a task has failed or was stopped, or a task is alive.
    #[inline(always)]
    pub(crate) fn poll_plain_wait(
        &mut self,
        timer: &mut Timer,
        cx: &mut TaskContext<'_>,
    ) -> Poll<bool> {
        if let Stage::PlainWait = self.stage {
            match self.end_if_ordinary() {
                Ok(()) => return Poll::Ready(true),
                Err(opened) => ready!(self.poll_alive(opened, timer, cx)),
            }
            timer.stop();
        }
        self.poll_drained(cx).map(|()| false)
    }

    /// Ready when there is more to do than to wait for the crate's own tasks. `opened`: when the window opened.
    fn poll_alive(
        &self,
        opened: Option<Instant>,
        timer: &mut Timer,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let (Some(request), Some(opened)) = (self.request(), opened) else {
            return Poll::Ready(());
        };
        if timer.is_set() {
            // The wait was woken before the tasks have ended. In most cases the timer has fired, or a limit has
            // changed.
            return Poll::Ready(());
        }
        let (look, deadline) = request.look_again(cx);
        if !look.own {
            return Poll::Ready(());
        }
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        let first = deadline.schedule(opened).first();
        if first <= opened {
            return Poll::Ready(());
        }
        // The clock is not read again. If `first` has passed by now, the timer fires soon.
        timer.poll(first, opened, cx)
    }
}
