//! The tasks of a request that are alive, each in a slot.

use super::task::{Begins, Entry, Kind, ReportedAs, SlotState, TaskSpec};
use crate::report::TaskState;
use tokio::time::Instant;

/// If a table has room for more slots than this, its memory is freed when the request is over.
const MAX_ROOM: usize = 64;

/// No slot.
const NONE: u32 = u32::MAX;

/// Slots, which are used again: a task that ends leaves its slot to the next one. So a slot alone does not identify a
/// task, and the id has to match too.
///
/// An entry is too large to be moved. So a task is written into its slot field by field. When it ends, only its state
/// is removed.
///
/// `H`: the handle that aborts a task.
#[derive(Debug)]
pub(crate) struct Table<H> {
    /// The first slot. It is in the request itself, because most requests have one task.
    first: Entry<H>,
    rest: Vec<Entry<H>>,
    /// The free slot that was left last, or [`NONE`].
    free: u32,
    /// How many tasks were ever listed. This is the id of the next one.
    listed: u32,
    /// How many entries have no start.
    unstamped: u32,
}

/// A task that was removed.
#[derive(Debug)]
pub(crate) struct Removed<'a, H> {
    /// The handle, if one was attached.
    pub(crate) handle: Option<H>,
    /// The state in which it ended.
    pub(crate) state: TaskState,
    /// The entry, which still contains everything except for the state.
    pub(crate) entry: &'a mut Entry<H>,
}

impl<H> Table<H> {
    pub(crate) const fn new() -> Self {
        Self {
            first: Entry::free(NONE),
            rest: Vec::new(),
            free: 0,
            listed: 0,
            unstamped: 0,
        }
    }

    /// Lists a task, and returns its slot and its id. `kind` replaces the kind of the spec.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        spec: TaskSpec,
        kind: Kind,
        reported_as: ReportedAs,
        begins: Begins,
    ) -> (u32, u32) {
        let id = self.listed;
        self.listed = id.wrapping_add(1);
        self.unstamped += 1;
        let slot = self.free;
        let slot = if slot == NONE { self.grow() } else { slot };
        self.free = self.place(slot).fill(id, spec, kind, reported_as, begins);
        (slot, id)
    }

    /// Adds a slot. There is no free one.
    #[cold]
    fn grow(&mut self) -> u32 {
        self.rest.push(Entry::free(NONE));
        self.rest.len() as u32
    }

    /// Removes a task. The caller has the slot from [`add`](Self::add), and calls this once for it.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Removed<'_, H>> {
        self.remove_if(slot, |entry| !entry.is_free())
    }

    /// Removes a task if `which` returns true for it. `which` returns false for a free slot.
    #[inline(always)]
    pub(crate) fn remove_if(
        &mut self,
        slot: u32,
        which: impl FnOnce(&Entry<H>) -> bool,
    ) -> Option<Removed<'_, H>> {
        // Not `place`, because the list of free slots changes while the entry is borrowed.
        let entry = match slot {
            0 => &mut self.first,
            _ => &mut self.rest[slot as usize - 1],
        };
        if !which(entry) {
            return None;
        }
        let state = match entry.slot_state {
            SlotState::Ended(state) => state,
            _ => TaskState::Completed,
        };
        let handle =
            std::mem::replace(&mut entry.slot_state, SlotState::Free(self.free)).into_handle();
        self.free = slot;
        self.unstamped -= u32::from(entry.started.is_none());
        Some(Removed {
            handle,
            state,
            entry,
        })
    }

    /// Returns the entry of a task that was removed from this slot just before.
    pub(crate) fn at(&mut self, slot: u32) -> &mut Entry<H> {
        self.place(slot)
    }

    /// Returns the task with this id, if it is still in this slot.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32, id: u32) -> Option<&mut Entry<H>> {
        let entry = self.place(slot);
        (entry.id == id && !entry.is_free()).then_some(entry)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<H>> {
        let all = std::iter::once(&self.first).chain(&self.rest);
        all.filter(|entry| !entry.is_free())
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<H>> {
        let all = std::iter::once(&mut self.first).chain(&mut self.rest);
        all.filter(|entry| !entry.is_free())
    }

    /// Returns how many tasks were ever listed.
    #[inline]
    pub(crate) fn listed(&self) -> u32 {
        self.listed
    }

    /// Returns whether a task has no start.
    #[inline]
    pub(crate) fn wants_stamp(&self) -> bool {
        self.unstamped > 0
    }

    /// Gives a start to one task, without a walk over all slots.
    pub(crate) fn stamp_one(&mut self, slot: u32, id: u32, now: Instant) {
        let entry = self.get_mut(slot, id);
        if let Some(entry) = entry.filter(|entry| entry.started.is_none()) {
            entry.started = Some(now);
            self.unstamped -= 1;
        }
    }

    /// Gives a start to all tasks that have none.
    pub(crate) fn stamp(&mut self, now: Instant) {
        if !self.wants_stamp() {
            return;
        }
        self.unstamped = 0;
        // Also to free slots. The next task there clears it.
        self.first.started.get_or_insert(now);
        for entry in &mut self.rest {
            entry.started.get_or_insert(now);
        }
    }

    /// Clears a table without tasks. Keeps some of its memory.
    #[inline]
    pub(crate) fn reset(&mut self) {
        if self.rest.capacity() > MAX_ROOM {
            self.give_room_back();
        }
        self.listed = 0;
    }

    #[cold]
    fn give_room_back(&mut self) {
        *self = Self::new();
    }

    #[inline]
    fn place(&mut self, slot: u32) -> &mut Entry<H> {
        match slot {
            0 => &mut self.first,
            _ => &mut self.rest[slot as usize - 1],
        }
    }
}
