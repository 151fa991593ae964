//! What a request says to others.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::Registry;
use super::context::Context;
use super::guard::Extra;
use super::running::Running;
use super::span::OpenSpan;
use crate::report::{DrainObserver, DrainReport};
use crate::trace::Span;
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
        self.0.leave_after_end();
    }
}

impl Registry {
    /// Calls every observer: in a span, and outside of any request, so that what a callback spawns is not
    /// taken for a task of the request that happens to be running. `task`: the one that it is about, which the
    /// report does not count; `None` where it is about the request.
    pub(super) fn tell(&self, task: Option<&Extra>, call: impl Fn(&dyn DrainObserver)) {
        if !self.is_tuned() && self.shared().settings.observers.is_empty() {
            return;
        }
        // A copy: an observer may well use the request it is told of.
        let overrides = self.ledger().overrides.clone();
        let mut outside = Context::untracked();
        let _entered = outside.enter();
        // A callback is no task, whatever task is at its end here.
        let _running = Running::nothing().enter();
        self.in_span_of(task, false, || {
            self.shared().settings.notify(&call);
            if let Some(overrides) = overrides {
                overrides.notify(&call);
            }
        });
    }

    /// Runs in the request's span, as long as that is open. `None` if `f` panics: a destructor may do this,
    /// and a subscriber that panics must not take it down.
    pub(crate) fn in_span<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        in_scope(self.span.get().as_deref(), f)
    }

    /// Runs where an event about a task belongs, as [`in_span`](Self::in_span) does: in the request's span if
    /// the report is to count it, and otherwise in its own, for the request's may have closed long ago. Where
    /// there is no such span, in the other one.
    pub(super) fn in_span_of<T>(
        &self,
        task: Option<&Extra>,
        is_counted: bool,
        f: impl FnOnce() -> T,
    ) -> Option<T> {
        let own = task.map(|task| &task.span).filter(|span| !span.is_none());
        let request = self.span.get();
        let span = if is_counted {
            request.as_deref().or(own)
        } else {
            own.or(request.as_deref())
        };
        in_scope(span, f)
    }

    /// The request is over: tells everybody, and leaves the roster as soon as no task is alive.
    /// `waited`: for whatever it was, so that it is on the roster. `stream_was_held`: the window closed while the
    /// head of a stream was kept back. `span`: the request's.
    pub(crate) fn conclude(
        self: &Arc<Self>,
        report: Option<&DrainReport>,
        waited: bool,
        stream_was_held: bool,
        span: OpenSpan,
    ) {
        if let Some(report) = report {
            metrics::drained(report);
            self.in_span(|| trace::request_ended(report, stream_was_held));
            self.tell(None, |observer| observer.on_drain(report));
        }
        // Later events are in the tasks' own spans. After the callbacks, and before the request leaves the
        // roster: when the handle is idle, spans are closed and the callbacks have run.
        drop(span);
        self.over.store(true, Ordering::Release);
        if !waited {
            // A spawn that this look misses sees `over` when it leaves: see `leave_if_over`.
            fence(Ordering::SeqCst);
            if !self.has_spawned() {
                // It is on no roster.
                return;
            }
        }
        self.leave_if_last(false);
    }
}

fn in_scope<T>(span: Option<&Span>, f: impl FnOnce() -> T) -> Option<T> {
    let run = || match span {
        Some(span) => span.in_scope(f),
        None => f(),
    };
    panics::caught(run).ok()
}
