//! Everything known of one request's tasks: who is alive, and who has to be told.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{self, Poll};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::anonymous::{Anonymous, Wait};
use crate::context::Context;
use crate::guard::TaskGuard;
use crate::ledger::{Ledger, Pulse, Task};
use crate::listing::Listing;
use crate::live::{Added, Live};
use crate::panics;
use crate::report::{Bound, DrainReport, OnDrain, TaskInfo, TaskState};
use crate::roster::Roster;
#[cfg(feature = "http")]
use crate::settings::Hold;
use crate::settings::{DEFAULT_DRAIN_TIMEOUT, Settings};
use crate::trace::{self, Span};

/// What all requests of one layer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) roster: Arc<Roster<Registry>>,
}

/// The tasks of one request.
#[derive(Debug)]
pub(crate) struct Registry {
    live: Live,
    ledger: Mutex<Ledger>,
    /// Made when a tokio-util tracker is asked for.
    anonymous: OnceLock<Anonymous>,
    shared: Arc<Shared>,
    span: Span,
    /// Everything was told of the response.
    over: AtomicBool,
}

impl Registry {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            live: Live::new(),
            ledger: Mutex::default(),
            anonymous: OnceLock::new(),
            shared,
            span: Span::current(),
            over: AtomicBool::new(false),
        })
    }

    /// Counts in a task that is about to be spawned.
    pub(crate) fn admit(
        self: &Arc<Self>,
        name: Option<&'static str>,
        location: &'static Location<'static>,
    ) -> (Listing<'_>, TaskGuard) {
        let task = self.task(self.live.add_with_spawner(), name, location);
        let guard = TaskGuard::new(Context::In(self.clone()), task, true);
        (Listing::new(self, task), guard)
    }

    /// Counts in and lists a task that runs elsewhere.
    pub(crate) fn admit_elsewhere(
        self: &Arc<Self>,
        name: Option<&'static str>,
        location: &'static Location<'static>,
    ) -> TaskGuard {
        let task = self.task(self.live.add(), name, location);
        self.enlist(task, Pulse::Elsewhere, false);
        TaskGuard::new(Context::In(self.clone()), task, false)
    }

    /// Lists a task that was counted in. Its spawner, if it has one, holds the request no longer.
    pub(crate) fn enlist(&self, task: Task, pulse: Pulse, spawner: bool) {
        let (late, ended) = {
            let mut ledger = self.ledger();
            // A report that was made since the task was counted in, at a deadline or a disconnect,
            // does not know of it.
            let late = task.late || ledger.closed;
            let ended = ledger.enlist(Task { late, ..task }, pulse);
            (late && !ledger.goes_on, ended)
        };
        let released = spawner && self.live.remove(task.id);
        if late {
            let info = self.info(task, TaskState::Running, None);
            self.log(|| trace::late_spawn(&info));
            self.tell(|observer| observer.on_late_spawn(&info));
        }
        if let Some(info) = ended {
            self.tell(|observer| observer.on_detached_end(&info));
        }
        if released {
            self.leave_if_over();
        }
    }

    /// A task has ended, and what it was doing is dropped.
    pub(crate) fn end(&self, task: Task, spawned: bool, state: TaskState, message: Option<String>) {
        let mut counted = false;
        // The ordinary path takes no lock: tokio knows of the end, and what is not in trouble has
        // completed.
        if !spawned || state != TaskState::Completed {
            let (info, in_report) = self.note_end(task, state, message.clone());
            self.log(|| trace::task_ended(&info));
            counted = in_report;
        }
        if self.live.remove(task.id) {
            // Released, but the report may be still to come: then it counts this end.
            if !counted {
                let (info, in_report) = self.note_end(task, state, message);
                if !in_report {
                    self.tell(|observer| observer.on_detached_end(&info));
                }
            }
            self.leave_if_over();
        }
    }

    /// Gives an age to every task that has none.
    pub(crate) fn stamp(&self) {
        let mut ledger = self.ledger();
        if ledger.wants_stamp() {
            ledger.stamp(Instant::now());
        }
    }

    /// The tokio-util tracker, made now if it was not asked for before.
    pub(crate) fn tracker(self: &Arc<Self>, location: &'static Location<'static>) -> &TaskTracker {
        let anonymous = self.anonymous.get_or_init(|| Anonymous::new(location));
        if !self.is_released() {
            self.join_roster();
            // It may have been released, and over, since the look above.
            self.leave_if_over();
        }
        anonymous.tracker()
    }

    pub(crate) fn anonymous(&self) -> Option<&Anonymous> {
        self.anonymous.get()
    }

    /// How many tasks are alive, without those in the tokio-util tracker.
    pub(crate) fn counted(&self) -> usize {
        self.live.alive()
    }

    pub(crate) fn alive(&self) -> usize {
        self.counted() + self.anonymous().map_or(0, |a| a.tracker().len())
    }

    /// How many tasks were counted in, late ones too.
    pub(crate) fn spawned(&self) -> usize {
        self.live.spawned()
    }

    /// The id of the task whose end left none alive.
    pub(crate) fn last(&self) -> u32 {
        self.live.last()
    }

    pub(crate) fn roster(&self) -> &Arc<Roster<Registry>> {
        &self.shared.roster
    }

    pub(crate) fn is_released(&self) -> bool {
        self.live.is_released()
    }

    /// Releases if no task is alive, and tells how many had been counted in by then.
    pub(crate) fn try_release(&self) -> Option<usize> {
        if self.anonymous().is_some_and(|a| !a.tracker().is_empty()) {
            return None;
        }
        self.live.try_release()
    }

    pub(crate) fn release(&self) {
        self.live.release();
    }

    /// The request is over: tells everybody, and leaves the roster as soon as no task is alive.
    pub(crate) fn conclude(self: &Arc<Self>, report: Option<&DrainReport>) {
        if let Some(report) = report {
            self.log(|| trace::request_ended(report));
            self.tell(|observer| observer.on_drain(report));
        }
        // After the callbacks: who waits for the handle to be idle has been told everything.
        self.over.store(true, Ordering::Release);
        match self.anonymous() {
            Some(anonymous) if !anonymous.tracker().is_empty() => {
                // Those tasks do not keep the request, but the handle has to see them.
                let request = self.clone();
                anonymous.when_empty(move || request.leave_if_over());
            }
            // It spawned nothing, so that it is on no roster.
            None if report.is_none() => {}
            _ => self.leave_if_over(),
        }
    }

    /// Ready when no task is alive. It is no release: the next moment may add one.
    pub(crate) fn poll_none_alive(&self, wait: &mut Wait, cx: &mut task::Context<'_>) -> Poll<()> {
        let own = self.live.poll_none_alive(cx);
        match self.anonymous() {
            Some(anonymous) if anonymous.poll_empty(wait, cx).is_pending() => {
                // With no task of its own alive it would not hear of a deadline that is moved.
                self.live.listen(cx);
                Poll::Pending
            }
            _ => own,
        }
    }

    /// When the open window closes; `None` if none is open, or if it has no limit.
    pub(crate) fn deadline(&self) -> Option<(Instant, Bound)> {
        let ledger = self.ledger();
        let said = ledger.overrides.as_ref().and_then(|o| o.drain_timeout);
        let timeout = said
            .or(self.shared.settings.drain_timeout)
            .unwrap_or(DEFAULT_DRAIN_TIMEOUT);
        // What is too far away for the clock is no limit.
        let deadline = ledger.opened?.checked_add(timeout?)?;
        Some((deadline, Bound::DrainTimeout))
    }

    #[cfg(feature = "http")]
    pub(crate) fn hold(&self) -> Hold {
        let ledger = self.ledger();
        let said = ledger.overrides.as_ref().and_then(|o| o.hold);
        said.or(self.shared.settings.hold).unwrap_or_default()
    }

    /// Says something for this request only. A drain that goes on looks at it at once.
    pub(crate) fn overlay(&self, settings: &Settings) {
        if settings.is_silent() {
            return;
        }
        let known = &self.shared.settings.observers;
        self.ledger()
            .overrides
            .get_or_insert_default()
            .overlay(settings, known);
        self.live.wake();
    }

    /// Calls every observer: in the request's span, and outside of any request, so that what a
    /// callback spawns is not taken for a task of the request that happens to be running.
    pub(crate) fn tell(&self, call: impl Fn(&dyn OnDrain)) {
        // A copy: an observer may well use the request it is told of.
        let overrides = self.ledger().overrides.clone();
        let mut outside = Context::Untracked;
        let _entered = outside.enter();
        self.span.in_scope(|| {
            self.shared.settings.notify(&call);
            if let Some(overrides) = overrides {
                overrides.notify(&call);
            }
        });
    }

    /// Logs in the request's span. A subscriber that panics must not take a destructor down.
    fn log(&self, event: impl FnOnce()) {
        let _ = panics::caught(|| self.span.in_scope(event));
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn task(
        self: &Arc<Self>,
        Added { id, late }: Added,
        name: Option<&'static str>,
        location: &'static Location<'static>,
    ) -> Task {
        if id == 0 || late {
            self.join_roster();
        }
        Task {
            id,
            late,
            name,
            location,
        }
    }

    fn note_end(&self, task: Task, state: TaskState, message: Option<String>) -> (TaskInfo, bool) {
        let mut ledger = self.ledger();
        let info = ledger.info(task, state, message, Instant::now());
        let counted = ledger.note_end(task, &info);
        (info, counted)
    }

    fn info(&self, task: Task, state: TaskState, message: Option<String>) -> TaskInfo {
        self.ledger().info(task, state, message, Instant::now())
    }

    fn join_roster(self: &Arc<Self>) {
        let mut ledger = self.ledger();
        if ledger.seat.is_none() {
            ledger.seat = Some(self.shared.roster.join(Arc::downgrade(self)));
        }
    }

    /// Leaves the roster once the request is over and no task of it is alive.
    pub(crate) fn leave_if_over(&self) {
        // The count is read under the lock, and a late task is counted in before it takes the lock
        // to join: either it is seen here, or it joins again.
        let seat = {
            let mut ledger = self.ledger();
            let over = self.over.load(Ordering::Acquire) && self.alive() == 0;
            over.then(|| ledger.seat.take()).flatten()
        };
        if let Some(seat) = seat {
            self.shared.roster.leave(seat);
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let ledger = self
            .ledger
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = ledger.seat.take() {
            self.shared.roster.leave(seat);
        }
    }
}
