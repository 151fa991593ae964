//! The wait for a request's tasks, and what is said of it: the only place that decides an outcome.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::anonymous::{Anonymous, Wait};
use crate::context::{Context, Entered};
use crate::ledger::Ledger;
use crate::registry::{Registry, Shared};
use crate::report::{Bound, DrainReport, Outcome, TaskState};

/// The owner of a request: it lives as long as the response, waits for the tasks, and reports once.
/// Dropping it before [`try_finish`](Self::try_finish) has said `true` means that the client is
/// gone.
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

/// The drain window.
#[derive(Default)]
struct Window {
    /// `None` while it is not open.
    opened: Option<Instant>,
    /// `Some` once tasks were alive after a turn of the scheduler.
    timer: Option<Pin<Box<Sleep>>>,
    anonymous: Wait,
    /// What was waited for last was all in the tokio-util tracker.
    only_anonymous: bool,
}

/// Whose end let the response go.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// No task was waited for.
    Nobody,
    Task(u32),
    /// One in the tokio-util tracker.
    Anonymous,
}

/// How far a request is.
#[derive(Debug)]
enum Stage {
    /// It may spawn, and may be held. Dropped here, it is cut off.
    Open,
    /// The same, but the server has all it needs: dropped here, it has ended.
    Complete,
    /// Its window closed at the deadline and stays closed. The report waits for the end of the
    /// response.
    Expired(Option<Arc<DrainReport>>),
    /// Everything was said.
    Over,
}

