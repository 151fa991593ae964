//! The state of one request, and its transitions: all of it is under one lock.
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
//! * At a deadline, and when the client leaves, the window closes first: the release is then one from `Running` or
//!   `Leaving`.
//! * If nothing reads the report, or there is none, `finish` goes to `Over` at once.
//! * If nothing was spawned, `conclude` goes from `Running` to `Over`.
//! * A request that is `Over` leaves the registry (`leave_if_last`) once none of its tasks is alive and every callback
//!   about them has run. `renew` makes it `Running` again, for the next request.
//! * The work of the process stays in `Process`. It leaves the registry whenever none of its tasks is alive.
//!
//! A transition runs under the lock, and is plain arithmetic: it reads no clock, and runs only this crate's code. The
//! time, and whether the tokio-util tracker has tasks, are its arguments. What has to happen outside of the lock (a
//! waker to be woken, a value to be dropped) it returns, mostly as [`Effects`].

use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::account::{
    Account, Drained, Finish, Incomplete, Last, Look, Readers, ReleaseState, ReportQuery,
};
use super::effects::{Attached, Completed, Effects, Failure, LateEnd};
use super::limits::Limits;
use super::names::{Names, put_name};
use super::table::{Removed, Table};
use super::task::{
    Admitted, Begins, Entry, Kind, Parent, Refused, ReportedAs, SlotState, TaskSpec,
};
use crate::process::registry::Registration;
use crate::report::{DrainObserver, MAX_FAILURES, Outcome, Tally, TaskInfo, TaskState};
use crate::settings::{Settings, TaskSpans};
use crate::trace::Span;

/// `H`: what aborts a task.
#[derive(Debug)]
pub(crate) struct State<H> {
    phase: Phase,
    table: Table<H>,
    /// How many tasks are alive, except for detached ones.
    alive: u32,
    /// How many of those the response fails with.
    required: u32,
    /// How many of those wait for the tokio-util tracker.
    tracker_waits: u32,
    /// How many detached tasks are alive.
    detached: u32,
    /// A detached task was spawned.
    has_detached: bool,
    /// The handler has become a task.
    had_handler: bool,
    /// How many callbacks about ends and late spawns are running, or about to run: they keep the request listed.
    pending_callbacks: u32,
    tally: Tally,
    /// A required task did not complete.
    required_failed: bool,
    /// The task whose end left none alive while a window was open.
    last: Option<Last>,
    /// Woken when a limit of the wait has changed, when no required task is alive, and when no task is, if it listens to
    /// that.
    waker: Option<Waker>,
    wakes_on: WakesOn,
    /// The request's place in the registry of the process; `None` while it is not listed.
    registration: Option<Registration>,
    /// Code of the request waits for the process: each end of a task is announced.
    announces_ends: bool,
    /// The spans that tasks run in.
    task_spans: TaskSpans,
    /// The span that was current when the layer was called: kept open until the callbacks of the request have run. In
    /// an `Arc`, because a copy of the span itself would be the subscriber's code.
    span: Option<Arc<Span>>,
    rare: Option<Box<Rare>>,
}

/// What a waker is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WakesOn {
    /// Tasks are waited for.
    Tasks,
    /// Something else is, which wakes the wait itself, and the end of a task changes nothing. The last required one is
    /// an exception: a head may be held for these alone.
    Limits,
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No window is open: its response is not ready, or streams.
    Running,
    /// The drain window is open: its tasks, or hooks, are waited for. `stopped_before`: how many tasks had been stopped
    /// when it opened.
    Window {
        opened: Instant,
        stopped_before: usize,
    },
    /// The client has gone, and the tasks have some time left to stop.
    Leaving,
    /// Its response waits for nothing any more. Its report is still to be passed to the observers.
    Released(Spawns),
    /// Everything was reported.
    Over(Spawns),
    /// It is no request, but the work of the process itself: no response waits for it.
    Process,
}

/// What becomes of a task that is spawned after the release, by code that is no task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spawns {
    /// It is reported as late.
    Late,
    /// It is not reported as late: the exchange goes on as an upgraded stream.
    Upgraded,
    /// It is not reported as late as long as a task is alive: the handler goes on alone.
    WithHandler,
}

/// What most requests do not have.
#[derive(Debug, Default)]
struct Rare {
    /// The first of the tasks that did not complete, by id.
    failures: Vec<(u32, TaskInfo)>,
    names: Names,
    limits: Limits,
    /// What nested layers and the request itself have set.
    overrides: Option<Settings>,
    /// The token that tasks watch to stop early: made when one is asked for.
    token: Option<CancellationToken>,
    /// The tasks were asked to stop. A token that is made later is cancelled at once.
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

