//! Lists tasks.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Phase, Spawns, State};
use crate::process::registry::Registration;
use crate::request::effects::{Attached, Effects};
use crate::request::task::{
    Admitted, Begins, Kind, Parent, Refused, ReportedAs, SlotState, TaskSpec,
};

impl<H> State<H> {
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
    /// * The task is to be aborted. The caller aborts it. That is also so if its hand-off has begun, because the task
    ///   may be a blocking closure that still waits for a thread.
    #[inline]
    pub(crate) fn attach(&mut self, slot: u32, id: u32, handle: H) -> Attached<H> {
        let entry = self.table.get_mut(slot, id);
        match entry.map(|entry| &mut entry.slot_state) {
            Some(slot_state @ SlotState::Spawning) => {
                *slot_state = SlotState::Spawned(handle);
                return Attached::Kept;
            }
            Some(slot_state @ SlotState::AbortPending) => {
                *slot_state = SlotState::Elsewhere;
                return Attached::ToAbort(handle);
            }
            _ => {}
        }
        let rare = self.rare.as_ref();
        if rare.is_some_and(|rare| rare.hand_offs.begun(id).is_some()) {
            Attached::ToAbort(handle)
        } else {
            Attached::Ended(handle)
        }
    }

    /// Sets the computed name of a task that was listed just before.
    pub(crate) fn set_name(&mut self, slot: u32, id: u32, name: Arc<str>) {
        if let Some(entry) = self.table.get_mut(slot, id) {
            entry.has_computed_name = true;
            self.rare.get_or_insert_default().names.add(id, name);
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

    /// Gives a start to all tasks that have none.
    pub(crate) fn stamp(&mut self, now: Instant) {
        self.table.stamp(now);
    }

    /// Like [`stamp`](Self::stamp), if most likely only this task has none.
    pub(crate) fn stamp_first(&mut self, slot: u32, id: u32, now: Instant) {
        self.table.stamp_one(slot, id, now);
        self.table.stamp(now);
    }
}