impl Drain {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            context: Context::In(Registry::new(shared)),
            window: Window::default(),
            drained: Duration::ZERO,
            keeps_back: true,
            last: Last::Nobody,
            stage: Stage::Open,
        }
    }

    /// Moves it out, and leaves one behind that has nothing to do.
    pub(crate) fn take(&mut self) -> Self {
        let over = Self {
            context: Context::Outside,
            window: Window::default(),
            drained: Duration::ZERO,
            keeps_back: false,
            last: Last::Nobody,
            stage: Stage::Over,
        };
        std::mem::replace(self, over)
    }

    /// From now on the response is not kept back.
    #[cfg(feature = "http")]
    pub(crate) fn keep_nothing_back(&mut self) {
        self.keeps_back = false;
    }

    /// `None` only while the request's code runs.
    pub(crate) fn registry(&self) -> Option<&Arc<Registry>> {
        self.context.registry()
    }

    /// Makes this request the current one, for its code to run in.
    pub(crate) fn enter(&mut self) -> Entered<'_> {
        self.context.enter()
    }

    /// From now on, being dropped is an end like any other: the server may not ask for more.
    pub(crate) fn complete(&mut self) {
        if matches!(self.stage, Stage::Open) {
            self.stage = Stage::Complete;
        }
    }

    /// Whether a task is alive that the response has to wait for.
    pub(crate) fn must_wait(&self) -> bool {
        self.keeps_back && self.has_to_drain()
    }

    fn has_to_drain(&self) -> bool {
        self.is_open() && self.registry().is_some_and(|r| r.alive() > 0)
    }

    /// Ready when no task is alive, or the deadline has passed. The window opens with the first
    /// poll that finds a task alive.
    pub(crate) fn poll_drained(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if !self.is_open() {
            return Poll::Ready(());
        }
        let Some(registry) = self.context.registry() else {
            return Poll::Ready(());
        };
        // The drain wins over the deadline: what is whole is not reported as late.
        let drained = registry.poll_none_alive(&mut self.window.anonymous, cx);
        if drained.is_ready() {
            let last = self.window.last(registry);
            if let Some(kept) = self.window.shut(registry) {
                self.drained += kept;
                self.last = last;
            }
            return Poll::Ready(());
        }
        self.window.only_anonymous = registry.counted() == 0;
        if self.window.opened.is_none() {
            self.window.open(registry);
            // Tasks get one turn of the scheduler, even if the deadline has passed. Most need no
            // more, and then no timer is made.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let bound = ready!(self.window.poll_deadline(registry, cx));
        self.drained += self.window.shut(registry).unwrap_or_default();
        let report = self.give_up(Outcome::DeadlineExceeded, Some(bound));
        self.stage = Stage::Expired(report);
        Poll::Ready(())
    }

    /// What there is to say while the response is not at its end; `None` if nothing was spawned.
    pub(crate) fn report_so_far(&self) -> Option<Arc<DrainReport>> {
        match &self.stage {
            Stage::Expired(report) => report.clone(),
            Stage::Over => None,
            Stage::Open | Stage::Complete => {
                let registry = self.registry()?;
                let ledger = registry.ledger();
                self.report(Outcome::Drained, None, registry.spawned(), &ledger)
            }
        }
    }

    /// Ends the request and reports, unless a task is alive that the response has to wait for. The
    /// report, if there is one, is given the first time only.
    pub(crate) fn try_finish(&mut self) -> Result<Option<Arc<DrainReport>>, TasksAlive> {
        if !self.keeps_back && self.has_to_drain() {
            self.finish_in_background();
            return Ok(None);
        }
        self.finish()
    }

    fn finish(&mut self) -> Result<Option<Arc<DrainReport>>, TasksAlive> {
        let Some(registry) = self.context.registry() else {
            return Ok(None);
        };
        let report = match &self.stage {
            Stage::Over => return Ok(None),
            Stage::Expired(report) => report.clone(),
            Stage::Open | Stage::Complete => {
                let spawned = registry.try_release().ok_or(TasksAlive)?;
                self.last_report(Outcome::Drained, None, Some(spawned))
            }
        };
        self.conclude(report.as_ref());
        Ok(report)
    }

    /// Ends the request because the exchange goes on as an upgraded stream. Its tasks stay with
    /// the handle, and what it spawns later is not late.
    #[cfg(feature = "http")]
    pub(crate) fn upgrade(&mut self) {
        if let Some(registry) = self.context.registry() {
            registry.ledger().goes_on = true;
        }
        let report = self.give_up(Outcome::Upgraded, None);
        self.conclude(report.as_ref());
    }

    /// The response has ended and was not kept back: the wait goes on without it.
    fn finish_in_background(&mut self) {
        let mut drain = self.take();
        // Dropped from now on, by a runtime that shuts down, it is reported as it stands.
        drain.stage = Stage::Open;
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                loop {
                    poll_fn(|cx| drain.poll_drained(cx)).await;
                    if drain.finish().is_ok() {
                        break;
                    }
                }
            });
        }
    }

    /// Whether everything was said.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Complete)
    }

    /// Lets go whatever is alive.
    fn give_up(&self, outcome: Outcome, closed_by: Option<Bound>) -> Option<Arc<DrainReport>> {
        self.registry()?.release();
        // A task that was counted in but is not listed yet will be told of as late.
        self.last_report(outcome, closed_by, None)
    }

    /// What there is to say of a request that is released. `spawned`: how many tasks it had then;
    /// `None` counts those that are listed.
    fn last_report(
        &self,
        outcome: Outcome,
        closed_by: Option<Bound>,
        spawned: Option<usize>,
    ) -> Option<Arc<DrainReport>> {
        let registry = self.registry()?;
        if registry.spawned() == 0 && registry.anonymous().is_none() {
            return None;
        }
        let mut ledger = registry.ledger();
        ledger.closed = true;
        let spawned = spawned.unwrap_or(ledger.listed());
        self.report(outcome, closed_by, spawned, &ledger)
    }

    /// `None` if nothing was spawned.
    fn report(
        &self,
        outcome: Outcome,
        closed_by: Option<Bound>,
        spawned: usize,
        ledger: &Ledger,
    ) -> Option<Arc<DrainReport>> {
        let anonymous = self.registry()?.anonymous();
        let now = Instant::now();
        let mut stragglers = Vec::new();
        if outcome != Outcome::Drained {
            stragglers = ledger.stragglers(now);
            stragglers.extend(anonymous.into_iter().flat_map(|a| a.stragglers(now)));
        }
        let troubled = ledger.troubled();
        let count = |state| troubled.iter().filter(|task| task.state == state).count();
        let (panicked, aborted) = (count(TaskState::Panicked), count(TaskState::Aborted));
        let spawned = spawned + anonymous.map_or(0, Anonymous::seen);
        (spawned > 0).then(|| {
            Arc::new(DrainReport {
                outcome,
                closed_by,
                held: if self.keeps_back {
                    self.drained
                } else {
                    Duration::ZERO
                },
                drain: self.drained,
                spawned,
                completed: spawned.saturating_sub(panicked + aborted + stragglers.len()),
                panicked,
                aborted,
                last: match self.last {
                    Last::Nobody => None,
                    Last::Task(id) => ledger.ended(id, now),
                    Last::Anonymous => anonymous.map(|a| a.info(TaskState::Completed, now)),
                },
                troubled,
                stragglers,
            })
        })
    }

    fn conclude(&mut self, report: Option<&Arc<DrainReport>>) {
        self.stage = Stage::Over;
        if let Some(registry) = self.context.registry() {
            registry.conclude(report.map(|report| &**report));
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        // The window of a response that is dropped in the middle of a hold was open until now.
        if let Some(registry) = self.context.registry() {
            self.drained += self.window.shut(registry).unwrap_or_default();
        }
        let cut_off = matches!(self.stage, Stage::Open);
        if cut_off || self.try_finish().is_err() {
            let report = self.give_up(Outcome::Dropped, None);
            self.conclude(report.as_ref());
        }
    }
}

/// A task is alive that the response has to wait for.
pub(crate) struct TasksAlive;

impl Window {
    fn open(&mut self, registry: &Registry) {
        let now = Instant::now();
        self.opened = Some(now);
        let mut ledger = registry.ledger();
        ledger.opened = Some(now);
        ledger.stamp(now);
    }

    fn last(&self, registry: &Registry) -> Last {
        if self.only_anonymous {
            Last::Anonymous
        } else {
            Last::Task(registry.last())
        }
    }

    /// Says for how long it was open, if it was.
    fn shut(&mut self, registry: &Registry) -> Option<Duration> {
        let opened = std::mem::take(self).opened?;
        registry.ledger().opened = None;
        Some(opened.elapsed())
    }

    fn poll_deadline(&mut self, registry: &Registry, cx: &mut TaskContext<'_>) -> Poll<Bound> {
        // Looked up each time: the request may have moved it.
        let Some((deadline, bound)) = registry.deadline() else {
            self.timer = None;
            return Poll::Pending;
        };
        if deadline <= Instant::now() {
            return Poll::Ready(bound);
        }
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).map(|()| bound)
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
