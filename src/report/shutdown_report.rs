//! The report of a shutdown.

use std::fmt;
use std::time::Duration;

use super::list::list;
use super::{LiveTask, TaskInfo};

/// What happened to the tasks of a process that shut down. [`TrackerHandle::shutdown`](crate::TrackerHandle::shutdown)
/// returns it.
///
/// It counts the tasks that ended since the shutdown began. Tasks in [`Tasks::tracker`](crate::Tasks::tracker) are not
/// counted, but are among those that are still running.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How much time has passed since the shutdown began, on tokio's clock.
    pub waited: Duration,
    /// How many tasks ran to their end.
    pub completed: usize,
    /// How many fallible tasks returned an `Err`.
    pub failed: usize,
    /// How many tasks panicked.
    pub panicked: usize,
    /// How many tasks were dropped before their end.
    pub aborted: usize,
    /// How many tasks did not complete, and were [handed off](crate::TaskBuilder::or_hand_off) instead.
    pub handed_off: usize,
    /// The tasks that failed, panicked or were aborted, in the order in which they ended: the first 1,024 of them.
    pub failures: Vec<TaskInfo>,
    /// The tasks that were still alive at the end: blocking closures, work that runs elsewhere, futures that did not
    /// yield, and tasks whose destructors took longer than 110 ms. A task that awaits the shutdown is not among them.
    pub still_running: Vec<LiveTask>,
}

impl ShutdownReport {
    /// Returns true if no task failed, panicked or was aborted since the shutdown began, and none is alive. Tasks may
    /// have been handed off.
    ///
    /// How tasks in [`Tasks::tracker`](crate::Tasks::tracker) ended is not known. A task that stopped because its
    /// cancellation token was cancelled counts as completed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.failed + self.panicked + self.aborted == 0 && self.still_running.is_empty()
    }
}

impl fmt::Display for ShutdownReport {
    /// Writes one line for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.waited.is_zero() {
            f.write_str("shut down at once")?;
        } else {
            write!(f, "shut down after {:.1?}", self.waited)?;
        }
        write!(f, ": {} tasks completed", self.completed)?;
        for (count, what) in [
            (self.failed, "failed"),
            (self.panicked, "panicked"),
            (self.aborted, "aborted"),
            (self.handed_off, "handed off"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        list(f, "; failures: ", self.failures.iter())?;
        list(f, "; still running: ", self.still_running.iter())
    }
}
