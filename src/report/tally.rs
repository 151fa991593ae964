//! The numbers of a report.

use super::TaskState;

/// How many tasks that did not complete are kept with their messages. A limit is needed, because a response may go on
/// for days.
pub(crate) const MAX_FAILURES: usize = 1024;

/// The numbers of the tasks that a report counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) spawned: usize,
    pub(crate) failed: usize,
    pub(crate) panicked: usize,
    pub(crate) aborted: usize,
    pub(crate) handed_off: usize,
}

impl Tally {
    /// Counts the end of a task that was counted as spawned.
    pub(crate) fn count_end(&mut self, state: TaskState) {
        match state {
            TaskState::Failed => self.failed += 1,
            TaskState::Panicked => self.panicked += 1,
            TaskState::Aborted => self.aborted += 1,
            TaskState::HandedOff => self.handed_off += 1,
            TaskState::Completed | TaskState::Running => {}
        }
    }

    /// Returns how many tasks were aborted or panicked. Both, because the destructor of an aborted task may panic.
    pub(crate) fn stopped(&self) -> usize {
        self.aborted + self.panicked
    }

    /// Returns how many tasks have completed, if `alive` tasks are still alive.
    pub(crate) fn completed(&self, alive: usize) -> usize {
        let others = self.failed + self.panicked + self.aborted + self.handed_off + alive;
        self.spawned.saturating_sub(others)
    }
}
