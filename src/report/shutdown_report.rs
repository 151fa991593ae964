//! The report of a shutdown.

use std::fmt;
use std::time::Duration;

use super::list::list;
use super::{LiveTask, TaskInfo};

/// What became of the tasks of a process that shut down, from
/// [`TrackerHandle::shutdown`](crate::TrackerHandle::shutdown).
///
/// The counts are of tasks that ended since the shutdown began. What runs in
/// [`Tasks::tracker`](crate::Tasks::tracker) is not among them, but among those still running.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long ago the shutdown began.
    pub waited: Duration,
    /// Tasks that ran to their end.
    pub completed: usize,
    /// Fallible tasks that returned an `Err`.
    pub failed: usize,
    /// Tasks that panicked.
    pub panicked: usize,
    /// Tasks that were dropped before their end.
    pub aborted: usize,
    /// The tasks that failed, panicked or were aborted, in the order of their ends: the first 1,024 of
    /// them.
    pub failures: Vec<TaskInfo>,
    /// Tasks that could not be stopped: blocking closures, and what runs elsewhere. A task that is awaiting
    /// the shutdown itself is not among them.
    pub still_running: Vec<LiveTask>,
}

impl ShutdownReport {
    /// Whether nothing was lost: every task ran to its end.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.failed + self.panicked + self.aborted == 0 && self.still_running.is_empty()
    }
}

impl fmt::Display for ShutdownReport {
    /// One line for a log.
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
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        list(f, "; failures: ", self.failures.iter())?;
        list(f, "; still running: ", self.still_running.iter())
    }
}
