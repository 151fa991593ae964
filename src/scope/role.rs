//! Whether a layer or scope owns its request, or is nested in one that does.

use std::sync::Arc;

use tokio::time::Instant;

use super::scope_deadlines::ScopeDeadlines;
use crate::drain::Drain;
use crate::request::context::{Context, Entered};
use crate::request::{Request, Shared};
use crate::settings::Settings;
use crate::tasks::Tasks;
use crate::trace;

/// The role of a layer or scope for one request.
#[derive(Debug)]
pub(crate) enum Role {
    /// It owns the request, and waits for its tasks.
    Owner(Drain),
    /// An enclosing layer or scope owns the request. This is the context of that request.
    Nested(Context),
}

impl Role {
    /// Makes a request, and owns it. If an enclosing layer has made one (`outer`), adds the settings to that request
    /// instead. `id` returns the `x-request-id`.
    #[inline]
    pub(crate) fn new(
        outer: Option<Tasks>,
        shared: &Arc<Shared>,
        id: impl FnOnce() -> Option<String>,
    ) -> (Self, Arc<Request>) {
        let Some(Tasks { request }) = outer else {
            let (drain, request) = Drain::new(shared, id());
            return (Role::Owner(drain), request);
        };
        request.overlay(&shared.settings);
        warn_if_unseen(&request, shared);
        (Role::Nested(Context::within(request.clone())), request)
    }

    #[inline]
    pub(crate) fn enter(&mut self) -> Entered<'_> {
        match self {
            Role::Owner(drain) => drain.enter(),
            Role::Nested(context) => context.enter(),
        }
    }

    /// Moves the drain out, if this is the owner.
    #[cfg(feature = "http")]
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Option<Drain> {
        match std::mem::replace(self, Role::Nested(Context::outside())) {
            Role::Owner(drain) => Some(drain),
            Role::Nested(_) => None,
        }
    }

    /// Called when a handler was dropped and did not become a task. Warns if the handler had begun and not answered.
    pub(crate) fn handler_dropped(&self, progress: Progress) {
        if let (Role::Owner(drain), Progress::Waits) = (self, progress) {
            drain.warn_of_lost_handler();
        }
    }
}

/// Warns if the handle of a nested layer was taken: it sees none of the requests, so a wait for them would end too
/// early.
fn warn_if_unseen(request: &Request, shared: &Shared) {
    let Some(warnings) = &shared.warnings else {
        return;
    };
    if Arc::ptr_eq(request.process(), &shared.process) {
        return;
    }
    if let Some(location) = warnings.note_missed_request() {
        request.in_span(|| trace::handle_sees_nothing(location));
    }
}

/// The progress of a handler. It decides what the drop of the handler means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Progress {
    /// The handler was not polled yet.
    #[default]
    New,
    /// The handler is being polled. If the destructor finds this, the handler has panicked.
    Polled,
    /// The handler has begun, and has not answered.
    Waits,
}

/// Returns true if a response waits for these tasks. Otherwise a layer that is called in their context makes a request
/// of its own. No response waits:
///
/// * once the request was released, as over an upgraded connection or in a straggler;
/// * once the client has left;
/// * in a detached task;
/// * in the tasks of the process.
pub(crate) fn is_held(tasks: &Tasks) -> bool {
    tasks.request.is_held()
}

/// Returns true if the request has to be looked at when it arrives, because it may have limits.
pub(crate) fn has_limits<R>(settings: &Settings, sources: &impl ScopeDeadlines<R>) -> bool {
    settings.drain.window.total_timeout.flatten().is_some() || !sources.is_empty()
}

/// Adds the limits of this layer to a request that arrives now.
pub(crate) fn add_limits<R>(
    tracked: &Arc<Request>,
    settings: &Settings,
    sources: &impl ScopeDeadlines<R>,
    request: &R,
) {
    if !has_limits(settings, sources) {
        return;
    }
    let now = Instant::now();
    let limits = sources.limits(request, now);
    let arrived = settings.drain.window.total_timeout.flatten().map(|_| now);
    tracked.add_limits(arrived, limits);
}
