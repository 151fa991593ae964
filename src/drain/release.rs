//! When something that is held is released.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::Drain;
use crate::report::DrainReport;

/// Something that is held until the tasks of its request are done: an answer of a service, or the head of a response.
pub(crate) trait Releasable {
    /// Waits for what this is held for.
    fn poll_wait(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<()> {
        drain.poll_drained(cx)
    }

    /// Replaces a success if a required task has failed. Returns whether it did so now: what it dropped may have spawned.
    fn fail(&mut self, drain: &mut Drain) -> bool;

    /// Returns what comes after the wait. By default the request ends.
    fn after_wait(&mut self, drain: &mut Drain) -> AfterWait {
        let _ = drain;
        AfterWait::Ends
    }
}

/// What comes after a wait.
pub(crate) enum AfterWait {
    /// The request ends with what is released.
    Ends,
    /// The request goes on: its body is still to come. With what there is to report until now.
    #[cfg(feature = "http")]
    GoesOn(Option<Arc<DrainReport>>),
    /// Something was spawned since: there is more to wait for.
    #[cfg(feature = "http")]
    WaitsAgain,
}

impl Drain {
    /// Ready when what is held may be released. Returns the report, if the caller wants one and there is one.
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
            // This fails only if a task was spawned since the wait.
            if let Ok(report) = self.try_finish() {
                // A task may have failed since the look above. No more can.
                held.fail(self);
                return Poll::Ready(report);
            }
        }
    }
}
