//! Counts tasks out.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Phase, Rare, State, WakesOn};
use crate::report::{MAX_FAILURES, TaskState};
use crate::request::account::Last;
use crate::request::effects::{Completed, Effects, Failure, LateEnd};
use crate::request::names::put_name;
use crate::request::table::Removed;
use crate::request::task::{Entry, Kind, ReportedAs, SlotState};

impl<H> State<H> {
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
            let Rare {
                failures,
                hand_offs,
                ..
            } = &mut **self.rare.get_or_insert_default();
            hand_offs.remove_failed(id, true);
            if failures.len() < MAX_FAILURES {
                failures.push((id, info.clone()));
            }
        } else if let Some(rare) = &mut self.rare {
            rare.hand_offs.remove_failed(id, false);
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
}
