//! One request: its tasks, its phase, and what its report contains.
//!
//! | module | content |
//! |---|---|
//! | `state` | what two threads may change, except for the tokio-util tracker: one lock, and named transitions |
//! | `table` | the part of the state that holds the tasks, each in a slot |
//! | `task` | what describes one task |
//! | `names` | the computed names of the tasks |
//! | `effects` | what a transition leaves to be done outside of the lock |
//! | `account` | what a wait finds in a request, and what a report contains |
//! | `admission` | lists a task |
//! | `guard` | the life of a task, as a value |
//! | `abandoned` | marks a task that is dropped before its end |
//! | `ending` | ends a task |
//! | `context` | the request and the task that code runs in |
//! | `hand_off` | the hand-offs of the tasks |
//! | `handing_off` | hands off a task that did not complete |
//! | `drained` | the methods that the drain calls |
//! | `limits` | the limits of the drain window |
//! | `tuning` | the settings of the layers and of one request alone, and the deadline that follows from them |
//! | `stopping` | stops the tasks |
//! | `notify` | calls the observers |
//! | `tracker` | the tokio-util tracker |
//! | `tracker_wait` | the task that waits for it |
//! | `pool` | keeps the memory of a request for the next one |
//! | `warnings` | the warnings of a layer, and how often they are logged |
//! | `waiting` | code of a request that waits for its own process |
//!
//! The life of a task, in order of time:
//!
//! ```text
//!   Tasks::spawn
//!     │ Request::admit        lists the task in the table, under the lock; lists the request in the registry, if it
//!     │                       is not listed yet
//!     │ Request::stamp        (if a window is open, or no report counts the task) gives it an age
//!     │ TaskGuard::new        makes the guard, which has the task's span
//!     │ report_late_spawn     (only if late) logs the task, and calls the observers
//!     │ TrackedFuture::new    takes the future and the guard
//!     ▼
//!   tokio::spawn
//!     │ Request::attach       keeps the abort handle, or aborts the task if that was asked for; unless the task has
//!     │                       ended by now
//!     │ TaskGuard::try_run    runs each poll, in the task's context (`context`) and span
//!     │ TaskGuard::stamp      (only after the first poll that is pending) gives an age to each task that has none
//!     ▼
//!   the future completes, fails, panics or is aborted, and is dropped; then the guard ends the task:
//!     │ Request::fail         (unless completed) writes the end down, and logs it; the task still counts
//!     │ State::complete       (if it has completed, and there is no more to do) counts the task out and frees its
//!     │                       slot, under the lock. Otherwise:
//!     │ Request::end_spanned  (with a span, or not completed) closes the task's span, if the report is still to come
//!     │                       and counts the task
//!     │ State::end            counts the task out and frees its slot, under the lock
//!     │ Request::carry_out    if it was the last one: the request leaves the registry if it is over. The wait, if
//!     │                       there is one, is woken by the last one, and by the last required one
//!     │ report_late_end       (only if late, detached or a straggler) calls the observers, and closes the task's
//!     │                       span
//!     │ State::callbacks_done (after that) lets the request leave the registry, if this was the last thing
//!     ▼
//!   the slot belongs to the next task
//! ```
//!
//! Four kinds of tasks are listed by another method than `Request::admit`:
//!
//! * `Tasks::try_spawn`: `Request::try_admit`
//! * a task with a computed name: `Request::admit_named`
//! * a task with a hand-off: `Request::admit_with_hand_off`
//! * work that runs elsewhere: `Request::admit_elsewhere`

pub(crate) mod abandoned;
pub(crate) mod account;
mod admission;
pub(crate) mod context;
pub(crate) mod drained;
pub(crate) mod effects;
mod ending;
pub(crate) mod guard;
pub(crate) mod hand_off;
mod handing_off;
pub(crate) mod limits;
pub(crate) mod names;
mod notify;
pub(crate) mod pool;
pub(crate) mod state;
pub(crate) mod stopping;
pub(crate) mod table;
pub(crate) mod task;
pub(crate) mod tracker;
mod tracker_wait;
pub(crate) mod tuning;
pub(crate) mod waiting;
pub(crate) mod warnings;

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::effects::Effects;
use self::state::{Phase, State};
use self::tracker::Tracker;
use self::warnings::Warnings;
use crate::panics;
use crate::process::registry::Registration;
use crate::report::LiveTask;
use crate::settings::Settings;
use crate::sync::{AbortHandle, Mutex, MutexGuard};

/// What all requests of one handle share.
pub(crate) type Process = crate::process::Process<Request>;

/// What all requests of one layer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) process: Arc<Process>,
    /// `None` outside of a layer: in a scope, and for the tasks of the process itself.
    pub(crate) warnings: Option<Arc<Warnings>>,
}

/// One request: its tasks, and what the drain needs to wait for them and to report them.
pub(crate) struct Request {
    state: Mutex<State<AbortHandle>>,
    /// Created when the tokio-util tracker is requested.
    tracker: OnceLock<Tracker>,
    /// `None` in some pooled requests, and in the untracked one.
    shared: Option<Arc<Shared>>,
    /// The `x-request-id` of the request.
    id: Option<String>,
    /// True for the untracked request. It stands for code that is outside of any request on purpose, and takes no
    /// tasks.
    is_untracked: bool,
}

