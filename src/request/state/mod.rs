//! The state of one request, and its transitions. All of it is under one lock.
//!
//! ```text
//!            open_window             finish, release_if_idle              conclude
//!   Running ─────────────▶ Window ───────────────────────────▶ Released ───────────▶ Over
//!    │ │ ▲                   │                                   ▲   ▲
//!    │ │ └───────────────────┘                                   │   │
//!    │ │     close_window                                        │   │
//!    │ │                  finish, release_and_abort              │   │
//!    │ └─────────────────────────────────────────────────────────┘   │
//!    │ client_gone                          release_and_abort        │
//!    └─────────────▶ Leaving ────────────────────────────────────────┘
//! ```
//!
//! * At a deadline, and when the client leaves, the window closes first. The release then starts from `Running` or
//!   `Leaving`.
//! * If nothing reads the report, or there is no report, `finish` goes to `Over` at once.
//! * If nothing was spawned, `conclude` goes from `Running` to `Over`.
//! * A request that is `Over` leaves the registry (`leave_if_last`) once none of its tasks is alive and every callback
//!   about them has run. `renew` makes it `Running` again, for the next request.
//! * The tasks of the process itself stay in `Process`. They leave the registry whenever none of them is alive.
//!
//! A transition runs under the lock. It reads no clock, and runs only code of this crate. The time, and whether the
//! tokio-util tracker has tasks, are arguments. What has to happen outside of the lock is returned, mostly as
//! [`Effects`](crate::request::effects::Effects): a waker to wake, or a value to drop.

mod admit;
mod end;
pub(crate) mod hand_off;
mod overrides;
mod release;
mod report;
pub(crate) mod stop;
mod wait;

use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::process::registry::Registration;
use crate::report::{Tally, TaskInfo};
use crate::request::account::Last;
use crate::request::hand_off::HandOffs;
use crate::request::limits::Limits;
use crate::request::names::Names;
use crate::request::table::Table;
use crate::request::task::{Parent, TaskSpec};
use crate::settings::{Settings, TaskSpans};
use crate::trace::Span;

/// The state of one request. `H`: the handle that aborts a task.
#[derive(Debug)]
pub(crate) struct State<H> {
    phase: Phase,
    table: Table<H>,
    /// How many tasks are alive, except for detached ones. Includes the waits for the tokio-util tracker.
    alive: u32,
    /// How many of those are required, without those that were spawned after the release.
    required: u32,
    /// How many of those are waits for the tokio-util tracker.
    tracker_waits: u32,
    /// How many detached tasks are alive.
    detached: u32,
    /// True if a detached task was spawned.
    has_detached: bool,
    /// True if the handler has become a task.
    had_handler: bool,
    /// How many callbacks about late ends and late spawns are running or about to run. They keep the request listed.
    pending_callbacks: u32,
    tally: Tally,
    /// True if a required task did not complete.
    required_failed: bool,
    /// The task whose end left none alive while a window was open.
    last: Option<Last>,
    /// The waker of the wait. It is woken in these cases:
    ///
    /// * A limit of the wait has changed.
    /// * No required task is alive any more.
    /// * No task is alive any more, and `wakes_on` is [`WakesOn::Tasks`].
    waker: Option<Waker>,
    wakes_on: WakesOn,
    /// The place of the request in the registry; `None` while it is not listed.
    registration: Option<Registration>,
    /// True if each end of a task is announced, because code of the request waits for the process.
    announces_ends: bool,
    /// The spans that tasks run in.
    task_spans: TaskSpans,
    /// The span that was current when the layer was called. It is kept open until the callbacks about the request have
    /// run. It is in an `Arc`, because a clone of the span itself would run code of the subscriber.
    span: Option<Arc<Span>>,
    rare: Option<Box<Rare>>,
}

/// Which changes wake the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WakesOn {
    /// The end of the last task, and a change of a limit. The wait is for tasks.
    Tasks,
    /// A change of a limit. The wait is for something else, which wakes it by itself, so the end of a task changes
    /// nothing. The end of the last required task is an exception, because a head may be held for required tasks alone.
    Limits,
}