    // The life of a task.

    /// Lists a task that is about to be spawned, or runs elsewhere. `join` lists the request with its process.
    pub(crate) fn admit(
        &mut self,
        spec: TaskSpec,
        parent: Parent,
        begins: Begins,
        join: impl FnOnce() -> Registration,
    ) -> Admitted {
        if self.counts(spec.kind, parent) {
            self.admit_counted(spec, begins, join)
        } else {
            self.admit_uncounted(spec, parent, begins, join)
        }
    }

    /// Whether the report counts what is spawned here: [`admit_counted`](Self::admit_counted) lists it, or else
    /// [`admit_uncounted`](Self::admit_uncounted).
    #[inline]
    pub(crate) fn counts(&self, kind: Kind, parent: Parent) -> bool {
        matches!(kind, Kind::Ordinary | Kind::Required)
            && parent != Parent::DetachedTask
            && matches!(
                self.phase,
                Phase::Running | Phase::Window { .. } | Phase::Leaving
            )
    }

    /// Lists a task that the report counts.
    #[inline(always)]
    pub(crate) fn admit_counted(
        &mut self,
        spec: TaskSpec,
        begins: Begins,
        join: impl FnOnce() -> Registration,
    ) -> Admitted {
        self.tally.spawned += 1;
        self.alive += 1;
        if spec.kind == Kind::Required {
            self.required += 1;
        }
        let wants_stamp = matches!(self.phase, Phase::Window { .. });
        let kind = spec.kind;
        Admitted {
            is_counted: true,
            wants_stamp,
            ..self.listed(spec, kind, ReportedAs::Counted, begins, join)
        }
    }

    /// Lists a task that no report counts.
    pub(crate) fn admit_uncounted(
        &mut self,
        spec: TaskSpec,
        parent: Parent,
        begins: Begins,
        join: impl FnOnce() -> Registration,
    ) -> Admitted {
        let is_released_late = self.spawns() == Some(Spawns::Late);
        // A task that no response waits for, or no longer, spawns detached tasks. An upgraded exchange and a handler that
        // runs on are exceptions: see `Spawns`.
        let by_detached = match parent {
            Parent::None => false,
            Parent::Task => is_released_late,
            Parent::DetachedTask => true,
        };
        let becomes_detached = by_detached || self.phase == Phase::Process;
        let (kind, is_late) = match spec.kind {
            Kind::Ordinary | Kind::Required if !becomes_detached => (spec.kind, is_released_late),
            Kind::Ordinary | Kind::Required | Kind::Detached => (Kind::Detached, false),
            Kind::Tracker => (Kind::Tracker, false),
        };
        match kind {
            Kind::Ordinary | Kind::Required => self.alive += 1,
            Kind::Detached => {
                self.detached += 1;
                self.has_detached = true;
            }
            Kind::Tracker => {
                self.alive += 1;
                self.tracker_waits += 1;
            }
        }
        self.pending_callbacks += u32::from(is_late);
        Admitted {
            is_late,
            wants_stamp: true,
            ..self.listed(spec, kind, ReportedAs::Excluded, begins, join)
        }
    }

    #[inline(always)]
    fn listed(
        &mut self,
        spec: TaskSpec,
        kind: Kind,
        reported_as: ReportedAs,
        begins: Begins,
        join: impl FnOnce() -> Registration,
    ) -> Admitted {
        self.had_handler |= spec.is_handler;
        let has_joined = self.registration.is_none();
        if has_joined {
            self.registration = Some(join());
        }
        let (slot, id) = self.table.add(spec, kind, reported_as, begins);
        Admitted {
            slot,
            id,
            kind,
            is_counted: false,
            is_late: false,
            wants_stamp: false,
            spans: self.task_spans,
            has_joined,
        }
    }

