//! How a request comes to its end.

use std::sync::Arc;

use tokio::time::Instant;

#[cfg(feature = "http")]
use super::KeptFor;
use super::{AtDrop, Drain, Ended, NotDrained, Stage};
use crate::report::{DrainReport, Outcome};
use crate::request::Request;
use crate::request::drained::Finished;
use crate::request::pool::{self, Use};
use crate::{metrics, trace};

impl Drain {
    /// Ends the request and reports, unless there is something that the response has to wait for.
    /// The first time, returns the report if there is one and something reads it.
    #[inline]
    pub(crate) fn try_finish(&mut self) -> Result<Option<Arc<DrainReport>>, NotDrained> {
        #[cfg(feature = "http")]
        if self.kept_for != KeptFor::All {
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

    /// Ends a request in which nothing was spawned, and to which its owner has the only reference, and returns whether
    /// it did.
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
            Some(Use::AsMade) => {
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

    #[inline]
    pub(super) fn finish(&mut self) -> Result<Option<Arc<DrainReport>>, NotDrained> {
        match &mut self.stage {
            Stage::Over { .. } => Ok(None),
            Stage::Leaving(_) => Err(NotDrained),
            Stage::Expired(ended) => {
                let ended = std::mem::take(&mut **ended);
                Ok(self.conclude(ended))
            }
            Stage::Open { .. } => self.finish_drained(),
        }
    }

    #[inline]
    fn finish_drained(&mut self) -> Result<Option<Arc<DrainReport>>, NotDrained> {
        let Some(request) = self.request() else {
            return Ok(None);
        };
        if self.hooks_remain() {
            return Err(NotDrained);
        }
        let finished = request.finish(self.readers());
        match finished {
            Finished::NotIdle => {
                // The request goes on, and its code may ask for the deadline.
                self.close_drained();
                Err(NotDrained)
            }
            Finished::Over { required_failed } => {
                // Nothing reads a report, so the clock is not read.
                self.take_window(None);
                self.stage = Stage::Over { required_failed };
                Ok(None)
            }
            Finished::Released {
                required_failed,
                account,
            } => {
                let now = Instant::now();
                self.take_window(Some(now));
                let report = self.report(account, required_failed, Outcome::Drained, None, now);
                Ok(self.conclude(Ended {
                    required_failed,
                    report,
                }))
            }
        }
    }

    /// Passes the report on, and ends the request.
    pub(super) fn conclude(&mut self, ended: Ended) -> Option<Arc<DrainReport>> {
        let Ended {
            required_failed,
            report,
        } = ended;
        self.stage = Stage::Over { required_failed };
        if let Some(request) = self.request() {
            if let Some(report) = &report {
                metrics::drained(report);
                let wait = self.wait.as_ref();
                let stream_was_held = wait.is_some_and(|wait| wait.stream_was_held);
                request.in_span(|| trace::request_ended(report, stream_was_held));
                request.notify(None, |observer| observer.on_drain(report));
            }
            // Drops the span after the callbacks, and before the request leaves the registry: when the handle is idle,
            // spans are closed and the callbacks have run. Later events are in the tasks' own spans.
            request.conclude();
        }
        report
    }

    /// Ends a request whose owner is dropped, at its end or before.
    fn end(&mut self) {
        let at_drop = match &self.stage {
            Stage::Over { .. } => return,
            Stage::Expired(_) => AtDrop::Ends,
            Stage::Open { at_drop } => *at_drop,
            Stage::Leaving(_) => return self.leave_at_once(),
        };
        match at_drop {
            // With its window, if that is open.
            #[cfg(feature = "http")]
            AtDrop::Ends if self.has_to_drain() => return self.finish_in_background(),
            AtDrop::Ends => self.expire_if_cut_short(),
            AtDrop::Leaves | AtDrop::Reports => self.stop_hooks(),
        }
        self.close_window_now();
        match at_drop {
            #[cfg(feature = "http")]
            AtDrop::Ends if self.finish().is_err() => self.finish_in_background(),
            AtDrop::Ends => {}
            AtDrop::Leaves => self.leave(),
            AtDrop::Reports => self.report_dropped(),
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
