//! The report of a request.

use std::fmt;
use std::time::Duration;

use super::list::list;
use super::{Limit, Outcome, TaskInfo};

/// What happened to the tasks of one request: passed to [`DrainObserver::on_drain`](crate::DrainObserver::on_drain), and found as
/// `Arc<DrainReport>` in the extensions of a response whose head was held, after
/// `TaskTrackerLayer::report_extension(true)`.
///
/// Every task is counted once: `completed`, `failed`, `panicked`, `aborted` and the number of
/// `stragglers` add up to `spawned`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// How the wait ended.
    pub outcome: Outcome,
    /// The limit that closed the window, if one did.
    pub closed_by: Option<Limit>,
    /// For how long the response was kept back, its head and its end together.
    pub held: Duration,
    /// For how long tasks, and what was to be awaited before the release, ran on after the response
    /// was ready, until the last one ended or the window closed.
    pub drain: Duration,
    /// The tasks that the request spawned before it was released. Detached ones are not among them: the end of each is
    /// passed to [`DrainObserver::on_late_end`](crate::DrainObserver::on_late_end).
    pub spawned: usize,
    /// Those that ran to their end.
    pub completed: usize,
    /// Those that returned an `Err`, of the [`fallible`](crate::TaskBuilder::fallible) ones.
    pub failed: usize,
    /// Those that panicked.
    pub panicked: usize,
    /// Those that were dropped before their end.
    pub aborted: usize,
    /// Whether a [`required`](crate::TaskBuilder::required) task did not complete: it failed,
    /// panicked, was aborted, or was late for the deadline.
    pub required_failed: bool,
    /// Whether the tasks were asked to stop, under [`Unfinished`](crate::Unfinished): those that completed may have done
    /// less than they would have.
    pub cancelled: bool,
    /// The task whose end released the response; `None` where none was waited for, or not to its
    /// end.
    pub last: Option<TaskInfo>,
    /// The tasks that failed, panicked or were aborted, in the order of their ends: the first 1,024 of them.
    pub failures: Vec<TaskInfo>,
    /// The tasks that were alive when the window closed, or when the response was dropped, in the order of their
    /// spawns. How each of them ends is passed to [`DrainObserver::on_late_end`](crate::DrainObserver::on_late_end).
    pub stragglers: Vec<TaskInfo>,
}

impl DrainReport {
    /// Whether every task ran to its end in time.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.completed == self.spawned
    }

    /// Whether a straggler is why the response failed: a required one that was late. A client that left fails
    /// nothing.
    fn is_failed_late(&self, straggler: &TaskInfo) -> bool {
        let is_late = matches!(self.outcome, Outcome::DeadlineExceeded | Outcome::Shutdown);
        straggler.required && is_late
    }
}

impl fmt::Display for DrainReport {
    /// One line for a log, such as `drained: 2 of 2 tasks completed, held 201.3ms`. Required tasks that failed
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
            // There are detached ones, which are not counted here, or none.
            0 => f.write_str(": no task to wait for")?,
            spawned => write!(f, ": {} of {spawned} tasks completed", self.completed)?,
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
