//! The loop that releases what is held: wait, fail, finish.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::Drain;
use crate::report::DrainReport;

/// Something that is held until the tasks of its request are done: a service's answer, or the head of a response.
pub(crate) trait Releasable {
    /// Ready when the wait is over. By default that is when all tasks and hooks are done, or at the deadline.
    fn poll_wait(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<()> {
        drain.poll_drained(cx)
    }

    /// Replaces a success with a failure if a required task has failed. Returns whether it did so now. If so, the
    /// destructor of what it replaced may have spawned, and the wait goes on.
    fn fail(&mut self, drain: &mut Drain) -> bool;

    /// Returns what follows the wait. By default the request ends.
    fn after_wait(&mut self, drain: &mut Drain) -> AfterWait {
        let _ = drain;
        AfterWait::Ends
    }
}

/// What follows a wait.
pub(crate) enum AfterWait {
    /// The request ends with the release.
    Ends,
    /// The request goes on, because its body follows. The value is the report up to now.
    #[cfg(feature = "http")]
    GoesOn(Option<Arc<DrainReport>>),
    /// A task was spawned since the wait, which begins again.
    #[cfg(feature = "http")]
    WaitsAgain,
}

impl Drain {
    /// Ready when what is held may be released. Returns the report, if it was requested with
    /// [`want_report`](Self::want_report) and there is something to report.
    pub(crate) fn poll_released(
        &mut self,
        held: &mut impl Releasable,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Arc<DrainReport>>> {
        loop {
            ready!(held.poll_wait(self, cx));
            if held.fail(self) {
                continue;
            }
            match held.after_wait(self) {
                AfterWait::Ends => {}
                #[cfg(feature = "http")]
                AfterWait::GoesOn(report) => return Poll::Ready(report),
                #[cfg(feature = "http")]
                AfterWait::WaitsAgain => continue,
            }
            // If a task was spawned since the wait, this returns an error, and the wait begins again.
            if let Ok(report) = self.try_finish() {
                // A task may have failed since the call above. After this one, none can.
                held.fail(self);
                return Poll::Ready(report);
            }
        }
    }
}