/// The phase of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No window is open: the response is not ready, or it streams.
    Running,
    /// The drain window is open: the request waits for tasks or hooks. `stopped_before`: how many tasks had been
    /// aborted or had panicked when it opened.
    Window {
        opened: Instant,
        stopped_before: usize,
    },
    /// The client has gone, and the tasks have some time left to stop.
    Leaving,
    /// The response waits for nothing any more. The report is still to be passed to the observers.
    Released(Spawns),
    /// Everything was reported.
    Over(Spawns),
    /// Not a request, but the tasks of the process itself. No response waits for them.
    Process,
}

/// What happens when code that is no task spawns after the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spawns {
    /// The spawn is reported as late.
    Late,
    /// The spawn is not reported, because the exchange goes on as an upgraded stream.
    Upgraded,
    /// The spawn is not reported while a task is alive, because the handler runs on without its response.
    WithHandler,
}

/// What only some requests have.
#[derive(Debug, Default)]
struct Rare {
    /// The first tasks that did not complete, with their ids.
    failures: Vec<(u32, TaskInfo)>,
    names: Names,
    hand_offs: HandOffs,
    limits: Limits,
    /// The settings of nested layers, and of the request itself.
    overrides: Option<Settings>,
    /// The token that stops tasks early. Created when it is requested.
    token: Option<CancellationToken>,
    /// True if the tasks are to stop. A token that is created later is cancelled at once.
    cancelled: bool,
}

impl<H> State<H> {
    pub(crate) fn new(phase: Phase) -> Self {
        Self {
            phase,
            table: Table::new(),
            alive: 0,
            required: 0,
            tracker_waits: 0,
            detached: 0,
            has_detached: false,
            had_handler: false,
            pending_callbacks: 0,
            tally: Tally::default(),
            required_failed: false,
            last: None,
            waker: None,
            wakes_on: WakesOn::Tasks,
            registration: None,
            announces_ends: false,
            task_spans: TaskSpans::Child,
            span: None,
            rare: None,
        }
    }

