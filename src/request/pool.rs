//! The pool: the memory of a request that is over, kept for the next one on the same thread.

use std::cell::Cell;
use std::sync::Arc;

use super::{Request, Shared};
use crate::settings::DrainSettings;
use crate::sync::{Ordering, fence, thread_local};
use crate::trace::Span;
use crate::{panics, trace};

thread_local! {
    static POOLED: Cell<Option<Arc<Request>>> = const { Cell::new(None) };
}

/// Returns a request that nothing else refers to, from the pool or a new one. `id`: its `x-request-id`.
#[inline]
pub(crate) fn take(shared: &Arc<Shared>, id: Option<String>) -> Arc<Request> {
    let pooled = POOLED.try_with(Cell::take).ok().flatten();
    match pooled {
        // The ordinary case, without a single locked instruction.
        Some(request) if id.is_none() && request.is_of(shared) && trace::is_off() => request,
        pooled => assign(pooled, shared, id),
    }
}

/// Sets what a request has from its layer and its own arrival. Creates it if none was pooled.
fn assign(pooled: Option<Arc<Request>>, shared: &Arc<Shared>, id: Option<String>) -> Arc<Request> {
    let span = Span::current();
    let mut request = pooled.unwrap_or_else(|| Arc::new(Request::new()));
    let Some(own) = Arc::get_mut(&mut request) else {
        unreachable!("a pooled request has one reference")
    };
    let belongs = own.is_of(shared);
    let state = own.state.get_mut();
    if !belongs {
        state.set_task_spans(shared.settings.drain.task_spans.unwrap_or_default());
        own.shared = Some(shared.clone());
    }
    // A pooled request has neither a span nor an id.
    if let Some(span) = span {
        state.set_span(Arc::new(span));
    }
    if id.is_some() {
        own.id = id;
    }
    request
}

/// Keeps a request that its owner does not need any more. If something else still refers to the request, it is not
/// kept. That may be a task, the registry, or code that has its [`Tasks`](crate::Tasks).
#[inline]
pub(crate) fn keep(mut request: Arc<Request>) {
    let Some(own) = Arc::get_mut(&mut request) else {
        return;
    };
    if !own.is_bare() {
        // What this drops may run any code, and the caller may be a destructor.
        let is_stripped = panics::caught(|| own.strip());
        if is_stripped != Ok(true) {
            let _ = panics::caught(|| drop(request));
            return;
        }
    }
    if !own.shared.as_deref().is_some_and(Shared::may_stay) {
        let shared = own.shared.take();
        // The last reference drops the observers.
        let _ = panics::caught(|| drop(shared));
    }
    own.renew();
    put(request);
}

/// Keeps a request in which nothing has happened. Its owner has the only reference.
#[inline]
pub(crate) fn put(request: Arc<Request>) {
    // If the thread is being torn down, the request is dropped.
    let _ = POOLED.try_with(|pooled| pooled.set(Some(request)));
}

/// What was done with a request.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Something was spawned, or there is another reference, through which code may spawn.
    Used,
    /// Nothing was spawned. The owner has the only reference, so nothing can be spawned, and the request is not in the
    /// registry.
    Unused,
    /// Like `Unused`, and the request has nothing to reset before the next use.
    Pristine,
}

impl Shared {
    /// Returns whether a thread may keep this until it ends. It must not contain values of the user: an observer may
    /// own the sender of a channel, and that channel is to close.
    #[inline]
    fn may_stay(&self) -> bool {
        let DrainSettings {
            hooks, observers, ..
        } = &self.settings.drain;
        hooks.is_empty() && observers.is_empty()
    }
}

impl Request {
    /// Returns whether the request belongs to this layer or scope.
    #[inline]
    fn is_of(&self, shared: &Arc<Shared>) -> bool {
        let own = self.shared.as_ref();
        own.is_some_and(|own| Arc::ptr_eq(own, shared))
    }

    /// Returns what was done with the request.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn used(self: &mut Arc<Self>) -> Use {
        let Some(own) = Arc::get_mut(self) else {
            return Use::Used;
        };
        let state = own.state.get_mut();
        if own.tracker.get().is_some() || state.has_spawned() {
            Use::Used
        } else if state.is_pristine()
            && own.id.is_none()
            && own.shared.as_deref().is_some_and(Shared::may_stay)
        {
            Use::Pristine
        } else {
            Use::Unused
        }
    }

    /// Returns whether the owner has the only reference.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn is_alone(self: &Arc<Self>) -> bool {
        let is_alone = Arc::strong_count(self) == 1 && Arc::weak_count(self) == 0;
        // Pairs with the Release of a dropped reference: what was done through that reference happened before.
        fence(Ordering::Acquire);
        is_alone
    }

    /// Returns whether [`strip`](Self::strip) would drop nothing.
    #[inline]
    fn is_bare(&mut self) -> bool {
        let state = self.state.get_mut();
        state.is_bare() && self.tracker.get().is_none() && self.id.is_none()
    }

    /// Drops everything that only some requests have, and everything of the user except for the settings. Returns
    /// whether the request may be kept. What this drops may run any code, so no lock is held.
    fn strip(&mut self) -> bool {
        if self.tracker.get().is_some() {
            // A clone of the tracker may outlive the request.
            return false;
        }
        self.id = None;
        let state = self.state.get_mut();
        state.strip();
        let shared = self.shared.as_deref();
        let spans = shared.and_then(|shared| shared.settings.drain.task_spans);
        state.set_task_spans(spans.unwrap_or_default());
        true
    }

    /// Resets the request for its next use.
    #[inline]
    fn renew(&mut self) {
        let state = self.state.get_mut();
        state.renew();
    }
}
