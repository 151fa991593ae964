//! Calls the observers of a request, and chooses the spans of its events.

use std::sync::Arc;

use super::Request;
use super::context::Context;
use crate::report::DrainObserver;
use crate::trace::Span;
use crate::{panics, trace};

impl Request {
    /// Calls every observer, in a span and outside of any request. So what a callback spawns is no task of the request
    /// that runs here.
    ///
    /// `span`: the span of the task that the callback is about, if that is a late spawn or a late end. `None` for a
    /// callback about the request.
    pub(crate) fn notify(&self, span: Option<&Span>, call: impl Fn(&dyn DrainObserver)) {
        let ours = &self.shared().settings.drain.observers;
        // A copy, because an observer may use the request that it is called for.
        let nested = self.lock().observers();
        if ours.is_empty() && nested.is_empty() {
            return;
        }
        outside(|| {
            self.in_span_of(span, false, || {
                call_each(ours, &call);
                call_each(&nested, &call);
            });
        });
    }

    /// Calls the observers of the layer alone, without a span. For a request that was released without a span, and that
    /// has no other observers.
    #[inline]
    pub(crate) fn notify_own(&self, call: impl Fn(&dyn DrainObserver)) {
        let ours = &self.shared().settings.drain.observers;
        if !ours.is_empty() {
            outside(|| call_each(ours, &call));
        }
    }

    /// Returns whether the layer has an observer.
    #[inline]
    pub(crate) fn has_own_observers(&self) -> bool {
        !self.shared().settings.drain.observers.is_empty()
    }

    /// Returns whether the request has an observer.
    pub(crate) fn is_observed(&self) -> bool {
        self.has_own_observers() || self.lock().is_observed()
    }

    /// Returns the span of the request, as long as it is open.
    fn span(&self) -> Option<Arc<Span>> {
        self.lock().span()
    }

    /// Runs `f` in the span of the request, as long as that is open. Returns `None` if `f` panics. A destructor may
    /// call this, and must not panic because a subscriber does.
    pub(crate) fn in_span<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        in_scope(self.span().as_deref(), f)
    }

    /// Runs `f` in the span for events about a task. Returns `None` if `f` panics.
    ///
    /// If the report counts the end of the task, that is the span of the request. Otherwise it is the span of the task,
    /// because the span of the request may have closed long ago. If that span does not exist, `f` runs in the other
    /// one.
    pub(super) fn in_span_of<T>(
        &self,
        own: Option<&Span>,
        is_counted: bool,
        f: impl FnOnce() -> T,
    ) -> Option<T> {
        let request = self.span();
        let span = if is_counted {
            request.as_deref().or(own)
        } else {
            own.or(request.as_deref())
        };
        in_scope(span, f)
    }
}

/// Calls every observer. If one panics, that is logged, and the next one is called.
#[inline]
fn call_each(observers: &[Arc<dyn DrainObserver>], call: impl Fn(&dyn DrainObserver)) {
    for observer in observers {
        if let Err(message) = panics::caught(|| call(&**observer)) {
            // A subscriber may panic at this event, too.
            let _ = panics::caught(|| trace::callback_panicked(message.as_deref()));
        }
    }
}

/// Runs callbacks outside of any request.
#[inline]
fn outside(call: impl FnOnce()) {
    let mut outside = Context::untracked();
    // A callback is no task, even if a task is ending on this thread.
    let _entered = outside.enter_no_task();
    call();
}

fn in_scope<T>(span: Option<&Span>, f: impl FnOnce() -> T) -> Option<T> {
    let run = || match span {
        Some(span) => span.in_scope(f),
        None => f(),
    };
    panics::caught(run).ok()
}
