//! What all requests of a handle share.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Registry;
use super::ledger::MAX_TROUBLED;
use super::waiters::{Awaits, Waiters, Waiting};
use crate::panics;
use crate::report::{TaskInfo, TaskState};
use crate::roster::Roster;

#[derive(Default)]
pub(crate) struct Process {
    roster: Roster<Registry>,
    waiters: Waiters,
    /// Set once, after those below.
    closing: AtomicBool,
    began_at: OnceLock<Instant>,
    closes_at: Mutex<Option<Instant>>,
    /// How tasks ended since the shutdown began.
    ended: Ended,
    /// The work of the process itself, while there is some.
    own: Mutex<Weak<Registry>>,
    /// Asks the work of the process to stop. Here, because its tokens are kept longer than `own`.
    stop: CancellationToken,
    /// Whether `load` is kept: only where somebody asks for it.
    keeps_load: AtomicBool,
    /// How many tasks are alive of those that were counted in since it is kept.
    load: AtomicUsize,
}

/// Counts of ends, for a report that orders nothing: Relaxed.
#[derive(Debug, Default)]
struct Ended {
    completed: AtomicUsize,
    failed: AtomicUsize,
    panicked: AtomicUsize,
    aborted: AtomicUsize,
    /// The first of those that did not complete.
    troubled: Mutex<Vec<TaskInfo>>,
}

impl Process {
    pub(crate) fn roster(&self) -> &Roster<Registry> {
        &self.roster
    }

    /// The shutdown is to be over at this moment; of several the earliest counts.
    pub(crate) fn close(&self, now: Instant, at: Instant) {
        self.began_at.get_or_init(|| now);
        {
            let mut closes_at = lock(&self.closes_at);
            *closes_at = Some(closes_at.map_or(at, |before| before.min(at)));
        }
        self.closing.store(true, Ordering::Release);
        // A spawn that the looks below, and later ones, miss sees `closing`: see `try_admit`.
        fence(Ordering::SeqCst);
        for request in self.roster.members() {
            request.hear_of_shutdown();
        }
        let _ = panics::caught(|| self.stop.cancel());
        self.roster.announce();
    }

    pub(crate) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// A wait that begins.
    pub(crate) fn waits(&self, awaits: Awaits) -> Waiting<'_> {
        Waiting::new(self, awaits)
    }

    /// Waits until no request is here, but for those in which code waits so. Cancel safe.
    pub(crate) async fn wait_idle(&self) {
        // Some may have ended where there was no runtime to wait for the rest of them.
        for request in self.roster.members() {
            request.leave_if_over();
        }
        let waiting = self.waits(Awaits::Idleness);
        waiting.during(waiting.idle()).await;
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn began_at(&self) -> Option<Instant> {
        self.began_at.get().copied()
    }

    /// When the shutdown is to be over, if it has begun.
    pub(crate) fn closes_at(&self) -> Option<Instant> {
        if !self.is_closing() {
            return None;
        }
        *lock(&self.closes_at)
    }

    /// Whether the time of the shutdown is up.
    pub(crate) fn is_over(&self) -> bool {
        self.closes_at().is_some_and(|at| at <= Instant::now())
    }

    pub(super) fn join(&self, request: &Arc<Registry>) {
        let is_awaited = self.roster.join(&request.seat, || Arc::downgrade(request));
        if is_awaited {
            self.roster.announce();
        }
    }

    #[inline]
    pub(super) fn note_end(&self, state: TaskState) {
        if self.is_closing() {
            self.ended.count(state);
        }
    }

    /// Of a task that did not complete.
    pub(super) fn note_trouble(&self, task: &TaskInfo) {
        if self.is_closing() {
            let mut troubled = lock(&self.ended.troubled);
            if troubled.len() < MAX_TROUBLED {
                troubled.push(task.clone());
            }
        }
    }

    pub(crate) fn troubled(&self) -> Vec<TaskInfo> {
        lock(&self.ended.troubled).clone()
    }

    pub(crate) fn ended(&self, state: TaskState) -> usize {
        self.ended
            .of(state)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// The work of the process itself: made by `make` if there is none.
    pub(crate) fn own(&self, make: impl FnOnce() -> Arc<Registry>) -> Arc<Registry> {
        let mut own = lock(&self.own);
        own.upgrade().unwrap_or_else(|| {
            let made = make();
            made.ledger().token = Some(self.stop.clone());
            *own = Arc::downgrade(&made);
            made
        })
    }

    /// Counts a task in, and says whether it was. Relaxed, here and below: the load is a measure.
    #[inline]
    pub(super) fn add_load(&self) -> bool {
        let keeps_load = self.keeps_load.load(Ordering::Relaxed);
        if keeps_load {
            self.load.fetch_add(1, Ordering::Relaxed);
        }
        keeps_load
    }

    pub(super) fn remove_load(&self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many tasks are alive. The first question has it counted from now on.
    #[cfg(feature = "http")]
    pub(crate) fn load(&self) -> usize {
        if !self.keeps_load.load(Ordering::Relaxed) {
            self.keeps_load.store(true, Ordering::Relaxed);
        }
        self.load.load(Ordering::Relaxed)
    }
}

impl Ended {
    fn of(&self, state: TaskState) -> Option<&AtomicUsize> {
        match state {
            TaskState::Running => None,
            TaskState::Completed => Some(&self.completed),
            TaskState::Failed => Some(&self.failed),
            TaskState::Panicked => Some(&self.panicked),
            TaskState::Aborted => Some(&self.aborted),
        }
    }

    fn count(&self, state: TaskState) {
        if let Some(count) = self.of(state) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("roster", &self.roster)
            .field("closes_at", &self.closes_at())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