    /// Like [`admit`](Self::admit), but refuses a task that would be late, and any task during a shutdown. `is_closing`
    /// is called after `join`: a shutdown that begins now finds the request in the registry, or is found here.
    pub(crate) fn try_admit(
        &mut self,
        spec: TaskSpec,
        parent: Parent,
        begins: Begins,
        join: impl FnOnce() -> Registration,
        is_closing: impl FnOnce() -> bool,
    ) -> Result<Admitted, (Refused, Effects<H>)> {
        let is_detached = spec.kind == Kind::Detached
            || parent == Parent::DetachedTask
            || self.phase == Phase::Process;
        // What a straggler spawns here is refused, as the response does not wait for it. A straggler may spawn a detached
        // task instead.
        let parent = match parent {
            Parent::Task => Parent::None,
            parent => parent,
        };
        let has_joined = self.registration.is_none();
        if has_joined {
            self.registration = Some(join());
        }
        let refused = if is_closing() {
            Refused::ShuttingDown
        } else if !is_detached && self.is_released() {
            Refused::Released
        } else {
            let mut admitted = self.admit(spec, parent, begins, || unreachable!("it has joined"));
            admitted.has_joined = has_joined;
            return Ok(admitted);
        };
        let leave = if has_joined {
            self.registration.take()
        } else {
            None
        };
        Err((
            refused,
            Effects {
                leave,
                ..Effects::none()
            },
        ))
    }

    /// Keeps the abort handle of a task that was spawned. If the task has ended by now, its slot may belong to another
    /// one, and the handle is given back to be dropped outside of the lock. If the task is to be aborted, the handle is
    /// given back for that.
    #[inline]
    pub(crate) fn attach(&mut self, slot: u32, id: u32, handle: H) -> Attached<H> {
        match self
            .table
            .get_mut(slot, id)
            .map(|entry| &mut entry.slot_state)
        {
            Some(slot_state @ SlotState::Spawning) => {
                *slot_state = SlotState::Spawned(handle);
                Attached::Kept
            }
            Some(slot_state @ SlotState::AbortPending) => {
                *slot_state = SlotState::Elsewhere;
                Attached::ToAbort(handle)
            }
            _ => Attached::Ended(handle),
        }
    }

    /// Writes down how a task ended that did not complete, before it counts out: a report that is made from now on
    /// counts it as ended.
    pub(crate) fn fail(
        &mut self,
        slot: u32,
        id: u32,
        state: TaskState,
        message: Option<String>,
        now: Instant,
    ) -> Option<Failure<H>> {
        let entry = self.table.get_mut(slot, id)?;
        let slot_state = std::mem::replace(&mut entry.slot_state, SlotState::Ended(state));
        let mut info = entry.info(state, message, Some(now));
        if entry.has_computed_name {
            let names = self.rare.as_ref().map(|rare| &rare.names);
            put_name(&mut info, names.and_then(|names| names.get(id)));
        }
        let (is_counted, is_reported) = match entry.reported_as {
            ReportedAs::Counted => (true, true),
            ReportedAs::Straggler { is_logged } => (false, is_logged),
            ReportedAs::Excluded => (false, false),
        };
        if is_counted {
            self.required_failed |= entry.kind == Kind::Required;
            self.tally.count_end(state);
            let failures = &mut self.rare.get_or_insert_default().failures;
            if failures.len() < MAX_FAILURES {
                failures.push((id, info.clone()));
            }
        }
        Some(Failure {
            info,
            is_counted,
            is_reported,
            handle: slot_state.into_handle(),
        })
    }

    /// Counts out a task that has completed, if that is all there is to do: the report counts the task, and nothing
    /// else waits for its end. If it returns `None`, nothing was done, and [`end`](Self::end) has to follow.
    #[inline(always)]
    pub(crate) fn complete(&mut self, slot: u32) -> Option<Completed<H>> {
        if self.announces_ends {
            return None;
        }
        let Removed { handle, entry, .. } =
            self.table.remove_if(slot, Entry::is_running_and_plain)?;
        // The request is not over: what is alive when it is released is counted no longer.
        debug_assert!(!matches!(self.phase, Phase::Over(_) | Phase::Process));
        let kind = entry.kind;
        let wakes = self.count_out(slot, kind, true, TaskState::Completed);
        Some(Completed {
            handle,
            wake: if wakes { self.waker.take() } else { None },
        })
    }

