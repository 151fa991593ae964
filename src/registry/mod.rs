//! Everything known of one request's tasks: who is alive, and who has to be told.
//!
//! `live` is the alive count and the released flag, in one word; `detached` counts those apart that nobody
//! waits for, and `anonymous` is the tokio-util tracker. `ledger` has names and ends, under a lock, and
//! `seat` is the request's place on the roster of the `process`. `context` is the task-local, and `spare` the
//! memory that the next request gets.
//!
//! A spawn: `admission` counts the task in, `listing` holds the request until the task is in the ledger, and
//! `guard` is its life, whose drop is `ending`. In order of time a request is *fresh* (nothing was spawned),
//! *released* (who spawns now is late), *closed* (the report is made), *over* (everybody was told), and off
//! the roster when no task is alive.

pub(crate) mod admission;
pub(crate) mod anonymous;
mod cancelling;
pub(crate) mod context;
mod detached;
mod ending;
pub(crate) mod entry;
pub(crate) mod guard;
pub(crate) mod ledger;
pub(crate) mod limits;
pub(crate) mod listing;
mod live;
pub(crate) mod process;
pub(crate) mod said;
mod seat;
mod snapshot;
pub(crate) mod spare;
mod sync;
mod telling;

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{self, Poll};

use tokio_util::task::TaskTracker;

use self::anonymous::{Anonymous, Wait};
use self::detached::Detached;
use self::ledger::Ledger;
use self::live::Live;
use self::process::Process;
use crate::roster::Seat;
use crate::settings::Settings;
use crate::trace::Span;

/// What all requests of one layer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) process: Arc<Process>,
}

/// The tasks of one request.
#[derive(Debug)]
pub(crate) struct Registry {
    live: Live,
    detached: Detached,
    /// How many tasks are alive that the response fails with.
    required: AtomicUsize,
    /// There was one.
    any_required: AtomicBool,
    ledger: Mutex<Ledger>,
    /// Somebody has had a look at the ledger, and may have written in it.
    is_ledger_used: AtomicBool,
    /// Made when a tokio-util tracker is asked for.
    anonymous: OnceLock<Anonymous>,
    /// `None` in some spares, and in nobody's.
    shared: Option<Arc<Shared>>,
    span: Span,
    /// How many are about to tell of a task that is not counted any more.
    telling: AtomicUsize,
    /// On the roster of the process.
    seat: Seat,
    /// The handler goes on alone: nobody is late as long as a task is alive.
    pub(crate) handler_goes_on: AtomicBool,
    /// Everything was told of the response.
    over: AtomicBool,
    /// A nested layer, or the request itself, has said something.
    is_tuned: AtomicBool,
    /// Whether its tasks run in spans of their own.
    task_spans: AtomicBool,
    /// What the request calls itself.
    id: Option<String>,
    kind: Kind,
}

/// Whose tasks they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    /// It is no request, but the work of the process itself: nobody waits for it.
    Process,
    /// It stands for the absence of a request.
    Nobody,
}

impl Registry {
    /// The work of the process itself: every task of it is detached.
    pub(crate) fn of_process(shared: Arc<Shared>) -> Arc<Self> {
        let mut registry = Self::unused(Kind::Process);
        registry.shared = Some(shared);
        // Of the process there is nothing to report.
        registry.over = AtomicBool::new(true);
        Arc::new(registry)
    }

    /// One without tasks: none can be spawned in it.
    fn nobody() -> Arc<Self> {
        Arc::new(Self::unused(Kind::Nobody))
    }

    /// One that belongs to nothing.
    fn unused(kind: Kind) -> Self {
        Self {
            live: Live::new(),
            detached: Detached::default(),
            required: AtomicUsize::new(0),
            any_required: AtomicBool::new(false),
            ledger: Mutex::default(),
            is_ledger_used: AtomicBool::new(false),
            anonymous: OnceLock::new(),
            is_tuned: AtomicBool::new(false),
            task_spans: AtomicBool::new(true),
            shared: None,
            span: Span::none(),
            telling: AtomicUsize::new(0),
            seat: Seat::default(),
            handler_goes_on: AtomicBool::new(false),
            over: AtomicBool::new(false),
            id: None,
            kind,
        }
    }

