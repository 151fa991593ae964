//! The hand-offs: see [`HandOffs`](crate::request::hand_off::HandOffs).

use tokio::time::Instant;

use super::{Phase, State};
use crate::report::{NotDone, TaskInfo, TaskState};
use crate::request::effects::{Attached, Effects};
use crate::request::hand_off::{Armed, Begun, BesideClosure, Closure, HandOff, HandOffFn, Which};
use crate::request::names::put_name;
use crate::request::task::{Admitted, ReportedAs, SlotState, Ticket};

/// What follows from the end of a task that has a hand-off.
#[derive(Debug)]
pub(crate) enum EndOfArmed {
    /// The task ends as any other task. The caller drops its hand-off outside of the lock, and then counts it out.
    Ends(Armed),
    /// The end is ignored, because the hand-off has begun: the task is a blocking closure that could not be stopped.
    Ignored,
}

/// What follows if a task that has a hand-off did not complete.
#[derive(Debug)]
pub(crate) enum NotCompleted<H> {
    /// The hand-off begins. The caller drops the handle, and starts the hand-off.
    HandOff {
        armed: Armed,
        why: NotDone,
        handle: Option<H>,
    },
    /// The task ends without a hand-off, because a shutdown has ended. The caller drops the hand-off outside of the
    /// lock.
    Refused(Armed),
    /// As [`EndOfArmed::Ignored`].
    Ignored,
}

/// A hand-off that has ended as a success.
#[derive(Debug)]
pub(crate) struct HandedOff<H> {
    pub(crate) info: TaskInfo,
    pub(crate) begun: Begun,
    /// True if the report counts this end.
    pub(crate) is_counted: bool,
    /// The abort handle to drop outside of the lock.
    pub(crate) handle: Option<H>,
}

impl<H> State<H> {
    /// Adds the hand-off of a task that was listed just before. An open window gets one more step, so the wait is woken.
    pub(crate) fn arm(&mut self, admitted: &Admitted, f: HandOffFn) -> Effects<H> {
        let rare = self.rare.get_or_insert_default();
        rare.hand_offs.arm(admitted.id, f, admitted.is_counted);
        match self.phase {
            Phase::Window { .. } => self.wake(),
            _ => Effects::none(),
        }
    }

    /// Notes that a task is a blocking closure. If it was stopped by now, its hand-off begins. Takes the closure if the
    /// task still has a hand-off.
    pub(crate) fn note_closure(&mut self, closure: &mut Option<Closure>) -> Option<BesideClosure> {
        let ticket = closure.as_ref()?.task.ticket;
        let hand_offs = &mut self.rare.as_mut()?.hand_offs;
        match hand_offs.get_mut(ticket.id)? {
            HandOff::Armed(armed) | HandOff::Refused(armed) => armed.closure = closure.take(),
            HandOff::Begun(_) => {}
        }
        let beside = hand_offs.begin_beside_closure(ticket.id)?;
        if let Some(entry) = self.table.get_mut(ticket.slot, ticket.id) {
            // The closure is not spawned yet, so there is no handle.
            entry.slot_state = SlotState::HandOffSpawning;
        }
        Some(beside)
    }

    /// Ends the hand-off of a task that has completed.
    pub(crate) fn disarm(&mut self, id: u32) -> EndOfArmed {
        match self.take_unbegun(id) {
            Some(HandOff::Armed(armed) | HandOff::Refused(armed)) => EndOfArmed::Ends(armed),
            Some(HandOff::Begun(_)) | None => EndOfArmed::Ignored,
        }
    }

    /// Puts the hand-off of a task in its place. The task did not complete, and `own` is the state in which it ended.
    pub(crate) fn hand_off(
        &mut self,
        ticket: Ticket,
        own: TaskState,
        message: Option<String>,
    ) -> NotCompleted<H> {
        let entry = self.table.get_mut(ticket.slot, ticket.id);
        let rare = self.rare.as_mut();
        if let (Some(rare), Some(entry)) = (rare, entry) {
            if let Some((armed, why)) = rare.hand_offs.begin(ticket.id, own, message) {
                let before = std::mem::replace(&mut entry.slot_state, SlotState::HandOffSpawning);
                return NotCompleted::HandOff {
                    armed,
                    why,
                    handle: before.into_handle(),
                };
            }
        }
        match self.take_unbegun(ticket.id) {
            Some(HandOff::Refused(armed)) => NotCompleted::Refused(armed),
            _ => NotCompleted::Ignored,
        }
    }

    /// Removes the hand-off of a task, unless it has begun.
    fn take_unbegun(&mut self, id: u32) -> Option<HandOff> {
        let hand_offs = &mut self.rare.as_mut()?.hand_offs;
        match hand_offs.get(id)? {
            HandOff::Begun(_) => None,
            HandOff::Armed(_) | HandOff::Refused(_) => hand_offs.remove(id),
        }
    }

    /// Like [`attach`](Self::attach), for the abort handle of a hand-off.
    pub(crate) fn attach_hand_off(&mut self, ticket: Ticket, handle: H) -> Attached<H> {
        let entry = self.table.get_mut(ticket.slot, ticket.id);
        match entry.map(|entry| &mut entry.slot_state) {
            Some(slot_state @ SlotState::HandOffSpawning) => {
                *slot_state = SlotState::Spawned(handle);
                Attached::Kept
            }
            Some(slot_state @ SlotState::HandOffAbortPending) => {
                *slot_state = SlotState::Elsewhere;
                Attached::ToAbort(handle)
            }
            _ => Attached::Ended(handle),
        }
    }

    /// Records the end of a hand-off that has succeeded, before it counts out.
    pub(crate) fn handed_off(&mut self, ticket: Ticket, now: Instant) -> Option<HandedOff<H>> {
        let begun = self.begun(ticket.id)?;
        self.rare.as_mut()?.hand_offs.remove(ticket.id);
        let entry = self.table.get_mut(ticket.slot, ticket.id)?;
        let ended = SlotState::Ended(TaskState::HandedOff);
        let handle = std::mem::replace(&mut entry.slot_state, ended).into_handle();
        let mut info = entry.info(TaskState::HandedOff, None, Some(now));
        if entry.has_computed_name {
            let names = self.rare.as_ref().map(|rare| &rare.names);
            put_name(&mut info, names.and_then(|names| names.get(ticket.id)));
        }
        let is_counted = entry.reported_as == ReportedAs::Counted;
        if is_counted {
            self.tally.count_end(TaskState::HandedOff);
        }
        Some(HandedOff {
            info,
            begun,
            is_counted,
            handle,
        })
    }

    /// Returns how a task ended whose hand-off has begun.
    pub(crate) fn begun(&self, id: u32) -> Option<Begun> {
        self.rare.as_ref()?.hand_offs.begun(id).cloned()
    }

    /// Returns whether any of these tasks has a hand-off and was not stopped.
    pub(crate) fn any_hand_off_due(&self, which: Which) -> bool {
        let rare = self.rare.as_ref();
        rare.is_some_and(|rare| rare.hand_offs.any_due(which))
    }
}