    /// Announces each end of a task from now on.
    pub(crate) fn announce_ends(&mut self) {
        self.announces_ends = true;
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns when the drain window opened. Returns `None` if it is not open.
    pub(crate) fn window_opened_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Window { opened, .. } => Some(opened),
            _ => None,
        }
    }

    /// Returns whether a required task has failed, or a task was aborted or has panicked since the drain window opened.
    /// Such an end may have closed the window.
    #[inline]
    pub(crate) fn has_failed_or_stopped(&self) -> bool {
        self.required_failed || self.has_stopped_in_window()
    }

    /// Returns whether a task was aborted or has panicked since the drain window opened.
    #[inline]
    pub(crate) fn has_stopped_in_window(&self) -> bool {
        match self.phase {
            Phase::Window { stopped_before, .. } => self.stopped() > stopped_before,
            _ => false,
        }
    }

    #[inline]
    pub(crate) fn is_released(&self) -> bool {
        self.spawns().is_some()
    }

    /// Returns what happens at a late spawn. Returns `None` before the release, and for the tasks of the process
    /// itself.
    #[inline]
    fn spawns(&self) -> Option<Spawns> {
        match self.phase {
            Phase::Running | Phase::Window { .. } | Phase::Leaving | Phase::Process => None,
            Phase::Released(spawns) | Phase::Over(spawns) => Some(spawns),
        }
    }

    /// Returns whether a response waits for what is spawned here. There is no such response if the request was
    /// released, if its client has gone, or if a detached task spawns.
    pub(crate) fn is_held(&self, parent: Parent) -> bool {
        matches!(self.phase, Phase::Running | Phase::Window { .. })
            && parent != Parent::DetachedTask
    }

    /// Returns how many tasks are alive, without detached tasks and those in the tokio-util tracker.
    #[inline]
    pub(crate) fn waited_for(&self) -> usize {
        (self.alive - self.tracker_waits) as usize
    }

    /// Returns how many tasks are alive, without those in the tokio-util tracker.
    pub(crate) fn alive(&self) -> usize {
        self.waited_for() + self.detached as usize
    }

    /// Returns whether at most this number of tasks is alive, and no callback about a task is pending.
    pub(crate) fn is_idle_except_for(&self, tasks: usize) -> bool {
        self.alive() <= tasks && self.pending_callbacks == 0
    }

    /// Returns whether a wait for the tokio-util tracker is going on.
    pub(crate) fn has_tracker_wait(&self) -> bool {
        self.tracker_waits > 0
    }

    /// Returns how many required tasks are alive.
    #[inline]
    pub(crate) fn required(&self) -> u32 {
        self.required
    }

    #[inline]
    pub(crate) fn required_failed(&self) -> bool {
        self.required_failed
    }

    /// Returns how many tasks were aborted or have panicked. Panics count too, because the destructor of an aborted
    /// task may panic.
    ///
    /// Tasks whose hand-off has failed by itself do not count.
    pub(crate) fn stopped(&self) -> usize {
        let failed = self.rare.as_ref().map_or(0, |r| r.hand_offs.failed());
        self.tally.stopped() - failed
    }

    #[inline]
    pub(crate) fn has_spawned(&self) -> bool {
        self.table.listed() > 0
    }

    #[inline]
    pub(crate) fn wants_stamp(&self) -> bool {
        self.table.wants_stamp()
    }

    /// Returns whether nothing has happened in the request, so that the next request can use it.
    #[inline]
    pub(crate) fn is_pristine(&self) -> bool {
        self.phase == Phase::Running
            && self.table.listed() == 0
            && self.rare.is_none()
            && self.waker.is_none()
            && self.registration.is_none()
            && self.span.is_none()
            && !self.announces_ends
    }

    /// Returns whether the handler has become a task.
    pub(crate) fn had_handler(&self) -> bool {
        self.had_handler
    }

    /// Returns the spec of a task, and its name if that was computed.
    pub(crate) fn spec(&mut self, slot: u32, id: u32) -> Option<(TaskSpec, Option<Arc<str>>)> {
        let entry = self.table.get_mut(slot, id)?;
        let (spec, has_computed_name) = (entry.spec(), entry.has_computed_name);
        let rare = self.rare.as_ref().filter(|_| has_computed_name);
        Some((spec, rare.and_then(|rare| rare.names.get(id).cloned())))
    }

    /// Returns the span of the request, as long as it is kept open.
    pub(crate) fn span(&self) -> Option<Arc<Span>> {
        self.span.clone()
    }

    pub(crate) fn set_span(&mut self, span: Arc<Span>) {
        self.span = Some(span);
    }

    /// Returns whether [`strip`](Self::strip) would drop nothing.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        self.waker.is_none() && self.span.is_none() && self.rare.is_none()
    }

    /// Drops everything that may belong to the user. The caller has the only reference and holds no lock, because what
    /// is dropped here may run any code.
    pub(crate) fn strip(&mut self) {
        (self.waker, self.span, self.rare) = (None, None, None);
    }

    /// Resets a stripped state of a request that is over, for the next request. Keeps some memory of the table.
    #[inline]
    pub(crate) fn renew(&mut self) {
        let Self {
            phase,
            table,
            alive: _,
            required: _,
            tracker_waits: _,
            detached: _,
            has_detached,
            had_handler,
            pending_callbacks: _,
            tally,
            required_failed,
            last,
            waker: _,
            // Set with each waker.
            wakes_on: _,
            // `None` by now: the registry has a weak reference to each listed request, and this one has no other
            // reference.
            registration: _,
            announces_ends,
            task_spans: _,
            span: _,
            rare: _,
        } = self;
        *phase = Phase::Running;
        table.reset();
        *tally = Tally::default();
        *required_failed = false;
        (*has_detached, *had_handler) = (false, false);
        *last = None;
        *announces_ends = false;
    }

    pub(crate) fn registration(&self) -> Option<Registration> {
        self.registration
    }
}
