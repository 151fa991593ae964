//! Who is alive in a request, and whether anybody ever was.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::Registry;
use super::anonymous::Anonymous;

impl Registry {
    /// How many tasks are alive that are waited for and are not in the tokio-util tracker.
    pub(crate) fn counted(&self) -> usize {
        self.live.alive()
    }

    /// Whether a task is alive that is waited for.
    pub(crate) fn is_busy(&self) -> bool {
        self.counted() > 0 || self.anonymous().is_some_and(|a| !a.tracker().is_empty())
    }

    /// Says so for somebody who waits: what is in the tokio-util tracker counts as seen.
    pub(crate) fn look(&self) -> bool {
        let anonymous = self.anonymous().is_some_and(Anonymous::look);
        self.counted() > 0 || anonymous
    }

    /// How many tasks are alive, detached ones too.
    pub(crate) fn alive(&self) -> usize {
        self.alive_here() + self.alive_in_tracker()
    }

    /// The same, without those in the tokio-util tracker.
    pub(super) fn alive_here(&self) -> usize {
        self.counted() + self.detached.alive()
    }

    pub(super) fn alive_in_tracker(&self) -> usize {
        self.anonymous().map_or(0, |a| a.tracker().len())
    }

    /// Whether there is, or may be, anything to report.
    #[inline]
    pub(crate) fn has_spawned(&self) -> bool {
        self.spawned() > 0 || self.anonymous().is_some() || self.detached.any_spawned()
    }

    /// Whether nothing was spawned, and nobody but its owner has it, who could spawn, or find it on the
    /// roster: nothing is left to agree on with anybody.
    #[inline]
    pub(crate) fn is_unused(self: &Arc<Self>) -> bool {
        let is_alone = Arc::strong_count(self) == 1 && Arc::weak_count(self) == 0;
        // Whoever let go of it has done so after all that he did with it.
        fence(Ordering::Acquire);
        is_alone && !self.has_spawned()
    }

    pub(crate) fn has_spawned_detached(&self) -> bool {
        self.detached.any_spawned()
    }

    /// Whether a task is alive that the response fails with. The count is exact, where what tokio says
    /// of a task may lag behind.
    pub(crate) fn required_unfinished(&self) -> bool {
        self.required.load(Ordering::Acquire) > 0
    }

    /// Whether a task has failed that the response fails with.
    pub(crate) fn required_failed(&self) -> bool {
        // Relaxed: who waits for the task has seen its end, which comes after this was set.
        self.any_required.load(Ordering::Relaxed) && self.ledger().required_failed
    }

    /// How many tasks were counted in, late ones too.
    #[inline]
    pub(crate) fn spawned(&self) -> usize {
        self.live.spawned()
    }

    /// The id of the task whose end left none alive.
    pub(crate) fn last(&self) -> u32 {
        self.live.last()
    }
}
