//! What only a response asks of its drain.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::runtime::Handle;

use super::{AtDrop, Drain, KeptFor, Stage};
use crate::metrics;
use crate::registry::said::Said;
use crate::report::{DrainReport, Outcome};

impl Drain {
    /// The handler has answered: says what counts from now on. `None` after [`take`](Self::take).
    pub(crate) fn answered(&mut self) -> Option<Said> {
        self.await_hooks();
        Some(self.registry()?.said())
    }

    /// Whether there is nothing to wait for and nothing to tell, and nobody has said anything for this
    /// request alone.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.course.is_none()
            && matches!(self.stage, Stage::Open { .. })
            && self.registry().is_some_and(|r| r.is_idle())
    }

    /// Ends the request, if there still is nothing to wait for and nothing to tell, and says whether it
    /// did.
    pub(crate) fn finish_idle(&mut self) -> bool {
        if self.finish_unused() {
            return true;
        }
        let Some(registry) = self.registry() else {
            return false;
        };
        if registry.has_spawned() || !registry.try_release_unused() {
            return false;
        }
        // What is in a tracker, or detached, is told of in a report of its own.
        let report = self.last_report(Outcome::Drained, None, Some(0));
        self.conclude(report.as_ref());
        true
    }

    /// From now on the response is kept back for required tasks alone. Call it before a window opens.
    pub(crate) fn keep_for_required(&mut self) {
        self.kept_for = KeptFor::Required;
    }

    /// From now on the response is not kept back.
    pub(crate) fn let_go(&mut self) {
        if std::mem::replace(&mut self.kept_for, KeptFor::None) == KeptFor::None {
            return;
        }
        if let Some(course) = self.course.as_deref_mut().filter(|c| c.window.is_open()) {
            course.held += course.window.open_for();
            metrics::held(-1.0);
        }
    }

    /// From now on, being dropped is an end like any other: the server has all it needs, and may
    /// not ask for more.
    pub(crate) fn complete(&mut self) {
        if let Stage::Open { at_drop } = &mut self.stage {
            *at_drop = AtDrop::Ends;
        }
    }

    /// Whether a task is alive that the response fails with.
    pub(crate) fn waits_for_required(&self) -> bool {
        self.registry().is_some_and(|r| r.required_unfinished())
    }

    /// Whether the deadline has begun to end tasks.
    pub(crate) fn is_stopping(&self) -> bool {
        let course = self.course.as_ref();
        course.is_some_and(|course| course.window.is_stopping())
    }

    /// What is held is let go before everything is done: the rest is waited for at the end.
    pub(crate) fn postpone(&mut self) {
        self.shut_window();
    }

    /// Whether there is something that the response has to wait for.
    pub(crate) fn must_wait(&self) -> bool {
        match self.kept_for {
            KeptFor::All => self.has_to_drain(),
            // Once the deadline has begun to end tasks, it comes to its end.
            KeptFor::Required => {
                let is_open = matches!(self.stage, Stage::Open { .. });
                is_open && (self.waits_for_required() || self.is_stopping())
            }
            KeptFor::None => false,
        }
    }

    /// Ready when there is nothing that the response has to wait for, or the deadline has passed.
    pub(crate) fn poll_free(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if self.kept_for == KeptFor::All {
            return self.poll_drained(cx);
        }
        // Checked again after the poll: the last of these tasks may have ended before the poll registered a waker.
        if self.must_wait() && self.poll_drained(cx).is_pending() && self.must_wait() {
            return Poll::Pending;
        }
        self.postpone();
        Poll::Ready(())
    }

    /// The window has closed while the head of a stream was kept back.
    pub(crate) fn note_held_stream(&mut self) {
        self.course_mut().stream_was_held = true;
    }

    /// For how long windows were open.
    pub(crate) fn waited_for(&self) -> Duration {
        let course = self.course.as_ref();
        course.map_or(Duration::ZERO, |course| course.drained)
    }

    /// Whether everything was said.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Whether the window closed before the tasks were done.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.course.as_ref().is_some_and(|course| course.cut_short)
    }

    /// What there is to say while the response is not at its end; `None` if nothing was spawned.
    pub(crate) fn report_so_far(&self) -> Option<Arc<DrainReport>> {
        match self.stage {
            Stage::Expired => self.expired().cloned(),
            Stage::Over | Stage::Leaving => None,
            Stage::Open { .. } if !self.registry()?.has_spawned() => None,
            Stage::Open { .. } => self.report_until_now(Outcome::Drained, None),
        }
    }

    /// Ends the request because the exchange goes on as an upgraded stream. Its tasks stay with
    /// the handle, and what it spawns later is not late.
    pub(crate) fn upgrade(&mut self) {
        if let Some(registry) = self.registry() {
            registry.ledger().goes_on = true;
        }
        let report = self.give_up(Outcome::Upgraded, None);
        self.conclude(report.as_ref());
    }

    pub(super) fn has_to_drain(&self) -> bool {
        let is_open = matches!(self.stage, Stage::Open { .. });
        is_open && (self.hooks_remain() || self.registry().is_some_and(|r| r.is_busy()))
    }

    /// The response has ended: the wait goes on without it.
    pub(super) fn finish_in_background(&mut self) {
        let required_failed = self.required_failed();
        let mut drain = self.take();
        self.required_failed = required_failed;
        drain.let_go();
        drain.stage = Stage::Open {
            at_drop: AtDrop::Reports,
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                loop {
                    poll_fn(|cx| drain.poll_drained(cx)).await;
                    if drain.finish().is_ok() {
                        break;
                    }
                }
            });
        }
    }
}
