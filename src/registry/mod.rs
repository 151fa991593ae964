//! Everything known of one request's tasks: who is alive, and who has to be told.
//!
//! `live` is the alive count and the released flag, in one word; `detached` counts those apart that nobody
//! waits for, and `anonymous` is the tokio-util tracker. `ledger` has names and ends, under a lock, and
//! `seat` is the request's place on the roster of the `process`. `context` is the task-local, `span` is that of
//! tracing, and `spare` is the memory that the next request gets.
//!
//! `counts` says who is alive, `limits` until when they are waited for, `said` what was said of that, and
//! `telling` tells. `releasing` is the release.
//!
//! A spawn: `admission` counts the task in, `listing` holds the request until the task is in the ledger, and
//! `guard` is its life, whose drop is `ending`. In order of time a request is *fresh* (nothing was spawned),
//! *released* (who spawns now is late), *closed* (the report is made), *over* (everybody was told), and off
//! the roster when no task is alive. `running` is the task that a thread runs, which decides what becomes of
//! the tasks that it spawns, `notices` are the warnings of a layer, and `waiters` are the tasks and the other code that wait for the process.

pub(crate) mod admission;
pub(crate) mod anonymous;
mod cancelling;
pub(crate) mod context;
mod counts;
mod detached;
mod ending;
pub(crate) mod entry;
pub(crate) mod guard;
pub(crate) mod ledger;
pub(crate) mod limits;
pub(crate) mod listing;
mod live;
pub(crate) mod notices;
pub(crate) mod process;
mod releasing;
pub(crate) mod running;
pub(crate) mod said;
mod seat;
mod snapshot;
pub(crate) mod span;
pub(crate) mod spare;
mod sync;
mod telling;
pub(crate) mod waiters;

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio_util::task::TaskTracker;

use self::anonymous::Anonymous;
use self::detached::Detached;
use self::ledger::Ledger;
use self::live::Live;
use self::notices::Notices;
use self::process::Process;
use self::span::SpanRef;
use crate::roster::Seat;
use crate::settings::Settings;

/// What all requests of one layer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) process: Arc<Process>,
    /// `None` where there is no layer.
    pub(crate) notices: Option<Arc<Notices>>,
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
    /// The request's owner keeps it open.
    span: SpanRef,
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
            span: SpanRef::default(),
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

    /// Code of it waits for the process: each end of a task is announced from now on.
    fn attend(&self) {
        self.live.attend();
    }

    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.shared().process
    }

    pub(crate) fn notices(&self) -> Option<&Notices> {
        self.shared().notices.as_deref()
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Relaxed: read when nobody else has the request any more.
        self.is_ledger_used.store(true, Ordering::Relaxed);
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
