//! The client is gone: what becomes of its tasks.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, ready};

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::schedule::Schedule;
use super::{Drain, Stage};
use crate::report::Outcome;
use crate::tasks::handler::can_run_on;
use crate::trace;

impl Drain {
    /// Does what was said about unfinished tasks, and reports when that is through.
    pub(super) fn leave(&mut self) {
        let Some(registry) = self.registry() else {
            return;
        };
        registry.note_client_gone();
        let unfinished = registry.at_disconnect();
        let schedule = Schedule::at_disconnect(Instant::now(), unfinished);
        let Some(schedule) = schedule.filter(|_| registry.is_busy()) else {
            let spawned = registry.try_release();
            self.report_dropped(spawned);
            return;
        };
        let mut drain = self.take();
        drain.stage = Stage::Leaving;
        drain.course_mut().leaving = Some(Box::new(schedule));
        // Nothing can be awaited here: a small task does it. Dropped by a runtime that shuts down,
        // or where there is none, it reports at once.
        if let Ok(runtime) = Handle::try_current() {
            if let Some(registry) = drain.registry() {
                // Not only when that task first runs.
                registry.cancel();
            }
            runtime.spawn(async move { poll_fn(|cx| drain.poll_left(cx)).await });
        }
    }

    /// The handler was dropped before it had answered, and does not run on: what it had not done by then is
    /// lost. That is the client's doing, not that of a runtime that shuts down.
    pub(crate) fn warn_of_lost_handler(&self) {
        let Some(registry) = self.registry() else {
            return;
        };
        let Some(notices) = registry.notices() else {
            return;
        };
        if !can_run_on() || registry.ledger().had_handler() {
            return;
        }
        if let Some(suppressed) = notices.handler_is_lost(has_runtime) {
            registry.in_span(|| trace::handler_lost(suppressed));
        }
    }

    /// There is no time.
    pub(super) fn leave_at_once(&mut self) {
        if let Some(registry) = self.registry() {
            registry.cancel();
            registry.abort_unfinished();
        }
        self.report_dropped(None);
    }

    fn poll_left(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let (Some(course), Some(registry)) = (&mut self.course, self.context.registry()) else {
            return Poll::Ready(());
        };
        let (window, Some(schedule)) = (&mut course.window, &course.leaving) else {
            return Poll::Ready(());
        };
        // What has ended in time wins over the time that is up.
        let mut spawned = None;
        // There is nobody to ask again.
        window.had_turn();
        if window.poll_none_alive(registry, cx).is_ready() {
            spawned = registry.try_release();
            if spawned.is_none() {
                // A task came up at the last moment, and nobody listens for its end.
                cx.waker().wake_by_ref();
            }
        }
        if spawned.is_none() {
            // A shutdown that has begun leaves no more time than there is.
            let schedule = schedule.capped(registry.process().closes_at());
            ready!(window.poll_schedule(&schedule, registry, cx));
        }
        self.report_dropped(spawned);
        self.abort_rest();
        Poll::Ready(())
    }

    /// `spawned`: how many tasks there were, if all have ended.
    pub(super) fn report_dropped(&mut self, spawned: Option<usize>) {
        let report = match spawned {
            Some(_) => self.last_report(Outcome::Dropped, None, spawned),
            None => self.give_up(Outcome::Dropped, None),
        };
        self.conclude(report.as_ref());
    }
}

/// Whether there is a runtime that goes on: one that shuts down drops what it is given, at once.
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
        // As a whole: the block would take its field alone.
        let mut probe = probe;
        probe.has_run = true;
    });
    !is_refused.load(Ordering::Relaxed)
}
