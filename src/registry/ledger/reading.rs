//! What the ledger tells.

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Ledger;
use crate::registry::entry::{Brief, Entry, Pulse};
use crate::report::{TaskInfo, TaskState};

impl Ledger {
    /// How many tasks were listed that the report counts.
    pub(crate) fn listed(&self) -> usize {
        self.listed
    }

    /// Whether there is an entry that has no start.
    pub(crate) fn wants_stamp(&self) -> bool {
        self.unstamped < self.entries.len()
    }

    /// What was said of a task that is listed.
    pub(crate) fn brief(&self, id: u32) -> Option<Brief> {
        Some(self.entries[self.find(id)?].brief)
    }

    /// Whether the handler runs on as a task.
    pub(crate) fn has_handler(&self) -> bool {
        let is_handler = |entry: &Entry| entry.brief.is_handler && !entry.pulse.has_ended();
        self.entries.iter().any(is_handler)
    }

    /// Whether the handler has become a task.
    pub(crate) fn had_handler(&self) -> bool {
        self.entries.iter().any(|entry| entry.brief.is_handler)
    }

    /// What can be aborted, and is alive, of some.
    pub(crate) fn abortable(&self, which: impl Fn(&Entry) -> bool) -> Vec<AbortHandle> {
        let is_alive = |entry: &&Entry| !entry.pulse.has_ended() && which(entry);
        let alive = self.entries.iter().filter(is_alive);
        let handle = |entry: &Entry| match &entry.pulse {
            Pulse::Spawned(handle) => Some(handle.clone()),
            Pulse::Elsewhere | Pulse::Ended(_) => None,
        };
        alive.filter_map(handle).collect()
    }

    /// All tasks that are alive, except these.
    pub(crate) fn alive(&self, now: Instant, but: &[u32]) -> Vec<TaskInfo> {
        self.entries
            .iter()
            .filter(|entry| !entry.pulse.has_ended() && !but.contains(&entry.id))
            .map(|entry| entry.info(TaskState::Running, None, Some(now)))
            .collect()
    }

    /// Those that are unfinished.
    pub(crate) fn stragglers(&self, now: Instant) -> Vec<TaskInfo> {
        self.entries
            .iter()
            .filter(|entry| entry.is_unfinished())
            .map(|entry| entry.info(TaskState::Running, None, Some(now)))
            .collect()
    }

    pub(crate) fn troubled(&self) -> Vec<TaskInfo> {
        self.troubled.iter().map(|(_, info)| info.clone()).collect()
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    pub(crate) fn panicked(&self) -> usize {
        self.panicked
    }

    pub(crate) fn aborted(&self) -> usize {
        self.aborted
    }

    /// How many ended as one does that is aborted: its destructor may panic.
    pub(crate) fn stopped(&self) -> usize {
        self.aborted + self.panicked
    }

    /// What is known of a task that has ended.
    pub(crate) fn ended(&self, id: u32, now: Instant) -> Option<TaskInfo> {
        let troubled = self.troubled.iter().find(|(troubled, _)| *troubled == id);
        if let Some((_, info)) = troubled {
            return Some(info.clone());
        }
        let entry = &self.entries[self.find(id)?];
        let state = match entry.pulse {
            Pulse::Ended(state) => state,
            Pulse::Spawned(_) | Pulse::Elsewhere => TaskState::Completed,
        };
        Some(entry.info(state, None, Some(now)))
    }

    pub(super) fn find(&self, id: u32) -> Option<usize> {
        self.entries
            .binary_search_by_key(&id, |entry| entry.id)
            .ok()
            // Detached tasks stand between the others, and spawns that raced may be in the wrong order.
            .or_else(|| self.entries.iter().position(|entry| entry.id == id))
    }
}