    /// Counts a task out: it completed, or [`fail`](Self::fail) has written down how it ended. `in_tracker`: tasks in
    /// the tokio-util tracker are alive.
    pub(crate) fn end(&mut self, slot: u32, in_tracker: bool) -> (Effects<H>, Option<LateEnd>) {
        let mut effects = Effects::none();
        let Some(Removed {
            handle,
            state,
            entry,
        }) = self.table.remove(slot)
        else {
            return (effects, None);
        };
        let (id, kind, reported_as) = (entry.id, entry.kind, entry.reported_as);
        let has_computed_name = entry.has_computed_name;
        let is_late = reported_as != ReportedAs::Counted && kind != Kind::Tracker;
        let started = entry.started;
        let mut late = is_late.then(|| LateEnd {
            spec: entry.spec(),
            name: None,
            started,
        });
        let wakes = match kind {
            Kind::Detached => {
                self.detached -= 1;
                false
            }
            Kind::Tracker => {
                self.alive -= 1;
                self.tracker_waits -= 1;
                // Also while tasks are alive: the wait looks again at what it waits for.
                self.wakes_on == WakesOn::Tasks
            }
            Kind::Ordinary | Kind::Required => {
                self.count_out(slot, kind, reported_as != ReportedAs::Excluded, state)
            }
        };
        if has_computed_name {
            let name = self.end_name(id);
            if let Some(late) = &mut late {
                late.name = name;
            }
        }
        effects.handle = handle;
        if wakes {
            effects.wake = self.waker.take();
        }
        effects.has_changed = self.announces_ends;
        if late.is_some() {
            self.pending_callbacks += 1;
        } else {
            self.leave_if_last(in_tracker, &mut effects);
        }
        (effects, late)
    }

    #[cold]
    fn end_name(&mut self, id: u32) -> Option<Arc<str>> {
        let is_last = self.last.is_some_and(|last| last.id == id);
        self.rare.as_mut()?.names.end(id, is_last)
    }

    /// Counts out an ordinary or a required task that was in this slot, and returns whether the wait is to look again.
    /// `may_be_required`: if it is a required one, it was counted as that.
    #[inline(always)]
    fn count_out(
        &mut self,
        slot: u32,
        kind: Kind,
        may_be_required: bool,
        state: TaskState,
    ) -> bool {
        self.alive -= 1;
        let is_last = self.alive == self.tracker_waits;
        let mut wakes = is_last && self.wakes_on == WakesOn::Tasks;
        // Not once the window has closed: the task whose end closed it stays.
        if let (true, Phase::Window { .. }) = (is_last, self.phase) {
            let entry = self.table.at(slot);
            self.last = Some(Last {
                id: entry.id,
                spec: entry.spec(),
                started: entry.started,
                state,
            });
        }
        if kind == Kind::Required && may_be_required {
            self.required -= 1;
            // A head may be held for these alone.
            wakes |= self.required == 0;
        }
        wakes
    }

    /// The wait for the tokio-util tracker was dropped before its end. `wakes`: the drain looks again.
    pub(crate) fn abandon_tracker_wait(&mut self, slot: u32, wakes: bool) -> Effects<H> {
        if self.table.remove(slot).is_some() {
            self.alive -= 1;
            self.tracker_waits -= 1;
        }
        if wakes && self.wakes_on == WakesOn::Tasks {
            self.wake()
        } else {
            Effects::none()
        }
    }

    /// A late spawn, or a late end, was reported.
    pub(crate) fn callbacks_done(&mut self, in_tracker: bool) -> Effects<H> {
        self.pending_callbacks -= 1;
        let mut effects = Effects::none();
        effects.has_changed = true;
        self.leave_if_last(in_tracker, &mut effects);
        effects
    }

    /// Gives a start to all tasks that have none.
    pub(crate) fn stamp(&mut self, now: Instant) {
        self.table.stamp(now);
    }

    /// The same, where most likely only this one has none.
    pub(crate) fn stamp_first(&mut self, slot: u32, id: u32, now: Instant) {
        self.table.stamp_one(slot, id, now);
        self.table.stamp(now);
    }

    // The wait.

    /// Looks whether a task is alive.
    #[inline]
    pub(crate) fn look(&self, in_tracker: bool) -> Look {
        Look {
            own: self.waited_for() > 0,
            in_tracker,
            required_failed: self.required_failed,
        }
    }

    /// Like [`look`](Self::look). If a task is alive, `waker` is kept, to be woken by the last one. Returns a
    /// waker to be dropped outside of the lock.
    pub(crate) fn look_and_keep_waker(
        &mut self,
        waker: Waker,
        in_tracker: bool,
    ) -> (Look, Option<Waker>) {
        let look = self.look(in_tracker);
        let unused = if look.own || in_tracker {
            self.wakes_on = WakesOn::Tasks;
            self.waker.replace(waker)
        } else {
            Some(waker)
        };
        (look, unused)
    }

    /// Keeps a waker, to be woken when a limit of the wait changes: no task is waited for now. Returns the waker before,
    /// to be dropped outside of the lock: the last waker of a task may drop the task, which may be one of this request.
    pub(crate) fn wake_on_limits(&mut self, waker: Waker) -> Option<Waker> {
        self.wakes_on = WakesOn::Limits;
        self.waker.replace(waker)
    }

