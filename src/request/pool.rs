//! The memory of a request that is over, kept for the next one on the same thread.

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

/// Returns a request that nothing else refers to. `id`: its `x-request-id`.
#[inline]
pub(crate) fn take(shared: &Arc<Shared>, id: Option<String>) -> Arc<Request> {
    let pooled = POOLED.try_with(Cell::take).ok().flatten();
    match pooled {
        // The ordinary case, without a single locked instruction.
        Some(request) if id.is_none() && request.is_of(shared) && trace::is_off() => request,
        pooled => assign(pooled, shared, id),
    }
}

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
    // One that was pooled has neither.
    if let Some(span) = span {
        state.set_span(Arc::new(span));
    }
    if id.is_some() {
        own.id = id;
    }
    request
}

/// Keeps a request whose owner is done with it, unless something else still refers to it: a task, the registry, or
/// code that was handed its [`Tasks`](crate::Tasks).
#[inline]
pub(crate) fn keep(mut request: Arc<Request>) {
    let Some(own) = Arc::get_mut(&mut request) else {
        return;
    };
    if !own.is_bare() {
        // What it drops may be anything, and this may be a destructor.
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
    Pristine,
}

impl Shared {
    /// Whether it holds no value of the user's. A thread keeps it until the thread ends, and an observer may own the
    /// sender of a channel that is to close.
    #[inline]
    fn may_stay(&self) -> bool {
        let DrainSettings {
            hooks, observers, ..
        } = &self.settings.drain;
        hooks.is_empty() && observers.is_empty()
    }
}

impl Request {
    #[inline]
    fn is_of(&self, shared: &Arc<Shared>) -> bool {
        let own = self.shared.as_ref();
        own.is_some_and(|own| Arc::ptr_eq(own, shared))
    }

    /// Whether anything was done with it.
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

    /// Whether its owner has the only reference.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn is_alone(self: &Arc<Self>) -> bool {
        let is_alone = Arc::strong_count(self) == 1 && Arc::weak_count(self) == 0;
        // Pairs with the Release of a dropped reference: what was done through that one happened before.
        fence(Ordering::Acquire);
        is_alone
    }

    /// Whether it has nothing that most requests do not have, and nothing of the user's but its settings.
    #[inline]
    fn is_bare(&mut self) -> bool {
        let state = self.state.get_mut();
        state.is_bare() && self.tracker.get().is_none() && self.id.is_none()
    }

    /// Drops all that, and returns whether the request may be kept. What this drops may run any code: no lock is held
    /// meanwhile.
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

    /// Makes it as new.
    #[inline]
    fn renew(&mut self) {
        let state = self.state.get_mut();
        state.renew();
    }
}
