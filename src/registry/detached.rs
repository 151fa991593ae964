//! The tasks of a request that nobody waits for.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::live::Added;

/// Sets their ids apart from those of tasks that are waited for.
const DETACHED: u32 = 1 << 31;

/// Whether a task of this id is counted here.
#[inline]
pub(super) fn is_detached(id: u32) -> bool {
    id & DETACHED != 0
}

/// Counts the detached tasks of a request. They have no part in its release, so that they are not in
/// the word that decides it.
#[derive(Debug, Default)]
pub(crate) struct Detached {
    alive: AtomicUsize,
    spawned: AtomicU32,
}

impl Detached {
    pub(crate) fn alive(&self) -> usize {
        // Acquire: who sees none alive sees what the last one did before `remove`.
        self.alive.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn any_spawned(&self) -> bool {
        self.spawned.load(Ordering::Relaxed) > 0
    }

    /// Counts a task in, for so many to `remove`.
    pub(crate) fn add(&self, removals: usize) -> Added {
        // Relaxed: the task hands nothing over by being counted.
        self.alive.fetch_add(removals, Ordering::Relaxed);
        Added {
            id: DETACHED | self.spawned.fetch_add(1, Ordering::Relaxed),
            late: true,
        }
    }

    pub(crate) fn remove(&self) {
        self.alive.fetch_sub(1, Ordering::Release);
    }
}