    /// Opens the drain window. The request is listed from now on, also if it waits for a hook alone. Returns whether it
    /// has joined the registry just now.
    pub(crate) fn open_window(
        &mut self,
        now: Instant,
        join: impl FnOnce() -> Registration,
    ) -> bool {
        if self.phase == Phase::Running {
            self.phase = Phase::Window {
                opened: now,
                stopped_before: self.stopped(),
            };
        }
        self.table.stamp(now);
        let has_joined = self.registration.is_none();
        if has_joined {
            self.registration = Some(join());
        }
        has_joined
    }

    /// Closes the window. The request goes on, or is released next. Returns the waker, to be dropped outside of the lock:
    /// nothing waits any longer.
    #[must_use = "a waker is to be dropped outside of the lock"]
    pub(crate) fn close_window(&mut self) -> Option<Waker> {
        if let Phase::Window { .. } = self.phase {
            self.phase = Phase::Running;
        }
        self.waker.take()
    }

    /// The client has gone. A handler that runs on is spared from now on.
    pub(crate) fn client_gone(&mut self) {
        if let Phase::Running | Phase::Window { .. } = self.phase {
            self.phase = Phase::Leaving;
        }
    }

    // The release.

    /// Releases if no task is alive: what is spawned from now on is late. If the report is not read, the request is over
    /// with that.
    #[inline(always)]
    pub(crate) fn finish(&mut self, readers: Readers, in_tracker: bool) -> Finish<H> {
        // Without the watch of the tracker, which may not have seen yet that the tracker is empty.
        if self.waited_for() > 0 || in_tracker {
            return Finish::NotIdle {
                opened: self.window_opened_at(),
            };
        }
        let required_failed = self.required_failed;
        let is_read = match readers {
            Readers::Some => true,
            Readers::Subscriber { ok, failed } => {
                self.is_observed() || if required_failed { failed } else { ok }
            }
        };
        // Once registered it had a task, or its tokio-util tracker may have had some.
        if is_read && self.registration.is_some() {
            let drained = Drained {
                required_failed,
                account: self.account_now(),
                opened: self.window_opened_at(),
                is_plain: self.span.is_none() && !self.is_observed(),
            };
            self.phase = Phase::Released(Spawns::Late);
            return Finish::Released {
                drained,
                waker: self.waker.take(),
            };
        }
        self.phase = Phase::Over(Spawns::Late);
        if self.is_last() && self.is_bare() {
            let leave = self.registration.take();
            return Finish::Over {
                required_failed,
                leave,
            };
        }
        let mut effects = Effects::none();
        effects.span = self.span.take();
        self.leave_if_last(in_tracker, &mut effects);
        Finish::OverWith {
            required_failed,
            effects,
            waker: self.waker.take(),
        }
    }

    /// Releases if no task is alive: what is spawned from now on is late.
    pub(crate) fn release_if_idle(
        &mut self,
        query: ReportQuery,
        in_tracker: bool,
    ) -> Option<ReleaseState> {
        if self.waited_for() > 0 || in_tracker {
            return None;
        }
        Some(self.release_as(Spawns::Late, query))
    }

    /// Releases whatever is alive: those tasks are the report's stragglers.
    fn release(&mut self, query: ReportQuery) -> ReleaseState {
        let handler = |entry: &Entry<H>| entry.is_handler && entry.is_alive();
        let spawns = if query.outcome.is_upgraded() {
            Spawns::Upgraded
        } else if self.table.iter().any(handler) {
            Spawns::WithHandler
        } else {
            Spawns::Late
        };
        self.release_as(spawns, query)
    }

    fn release_as(&mut self, spawns: Spawns, query: ReportQuery) -> ReleaseState {
        let mut release_state = self.account(query);
        self.phase = Phase::Released(spawns);
        // The end of a straggler must not wake the server.
        release_state.waker = self.waker.take();
        if self.alive > 0 {
            // What is aborted for a client that left is no error in the log.
            let is_logged = release_state.required_failed && query.outcome != Outcome::Dropped;
            for entry in self.table.iter_mut() {
                if entry.is_alive() && entry.reported_as == ReportedAs::Counted {
                    entry.reported_as = ReportedAs::Straggler { is_logged };
                }
            }
        }
        release_state
    }

    /// What a report has of the tasks, as things stand.
    pub(crate) fn account(&self, query: ReportQuery) -> ReleaseState {
        // A client that left did not wait for a required task, and an upgraded stream does not.
        let is_late = matches!(query.outcome, Outcome::DeadlineExceeded | Outcome::Shutdown)
            && self.required > 0;
        ReleaseState {
            required_failed: self.required_failed || is_late,
            account: query.at.map(|_| self.account_now()),
            stragglers: query.at.map_or_else(Vec::new, |at| self.stragglers(at)),
            waker: None,
        }
    }