impl Request {
    /// Creates the request for the tasks of a process itself. All of them are detached. `stop` is their cancellation
    /// token.
    pub(crate) fn of_process(shared: Arc<Shared>, stop: CancellationToken) -> Arc<Self> {
        let mut state = State::new(Phase::Process);
        state.set_token(stop);
        let mut request = Self::new();
        request.state = Mutex::new(state);
        request.shared = Some(shared);
        Arc::new(request)
    }

    /// Creates a request for one task that runs outside of any request. Nothing waits for it.
    #[cold]
    pub(crate) fn of_nothing() -> Arc<Self> {
        let shared = Shared {
            settings: Settings::default(),
            process: Arc::default(),
            warnings: None,
        };
        Self::of_process(Arc::new(shared), CancellationToken::new())
    }

    /// Creates the untracked request.
    fn untracked() -> Arc<Self> {
        let mut request = Self::new();
        request.is_untracked = true;
        Arc::new(request)
    }

    /// Creates a request that belongs to no process yet.
    fn new() -> Self {
        Self {
            state: Mutex::new(State::new(Phase::Running)),
            tracker: OnceLock::new(),
            shared: None,
            id: None,
            is_untracked: false,
        }
    }

    #[inline]
    fn shared(&self) -> &Shared {
        match &self.shared {
            Some(shared) => shared,
            None => unreachable!("a request that takes tasks belongs to a layer or a scope"),
        }
    }

    /// Locks the state. While the guard is held, only code of this crate runs: see [`state`].
    #[inline]
    fn lock(&self) -> MutexGuard<'_, State<AbortHandle>> {
        self.state.lock()
    }

    /// Carries out what a transition has left to do. The wake-up is the last, so that the wait finds the rest done.
    #[inline(always)]
    fn carry_out(self: &Arc<Self>, effects: Effects<AbortHandle>) {
        let Effects {
            wake,
            handle,
            span,
            leave,
            has_changed,
            wait_for_tracker,
        } = effects;
        // This drops no task: a task that ends holds a reference to itself.
        drop(handle);
        // Before the request leaves the registry. Once the handle is idle, all spans have to be closed.
        drop(span);
        if let Some(registration) = leave {
            self.process().registry().leave(registration);
        }
        if wait_for_tracker {
            self.spawn_tracker_wait();
        }
        if has_changed {
            self.process().registry().has_changed();
        }
        if let Some(waker) = wake {
            let _ = panics::caught(|| waker.wake());
        }
    }

    #[inline]
    pub(crate) fn is_untracked(&self) -> bool {
        self.is_untracked
    }

    #[inline]
    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.shared().process
    }

    pub(crate) fn warnings(&self) -> Option<&Warnings> {
        self.shared().warnings.as_deref()
    }

    /// Lists the request in the registry. The caller holds the lock of the request. After it has released the lock, it
    /// calls [`joined`](Self::joined).
    #[inline]
    fn join(self: &Arc<Self>) -> Registration {
        self.process().registry().join(Arc::downgrade(self))
    }

    /// Announces a join to the waits for the process. Does nothing if the request was listed before.
    #[inline]
    fn joined(&self, has_joined: bool) {
        if has_joined {
            self.process().registry().joined();
        }
    }

    pub(crate) fn is_released(&self) -> bool {
        self.lock().is_released()
    }

    /// Returns whether a response waits for what is spawned here.
    pub(crate) fn is_held(&self) -> bool {
        let parent = self.parent();
        self.lock().is_held(parent)
    }

    /// Returns how many tasks are alive. Includes detached tasks and those in the tokio-util tracker.
    pub(crate) fn alive(&self) -> usize {
        self.lock().alive() + self.alive_in_tracker()
    }

    /// Returns whether at most this number of tasks is alive, and no callback about a task is pending.
    pub(crate) fn is_idle_except_for(&self, tasks: usize) -> bool {
        self.lock().is_idle_except_for(tasks)
    }

    /// Announces each end of a task from now on, because code of the request waits for the process.
    fn announce_ends(&self) {
        self.lock().announce_ends();
    }

    /// Returns whether the handler has become a task.
    pub(crate) fn had_handler(&self) -> bool {
        self.lock().had_handler()
    }

    /// Leaves the registry if the request is over. Called for a request that may still be listed because its last task
    /// ended outside of a runtime. Nothing could wait for the tokio-util tracker there.
    pub(crate) fn leave_if_over(self: &Arc<Self>) {
        let effects = {
            let mut state = self.lock();
            let in_tracker = self.is_tracker_busy();
            state.leave_if_over(in_tracker)
        };
        self.carry_out(effects);
    }

    /// Returns the tasks that are alive, without those whose ids are in `except`.
    pub(crate) fn snapshot(&self, except: &[u32]) -> Vec<LiveTask> {
        let now = Instant::now();
        let (mut alive, released) = {
            let mut state = self.lock();
            // A task without a start has no age to show, so its age counts from here.
            state.stamp(now);
            (state.snapshot(now, except), state.is_released())
        };
        alive.extend(self.tracker().into_iter().flat_map(|t| t.alive(now)));
        let live = alive.into_iter().map(|task| LiveTask {
            name: task.name,
            location: task.location,
            age: task.age,
            request_id: self.id.clone(),
            released,
        });
        live.collect()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let registration = self.state.get_mut().registration();
        // Still listed if tasks were in the tracker, and no runtime could wait for them.
        if let (Some(registration), Some(shared)) = (registration, &self.shared) {
            shared.process.registry().leave(registration);
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}
