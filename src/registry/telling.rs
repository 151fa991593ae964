//! What a request says to others.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::Registry;
use super::context::Context;
use crate::report::{DrainObserver, DrainReport};
use crate::{metrics, panics, trace};

/// Somebody tells of a task that is not counted any more: the request stays on the roster for that, so that
/// who waits for the handle to be idle has been told everything. Whoever wanted to leave meanwhile could
/// not: dropping it does.
pub(super) struct Telling<'a>(&'a Arc<Registry>);

impl<'a> Telling<'a> {
    pub(super) fn new(registry: &'a Arc<Registry>) -> Self {
        // Relaxed: the count that goes down after this does so with Release, and `leave_if_last` reads that
        // first.
        registry.telling.fetch_add(1, Ordering::Relaxed);
        Self(registry)
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        // Release, with the Acquire of `tells`: who leaves after it does so after what was told.
        self.0.telling.fetch_sub(1, Ordering::Release);
        self.0.leave_if_over();
    }
}

impl Registry {
    /// Calls every observer: in the request's span, and outside of any request, so that what a
    /// callback spawns is not taken for a task of the request that happens to be running.
    pub(super) fn tell(&self, call: impl Fn(&dyn DrainObserver)) {
        if !self.is_tuned() && self.shared().settings.observers.is_empty() {
            return;
        }
        // A copy: an observer may well use the request it is told of.
        let overrides = self.ledger().overrides.clone();
        let mut outside = Context::untracked();
        let _entered = outside.enter();
        self.in_span(|| {
            self.shared().settings.notify(&call);
            if let Some(overrides) = overrides {
                overrides.notify(&call);
            }
        });
    }

    /// Runs in the request's span. It may be a destructor that does so: a subscriber that panics must
    /// not take it down.
    pub(crate) fn in_span(&self, f: impl FnOnce()) {
        let _ = panics::caught(|| self.span.in_scope(f));
    }

    /// The request is over: tells everybody, and leaves the roster as soon as no task is alive.
    /// `waited`: for whatever it was, so that it is on the roster.
    pub(crate) fn conclude(self: &Arc<Self>, report: Option<&DrainReport>, waited: bool) {
        if let Some(report) = report {
            metrics::drained(report);
            self.in_span(|| trace::request_ended(report));
            self.tell(|observer| observer.on_drain(report));
        }
        // After the callbacks: who waits for the handle to be idle has been told everything.
        self.over.store(true, Ordering::Release);
        if !waited {
            // A spawn that this look misses sees `over` when it leaves: see `leave_if_over`.
            fence(Ordering::SeqCst);
            if !self.has_spawned() {
                // It is on no roster.
                return;
            }
        }
        self.leave_if_last();
    }
}
