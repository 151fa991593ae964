//! Stops tasks.

use tokio_util::sync::CancellationToken;

use super::{Phase, State};
use crate::request::effects::Effects;
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

impl<H: Clone> State<H> {
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
