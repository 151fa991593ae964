//! The tasks of a client that has gone.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, ready};

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::steps::{Leaving, Steps};
use super::{Drain, Stage};
use crate::deadline::schedule::Schedule;
use crate::report::{NotDone, Outcome};
use crate::request::abandoned::can_spawn_rest;
use crate::trace;

impl Drain {
    /// Applies the policy `at_disconnect` to unfinished tasks, and then reports.
    pub(super) fn leave(&mut self) {
        let Some(request) = self.request() else {
            return;
        };
        request.client_gone();
        let unfinished = request.at_disconnect();
        let schedule = Schedule::at_disconnect(Instant::now(), unfinished);
        let Some(schedule) = schedule.filter(|_| request.is_busy()) else {
            self.report_dropped();
            return;
        };
        let mut drain = self.take();
        drain.stage = Stage::Leaving;
        drain.wait_mut().leaving = Some(Leaving {
            schedule,
            steps: Steps::default(),
        });
        // This runs in a destructor, which cannot wait, so a small task takes the steps. If there is no runtime, or it
        // shuts down, the drain is dropped, which reports at once.
        if let Ok(runtime) = Handle::try_current() {
            if let Some(request) = drain.request() {
                // At once, and not at the first poll of that task.
                request.cancel();
            }
            runtime.spawn(async move { poll_fn(|cx| drain.poll_leaving(cx)).await });
        }
    }

    /// Logs a warning for a handler that was dropped before it answered, because the rest of its work is lost.
    ///
    /// There is no warning if the handler runs on elsewhere, and none if the runtime shuts down, which drops handlers
    /// too.
    pub(crate) fn warn_of_lost_handler(&self) {
        let Some(request) = self.request() else {
            return;
        };
        let Some(warnings) = request.warnings() else {
            return;
        };
        if !can_spawn_rest() || request.had_handler() {
            return;
        }
        if let Some(suppressed) = warnings.note_lost_handler(has_runtime) {
            request.in_span(|| trace::handler_lost(suppressed));
        }
    }

    /// Cancels and aborts the tasks, and reports without a wait for their ends.
    pub(super) fn leave_at_once(&mut self) {
        if let Some(request) = self.request() {
            request.cancel();
            request.stop_unfinished(NotDone::ClientGone);
        }
        self.report_dropped();
    }

    /// Ready when the tasks have ended or their time is over, and the request was reported.
    fn poll_leaving(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let leaving = self.wait.as_mut().and_then(|wait| wait.leaving.as_mut());
        let (Some(leaving), Some(request)) = (leaving, self.context.own()) else {
            return Poll::Ready(());
        };
        // If the tasks have ended and their time is over, the end wins. No waker is registered unless one is needed.
        let mut look = request.look();
        if look.own || look.in_tracker {
            (look, _) = request.look_again(cx);
        }
        if look.own || look.in_tracker {
            // The end of a shutdown limits this time, too.
            let schedule = leaving.schedule.capped(request.process().closes_at());
            ready!(leaving.steps.poll(&schedule, request, cx));
        }
        self.release_dropped(Some(NotDone::ClientGone));
        Poll::Ready(())
    }

    /// Releases and reports the request as [`Dropped`](Outcome::Dropped). Tasks run on.
    pub(super) fn report_dropped(&mut self) {
        self.release_dropped(None);
    }

    /// Releases and reports the request as [`Dropped`](Outcome::Dropped). `stops`: if `Some`, tasks that are
    /// alive are stopped for this reason.
    fn release_dropped(&mut self, stops: Option<NotDone>) {
        let now = Instant::now();
        let (ended, stops) = self.release(Outcome::Dropped, None, now, stops);
        let request = self.request().cloned();
        self.conclude(ended);
        // After the report is made, so that these tasks are its stragglers.
        if let Some(request) = request {
            request.stop(stops);
        }
    }
}

/// Returns whether there is a runtime that does not shut down. One that shuts down drops a new task within `spawn`.
fn has_runtime() -> bool {
    struct Probe {
        is_refused: Arc<AtomicBool>,
        has_run: bool,
    }
    impl Drop for Probe {
        fn drop(&mut self) {
            if !self.has_run {
                self.is_refused.store(true, Ordering::Relaxed);
            }
        }
    }
    let Ok(runtime) = Handle::try_current() else {
        return false;
    };
    let is_refused = Arc::new(AtomicBool::new(false));
    let probe = Probe {
        is_refused: is_refused.clone(),
        has_run: false,
    };
    runtime.spawn(async move {
        // Moves the whole probe. Without this the block would capture the field alone.
        let mut probe = probe;
        probe.has_run = true;
    });
    !is_refused.load(Ordering::Relaxed)
}
