//! The wait for a request's tasks, and what is said of it: the only place that decides an outcome.

#[cfg(feature = "http")]
mod response;
mod verdict;
mod window;

use std::fmt;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use self::verdict::Last;
use self::window::Window;
use crate::registry::context::{Context, Entered};
use crate::registry::{Registry, Shared};
use crate::report::{DrainReport, Outcome};

/// The owner of a request: it lives as long as the response, waits for the tasks, and reports once.
/// Dropping it before [`try_finish`](Self::try_finish) has said `Ok` means that the client is gone.
pub(crate) struct Drain {
    /// The request. Another context stands here only while the request's code runs.
    context: Context,
    window: Window,
    /// For how long windows were open that have closed.
    drained: Duration,
    /// The response is kept back while tasks are alive. If it is not, they are waited for in the
    /// background once it has ended.
    keeps_back: bool,
    last: Last,
    stage: Stage,
}

/// How far a request is.
#[derive(Debug)]
enum Stage {
    /// It may spawn, and may be held. `complete`: dropped here, it has ended; otherwise it is cut
    /// off.
    Open { complete: bool },
    /// Its window closed at the deadline and stays closed. The report, if there is something to
    /// report, waits for the end of the response.
    Expired(Option<Arc<DrainReport>>),
    /// Everything was said.
    Over,
}

/// A task is alive that the response has to wait for.
pub(crate) struct TasksAlive;

impl Drain {
    pub(crate) fn new(shared: Arc<Shared>) -> (Self, Arc<Registry>) {
        let registry = Registry::new(shared);
        let mut drain = Self::over();
        drain.context = Context::In(registry.clone());
        drain.stage = Stage::Open { complete: false };
        (drain, registry)
    }

    /// Makes this request the current one, for its code to run in.
    pub(crate) fn enter(&mut self) -> Entered<'_> {
        self.context.enter()
    }

    /// The request; `None` when it was moved on. Not to be asked while the request's code runs: what
    /// was current before stands here then.
    pub(crate) fn registry(&self) -> Option<&Arc<Registry>> {
        self.context.registry()
    }

    /// Moves it out, and leaves one behind that has nothing to do.
    #[cfg(feature = "http")]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::over())
    }

    /// Ready when no task is alive, or the deadline has passed. The window opens with the first
    /// poll that finds a task alive.
    pub(crate) fn poll_drained(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let (Stage::Open { .. }, Some(registry)) = (&self.stage, self.context.registry()) else {
            return Poll::Ready(());
        };
        // The drain wins over the deadline: what is whole is not reported as late.
        if self.window.poll_none_alive(registry, cx).is_ready() {
            if let Some(last) = self.shut_window() {
                self.last = last;
            }
            return Poll::Ready(());
        }
        if !self.window.is_open() {
            self.window.open(registry);
            // Tasks get one turn of the scheduler, even if the deadline has passed. Most need no
            // more, and then no timer is made.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let bound = ready!(self.window.poll_deadline(registry, cx));
        self.shut_window();
        self.last = Last::Nobody;
        let report = self.give_up(Outcome::DeadlineExceeded, Some(bound));
        self.stage = Stage::Expired(report);
        Poll::Ready(())
    }

    /// Ends the request and reports, unless a task is alive that the response has to wait for. The
    /// report, if there is one, is given the first time only.
    pub(crate) fn try_finish(&mut self) -> Result<Option<Arc<DrainReport>>, TasksAlive> {
        #[cfg(feature = "http")]
        if !self.keeps_back && self.has_to_drain() {
            self.finish_in_background();
            return Ok(None);
        }
        self.finish()
    }

    fn over() -> Self {
        Self {
            context: Context::Outside,
            window: Window::default(),
            drained: Duration::ZERO,
            keeps_back: true,
            last: Last::Nobody,
            stage: Stage::Over,
        }
    }

    #[cfg(feature = "http")]
    fn has_to_drain(&self) -> bool {
        matches!(self.stage, Stage::Open { .. }) && self.registry().is_some_and(|r| r.alive() > 0)
    }

    fn finish(&mut self) -> Result<Option<Arc<DrainReport>>, TasksAlive> {
        let Some(registry) = self.registry() else {
            return Ok(None);
        };
        let report = match &self.stage {
            Stage::Over => return Ok(None),
            Stage::Expired(report) => report.clone(),
            Stage::Open { .. } => {
                let spawned = registry.try_release().ok_or(TasksAlive)?;
                self.last_report(Outcome::Drained, None, Some(spawned))
            }
        };
        self.conclude(report.as_ref());
        Ok(report)
    }

    /// Says whose end shut the window, if it was open and that was an end.
    fn shut_window(&mut self) -> Option<Last> {
        let (open_for, last) = self.window.shut(self.context.registry()?)?;
        self.drained += open_for;
        Some(last)
    }

    fn conclude(&mut self, report: Option<&Arc<DrainReport>>) {
        self.stage = Stage::Over;
        if let Some(registry) = self.registry() {
            registry.conclude(report.map(|report| &**report));
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        // The window of a response that is dropped in the middle of a hold was open until now.
        self.shut_window();
        let cut_off = matches!(self.stage, Stage::Open { complete: false });
        if cut_off || self.try_finish().is_err() {
            let report = self.give_up(Outcome::Dropped, None);
            self.conclude(report.as_ref());
        }
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
