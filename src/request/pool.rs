//! The memory of a request that is over, kept for the next one on the same thread.

use std::cell::Cell;
use std::sync::{Arc, PoisonError};

use super::{Request, Shared};
use crate::panics;
use crate::settings::Settings;
use crate::sync::{Ordering, fence, thread_local};
use crate::trace::Span;

thread_local! {
    static POOLED: Cell<Option<Arc<Request>>> = const { Cell::new(None) };
}

/// Returns a request that nothing else refers to. `id`: its `x-request-id`.
#[inline]
pub(crate) fn take(shared: &Arc<Shared>, id: Option<String>) -> Arc<Request> {
    let span = Span::current();
    if let Some(request) = POOLED.try_with(Cell::take).ok().flatten() {
        let own = request.shared.as_ref();
        let belongs = own.is_some_and(|own| Arc::ptr_eq(own, shared));
        if belongs && id.is_none() && span.is_none() {
            // The ordinary case, without a single locked instruction.
            return request;
        }
        return assign(request, shared, id, span);
    }
    assign(Arc::new(Request::new()), shared, id, span)
}

fn assign(
    mut request: Arc<Request>,
    shared: &Arc<Shared>,
    id: Option<String>,
    span: Option<Span>,
) -> Arc<Request> {
    let Some(own) = Arc::get_mut(&mut request) else {
        unreachable!("a pooled request has one reference")
    };
    let state = own.state.get_mut().unwrap_or_else(PoisonError::into_inner);
    let belongs = own.shared.as_ref();
    if !belongs.is_some_and(|own| Arc::ptr_eq(own, shared)) {
        state.set_task_spans(shared.settings.has_task_spans());
        own.shared = Some(shared.clone());
    }
    own.id = id;
    state.set_span(span.map(Arc::new));
    request
}

/// Keeps a request whose owner is done with it, unless something else still refers to it: a task, the registry, or
/// code that was handed its [`Tasks`](crate::Tasks).
pub(crate) fn keep(mut request: Arc<Request>) {
    // What it drops may be anything, and this may be a destructor.
    let is_reset = panics::caught(|| Arc::get_mut(&mut request).is_some_and(Request::reset));
    if is_reset == Ok(true) {
        put(request);
    }
}

/// Keeps a request in which nothing has happened, and to which its owner has the only reference.
#[inline]
pub(crate) fn put(request: Arc<Request>) {
    // On a thread that is being torn down it is dropped.
    let _ = POOLED.try_with(|pooled| pooled.set(Some(request)));
}

/// Whether anything was done with a request to which its owner has the only reference.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Something was spawned, or something else refers to it and may spawn.
    Used,
    /// Nothing was spawned, and nothing can spawn in it, or find it in the registry.
    Unused,
    /// The same, and it is as new, for the next request.
    AsMade,
}

impl Shared {
    /// Whether it holds no value of the user's. A thread keeps it until the thread ends, and an observer may own the
    /// sender of a channel that is to close.
    #[inline]
    fn may_stay(&self) -> bool {
        let Settings {
            hooks, observers, ..
        } = &self.settings;
        hooks.is_empty() && observers.is_empty()
    }
}

impl Request {
    /// Whether anything was done with it.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn used(self: &mut Arc<Self>) -> Use {
        let Some(own) = Arc::get_mut(self) else {
            return Use::Used;
        };
        let state = own.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if own.tracker.get().is_some() || state.has_spawned() {
            Use::Used
        } else if state.is_pristine()
            && own.id.is_none()
            && own.shared.as_deref().is_some_and(Shared::may_stay)
        {
            Use::AsMade
        } else {
            Use::Unused
        }
    }

    /// Whether its owner has the only reference.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn is_alone(self: &Arc<Self>) -> bool {
        let is_alone = Arc::strong_count(self) == 1 && Arc::weak_count(self) == 0;
        // Pairs with the Release of a dropped reference: what was done through that one happened before.
        fence(Ordering::Acquire);
        is_alone
    }

    /// Clears everything, and returns whether the request may be kept. What this drops may run any code: no lock is held
    /// meanwhile.
    fn reset(&mut self) -> bool {
        let Self {
            state,
            tracker,
            shared,
            id,
            is_untracked: _,
        } = self;
        if tracker.get().is_some() {
            // A clone of the tracker may outlive the request.
            return false;
        }
        if !shared.as_deref().is_some_and(Shared::may_stay) {
            *shared = None;
        }
        let own = shared.as_deref();
        let state = state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.reset();
        state.set_task_spans(own.is_none_or(|own| own.settings.has_task_spans()));
        *id = None;
        true
    }
}
