//! The report of a request.

use std::fmt;
use std::time::Duration;

use super::list::list;
use super::{Limit, Outcome, TaskInfo};

/// What happened to the tasks of one request. It is passed to
/// [`DrainObserver::on_drain`](crate::DrainObserver::on_drain). After `TaskTrackerLayer::report_extension(true)`, a
/// response whose head was held has it in its extensions too, as an `Arc<DrainReport>`.
///
/// Every task is counted once: `completed`, `failed`, `panicked`, `aborted`, `handed_off` and the number of `stragglers`
/// add up to `spawned`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// How the wait for the tasks ended.
    pub outcome: Outcome,
    /// The limit that closed the window; `None` if the window did not close at a limit.
    pub closed_by: Option<Limit>,
    /// How long the response was held, on tokio's clock: its head and its end together.
    pub held: Duration,
    /// How long tasks and `before_release` hooks ran on after the response was ready, until the last one ended or the
    /// window closed. On tokio's clock.
    pub drain: Duration,
    /// How many tasks the request spawned before it was released, without detached tasks. Includes the largest number
    /// of tasks in [`Tasks::tracker`](crate::Tasks::tracker) that were found alive at a time. The end of each detached
    /// task is passed to [`DrainObserver::on_late_end`](crate::DrainObserver::on_late_end).
    pub spawned: usize,
    /// How many tasks ran to their end. Includes the largest number of tasks in
    /// [`Tasks::tracker`](crate::Tasks::tracker) that were found alive at a time, unless they are stragglers: how they
    /// ended is not known.
    pub completed: usize,
    /// How many [`fallible`](crate::TaskBuilder::fallible) tasks returned an `Err`.
    pub failed: usize,
    /// How many tasks panicked.
    pub panicked: usize,
    /// How many tasks were dropped before their end.
    pub aborted: usize,
    /// How many tasks did not complete, and were [handed off](crate::TaskBuilder::or_hand_off) instead. A task whose
    /// hand-off failed is counted by how the task itself ended.
    pub handed_off: usize,
    /// True if a [`required`](crate::TaskBuilder::required) task did not complete: it failed, panicked, was aborted, or
    /// was alive at the deadline.
    pub required_failed: bool,
    /// True if the request's token was cancelled to stop the tasks, as [`Unfinished`](crate::Unfinished) sets it. A
    /// task that completed may then have done only a part of its work.
    pub cancelled: bool,
    /// The task whose end released the response; `None` if the response did not wait for a task, or the wait ended
    /// earlier.
    pub last: Option<TaskInfo>,
    /// The tasks that failed, panicked or were aborted, in the order in which they ended: the first 1,024 of them. If
    /// the hand-off of a task failed, its message is that of the hand-off. A task that was handed off is not here.
    pub failures: Vec<TaskInfo>,
    /// The tasks that were alive when the window closed, or when the response was dropped, in the order in which they
    /// were spawned. The end of each is passed to [`DrainObserver::on_late_end`](crate::DrainObserver::on_late_end).
    pub stragglers: Vec<TaskInfo>,
}

impl DrainReport {
    /// Returns true if every task that the report counts ran to its end in time, or was handed off in time.
    ///
    /// It ignores detached tasks, and how tasks in [`Tasks::tracker`](crate::Tasks::tracker) ended. It is true also if
    /// only a `before_release` hook was cut off: see [`outcome`](Self::outcome).
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.completed + self.handed_off == self.spawned
    }

    /// Returns true if the response failed because this straggler, a required task, was late. If the client has left,
    /// no response has failed.
    fn is_failed_late(&self, straggler: &TaskInfo) -> bool {
        let is_late = matches!(self.outcome, Outcome::DeadlineExceeded | Outcome::Shutdown);
        straggler.required && is_late
    }
}

impl fmt::Display for DrainReport {
    /// Writes one line for a log, such as `drained: 2 of 2 tasks completed, held 201.3ms`. Required tasks that failed
    /// come first, then the other tasks that failed, then the stragglers: the first 16 of each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Drained => "drained",
            Outcome::DeadlineExceeded => "deadline exceeded",
            Outcome::Shutdown => "shut down",
            Outcome::Dropped => "dropped",
            #[cfg(feature = "http")]
            Outcome::Upgraded => "upgraded",
        };
        f.write_str(outcome)?;
        if let Some(limit) = self.closed_by {
            write!(f, " ({limit})")?;
        }
        match self.spawned {
            // Zero also if the request has only detached tasks.
            0 => f.write_str(": no task to wait for")?,
            spawned => write!(f, ": {} of {spawned} tasks completed", self.completed)?,
        }
        if self.handed_off > 0 {
            write!(f, ", {} handed off", self.handed_off)?;
        }
        if self.held.is_zero() {
            f.write_str(", not held")?;
        } else {
            write!(f, ", held {:.1?}", self.held)?;
        }
        if self.required_failed {
            f.write_str("; a required task has failed")?;
            let late = self
                .stragglers
                .iter()
                .filter(|task| self.is_failed_late(task));
            let failed = self.failures.iter().filter(|task| task.required);
            list(f, ": ", failed.chain(late))?;
        }
        if self.cancelled {
            f.write_str("; asked to stop")?;
        }
        let others = self.failures.iter().filter(|task| !task.required);
        list(f, "; failures: ", others)?;
        let others = self
            .stragglers
            .iter()
            .filter(|task| !self.is_failed_late(task));
        list(f, "; stragglers: ", others)
    }
}
