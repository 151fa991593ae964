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
//! [`Effects`]: a waker to wake, or a value to drop.

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

    // The life of a task.

    /// Lists a task that is about to be spawned, or that runs elsewhere. `join` lists the request in the registry.
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

    /// Returns whether the report counts what is spawned here. If it does, [`admit_counted`](Self::admit_counted) lists
    /// the task, and otherwise [`admit_uncounted`](Self::admit_uncounted).
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
        // What a detached task spawns is detached. So is what any other task spawns after the release, except in an
        // upgraded exchange and beside a handler that runs on: see `Spawns`.
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

    /// Puts a task into the table, and the request into the registry if it is not listed.
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
    /// is called after `join`. So a shutdown that begins at this moment either finds the request in the registry, or is
    /// found by `is_closing`.
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
        // What a straggler spawns with this method is refused, because the response does not wait for it. A straggler
        // may spawn a detached task instead.
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

    /// Keeps the abort handle of a task that was spawned, or returns it, in two cases:
    ///
    /// * The task has ended by now, and its slot may belong to another one. The caller drops the handle outside of the
    ///   lock.
    /// * The task is to be aborted. The caller aborts it.
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

    /// Records the end of a task that did not complete, before the task counts out. A report that is made from now on
    /// counts the task as ended.
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

    /// Counts out a task that has completed, if nothing else is left to do: the report counts the task, its name was
    /// not computed, and no end is announced. Otherwise does nothing and returns `None`, and the caller calls
    /// [`end`](Self::end).
    #[inline(always)]
    pub(crate) fn complete(&mut self, slot: u32) -> Option<Completed<H>> {
        if self.announces_ends {
            return None;
        }
        let Removed { handle, entry, .. } =
            self.table.remove_if(slot, Entry::is_running_and_plain)?;
        // The request cannot be over, because a release excludes the tasks that are alive from the count.
        debug_assert!(!matches!(self.phase, Phase::Over(_) | Phase::Process));
        let kind = entry.kind;
        let wakes = self.count_out(slot, kind, true, TaskState::Completed);
        Some(Completed {
            handle,
            wake: if wakes { self.waker.take() } else { None },
        })
    }

    /// Counts out a task that has completed, or whose end [`fail`](Self::fail) has recorded. `in_tracker`: tasks in the
    /// tokio-util tracker are alive.
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
                // Also while tasks are alive, because the wait has to look again at what it waits for.
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

    /// Removes and returns the computed name of a task that has ended.
    #[cold]
    fn end_name(&mut self, id: u32) -> Option<Arc<str>> {
        let is_last = self.last.is_some_and(|last| last.id == id);
        self.rare.as_mut()?.names.end(id, is_last)
    }

    /// Counts out an ordinary or required task that was in this slot. Returns whether the wait has to look again.
    /// `may_be_required`: false for a task that was spawned after the release, which does not count as required.
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
        // Not after the window has closed: the task whose end closed it stays the last one.
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
            // A head may be held for required tasks alone.
            wakes |= self.required == 0;
        }
        wakes
    }

    /// Counts out a wait for the tokio-util tracker that was dropped before its end. `wakes`: wakes the wait of the
    /// request, to look again.
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

    /// Notes that the callbacks about a late spawn or a late end have run.
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

    /// Like [`stamp`](Self::stamp), if most likely only this task has none.
    pub(crate) fn stamp_first(&mut self, slot: u32, id: u32, now: Instant) {
        self.table.stamp_one(slot, id, now);
        self.table.stamp(now);
    }

    // The wait.

    /// Looks whether tasks are alive.
    #[inline]
    pub(crate) fn look(&self, in_tracker: bool) -> Look {
        Look {
            own: self.waited_for() > 0,
            in_tracker,
            required_failed: self.required_failed,
        }
    }

    /// Like [`look`](Self::look). If a task is alive, keeps `waker`, and the end of the last task wakes it. Returns an
    /// unused waker, to be dropped outside of the lock.
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

    /// Keeps the waker of a wait that waits for no task now. A change of a limit wakes it. Returns the previous waker,
    /// to be dropped outside of the lock: the last waker of a task may drop the task, which may be one of this request.
    pub(crate) fn wake_on_limits(&mut self, waker: Waker) -> Option<Waker> {
        self.wakes_on = WakesOn::Limits;
        self.waker.replace(waker)
    }

    /// Opens the drain window. The request is listed from now on, even if it waits for a hook alone. Returns whether it
    /// has joined the registry with this call.
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

    /// Closes the window. The request goes on, or is released next. Nothing waits any longer, so the waker is returned,
    /// to be dropped outside of the lock.
    #[must_use = "a waker is to be dropped outside of the lock"]
    pub(crate) fn close_window(&mut self) -> Option<Waker> {
        if let Phase::Window { .. } = self.phase {
            self.phase = Phase::Running;
        }
        self.waker.take()
    }

    /// Notes that the client has gone. A handler that runs on is no longer among the unfinished tasks that are aborted.
    pub(crate) fn client_gone(&mut self) {
        if let Phase::Running | Phase::Window { .. } = self.phase {
            self.phase = Phase::Leaving;
        }
    }

    // The release.

    /// Releases the request if no task is alive. What is spawned from now on is late. If nothing reads the report, the
    /// request is over at once.
    #[inline(always)]
    pub(crate) fn finish(&mut self, readers: Readers, in_tracker: bool) -> Finish<H> {
        // Without the wait for the tracker, which may be alive for a moment after the tracker is empty.
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
        // A request that is listed had a task, or its tokio-util tracker may have had some.
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

    /// Releases the request if no task is alive. What is spawned from now on is late.
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

    /// Releases the request, even if tasks are alive. These tasks are the stragglers of the report.
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
            // If a task is aborted because the client has left, that is no error in the log.
            let is_logged = release_state.required_failed && query.outcome != Outcome::Dropped;
            for entry in self.table.iter_mut() {
                if entry.is_alive() && entry.reported_as == ReportedAs::Counted {
                    entry.reported_as = ReportedAs::Straggler { is_logged };
                }
            }
        }
        release_state
    }

    /// Returns what a report contains at this moment.
    pub(crate) fn account(&self, query: ReportQuery) -> ReleaseState {
        // A client that has left did not wait for a required task, and an upgraded stream does not.
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

    /// Returns the tasks that are alive, in the order of their spawns.
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

    /// Sets the computed name of a task that was listed just before.
    pub(crate) fn set_name(&mut self, slot: u32, id: u32, name: Arc<str>) {
        if let Some(entry) = self.table.get_mut(slot, id) {
            entry.has_computed_name = true;
            self.rare.get_or_insert_default().names.add(id, name);
        }
    }

    /// Ends a request after everything was reported. It leaves the registry once no task is alive.
    #[inline]
    pub(crate) fn conclude(&mut self, in_tracker: bool) -> Effects<H> {
        let spawns = self.spawns().unwrap_or(Spawns::Late);
        self.phase = Phase::Over(spawns);
        let mut effects = Effects::none();
        effects.span = self.span.take();
        self.leave_if_last(in_tracker, &mut effects);
        effects
    }

    /// Returns whether nothing is alive, and no callback is pending.
    #[inline]
    fn is_last(&self) -> bool {
        (self.alive | self.detached | self.pending_callbacks) == 0
    }

    /// Leaves the registry if the request is over, nothing is alive, and no callback is pending.
    #[inline]
    fn leave_if_last(&mut self, in_tracker: bool, effects: &mut Effects<H>) {
        let (Phase::Over(_) | Phase::Process) = self.phase else {
            return;
        };
        if !self.is_last() || self.registration.is_none() {
            return;
        }
        if in_tracker {
            // Tasks in the tracker do not keep the request alive. The wait for the tracker does, so that the handle
            // counts them.
            effects.wait_for_tracker = true;
            return;
        }
        effects.leave = self.registration.take();
        if self.phase == Phase::Over(Spawns::WithHandler) {
            self.phase = Phase::Over(Spawns::Late);
        }
    }

    /// Lists the request when its tokio-util tracker is requested, unless it was released. Returns whether it has
    /// joined the registry with this call.
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

    /// Leaves the registry if the request is over. Its last task may have ended where no runtime could wait for the
    /// tokio-util tracker.
    pub(crate) fn leave_if_over(&mut self, in_tracker: bool) -> Effects<H> {
        let mut effects = Effects::none();
        self.leave_if_last(in_tracker, &mut effects);
        effects
    }

    // How tasks are stopped.

    /// Returns the token of the request, and whether the caller has to cancel it at once.
    pub(crate) fn token(&mut self) -> (CancellationToken, bool) {
        let rare = self.rare.get_or_insert_default();
        let token = rare.token.get_or_insert_default().clone();
        (token, rare.cancelled)
    }

    /// Sets the token of the tasks of the process itself.
    pub(crate) fn set_token(&mut self, token: CancellationToken) {
        self.rare.get_or_insert_default().token = Some(token);
    }

    /// Records that the tasks are to stop, and returns the token for the caller to cancel. Returns `None` if this was
    /// recorded before, or if no token was created.
    pub(crate) fn cancel(&mut self) -> Option<CancellationToken> {
        let rare = self.rare.get_or_insert_default();
        if std::mem::replace(&mut rare.cancelled, true) {
            return None;
        }
        rare.token.clone()
    }

    /// Notes that a shutdown has begun, and wakes the wait to look at its deadline again. The tasks of the process
    /// itself have no deadline, so their token is returned, to be cancelled at once.
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

    /// Announces each end of a task from now on.
    pub(crate) fn announce_ends(&mut self) {
        self.announces_ends = true;
    }

    // What is read, and what is set for the request.

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

    /// Returns all tasks that are alive, except for these, in the order of their ids.
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

    /// Returns the observers of nested layers.
    pub(crate) fn observers(&self) -> Vec<Arc<dyn DrainObserver>> {
        let overrides = self.overrides();
        overrides.map_or_else(Vec::new, |overrides| overrides.drain.observers.clone())
    }

    pub(crate) fn is_observed(&self) -> bool {
        let overrides = self.overrides();
        overrides.is_some_and(|overrides| !overrides.drain.observers.is_empty())
    }

    /// Applies settings to this request alone, and wakes the wait. `known`: the settings of the layer of the request,
    /// whose hooks and observers are not added again.
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

impl<H: Clone> State<H> {
    /// Releases the request, even if tasks are alive. These tasks are the stragglers of the report. If `aborts`, also
    /// returns the handles of those to abort.
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

    /// Returns the handles of the unfinished tasks, to be aborted. A task that is about to be spawned is aborted when
    /// its handle is attached.
    pub(crate) fn abort_unfinished(&mut self) -> Vec<H> {
        let is_left = self.phase == Phase::Leaving;
        self.abort(|entry| entry.is_waited_for() && !(is_left && entry.is_handler))
    }

    /// Returns the handles of all tasks except for these, in the same way.
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
