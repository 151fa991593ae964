//! What was said to the request, and what it says to others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Registry;
use super::context::Context;
use crate::report::{Bound, DrainReport, OnDrain};
#[cfg(feature = "http")]
use crate::settings::Hold;
use crate::settings::{DEFAULT_DRAIN_TIMEOUT, Settings};
use crate::{panics, trace};

impl Registry {
    /// When the open window closes; `None` if none is open, or if it has no limit.
    pub(crate) fn deadline(&self) -> Option<(Instant, Bound)> {
        let ledger = self.ledger();
        let said = ledger.overrides.as_ref().and_then(|o| o.drain_timeout);
        let timeout = said
            .or(self.shared.settings.drain_timeout)
            .unwrap_or(DEFAULT_DRAIN_TIMEOUT);
        // What is too far away for the clock is no limit.
        let deadline = ledger.opened?.checked_add(timeout?)?;
        Some((deadline, Bound::DrainTimeout))
    }

    #[cfg(feature = "http")]
    pub(crate) fn hold(&self) -> Hold {
        let ledger = self.ledger();
        let said = ledger.overrides.as_ref().and_then(|o| o.hold);
        said.or(self.shared.settings.hold).unwrap_or_default()
    }

    /// Says something for this request only. A drain that goes on looks at it at once.
    pub(crate) fn overlay(&self, settings: &Settings) {
        if settings.is_silent() {
            return;
        }
        let known = &self.shared.settings.observers;
        self.ledger()
            .overrides
            .get_or_insert_default()
            .overlay(settings, known);
        self.live.wake();
    }

    /// Calls every observer: in the request's span, and outside of any request, so that what a
    /// callback spawns is not taken for a task of the request that happens to be running.
    pub(super) fn tell(&self, call: impl Fn(&dyn OnDrain)) {
        // A copy: an observer may well use the request it is told of.
        let overrides = self.ledger().overrides.clone();
        let mut outside = Context::Untracked;
        let _entered = outside.enter();
        self.in_span(|| {
            self.shared.settings.notify(&call);
            if let Some(overrides) = overrides {
                overrides.notify(&call);
            }
        });
    }

    /// Runs in the request's span. It may be a destructor that does so: a subscriber that panics must
    /// not take it down.
    pub(super) fn in_span(&self, f: impl FnOnce()) {
        let _ = panics::caught(|| self.span.in_scope(f));
    }

    /// The request is over: tells everybody, and leaves the roster as soon as no task is alive.
    pub(crate) fn conclude(self: &Arc<Self>, report: Option<&DrainReport>) {
        if let Some(report) = report {
            self.in_span(|| trace::request_ended(report));
            self.tell(|observer| observer.on_drain(report));
        }
        // After the callbacks: who waits for the handle to be idle has been told everything.
        self.over.store(true, Ordering::Release);
        match self.anonymous() {
            Some(anonymous) if !anonymous.tracker().is_empty() => {
                // Those tasks do not keep the request, but the handle has to see them.
                let request = self.clone();
                anonymous.when_empty(move || request.leave_if_over());
            }
            // It spawned nothing, so that it is on no roster.
            None if report.is_none() => {}
            _ => self.leave_if_over(),
        }
    }
}