    #[inline(always)]
    fn account_now(&self) -> Account {
        Account {
            tally: self.tally,
            last: self.last,
            has_detached: self.has_detached,
            incomplete: self.rare.as_deref().map(|rare| self.incomplete(rare)),
        }
    }

    #[cold]
    fn incomplete(&self, rare: &Rare) -> Box<Incomplete> {
        let failures = rare.failures.iter();
        let last = self.last.and_then(|last| {
            let found = failures.clone().find(|(id, _)| *id == last.id);
            found.map(|(_, info)| info.clone())
        });
        Box::new(Incomplete {
            last,
            failures: failures.map(|(_, info)| info.clone()).collect(),
            last_name: self.last.and_then(|last| rare.names.get(last.id).cloned()),
            cancelled: rare.cancelled,
        })
    }

    /// The tasks that are alive, in the order of their spawns.
    fn stragglers(&self, now: Instant) -> Vec<TaskInfo> {
        if self.alive == 0 {
            return Vec::new();
        }
        let is_unfinished = |entry: &&Entry<H>| entry.is_waited_for();
        let mut stragglers: Vec<&Entry<H>> = self.table.iter().filter(is_unfinished).collect();
        stragglers.sort_unstable_by_key(|entry| entry.id);
        self.infos(&stragglers, now)
    }

    fn infos(&self, entries: &[&Entry<H>], now: Instant) -> Vec<TaskInfo> {
        let info = |entry: &&Entry<H>| {
            let mut info = entry.info(TaskState::Running, None, Some(now));
            put_name(&mut info, self.computed_name(entry));
            info
        };
        entries.iter().map(info).collect()
    }

    fn computed_name(&self, entry: &Entry<H>) -> Option<&Arc<str>> {
        if !entry.has_computed_name {
            return None;
        }
        self.rare.as_ref()?.names.get(entry.id)
    }

    /// Gives a computed name to a task that was listed just now.
    pub(crate) fn set_name(&mut self, slot: u32, id: u32, name: Arc<str>) {
        if let Some(entry) = self.table.get_mut(slot, id) {
            entry.has_computed_name = true;
            self.rare.get_or_insert_default().names.add(id, name);
        }
    }

    /// Everything was reported. The request leaves the registry once no task is alive.
    #[inline]
    pub(crate) fn conclude(&mut self, in_tracker: bool) -> Effects<H> {
        let spawns = self.spawns().unwrap_or(Spawns::Late);
        self.phase = Phase::Over(spawns);
        let mut effects = Effects::none();
        effects.span = self.span.take();
        self.leave_if_last(in_tracker, &mut effects);
        effects
    }

    /// Whether nothing is alive, and everything about tasks was reported.
    #[inline]
    fn is_last(&self) -> bool {
        (self.alive | self.detached | self.pending_callbacks) == 0
    }

    /// Leaves the registry if the request is over, nothing is alive and everything was reported.
    #[inline]
    fn leave_if_last(&mut self, in_tracker: bool, effects: &mut Effects<H>) {
        let (Phase::Over(_) | Phase::Process) = self.phase else {
            return;
        };
        if !self.is_last() || self.registration.is_none() {
            return;
        }
        if in_tracker {
            // The tasks in the tracker do not keep the request, but the handle has to count them.
            effects.wait_for_tracker = true;
            return;
        }
        effects.leave = self.registration.take();
        if self.phase == Phase::Over(Spawns::WithHandler) {
            self.phase = Phase::Over(Spawns::Late);
        }
    }

    /// Lists the request because its tokio-util tracker was asked for, unless it was released. Returns whether it has
    /// joined the registry just now.
    pub(crate) fn list_tracker(&mut self, join: impl FnOnce() -> Registration) -> bool {
        let is_open = matches!(
            self.phase,
            Phase::Running | Phase::Window { .. } | Phase::Leaving
        );
        let joins = is_open && self.registration.is_none();
        if joins {
            self.registration = Some(join());
        }
        joins
    }

    /// Leaves the registry if the request is over. It may have ended where there was no runtime to wait for the rest of
    /// it.
    pub(crate) fn leave_if_over(&mut self, in_tracker: bool) -> Effects<H> {
        let mut effects = Effects::none();
        self.leave_if_last(in_tracker, &mut effects);
        effects
    }

    // How tasks are stopped.

