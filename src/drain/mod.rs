//! The wait for a request's tasks, and its report: the only place that decides an outcome.
//!
//! The life of a request, in order of time:
//!
//! ```text
//!   Drain::new            takes the request from the pool
//!     │                   (the handler runs in its context, and spawns)
//!     │ answered          the handler has answered (`await_hooks` in a scope): hooks, if any, are to run
//!     │
//!     ├─ unused ─────────▶ (HTTP, where the response ends) finish_unused: nothing was spawned, and nothing else refers
//!     │                    to the request; it is Over. If something else does: `finish_idle`
//!     ▼
//!   begin_plain_wait      (only if a head is held with its whole body, there is no hook, and a task is alive) the window
//!     │                   opens, and the tasks get one turn of the scheduler. `poll_plain_wait`: once they are done, the
//!     │                   request is released at once. It goes on below if a task has failed or was stopped, if only
//!     │                   the tokio-util tracker is left, or if it is woken before the tasks are done
//!     ▼
//!   poll_drained ◀─────┐  no task alive, and no hook: ready at once
//!     │                │  otherwise: the window opens, and the tasks get one turn of the scheduler
//!     │                │  then: woken by the last task, by the last required one, by a hook, by a limit that changed, or
//!     │                │  by the timer (`steps`)
//!     ├────────────────┘  the tasks are done: the hooks run (`poll_work`), and what they spawn is waited for
//!     │
//!     ├─ all done ───────▶ try_finish: released, unless a task came up meanwhile (then the wait goes on). If the response
//!     │                    is not held for what is left: finish_in_background
//!     │
//!     ├─ the deadline ───▶ expire (or poll_done, if the last tasks ended because they were aborted): released, and
//!     │                    Expired. Tasks that are alive are the report's stragglers. `try_finish` reports at the
//!     │                    end of the response
//!     │
//!     ├─ an upgrade ─────▶ upgrade: released, whatever is alive
//!     │
//!     ├─ dropped ────────▶ end: if the response had ended (`complete`), finish_in_background waits for what is left. If
//!     │                    the request has expired, that is reported; a wait in the background, as it stands. Otherwise
//!     │                    the client has gone (`leave`): released at once, or Leaving while tasks have time to stop
//!     ▼
//!   publish               (if the report is read) records and logs it, and calls the observers. Then the span is dropped.
//!     │                   The request leaves the registry once nothing of it is alive
//!     ▼
//!   Over                  `pool::keep` keeps its memory when the owner is done with it, if nothing else refers to it
//! ```
//!
//! `wait` is the wait, and `plain` the ordinary case of it. `window` is the drain window, `hooks` is what else is
//! awaited, and `steps` stops tasks on time, with its `timer`. `release` is the loop of everything that is held: wait,
//! fail, finish. `ending` is the end of a request, `leaving` is what happens to tasks whose client has gone, and `report`
//! makes the report. `response` is for HTTP alone. The wait of a shutdown is in `handle`.

mod ending;
mod hooks;
mod leaving;
#[cfg(feature = "http")]
mod plain;
pub(crate) mod release;
mod report;
#[cfg(feature = "http")]
mod response;
mod steps;
pub(crate) mod timer;
mod wait;
mod window;

use std::fmt;
use std::sync::Arc;

use self::wait::Wait;
use crate::report::DrainReport;
use crate::request::context::{Context, Entered};
use crate::request::{Request, Shared, pool};

/// The owner of a request: it lives as long as the response, waits for the tasks, and reports once.
/// Dropping it before [`try_finish`](Self::try_finish) has returned `Ok` means that the client has gone, unless
/// `complete` was called.
pub(crate) struct Drain {
    /// The request. While the request's code runs, the context that was current before stands here.
    context: Context,
    /// Made when a wait is more than plain, which is rare.
    wait: Option<Box<Wait>>,
    /// For which tasks the response is kept back. The others are waited for in the background once it has
    /// ended.
    kept_for: KeptFor,
    /// The caller reads the report.
    wants_report: bool,
    stage: Stage,
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

/// What its owner has still to do for a request. One word, because owners are moved about: the data of rare stages
/// stand in the [`Wait`].
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It may spawn, and may be held.
    Open { at_drop: AtDrop },
    /// Its window is open, and all that comes next is the end of its tasks, or the first step of its `Schedule`. That
    /// takes no `Wait`. Only `poll_plain_wait` and a drop may follow. Both make a `Wait` if there is more to do: see
    /// `end_plain_wait`.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    PlainWait,
    /// The client has gone, and tasks have some time left to stop.
    Leaving,
    /// Its window closed at the deadline and stays closed. The report, if it is to be read, waits for the end of the
    /// response.
    Expired,
    /// Everything was reported.
    Over { required_failed: bool },
}

