//! The wait for a request's tasks, and its report. No other module decides the outcome of a request.
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
//!   begin_plain_wait      (only if a head is held with its whole body, there is no hook, and a task is alive) the
//!     │                   window opens, and the tasks get one turn of the scheduler. `poll_plain_wait`: once they are
//!     │                   done, the request is released at once. It goes on below if a task has failed or was stopped,
//!     │                   if only the tokio-util tracker is left, or if it is woken before the tasks are done
//!     ▼
//!   poll_drained ◀─────┐  no task alive, and no hook: ready at once
//!     │                │  otherwise: the window opens, and the tasks get one turn of the scheduler
//!     │                │  then: woken by the last task, by the last required one, by a hook, by a limit that changed,
//!     │                │  or by the timer (`steps`)
//!     ├────────────────┘  the tasks are done: the hooks run (`poll_work`), and what they spawn is waited for
//!     │
//!     ├─ all done ───────▶ try_finish: released, unless a task came up meanwhile (then the wait goes on). If the
//!     │                    response is not held for what is left: finish_in_background
//!     │
//!     ├─ the deadline ───▶ expire (or poll_done, if the last tasks ended because they were aborted): released, and
//!     │                    Expired. Tasks that are alive are the report's stragglers. `try_finish` reports at the
//!     │                    end of the response
//!     │
//!     ├─ an upgrade ─────▶ upgrade: released, whatever is alive
//!     │
//!     ├─ dropped ────────▶ end: if the response had ended (`complete`), finish_in_background waits for what is left.
//!     │                    If the request has expired, that is reported; a wait in the background, as it stands.
//!     │                    Otherwise the client has gone (`leave`): released at once, or Leaving while tasks have time
//!     │                    to stop
//!     ▼
//!   publish               (if the report is read) records and logs it, and calls the observers. Then the span is
//!     │                   dropped. The request leaves the registry once nothing of it is alive
//!     ▼
//!   Over                  `pool::keep` keeps its memory when the owner is done with it, if nothing else refers to it
//! ```
//!
//! | module | role |
//! |---|---|
//! | `wait` | the data of a wait and of its window |
//! | `poll` | the wait for tasks and hooks |
//! | `plain` | the ordinary case of the wait: a held head, and tasks alone |
//! | `window` | opens and closes the drain window |
//! | `hooks` | runs the `before_release` hooks |
//! | `steps`, `timer` | cancel and abort tasks on time |
//! | `release` | the loop for everything that is held: wait, fail, finish |
//! | `ending` | the end of a request |
//! | `leaving` | the tasks of a client that has gone |
//! | `report` | makes the report |
//! | `response` | for HTTP alone |
//!
//! The wait of a shutdown is in `handle`.

mod ending;
mod hooks;
mod leaving;
#[cfg(feature = "http")]
mod plain;
mod poll;
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

use self::wait::{Ended, Wait};
use crate::request::context::{Context, Entered};
use crate::request::{Request, Shared, pool};

/// The owner of a request. It lives as long as the response, waits for the tasks, and reports once.
///
/// If it is dropped before [`try_finish`](Self::try_finish) has returned `Ok`, the client has gone, unless `complete`
/// was called.
pub(crate) struct Drain {
    /// The request. While the request's code runs, this holds the context that was current before.
    context: Context,
    /// `Some` once a wait needs more than [`Stage::PlainWait`], which is rare.
    wait: Option<Box<Wait>>,
    /// The tasks that the response is held for. Once it has ended, a task in the background waits for the others.
    held_for: HeldFor,
    /// The report is made for the caller, even if nothing else reads it.
    needs_report: bool,
    stage: Stage,
}

/// The tasks that a response is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeldFor {
    /// All tasks that are not detached, and the hooks.
    All,
    /// Required tasks.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    Required,
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    None,
}

/// What the owner of a request has left to do.
///
/// It is one word in size, because owners are often moved. The data of rare stages is in the [`Wait`].
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The request's code may spawn, and the response may be held.
    Open { at_drop: AtDrop },
    /// The window is open, and the next event is the end of the tasks or the first step of the `Schedule`. This needs
    /// no `Wait`.
    ///
    /// Only `poll_plain_wait` and a drop may follow. If there is more to do, both make a `Wait`: see `end_plain_wait`.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    PlainWait,
    /// The client has gone, and its tasks still have time to stop.
    Leaving,
    /// The window closed at the deadline, and does not open again. If the report is read, it is made, and is published
    /// at the end of the response.
    Expired,
    /// The request has ended and was reported.
    Over { required_failed: bool },
}

/// What the drop of an open request's owner means.
#[derive(Debug, Clone, Copy)]
enum AtDrop {
    /// The client has gone.
    Disconnected,
    /// The response has ended normally: the server already had all of it.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    Completed,
    /// The response had ended before, and the wait in the background cannot go on: its runtime shuts down, or there is
    /// none. The request is released and reported at once.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    ReportOnly,
}

/// The error if a request cannot end yet: a task is alive, or a hook has not run to its end.
#[derive(Debug)]
pub(crate) struct NotDrained;

impl Drain {
    /// Takes a request from the pool. `id`: the request's `x-request-id`.
    #[inline]
    pub(crate) fn new(shared: &Arc<Shared>, id: Option<String>) -> (Self, Arc<Request>) {
        let request = pool::take(shared, id);
        let drain = Self {
            context: Context::within(request.clone()),
            wait: None,
            held_for: HeldFor::All,
            needs_report: false,
            stage: Stage::Open {
                at_drop: AtDrop::Disconnected,
            },
        };
        (drain, request)
    }

    /// Makes this request the current one until the guard is dropped. The request's code runs inside.
    #[inline]
    pub(crate) fn enter(&mut self) -> Entered<'_> {
        self.context.enter()
    }

    /// Returns the request; `None` after [`take`](Self::take). Do not call this while the request's code runs: see
    /// [`Context::enter`].
    #[inline]
    pub(crate) fn request(&self) -> Option<&Arc<Request>> {
        self.context.own()
    }

    /// Moves the drain out, and leaves one in its place that has nothing to do.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::over(false))
    }

    /// Makes the report for the caller, even if nothing else reads it.
    pub(crate) fn want_report(&mut self) {
        self.needs_report = true;
    }

    /// Lets the hooks run once the tasks are done. Call this when the request's code has ended.
    pub(crate) fn await_hooks(&mut self) {
        if self.request().is_some_and(|request| request.has_hooks()) {
            self.wait_mut().hooks.await_them();
        }
    }

    /// Returns whether a required task has failed so far.
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
            held_for: HeldFor::All,
            needs_report: false,
            stage: Stage::Over { required_failed },
        }
    }

    /// Returns the result of a request that has expired.
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

    /// Returns whether a hook still has to run, or is running.
    #[inline]
    fn hooks_remain(&self) -> bool {
        let wait = self.wait.as_ref();
        wait.is_some_and(|wait| !wait.hooks.are_done())
    }

    /// Returns whether a window was opened, other than that of a plain wait.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn has_waited(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.has_waited)
    }

    /// Returns whether there is something to wait for: a task that is not detached, or a hook.
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
