//! The hand-offs: see [`HandOffs`](crate::request::hand_off::HandOffs).

use tokio::time::Instant;

use super::{Phase, Rare, State};
use crate::report::{NotDone, TaskInfo, TaskState};
use crate::request::effects::Effects;
use crate::request::hand_off::{Armed, Begun, HandOff, HandOffFn};
use crate::request::names::put_name;
use crate::request::task::{Admitted, ReportedAs, SlotState, Task, Ticket};

/// What follows from the end of a task that has a hand-off.
#[derive(Debug)]
pub(crate) enum EndOfArmed {
    /// The task ends as any other task. The caller drops the closure outside of the lock.
    Ends(HandOffFn),
    /// The end is ignored, because the hand-off has begun: the task is a blocking closure that could not be stopped.
    Ignored,
}

/// What follows if a task that has a hand-off did not complete.
#[derive(Debug)]
pub(crate) enum NotCompleted<H> {
    /// The hand-off begins. The caller drops the handle, and starts the hand-off.
    HandOff {
        f: HandOffFn,
        why: NotDone,
        handle: Option<H>,
    },
    /// The task ends without a hand-off, because a shutdown has ended. The caller drops the closure outside of the lock.
    Refused(HandOffFn),
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

    /// Ends the hand-off of a task that has completed. The caller then counts the task out, under the same lock, unless
    /// its end is ignored.
    pub(crate) fn disarm(&mut self, id: u32) -> EndOfArmed {
        let hand_offs = self.rare.as_mut().map(|rare| &mut rare.hand_offs);
        let Some(hand_offs) = hand_offs else {
            return EndOfArmed::Ignored;
        };
        match hand_offs.get_mut(id) {
            Some(HandOff::Begun(_)) | None => EndOfArmed::Ignored,
            Some(HandOff::Armed(_) | HandOff::Refused(_)) => match hand_offs.remove(id) {
                Some(HandOff::Armed(Armed { f, .. }) | HandOff::Refused(f)) => EndOfArmed::Ends(f),
                Some(HandOff::Begun(_)) | None => EndOfArmed::Ignored,
            },
        }
    }

    /// Puts the hand-off of a task in its place. The task did not complete, and `own` is the state in which it ended.
    pub(crate) fn hand_off(
        &mut self,
        ticket: Ticket,
        own: TaskState,
        message: Option<String>,
    ) -> NotCompleted<H> {
        let Some(Rare { hand_offs, .. }) = self.rare.as_deref_mut() else {
            return NotCompleted::Ignored;
        };
        match hand_offs.get_mut(ticket.id) {
            Some(HandOff::Armed(_)) => {}
            Some(HandOff::Refused(_)) => {
                return match hand_offs.remove(ticket.id) {
                    Some(HandOff::Refused(f)) => NotCompleted::Refused(f),
                    _ => NotCompleted::Ignored,
                };
            }
            Some(HandOff::Begun(_)) | None => return NotCompleted::Ignored,
        }
        let (Some((f, why)), Some(entry)) = (
            hand_offs.begin(ticket.id, own, message),
            self.table.get_mut(ticket.slot, ticket.id),
        ) else {
            return NotCompleted::Ignored;
        };
        let before = std::mem::replace(&mut entry.slot_state, SlotState::Spawning);
        NotCompleted::HandOff {
            f,
            why,
            handle: before.into_handle(),
        }
    }

    /// Notes that a blocking closure begins to run. It cannot be stopped from now on. If it was to be stopped before,
    /// its hand-off begins, and the closure runs beside it.
    pub(crate) fn closure_begins(&mut self, task: Task) -> Option<NotCompleted<H>> {
        let hand_off = self.rare.as_mut()?.hand_offs.get_mut(task.ticket.id)?;
        let HandOff::Armed(armed) = hand_off else {
            return None;
        };
        armed.closure = Some(task);
        armed.stopped?;
        Some(self.hand_off(task.ticket, TaskState::Aborted, None))
    }

    /// Records the end of a hand-off that has succeeded, before it counts out.
    pub(crate) fn handed_off(&mut self, ticket: Ticket, now: Instant) -> Option<HandedOff<H>> {
        let begun = self.take_begun(ticket.id)?;
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

    /// Returns how the task ended whose hand-off has ended.
    pub(crate) fn take_begun(&mut self, id: u32) -> Option<Begun> {
        match self.rare.as_mut()?.hand_offs.remove(id)? {
            HandOff::Begun(begun) => Some(begun),
            HandOff::Armed(_) | HandOff::Refused(_) => None,
        }
    }

    /// Returns whether a response waits for a task that has a hand-off and was not stopped.
    pub(crate) fn awaits_hand_off(&self) -> bool {
        self.any_hand_off_due(true)
    }

    /// Returns whether a task has a hand-off and was not stopped. `awaited`: only those that a response waits for.
    pub(crate) fn any_hand_off_due(&self, awaited: bool) -> bool {
        let rare = self.rare.as_ref();
        rare.is_some_and(|rare| rare.hand_offs.any_due(awaited))
    }
}