    #[inline]
    fn shared(&self) -> &Shared {
        match &self.shared {
            Some(shared) => shared,
            None => unreachable!("only a spare and nobody's have none, and nobody spawns in those"),
        }
    }

    pub(crate) fn is_process(&self) -> bool {
        self.kind == Kind::Process
    }

    #[inline]
    fn is_nobody(&self) -> bool {
        self.kind == Kind::Nobody
    }

    /// The tokio-util tracker, made now if it was not asked for before.
    pub(crate) fn tracker(self: &Arc<Self>, location: &'static Location<'static>) -> &TaskTracker {
        let anonymous = self.anonymous.get_or_init(|| Anonymous::new(location));
        if !self.is_released() && !self.is_process() {
            self.join_roster();
            // It may have been released, and over, since the look above.
            self.leave_if_over();
        }
        anonymous.tracker()
    }

    #[inline]
    pub(crate) fn anonymous(&self) -> Option<&Anonymous> {
        self.anonymous.get()
    }

    /// How many tasks are alive that are waited for and are not in the tokio-util tracker.
    pub(crate) fn counted(&self) -> usize {
        self.live.alive()
    }

    /// Whether a task is alive that is waited for.
    pub(crate) fn is_busy(&self) -> bool {
        self.counted() > 0 || self.anonymous().is_some_and(|a| !a.tracker().is_empty())
    }

    /// Says so for somebody who waits: what is in the tokio-util tracker counts as seen.
    pub(crate) fn look(&self) -> bool {
        let anonymous = self.anonymous().is_some_and(Anonymous::look);
        self.counted() > 0 || anonymous
    }

    /// How many tasks are alive, detached ones too.
    pub(crate) fn alive(&self) -> usize {
        let anonymous = self.anonymous().map_or(0, |a| a.tracker().len());
        self.counted() + anonymous + self.detached.alive()
    }

    /// Whether there is, or may be, anything to report.
    #[inline]
    pub(crate) fn has_spawned(&self) -> bool {
        self.spawned() > 0 || self.anonymous().is_some() || self.detached.any_spawned()
    }

    /// Whether nothing was spawned, and nobody but its owner has it, who could spawn, or find it on the
    /// roster: nothing is left to agree on with anybody.
    #[inline]
    pub(crate) fn is_unused(self: &Arc<Self>) -> bool {
        let is_alone = Arc::strong_count(self) == 1 && Arc::weak_count(self) == 0;
        // Whoever let go of it has done so after all that he did with it.
        fence(Ordering::Acquire);
        is_alone && !self.has_spawned()
    }

    pub(crate) fn has_spawned_detached(&self) -> bool {
        self.detached.any_spawned()
    }

    /// Whether a task is alive that the response fails with. The count is exact, where what tokio says
    /// of a task may lag behind.
    pub(crate) fn required_unfinished(&self) -> bool {
        self.required.load(Ordering::Acquire) > 0
    }

    /// Whether a task has failed that the response fails with.
    pub(crate) fn required_failed(&self) -> bool {
        // Relaxed: who waits for the task has seen its end, which comes after this was set.
        self.any_required.load(Ordering::Relaxed) && self.ledger().required_failed
    }

    /// How many tasks were counted in, late ones too.
    #[inline]
    pub(crate) fn spawned(&self) -> usize {
        self.live.spawned()
    }

    /// The id of the task whose end left none alive.
    pub(crate) fn last(&self) -> u32 {
        self.live.last()
    }

    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.shared().process
    }

    /// Wakes whoever waits, when a limit of the wait has changed.
    pub(crate) fn listen(&self, cx: &mut task::Context<'_>) {
        self.live.listen(cx);
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

    /// Releases if no task was ever counted in.
    #[cfg(feature = "http")]
    pub(crate) fn try_release_unused(&self) -> bool {
        self.anonymous().is_none() && self.live.try_release_unused()
    }

    pub(crate) fn release(&self) {
        self.live.release();
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

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Relaxed: read when nobody else has the request any more.
        self.is_ledger_used.store(true, Ordering::Relaxed);
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
