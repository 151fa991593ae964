//! How a request comes to its end.

use std::sync::Arc;

#[cfg(feature = "http")]
use super::KeptFor;
use super::{AtDrop, Drain, NotDrained, Stage};
use crate::registry::{Registry, spare};
use crate::report::{DrainReport, Outcome};

impl Drain {
    /// Ends the request and reports, unless there is something that the response has to wait for.
    /// The report, if there is one, is given the first time only.
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

    /// Ends a request in which nothing was spawned, and which nobody else has, and says whether it did.
    #[inline]
    pub(crate) fn finish_unused(&mut self) -> bool {
        let is_open = matches!(self.stage, Stage::Open { .. }) && !self.hooks_remain();
        let unused = is_open && self.registry().is_some_and(Registry::is_unused);
        if unused {
            self.stage = Stage::Over;
            self.span.close();
        }
        unused
    }

    pub(super) fn finish(&mut self) -> Result<Option<Arc<DrainReport>>, NotDrained> {
        if self.finish_unused() {
            return Ok(None);
        }
        let Some(registry) = self.registry() else {
            return Ok(None);
        };
        let report = match self.stage {
            Stage::Over => return Ok(None),
            Stage::Expired => self.expired().cloned(),
            Stage::Leaving => return Err(NotDrained),
            Stage::Open { .. } if self.hooks_remain() => return Err(NotDrained),
            Stage::Open { .. } => {
                let spawned = registry.try_release().ok_or(NotDrained)?;
                self.last_report(Outcome::Drained, None, Some(spawned))
            }
        };
        self.conclude(report.as_ref());
        Ok(report)
    }

    pub(super) fn conclude(&mut self, report: Option<&Arc<DrainReport>>) {
        self.stage = Stage::Over;
        self.required_failed = report.is_some_and(|report| report.required_failed);
        let span = std::mem::take(&mut self.span);
        if let Some(registry) = self.registry() {
            let stream_was_held = self.course.as_ref().is_some_and(|c| c.stream_was_held);
            let report = report.map(|report| &**report);
            registry.conclude(report, self.has_waited(), stream_was_held, span);
        }
    }

    /// It is dropped: at its end, or before.
    fn end(&mut self) {
        let at_drop = match self.stage {
            Stage::Over => return,
            Stage::Expired => AtDrop::Ends,
            Stage::Open { at_drop } => at_drop,
            Stage::Leaving => return self.leave_at_once(),
        };
        match at_drop {
            // With its window, if that is open.
            #[cfg(feature = "http")]
            AtDrop::Ends if self.has_to_drain() => return self.finish_in_background(),
            AtDrop::Ends => self.expire_if_cut_short(),
            AtDrop::Leaves | AtDrop::Reports => self.stop_hooks(),
        }
        // The window of a response that is dropped in the middle of a hold was open until now.
        self.shut_window();
        match at_drop {
            #[cfg(feature = "http")]
            AtDrop::Ends if self.finish().is_err() => self.finish_in_background(),
            AtDrop::Ends => {}
            AtDrop::Leaves => self.leave(),
            AtDrop::Reports => self.report_dropped(None),
        }
    }
}

impl Drop for Drain {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Over) {
            self.end();
        }
        if let Some(registry) = std::mem::take(&mut self.context).into_registry() {
            spare::keep(registry);
        }
    }
}
