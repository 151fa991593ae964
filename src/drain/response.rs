//! What only a response asks of its drain.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{AtDrop, Drain, KeptFor, Stage};
use crate::report::{DrainReport, Outcome};
use crate::request::Request;
use crate::request::tuning::Answered;

impl Drain {
    /// Whether the handler has answered, and has left nothing to wait for and nothing to look at.
    #[inline]
    pub(crate) fn is_unused(&mut self) -> bool {
        let request = self.context.own_mut();
        request.is_some_and(Request::is_unused)
    }

    /// The handler has answered: what was set until now counts. `None` after [`take`](Self::take).
    #[inline(always)]
    pub(crate) fn answered(&mut self) -> Option<Answered> {
        let answered = self.request()?.answered();
        if answered.has_hooks || answered.settings.report_extension == Some(true) {
            self.note(&answered);
        }
        Some(answered)
    }

    #[cold]
    fn note(&mut self, answered: &Answered) {
        if answered.has_hooks {
            self.wait_mut().hooks.await_them();
        }
        if answered.settings.report_extension == Some(true) {
            self.wants_report = true;
        }
    }

    /// Whether nothing was spawned since the handler has answered, where nothing was before.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        let request = self.request();
        request.is_some_and(|request| request.is_alone() || !request.has_spawned())
    }

    /// Ends the request, if there still is nothing to wait for and nothing to report, and returns whether it
    /// did.
    #[inline]
    pub(crate) fn finish_idle(&mut self) -> bool {
        if self.finish_unused() {
            return true;
        }
        // Something else refers to it, and may have spawned since.
        self.is_idle() && self.finish().is_ok()
    }

    /// From now on the response is kept back for required tasks alone. Call it before a window opens.
    pub(crate) fn keep_for_required(&mut self) {
        self.kept_for = KeptFor::Required;
    }

    /// From now on the response is not kept back.
    pub(crate) fn stop_holding(&mut self) {
        if std::mem::replace(&mut self.kept_for, KeptFor::None) == KeptFor::None {
            return;
        }
        if let Some(wait) = self.wait.as_deref_mut() {
            wait.stop_holding();
        }
    }

    /// From now on, a drop is an end like any other: the server has all it needs, and may not ask for more.
    #[inline]
    pub(crate) fn complete(&mut self) {
        self.close_drained();
        if let Stage::Open { at_drop } = &mut self.stage {
            *at_drop = AtDrop::Completed;
        }
    }

    /// Whether a task is alive that the response fails with.
    #[inline]
    pub(crate) fn waits_for_required(&self) -> bool {
        self.request().is_some_and(|r| r.required_unfinished())
    }

    /// Whether the deadline has begun to end tasks.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.is_stopping())
    }

    /// Closes the window before everything is done: the rest is waited for at the end of the response.
    pub(crate) fn postpone(&mut self) {
        self.close_window_now();
    }

    /// Whether there is something that the response has to wait for.
    #[inline]
    pub(crate) fn must_wait(&self) -> bool {
        match self.kept_for {
            KeptFor::All => self.has_to_drain(),
            // Once the deadline has begun to end tasks, it comes to its end.
            KeptFor::Required => {
                self.is_open() && (self.waits_for_required() || self.is_stopping())
            }
            KeptFor::None => false,
        }
    }

    /// Ready when there is nothing that the response has to wait for, or the deadline has passed.
    #[inline]
    pub(crate) fn poll_releasable(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
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
        self.wait_mut().stream_was_held = true;
    }

    /// For how long windows were open.
    pub(crate) fn waited_for(&self) -> Duration {
        let wait = self.wait.as_ref();
        wait.map_or(Duration::ZERO, |w| w.durations(Instant::now(), true).0)
    }

    /// Whether everything was reported.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over { .. })
    }

    /// Whether the window closed before the tasks were done.
    #[inline]
    pub(crate) fn is_cut_short(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.cut_short)
    }

    /// The head goes out, and the response is not at its end. Returns what there is to report, if that is wanted, and
    /// anything was spawned. Either way, what is alive in the tokio-util tracker counts as seen.
    pub(crate) fn report_so_far(&self, is_wanted: bool) -> Option<Arc<DrainReport>> {
        match self.stage {
            Stage::Over { .. } | Stage::Leaving => None,
            Stage::Expired => self.ended().filter(|_| is_wanted)?.report.clone(),
            Stage::PlainWait | Stage::Open { .. } if is_wanted => {
                self.report_until_now(Outcome::Drained, None)
            }
            Stage::PlainWait | Stage::Open { .. } => {
                self.request()?.see_tracker();
                None
            }
        }
    }

    /// Ends the request because the exchange goes on as an upgraded stream. Its tasks stay with
    /// the handle, and what it spawns later is not late.
    pub(crate) fn upgrade(&mut self) {
        let now = Instant::now();
        let (ended, _) = self.release(Outcome::Upgraded, None, now, false);
        self.conclude(ended);
    }

    /// The response has ended: the wait goes on without it.
    pub(super) fn finish_in_background(&mut self) {
        let required_failed = self.required_failed();
        let mut drain = std::mem::replace(self, Self::over(required_failed));
        drain.stop_holding();
        drain.stage = Stage::Open {
            at_drop: AtDrop::ReportOnly,
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
