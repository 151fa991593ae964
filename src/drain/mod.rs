//! The wait for a request's tasks, and what is said of it: the only place that decides an outcome.
//!
//! `waiting` is the wait, `ending` its end, `window` and `schedule` say until when, `hook` is what else is
//! awaited. `leaving` is what becomes of tasks whose client is gone, `verdict` makes the report, and
//! `shutdown` waits for a whole process. `response` is what only HTTP asks for.

mod ending;
mod hook;
mod leaving;
#[cfg(feature = "http")]
mod response;
pub(crate) mod schedule;
pub(crate) mod shutdown;
mod verdict;
mod waiting;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::hook::Hooks;
use self::schedule::Schedule;
use self::verdict::Last;
use self::window::Window;
use crate::registry::context::{Context, Entered};
use crate::registry::span::OpenSpan;
use crate::registry::{Registry, Shared, spare};
use crate::report::DrainReport;

/// The owner of a request: it lives as long as the response, waits for the tasks, and reports once.
/// Dropping it before [`try_finish`](Self::try_finish) has said `Ok` means that the client is gone.
pub(crate) struct Drain {
    /// The request. Another context stands here only while the request's code runs.
    context: Context,
    /// Kept open until the callbacks have run.
    span: OpenSpan,
    /// The wait itself: made when there is something to wait for, which is rare.
    course: Option<Box<Course>>,
    /// For which tasks the response is kept back. The others are waited for in the background once it has
    /// ended.
    kept_for: KeptFor,
    /// The response has to say that a required task has failed: known at the end.
    required_failed: bool,
    stage: Stage,
}

/// The wait of one request.
#[derive(Default)]
struct Course {
    window: Window,
    /// For how long windows were open that have closed.
    drained: Duration,
    /// For how long of that the response was kept back.
    held: Duration,
    /// A window was opened.
    waited: bool,
    hooks: Hooks,
    last: Last,
    /// What is done about the tasks of a client that is gone.
    leaving: Option<Box<Schedule>>,
    /// What was to be reported when the window closed at its deadline.
    expired: Option<Arc<DrainReport>>,
    /// The window closed before the tasks were done.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    cut_short: bool,
    /// It did so while the head of a stream was kept back, so that a task may have waited for its body.
    stream_was_held: bool,
}

/// For which tasks a response is kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeptFor {
    All,
    /// Those that the response fails with.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    Required,
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    None,
}

/// How far a request is.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It may spawn, and may be held.
    Open { at_drop: AtDrop },
    /// The client is gone, and tasks have some time left to stop.
    Leaving,
    /// Its window closed at the deadline and stays closed. The report, if there is something to
    /// report, waits for the end of the response.
    Expired,
    /// Everything was said.
    Over,
}

/// What it means that the owner of an open request is dropped.
#[derive(Debug, Clone, Copy)]
enum AtDrop {
    /// The client has left.
    Leaves,
    /// The response has ended like any other: the server had all it needs.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    Ends,
    /// The response has ended before, and the runtime of the wait shuts down, or there is none: it is
    /// reported as it stands.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    Reports,
}

/// Something is still to be waited for.
pub(crate) struct NotDrained;

impl Drain {
    /// `id`: what the request calls itself.
    #[inline]
    pub(crate) fn new(shared: &Arc<Shared>, id: Option<String>) -> (Self, Arc<Registry>) {
        let (registry, span) = spare::take(shared, id);
        let drain = Self {
            context: Context::within(registry.clone()),
            span,
            stage: Stage::Open {
                at_drop: AtDrop::Leaves,
            },
            course: None,
            kept_for: KeptFor::All,
            required_failed: false,
        };
        (drain, registry)
    }

    /// Makes this request the current one, for its code to run in.
    #[inline]
    pub(crate) fn enter(&mut self) -> Entered<'_> {
        self.context.enter()
    }

    /// The request; `None` after [`take`](Self::take). Not to be asked while the request's code runs: what
    /// was current before stands here then, see [`Context::enter`].
    #[inline]
    pub(crate) fn registry(&self) -> Option<&Arc<Registry>> {
        self.context.registry()
    }

    /// Moves it out, and leaves one behind that has nothing to do.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::over())
    }

    /// The code has ended: what is to be awaited before the release can be.
    pub(crate) fn await_hooks(&mut self) {
        if self.registry().is_some_and(|r| r.has_hooks()) {
            self.course_mut().hooks = Hooks::Waiting;
        }
    }

    /// Whether a task has failed by now that the response fails with.
    pub(crate) fn required_failed(&self) -> bool {
        match self.stage {
            Stage::Over | Stage::Leaving => self.required_failed,
            Stage::Expired => self.expired().is_some_and(|r| r.required_failed),
            Stage::Open { .. } => self.registry().is_some_and(|r| r.required_failed()),
        }
    }

    #[inline]
    fn over() -> Self {
        Self {
            context: Context::outside(),
            span: OpenSpan::default(),
            course: None,
            kept_for: KeptFor::All,
            required_failed: false,
            stage: Stage::Over,
        }
    }

    /// What is to be reported at the end of the response, if its window closed at the deadline.
    fn expired(&self) -> Option<&Arc<DrainReport>> {
        self.course.as_ref()?.expired.as_ref()
    }

    fn course_mut(&mut self) -> &mut Course {
        self.course.get_or_insert_default()
    }

    /// Whether something is still to be awaited before the release, or just is.
    fn hooks_remain(&self) -> bool {
        let course = self.course.as_ref();
        course.is_some_and(|course| !course.hooks.are_through())
    }

    /// Whether the response was kept back, or was to be.
    pub(crate) fn has_waited(&self) -> bool {
        self.course.as_ref().is_some_and(|course| course.waited)
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("context", &self.context)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
