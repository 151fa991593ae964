//! The parts of a drain that only HTTP responses use.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{AtDrop, Drain, HeldFor, Stage};
use crate::report::{DrainReport, Outcome};
use crate::request::Request;
use crate::request::tuning::Answered;

impl Drain {
    /// Returns whether the request is as it was made: nothing was spawned or set, nothing is to be waited for, and the
    /// owner holds the only reference. Takes no lock.
    #[inline]
    pub(crate) fn is_unused(&mut self) -> bool {
        let request = self.context.own_mut();
        request.is_some_and(Request::is_unused)
    }

    /// Returns the state of the request when the handler has answered, with the settings for the answer. Later changes
    /// of these settings do not count. Also lets the hooks run once the tasks are done.
    ///
    /// `None` after [`take`](Self::take).
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
            self.needs_report = true;
        }
    }

    /// Returns whether nothing was spawned since the handler answered. Call this only if nothing was spawned before.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        let request = self.request();
        request.is_some_and(|request| request.is_alone() || !request.has_spawned())
    }

    /// Ends the request if there still is nothing to wait for and nothing to report. Returns whether it did.
    #[inline]
    pub(crate) fn finish_idle(&mut self) -> bool {
        if self.finish_unused() {
            return true;
        }
        // Something else holds a reference, and may have spawned a task by now.
        self.is_idle() && self.finish().is_ok()
    }

    /// Holds the response for required tasks alone from now on. Call this before a window opens.
    pub(crate) fn keep_for_required(&mut self) {
        self.held_for = HeldFor::Required;
    }

    /// Holds the response for nothing from now on. Later waits are in the background.
    pub(crate) fn stop_holding(&mut self) {
        if std::mem::replace(&mut self.held_for, HeldFor::None) == HeldFor::None {
            return;
        }
        if let Some(wait) = self.wait.as_deref_mut() {
            wait.stop_holding();
        }
    }

    /// Makes a drop from now on count as a normal end: the server has all of the response, and may not poll again.
    #[inline]
    pub(crate) fn complete(&mut self) {
        self.close_drained();
        if let Stage::Open { at_drop } = &mut self.stage {
            *at_drop = AtDrop::Completed;
        }
    }

    /// Returns whether a required task is alive.
    #[inline]
    pub(crate) fn waits_for_required(&self) -> bool {
        self.request().is_some_and(|r| r.required_unfinished())
    }

    /// Returns whether the abort step before the deadline was taken.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.is_stopping())
    }

    /// Closes the window before the tasks are done. The wait for the rest is at the end of the response.
    pub(crate) fn postpone(&mut self) {
        self.close_window_now();
    }

    /// Returns whether there is something that the response has to wait for.
    #[inline]
    pub(crate) fn must_wait(&self) -> bool {
        match self.held_for {
            HeldFor::All => self.has_to_drain(),
            // Once the deadline has aborted tasks, the wait goes on to its end.
            HeldFor::Required => {
                self.is_open() && (self.waits_for_required() || self.is_stopping())
            }
            HeldFor::None => false,
        }
    }

    /// Ready when there is nothing that the response has to wait for, or the deadline has passed.
    #[inline]
    pub(crate) fn poll_releasable(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if self.held_for == HeldFor::All {
            return self.poll_drained(cx);
        }
        // `must_wait` is called again after the poll, because the last of these tasks may have ended before the poll
        // registered a waker.
        if self.must_wait() && self.poll_drained(cx).is_pending() && self.must_wait() {
            return Poll::Pending;
        }
        self.postpone();
        Poll::Ready(())
    }

    /// Records that the window closed while the head of a stream was held.
    pub(crate) fn note_held_stream(&mut self) {
        self.wait_mut().stream_was_held = true;
    }

    /// Returns for how long windows were open up to now.
    pub(crate) fn waited_for(&self) -> Duration {
        let wait = self.wait.as_ref();
        wait.map_or(Duration::ZERO, |w| w.durations(Instant::now(), true).0)
    }

    /// Returns whether the request has ended and was reported.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over { .. })
    }

    /// Returns whether the window closed before the tasks were done.
    #[inline]
    pub(crate) fn is_cut_short(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.cut_short)
    }

    /// Returns the report up to now, for a head that goes out before the end of its response. `None` if `is_wanted` is
    /// false, or nothing was spawned.
    ///
    /// In any case, tasks that are alive in the tokio-util tracker count as seen from now on.
    pub(crate) fn report_so_far(&self, is_wanted: bool) -> Option<Arc<DrainReport>> {
        match self.stage {
            Stage::Over { .. } | Stage::Leaving => None,
            Stage::Expired => self.ended().filter(|_| is_wanted)?.report.clone(),
            Stage::PlainWait | Stage::Open { .. } if is_wanted => {
                self.report_until_now(Outcome::Drained, None)
            }
            Stage::PlainWait | Stage::Open { .. } => {
                self.request()?.update_tracker_peak();
                None
            }
        }
    }

    /// Releases the request because the exchange goes on as an upgraded stream. Its tasks stay registered with the
    /// handle. Later spawns are not reported as late.
    pub(crate) fn upgrade(&mut self) {
        let now = Instant::now();
        let (ended, _) = self.release(Outcome::Upgraded, None, now, None);
        self.conclude(ended);
    }

    /// Moves the wait to a task in the background, because the response has ended.
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
