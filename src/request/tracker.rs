//! The tokio-util `TaskTracker` of a request, and what a report contains about its tasks. Their names, locations and
//! ends are not visible.

use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::report::{TaskInfo, TaskState};

/// The tokio-util tracker of a request, and what a report contains about its tasks.
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(super) tracker: TaskTracker,
    /// Where the tracker was requested first, and when. A report has nothing else about its tasks.
    pub(super) location: &'static Location<'static>,
    since: Instant,
    /// The highest number of tasks that were found alive at a time: at a look of the wait, when a head was sent, or at
    /// the release. It is a count for the report, and orders no other access: Relaxed.
    peak: AtomicUsize,
}

impl Tracker {
    pub(super) fn new(location: &'static Location<'static>) -> Self {
        Self {
            tracker: TaskTracker::new(),
            location,
            since: Instant::now(),
            peak: AtomicUsize::new(0),
        }
    }

    /// Returns the highest number of tasks that were found alive at a time.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Returns whether tasks are alive, and updates the peak. Closes the tracker, so that a wait for it can end.
    pub(crate) fn look(&self) -> bool {
        self.tracker.close();
        self.update_peak() > 0
    }

    /// Returns how many tasks are alive, and updates the peak.
    pub(crate) fn update_peak(&self) -> usize {
        let alive = self.tracker.len();
        self.peak.fetch_max(alive, Ordering::Relaxed);
        alive
    }

    /// Returns what a report contains about each of its tasks.
    pub(crate) fn info(&self, state: TaskState, now: Instant) -> TaskInfo {
        TaskInfo {
            name: None,
            location: self.location,
            age: now.saturating_duration_since(self.since),
            required: false,
            state,
            message: None,
        }
    }

    /// Returns the tasks that are alive.
    pub(crate) fn alive(&self, now: Instant) -> impl Iterator<Item = TaskInfo> {
        std::iter::repeat_n(self.info(TaskState::Running, now), self.tracker.len())
    }
}
