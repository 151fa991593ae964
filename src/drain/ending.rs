//! The end of a request.

use std::sync::Arc;

use tokio::time::Instant;

#[cfg(feature = "http")]
use super::HeldFor;
use super::report::Verdict;
use super::wait::Ended;
use super::{AtDrop, Drain, NotDrained, Stage};
use crate::report::{DrainReport, Outcome};
use crate::request::Request;
use crate::request::account::Drained;
use crate::request::drained::Finished;
use crate::request::pool::{self, Use};
use crate::{metrics, trace};

impl Drain {
    /// Ends the request and reports it. Returns the report once, if it was requested with
    /// [`want_report`](Self::want_report) and there is something to report.
    ///
    /// # Errors
    ///
    /// If the response still has to wait for something. The request then goes on.
    #[inline]
    pub(crate) fn try_finish(&mut self) -> Result<Option<Arc<DrainReport>>, NotDrained> {
        #[cfg(feature = "http")]
        if self.held_for != HeldFor::All {
            if self.must_wait() {
                return Err(NotDrained);
            }
            if self.has_to_drain() {
                self.finish_in_background();
                return Ok(None);
            }
        }
        self.finish()
    }

    /// Ends a request that had no [`Wait`](super::wait::Wait), as [`finish_unused`](Self::finish_unused) does.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn end_unused(&mut self) -> bool {
        self.wait.is_none() && self.finish_unused()
    }

    /// Returns whether nothing is left to drop: the request went back to the pool, and there is no `Wait`.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.wait.is_none() && self.context.is_outside()
    }

    /// Ends the request if nothing was spawned and the owner holds the only reference. Returns whether it did.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn finish_unused(&mut self) -> bool {
        if !self.is_open() || self.hooks_remain() {
            return false;
        }
        let used = self.context.own_mut().map(Request::used);
        match used {
            None | Some(Use::Used) => return false,
            Some(Use::Unused) => {
                if let Some(request) = self.request() {
                    request.conclude();
                }
            }
            Some(Use::Pristine) => {
                if let Some(request) = std::mem::take(&mut self.context).into_own() {
                    pool::put(request);
                }
            }
        }
        self.stage = Stage::Over {
            required_failed: false,
        };
        true
    }

    /// Ends the request and reports it, whatever the response is held for. Returns the same as
    /// [`try_finish`](Self::try_finish).
    #[inline]
    pub(super) fn finish(&mut self) -> Result<Option<Arc<DrainReport>>, NotDrained> {
        match self.stage {
            Stage::Over { .. } => Ok(None),
            Stage::Leaving => Err(NotDrained),
            Stage::Expired => {
                let ended = std::mem::take(&mut self.wait_mut().ended);
                Ok(self.conclude(ended))
            }
            Stage::PlainWait | Stage::Open { .. } => self.finish_drained(),
        }
    }

    /// Ends a request in its plain wait if no task is alive, no required task has failed, and no task was stopped.
    ///
    /// # Errors
    ///
    /// If the request goes on. The value is the time at which its window opened.
    #[cfg(feature = "http")]
    #[inline(always)]
    pub(super) fn end_if_ordinary(&mut self) -> Result<(), Option<Instant>> {
        let Some(request) = self.request() else {
            return Err(None);
        };
        let finished = request.finish(self.readers(), true);
        self.finished(finished).map(|_| ())
    }

    fn finish_drained(&mut self) -> Result<Option<Arc<DrainReport>>, NotDrained> {
        let Some(request) = self.request() else {
            return Ok(None);
        };
        if self.hooks_remain() {
            return Err(NotDrained);
        }
        let finished = request.finish(self.readers(), false);
        self.finished(finished).map_err(|opened| {
            self.make_wait(opened);
            // The request goes on. Its code may call `Tasks::deadline`, which must not return that of a drained window.
            self.close_drained();
            NotDrained
        })
    }

    /// Completes what [`Request::finish`] began.
    ///
    /// # Errors
    ///
    /// If the request goes on. The value is the time at which its window opened, if it is open.
    #[inline(always)]
    fn finished(
        &mut self,
        finished: Finished,
    ) -> Result<Option<Arc<DrainReport>>, Option<Instant>> {
        match finished {
            Finished::GoesOn { opened } => Err(opened),
            Finished::Over { required_failed } => {
                // No report is made, so the clock is not read.
                if self.wait.is_some() {
                    self.take_window(None);
                } else if let Stage::PlainWait = self.stage {
                    metrics::held(-1.0);
                }
                self.stage = Stage::Over { required_failed };
                Ok(None)
            }
            Finished::Released { drained } => Ok(self.finish_with(drained)),
        }
    }

    /// Ends and reports a request that was released with no task alive. Returns the report if it was requested.
    fn finish_with(&mut self, drained: Drained) -> Option<Arc<DrainReport>> {
        let Drained {
            required_failed,
            account,
            opened,
            is_plain,
        } = drained;
        let now = Instant::now();
        let summary = self.end_window(opened, now);
        self.stage = Stage::Over { required_failed };
        let verdict = Verdict {
            outcome: Outcome::Drained,
            closed_by: None,
            required_failed,
        };
        if !self.has_spawned(&account) {
            self.publish(None, is_plain);
            return None;
        }
        let report = self.report(account, Vec::new(), verdict, summary, now);
        self.publish(Some(&report), is_plain);
        if self.needs_report {
            Some(Arc::new(report))
        } else {
            None
        }
    }

    /// Publishes the report, ends the request, and returns the report.
    pub(super) fn conclude(&mut self, ended: Ended) -> Option<Arc<DrainReport>> {
        let Ended {
            required_failed,
            report,
        } = ended;
        self.stage = Stage::Over { required_failed };
        self.publish(report.as_deref(), false);
        report
    }

    /// Records and logs the report, calls the observers, and ends the request. `is_plain`: the request has no span, and
    /// no observers but those of its own layer.
    #[inline(always)]
    fn publish(&self, report: Option<&DrainReport>, is_plain: bool) {
        let Some(request) = self.request() else {
            return;
        };
        if let Some(report) = report {
            metrics::drained(report);
            if trace::may_log_request(report) {
                let wait = self.wait.as_ref();
                let stream_was_held = wait.is_some_and(|wait| wait.stream_was_held);
                request.in_span(|| trace::request_ended(report, stream_was_held));
            }
            if is_plain {
                request.notify_own(|observer| observer.on_drain(report));
            } else {
                request.notify(None, |observer| observer.on_drain(report));
            }
        }
        // Drops the span after the callbacks, and before the request leaves the registry. So when `wait_idle` returns,
        // spans are closed and callbacks have run. Later events are in the tasks' own spans.
        request.conclude();
    }

    /// Gives the request back to the pool. If the request has not ended, or had a `Wait`, the destructor does the rest.
    #[cfg(feature = "http")]
    #[inline(always)]
    pub(crate) fn give_back(mut self) {
        if self.wait.is_some() || !matches!(self.stage, Stage::Over { .. }) {
            return;
        }
        if let Some(request) = std::mem::take(&mut self.context).into_own() {
            pool::keep(request);
        }
        // Nothing is left to drop. Without this the destructor would check each field.
        std::mem::forget(self);
    }

    /// Ends a request whose owner is dropped.
    #[inline(never)]
    fn end(&mut self) {
        self.end_plain_wait();
        let at_drop = match self.stage {
            Stage::PlainWait => AtDrop::Disconnected,
            Stage::Over { .. } => return,
            Stage::Expired => AtDrop::Completed,
            Stage::Open { at_drop } => at_drop,
            Stage::Leaving => return self.leave_at_once(),
        };
        match at_drop {
            // A window that is open stays open.
            #[cfg(feature = "http")]
            AtDrop::Completed if self.has_to_drain() => return self.finish_in_background(),
            AtDrop::Completed => self.expire_if_cut_short(),
            AtDrop::Disconnected | AtDrop::ReportOnly => self.stop_hooks(),
        }
        self.close_window_now();
        match at_drop {
            #[cfg(feature = "http")]
            AtDrop::Completed if self.finish().is_err() => self.finish_in_background(),
            AtDrop::Completed => {}
            AtDrop::Disconnected => self.leave(),
            AtDrop::ReportOnly => self.report_dropped(),
        }
    }
}

impl Drop for Drain {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Over { .. }) {
            self.end();
        }
        if let Some(request) = std::mem::take(&mut self.context).into_own() {
            pool::keep(request);
        }
    }
}
