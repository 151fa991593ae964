//! Stops tasks.

use tokio_util::sync::CancellationToken;

use super::{Phase, State};
use crate::report::NotDone;
use crate::request::effects::{Effects, Stops};
use crate::request::hand_off::{BesideClosure, HandOff, HandOffs, Which};
use crate::request::task::{Entry, SlotState};

impl<H> State<H> {
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
}

/// What a stop means for the hand-offs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The tasks are handed off for this reason. Hand-offs that have begun go on.
    HandOff(NotDone),
    /// A shutdown has ended. Hand-offs are stopped too, and none begins.
    EndOfShutdown,
}

impl<H: Clone> State<H> {
    /// Stops the unfinished tasks. A task that is about to be spawned is aborted when its handle is attached.
    pub(crate) fn stop_unfinished(&mut self, why: NotDone) -> Stops<H> {
        let is_left = self.phase == Phase::Leaving;
        self.stop(Stop::HandOff(why), |entry, _| {
            entry.is_waited_for() && !(is_left && entry.is_handler)
        })
    }

    /// Stops all tasks except for these, in the same way.
    pub(crate) fn stop_all_except(&mut self, stop: Stop, spared: &[u32]) -> Stops<H> {
        self.stop(stop, |entry, _| {
            entry.is_alive() && !spared.contains(&entry.id)
        })
    }

    /// Stops those of these tasks that have a hand-off, except for the ones in `spared`.
    pub(crate) fn stop_for_hand_off(
        &mut self,
        why: NotDone,
        these: Which,
        spared: &[u32],
    ) -> Stops<H> {
        if !self.any_hand_off_due(these) {
            return Stops::none();
        }
        self.stop(Stop::HandOff(why), |entry, hand_offs| {
            let is_due = hand_offs.is_some_and(|all| all.is_due(entry.id, these));
            is_due && entry.is_alive() && !spared.contains(&entry.id)
        })
    }

    fn stop(
        &mut self,
        stop: Stop,
        which: impl Fn(&Entry<H>, Option<&HandOffs>) -> bool,
    ) -> Stops<H> {
        let Self { table, rare, .. } = self;
        let mut hand_offs = rare.as_deref_mut().map(|rare| &mut rare.hand_offs);
        let mut handles: Vec<(u32, H)> = Vec::new();
        let mut beside_closures: Vec<BesideClosure> = Vec::new();
        for entry in table.iter_mut() {
            if !which(entry, hand_offs.as_deref()) {
                continue;
            }
            let hand_off = hand_offs.as_mut().and_then(|all| all.get_mut(entry.id));
            match (hand_off, stop) {
                (None, _) | (Some(HandOff::Refused(_)), _) => {}
                (Some(HandOff::Begun(_)), Stop::HandOff(_)) => continue,
                (Some(HandOff::Begun(begun)), Stop::EndOfShutdown) => begun.is_stopped = true,
                (Some(HandOff::Armed(armed)), Stop::HandOff(why)) => {
                    armed.stopped.get_or_insert(why);
                }
                (Some(HandOff::Armed(_)), Stop::EndOfShutdown) => {
                    if let Some(all) = &mut hand_offs {
                        all.refuse(entry.id);
                    }
                }
            }
            if let Some(all) = &mut hand_offs {
                if let Some(beside) = all.begin_beside_closure(entry.id) {
                    let hand_off = SlotState::HandOffSpawning;
                    let closure = std::mem::replace(&mut entry.slot_state, hand_off);
                    // The abort keeps a closure from running that still waits for a thread.
                    handles.extend(closure.into_handle().map(|handle| (entry.id, handle)));
                    beside_closures.push(beside);
                    continue;
                }
            }
            match &mut entry.slot_state {
                slot_state @ SlotState::Spawning => *slot_state = SlotState::AbortPending,
                slot_state @ SlotState::HandOffSpawning => {
                    *slot_state = SlotState::HandOffAbortPending;
                }
                SlotState::Spawned(handle) => handles.push((entry.id, handle.clone())),
                SlotState::AbortPending
                | SlotState::HandOffAbortPending
                | SlotState::Elsewhere
                | SlotState::Ended(_)
                | SlotState::Free(_) => {}
            }
        }
        // In the order of the spawns.
        handles.sort_unstable_by_key(|(id, _)| *id);
        beside_closures.sort_unstable_by_key(|beside| beside.closure.task.ticket.id);
        Stops {
            handles: handles.into_iter().map(|(_, handle)| handle).collect(),
            hand_offs: beside_closures,
        }
    }
}