    /// The request's token, and whether it is to be cancelled at once.
    pub(crate) fn token(&mut self) -> (CancellationToken, bool) {
        let rare = self.rare.get_or_insert_default();
        let token = rare.token.get_or_insert_default().clone();
        (token, rare.cancelled)
    }

    /// The token of the work of the process.
    pub(crate) fn set_token(&mut self, token: CancellationToken) {
        self.rare.get_or_insert_default().token = Some(token);
    }

    /// Asks the tasks to stop, once: returns the token to be cancelled.
    pub(crate) fn cancel(&mut self) -> Option<CancellationToken> {
        let rare = self.rare.get_or_insert_default();
        if std::mem::replace(&mut rare.cancelled, true) {
            return None;
        }
        rare.token.clone()
    }

    /// A shutdown has begun: a wait has to look at its deadline again. The work of the process has none, and is asked
    /// to stop at once.
    pub(crate) fn shutdown_begins(&mut self) -> (Effects<H>, Option<CancellationToken>) {
        let token = if self.phase == Phase::Process {
            self.cancel()
        } else {
            None
        };
        (self.wake(), token)
    }

    /// Wakes the wait, to look again.
    pub(crate) fn wake(&mut self) -> Effects<H> {
        Effects {
            wake: self.waker.take(),
            ..Effects::none()
        }
    }

    /// Each end of a task is announced from now on.
    pub(crate) fn announce_ends(&mut self) {
        self.announces_ends = true;
    }

    // Questions, and what is set for the request.

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// When the drain window opened, while it is open.
    pub(crate) fn window_opened_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Window { opened, .. } => Some(opened),
            _ => None,
        }
    }

    /// Whether a required task has failed, or a task was aborted or has panicked since the drain window opened: the
    /// window may have closed with that.
    #[inline]
    pub(crate) fn has_failed_or_stopped(&self) -> bool {
        self.required_failed || self.has_stopped_in_window()
    }

    /// Whether a task was aborted or has panicked since the drain window opened.
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

    /// What becomes of late spawns; `None` before the release, and for the work of the process.
    #[inline]
    fn spawns(&self) -> Option<Spawns> {
        match self.phase {
            Phase::Running | Phase::Window { .. } | Phase::Leaving | Phase::Process => None,
            Phase::Released(spawns) | Phase::Over(spawns) => Some(spawns),
        }
    }

    /// Whether a response waits for what is spawned here. None does for a request that was released, or whose client
    /// has gone, nor for what a task spawns that is detached.
    pub(crate) fn is_held(&self, parent: Parent) -> bool {
        matches!(self.phase, Phase::Running | Phase::Window { .. })
            && parent != Parent::DetachedTask
    }

    /// How many tasks are alive that are waited for.
    #[inline]
    pub(crate) fn waited_for(&self) -> usize {
        (self.alive - self.tracker_waits) as usize
    }

    /// How many tasks are alive, without those in the tokio-util tracker.
    pub(crate) fn alive(&self) -> usize {
        self.waited_for() + self.detached as usize
    }

    /// Whether at most so many tasks are alive, and nothing is being reported.
    pub(crate) fn is_idle_except_for(&self, tasks: usize) -> bool {
        self.alive() <= tasks && self.pending_callbacks == 0
    }

    /// Whether a wait for the tokio-util tracker goes on.
    pub(crate) fn has_tracker_wait(&self) -> bool {
        self.tracker_waits > 0
    }

    /// How many required tasks are alive.
    #[inline]
    pub(crate) fn required(&self) -> u32 {
        self.required
    }

    #[inline]
    pub(crate) fn required_failed(&self) -> bool {
        self.required_failed
    }

    /// How many tasks were aborted or have panicked: the destructor of an aborted task may panic.
    pub(crate) fn stopped(&self) -> usize {
        self.tally.stopped()
    }

    #[inline]
    pub(crate) fn has_spawned(&self) -> bool {
        self.table.listed() > 0
    }

    #[inline]
    pub(crate) fn wants_stamp(&self) -> bool {
        self.table.wants_stamp()
    }

    /// Whether it is as new, for the next request.
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

    /// Whether the handler has become a task.
    pub(crate) fn had_handler(&self) -> bool {
        self.had_handler
    }

    pub(crate) fn spec(&mut self, slot: u32, id: u32) -> Option<(TaskSpec, Option<Arc<str>>)> {
        let entry = self.table.get_mut(slot, id)?;
        let (spec, has_computed_name) = (entry.spec(), entry.has_computed_name);
        let rare = self.rare.as_ref().filter(|_| has_computed_name);
        Some((spec, rare.and_then(|rare| rare.names.get(id).cloned())))
    }

    /// All tasks that are alive, except these, in the order of their ids.
    pub(crate) fn snapshot(&self, now: Instant, except: &[u32]) -> Vec<TaskInfo> {
        let is_shown = |entry: &&Entry<H>| {
            entry.is_alive() && entry.kind != Kind::Tracker && !except.contains(&entry.id)
        };
        let mut alive: Vec<&Entry<H>> = self.table.iter().filter(is_shown).collect();
        alive.sort_unstable_by_key(|entry| entry.id);
        self.infos(&alive, now)
    }

    #[inline]
    pub(crate) fn overrides(&self) -> Option<&Settings> {
        self.rare.as_ref()?.overrides.as_ref()
    }

    pub(crate) fn limits(&self) -> Option<&Limits> {
        Some(&self.rare.as_ref()?.limits)
    }

    pub(crate) fn limits_mut(&mut self) -> &mut Limits {
        &mut self.rare.get_or_insert_default().limits
    }

    /// The observers of nested layers.
    pub(crate) fn observers(&self) -> Vec<Arc<dyn DrainObserver>> {
        let overrides = self.overrides();
        overrides.map_or_else(Vec::new, |overrides| overrides.drain.observers.clone())
    }

    pub(crate) fn is_observed(&self) -> bool {
        let overrides = self.overrides();
        overrides.is_some_and(|overrides| !overrides.drain.observers.is_empty())
    }

    /// Sets something for this request alone.
    pub(crate) fn overlay(&mut self, settings: &Settings, known: &Settings) -> Effects<H> {
        let rare = self.rare.get_or_insert_default();
        let overrides = rare.overrides.get_or_insert_default();
        overrides.overlay(settings, known);
        if let Some(task_spans) = settings.drain.task_spans {
            self.task_spans = task_spans;
        }
        self.wake()
    }

    pub(crate) fn set_task_spans(&mut self, spans: TaskSpans) {
        self.task_spans = spans;
    }

    /// The request's span, as long as it is kept open.
    pub(crate) fn span(&self) -> Option<Arc<Span>> {
        self.span.clone()
    }

    pub(crate) fn set_span(&mut self, span: Arc<Span>) {
        self.span = Some(span);
    }

    /// Whether [`strip`](Self::strip) would drop nothing.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        self.waker.is_none() && self.span.is_none() && self.rare.is_none()
    }

    /// Drops everything that may be the user's. The caller has the only reference, and holds no lock: what is dropped
    /// here may run any code.
    pub(crate) fn strip(&mut self) {
        (self.waker, self.span, self.rare) = (None, None, None);
    }

    /// Makes a stripped state of a request that is over as new, and keeps some of the table's memory.
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
            // `None` by now: the registry has a reference to each request that is listed.
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

