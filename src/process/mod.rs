//! What all requests of one handle share: its process.
//!
//! `registry` is the list of the requests that have tasks. `waiters` is the list of the code in tracked requests that
//! waits for the process itself.

pub(crate) mod registry;
pub(crate) mod waiters;

use std::fmt;
use std::panic::RefUnwindSafe;
use std::sync::{Arc, OnceLock, Weak};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::registry::Registry;
use self::waiters::Waiters;
use crate::panics;
use crate::report::{MAX_FAILURES, TaskInfo, TaskState};
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};

/// What all requests of one handle share. `R`: the requests.
pub(crate) struct Process<R> {
    registry: Registry<R>,
    waiters: Waiters<R>,
    /// True once a shutdown has begun. Set after `began_at` and `closes_at`.
    closing: AtomicBool,
    began_at: OnceLock<Instant>,
    closes_at: Mutex<Option<Instant>>,
    /// How tasks have ended since the shutdown began.
    ended: Ended,
    /// The request of the tasks of the process itself, while there is one.
    own: Mutex<Weak<R>>,
    /// Stops the tasks of the process itself. It is kept here, because its tokens outlive `own`.
    stop: CancellationToken,
    /// True once `load` was called. Tasks are counted from then on.
    keeps_load: AtomicBool,
    /// How many tasks are alive that were spawned after `keeps_load` became true.
    load: AtomicUsize,
}

/// How many tasks have ended in each state. The counts are for a report, and order no other access: Relaxed.
#[derive(Debug, Default)]
struct Ended {
    completed: AtomicUsize,
    failed: AtomicUsize,
    panicked: AtomicUsize,
    aborted: AtomicUsize,
    handed_off: AtomicUsize,
    /// The first tasks that did not complete.
    failures: Mutex<Vec<TaskInfo>>,
}

impl<R> Process<R> {
    pub(crate) fn registry(&self) -> &Registry<R> {
        &self.registry
    }

    pub(crate) fn waiters(&self) -> &Waiters<R> {
        &self.waiters
    }

    /// Begins a shutdown that is over at the moment `at`. If there are several moments, the earliest counts. `each` is
    /// called for every listed request.
    pub(crate) fn close(&self, now: Instant, at: Instant, each: impl Fn(&Arc<R>)) {
        self.began_at.get_or_init(|| now);
        {
            let mut closes_at = self.closes_at.lock();
            *closes_at = Some(closes_at.map_or(at, |before| before.min(at)));
        }
        // Before the list is read. A request that is not listed yet finds the flag after it has joined, because both
        // lock the shard in between. See `try_admit`.
        self.closing.store(true, Ordering::SeqCst);
        let requests = self.registry.members();
        for request in &requests {
            each(request);
        }
        let _ = panics::caught(|| self.stop.cancel());
        self.registry.announce();
        // One of these may be the last reference to a request. Its drop also drops the settings of its layer.
        let _ = panics::caught(|| drop(requests));
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(crate) fn began_at(&self) -> Option<Instant> {
        self.began_at.get().copied()
    }

    /// Returns when the shutdown is to be over. Returns `None` if none has begun.
    pub(crate) fn closes_at(&self) -> Option<Instant> {
        if !self.is_closing() {
            return None;
        }
        *self.closes_at.lock()
    }

    /// Returns whether the time of the shutdown is up.
    pub(crate) fn is_over(&self) -> bool {
        self.closes_at().is_some_and(|at| at <= Instant::now())
    }

    /// Counts the end of a task, if a shutdown has begun.
    #[inline]
    pub(crate) fn note_end(&self, state: TaskState) {
        if self.is_closing() {
            self.ended.count(state);
        }
    }

    /// Keeps the description of a task that did not complete, if a shutdown has begun.
    pub(crate) fn note_failure(&self, task: &TaskInfo) {
        if self.is_closing() {
            let mut failures = self.ended.failures.lock();
            if failures.len() < MAX_FAILURES {
                failures.push(task.clone());
            }
        }
    }

    pub(crate) fn failures(&self) -> Vec<TaskInfo> {
        self.ended.failures.lock().clone()
    }

    pub(crate) fn ended(&self, state: TaskState) -> usize {
        self.ended
            .of(state)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Returns the request of the tasks of the process itself. If there is none, creates it with `make`, which gets the
    /// token that stops these tasks.
    pub(crate) fn own(&self, make: impl FnOnce(CancellationToken) -> Arc<R>) -> Arc<R> {
        let mut own = self.own.lock();
        own.upgrade().unwrap_or_else(|| {
            let made = make(self.stop.clone());
            *own = Arc::downgrade(&made);
            made
        })
    }

    /// Adds a task to the load, and returns whether it did. Relaxed, here and below: the load is only a measure.
    #[inline]
    pub(crate) fn add_load(&self) -> bool {
        let keeps_load = self.keeps_load.load(Ordering::Relaxed);
        if keeps_load {
            self.load.fetch_add(1, Ordering::Relaxed);
        }
        keeps_load
    }

    /// Removes a task that [`add_load`](Self::add_load) added.
    pub(crate) fn remove_load(&self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the load: how many tasks are alive that were spawned since the first call.
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
            TaskState::HandedOff => Some(&self.handed_off),
        }
    }

    fn count(&self, state: TaskState) {
        if let Some(count) = self.of(state) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// No user code runs under these locks, so a panic leaves none of them half changed.
impl<R> RefUnwindSafe for Process<R> {}

impl<R> Default for Process<R> {
    fn default() -> Self {
        Self {
            registry: Registry::default(),
            waiters: Waiters::default(),
            closing: AtomicBool::new(false),
            began_at: OnceLock::new(),
            closes_at: Mutex::new(None),
            ended: Ended::default(),
            own: Mutex::new(Weak::new()),
            stop: CancellationToken::new(),
            keeps_load: AtomicBool::new(false),
            load: AtomicUsize::new(0),
        }
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("registry", &self.registry)
            .field("closes_at", &self.closes_at())
            .finish_non_exhaustive()
    }
}
