//! Who waits for the tasks of a request.

use std::sync::Arc;

use tokio::time::Instant;

use super::scope_deadlines::ScopeDeadlines;
use crate::drain::Drain;
use crate::request::context::{Context, Entered};
use crate::request::{Request, Shared};
use crate::settings::Settings;
use crate::tasks::Tasks;
use crate::trace;

/// Who holds this request.
#[derive(Debug)]
pub(crate) enum Role {
    /// We do.
    Owner(Drain),
    /// A layer or scope further out, whose context this is.
    Nested(Context),
}

impl Role {
    /// Owns a request, unless it belongs to somebody further out: then what was said here is added
    /// there. `id`: what the request calls itself.
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

    /// Takes the request from its owner.
    #[cfg(feature = "http")]
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Option<Drain> {
        match std::mem::replace(self, Role::Nested(Context::outside())) {
            Role::Owner(drain) => Some(drain),
            Role::Nested(_) => None,
        }
    }

    /// The handler was dropped, as far as it was, and did not become a task in that.
    pub(crate) fn handler_dropped(&self, progress: Progress) {
        if let (Role::Owner(drain), Progress::Waits) = (self, progress) {
            drain.warn_of_lost_handler();
        }
    }
}

/// The handle of a nested layer sees none of its requests: code that has taken the handle may wait for them in vain.
fn warn_if_unseen(request: &Request, shared: &Shared) {
    let Some(notices) = &shared.notices else {
        return;
    };
    if Arc::ptr_eq(request.process(), &shared.process) {
        return;
    }
    if let Some(location) = notices.handle_sees_nothing() {
        request.in_span(|| trace::handle_sees_nothing(location));
    }
}

/// How far a handler is: what its drop means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Progress {
    /// It was not polled yet.
    #[default]
    New,
    /// It is being polled. Seen by the destructor: that has panicked.
    Polled,
    /// It has begun, and has not answered.
    Waits,
}

/// Whether an answer waits for these tasks. None does any more for those of a request that was released,
/// or whose client has left: what is served over an upgraded connection, or called by a straggler or a
/// detached task, is a request of its own. Nor does the work of the process hold.
pub(crate) fn is_held(tasks: &Tasks) -> bool {
    tasks.request.is_held()
}

/// Whether there is anything that has to be known of a request when it arrives.
pub(crate) fn has_limits<R>(settings: &Settings, sources: &impl ScopeDeadlines<R>) -> bool {
    settings.drain.window.total_timeout.flatten().is_some() || !sources.is_empty()
}

/// Tells a request that arrives just now of its limits.
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