impl<H: Clone> State<H> {
    /// Releases whatever is alive: those tasks are the report's stragglers. If `aborts`, returns the handles of those to
    /// abort.
    pub(crate) fn release_and_abort(
        &mut self,
        query: ReportQuery,
        aborts: bool,
    ) -> (ReleaseState, Vec<H>) {
        let abort = if aborts {
            self.abort_unfinished()
        } else {
            Vec::new()
        };
        (self.release(query), abort)
    }

    /// Returns the handles of the unfinished tasks. A task that is about to be spawned is aborted once it is.
    pub(crate) fn abort_unfinished(&mut self) -> Vec<H> {
        let is_left = self.phase == Phase::Leaving;
        self.abort(|entry| entry.is_waited_for() && !(is_left && entry.is_handler))
    }

    /// Returns the handles of all tasks but these, in the same way.
    pub(crate) fn abort_all_except(&mut self, spared: &[u32]) -> Vec<H> {
        self.abort(|entry| entry.is_alive() && !spared.contains(&entry.id))
    }

    fn abort(&mut self, which: impl Fn(&Entry<H>) -> bool) -> Vec<H> {
        let mut handles: Vec<(u32, H)> = Vec::new();
        for entry in self.table.iter_mut() {
            if !which(entry) {
                continue;
            }
            match &mut entry.slot_state {
                slot_state @ SlotState::Spawning => *slot_state = SlotState::AbortPending,
                SlotState::Spawned(handle) => handles.push((entry.id, handle.clone())),
                SlotState::AbortPending
                | SlotState::Elsewhere
                | SlotState::Ended(_)
                | SlotState::Free(_) => {}
            }
        }
        handles.sort_unstable_by_key(|(id, _)| *id);
        handles.into_iter().map(|(_, handle)| handle).collect()
    }
}