/// What is left to report of a request that was released.
#[derive(Default)]
struct Ended {
    required_failed: bool,
    /// `None` if it is not read.
    report: Option<Arc<DrainReport>>,
}

/// What it means that the owner of an open request is dropped.
#[derive(Debug, Clone, Copy)]
enum AtDrop {
    /// The client has left.
    Disconnected,
    /// The response has ended like any other: the server had all it needs.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    Completed,
    /// The response has ended before, and the runtime of the wait shuts down, or there is none: it is
    /// reported as it stands.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    ReportOnly,
}

/// Something is still to be waited for.
#[derive(Debug)]
pub(crate) struct NotDrained;

impl Drain {
    /// `id`: the `x-request-id` that the request came with.
    #[inline]
    pub(crate) fn new(shared: &Arc<Shared>, id: Option<String>) -> (Self, Arc<Request>) {
        let request = pool::take(shared, id);
        let drain = Self {
            context: Context::within(request.clone()),
            wait: None,
            kept_for: KeptFor::All,
            wants_report: false,
            stage: Stage::Open {
                at_drop: AtDrop::Disconnected,
            },
        };
        (drain, request)
    }

    /// Makes this request the current one, for its code to run in.
    #[inline]
    pub(crate) fn enter(&mut self) -> Entered<'_> {
        self.context.enter()
    }

    /// The request; `None` after [`take`](Self::take). Do not call this while the request's code runs: see
    /// [`Context::enter`].
    #[inline]
    pub(crate) fn request(&self) -> Option<&Arc<Request>> {
        self.context.own()
    }

    /// Moves the drain out, and leaves one behind that has nothing to do.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::over(false))
    }

    /// Has the report made for the caller, even if nothing else reads it.
    pub(crate) fn want_report(&mut self) {
        self.wants_report = true;
    }

    /// The request's code has ended: its hooks run once the tasks are done.
    pub(crate) fn await_hooks(&mut self) {
        if self.request().is_some_and(|request| request.has_hooks()) {
            self.wait_mut().hooks.await_them();
        }
    }

    /// Whether a task has failed by now that the response fails with.
    #[inline]
    pub(crate) fn required_failed(&self) -> bool {
        match self.stage {
            Stage::Over { required_failed } => required_failed,
            Stage::Leaving => false,
            Stage::Expired => self.ended().is_some_and(|ended| ended.required_failed),
            Stage::PlainWait | Stage::Open { .. } => match self.drained_as_failed() {
                Some(failed) => failed,
                None => self.request().is_some_and(|r| r.required_failed()),
            },
        }
    }

    #[inline]
    fn over(required_failed: bool) -> Self {
        Self {
            context: Context::outside(),
            wait: None,
            kept_for: KeptFor::All,
            wants_report: false,
            stage: Stage::Over { required_failed },
        }
    }

    /// What is left to report of a request that has expired.
    fn ended(&self) -> Option<&Ended> {
        self.wait.as_ref().map(|wait| &wait.ended)
    }

    fn wait_mut(&mut self) -> &mut Wait {
        self.wait.get_or_insert_default()
    }

    #[inline]
    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. } | Stage::PlainWait)
    }

    /// Whether something is still to be awaited before the release, or just is.
    #[inline]
    fn hooks_remain(&self) -> bool {
        let wait = self.wait.as_ref();
        wait.is_some_and(|wait| !wait.hooks.are_through())
    }

    /// Whether the response was kept back, or was to be.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn has_waited(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.has_waited)
    }

    /// Whether tasks are alive that the request waits for, or hooks remain.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    fn has_to_drain(&self) -> bool {
        self.is_open() && (self.hooks_remain() || self.request().is_some_and(|r| r.is_busy()))
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
