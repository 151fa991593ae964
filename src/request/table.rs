//! The tasks of a request that are alive, each in a slot.

use super::task::{Brief, Entry, Pulse, Standing};
use tokio::time::Instant;

/// The memory of more slots than this is given back when the request is over.
const MAX_ROOM: usize = 64;

/// No slot.
const NONE: u32 = u32::MAX;

/// Slots that are used again: a task that ends leaves its slot to the next one. So a slot alone does not name a task,
/// its id has to match too.
///
/// `H`: what aborts a task.
#[derive(Debug)]
pub(crate) struct Table<H> {
    /// In the request itself: most requests have one task.
    first: Slot<H>,
    rest: Vec<Slot<H>>,
    /// The free slot that was left last.
    free: u32,
    /// How many tasks were ever listed: the id of the next one.
    listed: u32,
    /// How many entries have no start.
    unstamped: u32,
}

#[derive(Debug)]
enum Slot<H> {
    /// With the free slot that was left before this one.
    Free(u32),
    Taken(Entry<H>),
}

impl<H> Table<H> {
    pub(crate) const fn new() -> Self {
        Self {
            first: Slot::Free(NONE),
            rest: Vec::new(),
            free: 0,
            listed: 0,
            unstamped: 0,
        }
    }

    /// Lists a task, and returns its slot and its id.
    #[inline]
    pub(crate) fn add(&mut self, brief: Brief, standing: Standing, pulse: Pulse<H>) -> (u32, u32) {
        let id = self.listed;
        self.listed = self.listed.wrapping_add(1);
        self.unstamped += 1;
        let entry = Slot::Taken(Entry {
            id,
            brief,
            standing,
            pulse,
            started: None,
        });
        let slot = self.free;
        if slot == NONE {
            self.rest.push(entry);
            return (self.rest.len() as u32, id);
        }
        let place = self.place(slot);
        if let Slot::Free(next) = std::mem::replace(place, entry) {
            self.free = next;
        }
        (slot, id)
    }

    /// Takes a task out. The caller has its slot from [`add`](Self::add), and calls this once.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Entry<H>> {
        let free = self.free;
        let Slot::Taken(entry) = std::mem::replace(self.place(slot), Slot::Free(free)) else {
            return None;
        };
        self.free = slot;
        self.unstamped -= u32::from(entry.started.is_none());
        Some(entry)
    }

    /// The task of this id, if it still is in this slot.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32, id: u32) -> Option<&mut Entry<H>> {
        match self.place(slot) {
            Slot::Taken(entry) if entry.id == id => Some(entry),
            _ => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<H>> {
        let all = std::iter::once(&self.first).chain(&self.rest);
        all.filter_map(|slot| match slot {
            Slot::Taken(entry) => Some(entry),
            Slot::Free(_) => None,
        })
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<H>> {
        let all = std::iter::once(&mut self.first).chain(&mut self.rest);
        all.filter_map(|slot| match slot {
            Slot::Taken(entry) => Some(entry),
            Slot::Free(_) => None,
        })
    }

    /// How many tasks were ever listed.
    #[inline]
    pub(crate) fn listed(&self) -> u32 {
        self.listed
    }

    #[inline]
    pub(crate) fn wants_stamp(&self) -> bool {
        self.unstamped > 0
    }

    /// Gives a start to one task, without a walk over all of them.
    pub(crate) fn stamp_one(&mut self, slot: u32, id: u32, now: Instant) {
        let entry = self.get_mut(slot, id);
        if let Some(entry) = entry.filter(|entry| entry.started.is_none()) {
            entry.started = Some(now);
            self.unstamped -= 1;
        }
    }

    /// Gives a start to all that have none.
    pub(crate) fn stamp(&mut self, now: Instant) {
        if !self.wants_stamp() {
            return;
        }
        self.unstamped = 0;
        for entry in self.iter_mut() {
            entry.started.get_or_insert(now);
        }
    }

    /// Clears a table without tasks, and keeps some of its memory.
    pub(crate) fn reset(&mut self) {
        if self.rest.capacity() > MAX_ROOM {
            *self = Self::new();
        }
        self.listed = 0;
    }

    #[inline]
    fn place(&mut self, slot: u32) -> &mut Slot<H> {
        match slot {
            0 => &mut self.first,
            _ => &mut self.rest[slot as usize - 1],
        }
    }
}
