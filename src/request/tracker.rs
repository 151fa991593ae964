//! The tokio-util `TaskTracker` of a request: its tasks are counted and waited for, but nothing of their names, places or
//! ends can be seen.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::Request;
use super::task::{Begins, Kind, Parent, TaskSpec};
use crate::report::{TaskInfo, TaskState};

#[derive(Debug)]
pub(crate) struct Tracker {
    tracker: TaskTracker,
    /// Where the tracker was asked for first, and when: all that a report has of its tasks.
    location: &'static Location<'static>,
    since: Instant,
    /// The most tasks that were seen alive at a time: by the looks of the wait, when a head went out, and at the release.
    /// A count for the report, which orders nothing: Relaxed.
    peak: AtomicUsize,
}

impl Request {
    /// The tokio-util tracker, made now if it was not asked for before.
    pub(crate) fn make_tracker(
        self: &Arc<Self>,
        location: &'static Location<'static>,
    ) -> &TaskTracker {
        let tracker = self.tracker.get_or_init(|| Tracker::new(location));
        let has_joined = self.lock().list_tracker(|| self.join());
        self.joined(has_joined);
        &tracker.tracker
    }

    #[inline]
    pub(crate) fn tracker(&self) -> Option<&Tracker> {
        self.tracker.get()
    }

    /// Whether a task in the tokio-util tracker is alive.
    #[inline]
    pub(crate) fn is_tracker_busy(&self) -> bool {
        self.tracker()
            .is_some_and(|tracker| !tracker.tracker.is_empty())
    }

    /// Counts the tasks that are alive in the tokio-util tracker as seen.
    #[cfg(feature = "http")]
    pub(crate) fn update_tracker_peak(&self) {
        self.tracker().map(Tracker::update_peak);
    }

    pub(crate) fn alive_in_tracker(&self) -> usize {
        self.tracker().map_or(0, |tracker| tracker.tracker.len())
    }

    /// Spawns a task that waits for the tasks in the tokio-util tracker, and counts as alive meanwhile. Without a runtime
    /// nothing waits for them.
    pub(crate) fn spawn_tracker_wait(self: &Arc<Self>) {
        let (Some(tracker), Ok(runtime)) = (self.tracker(), Handle::try_current()) else {
            return;
        };
        let (slot, has_joined) = {
            let mut state = self.lock();
            if state.has_tracker_wait() {
                return;
            }
            let spec = TaskSpec {
                name: None,
                location: tracker.location,
                kind: Kind::Tracker,
                is_handler: false,
            };
            let admitted = state.admit(spec, Parent::None, Begins::Elsewhere, || self.join());
            (admitted.slot, admitted.has_joined)
        };
        self.joined(has_joined);
        let tracker = tracker.tracker.clone();
        let mut watch = TrackerWait {
            request: self.clone(),
            slot,
            progress: Progress::New,
        };
        runtime.spawn(async move {
            watch.progress = Progress::Waits;
            // A task may have come at the last moment of the wait.
            while !tracker.is_empty() {
                // A tracker that is open is never done. Closing refuses nothing.
                tracker.close();
                tracker.wait().await;
            }
            watch.progress = Progress::Ended;
            drop(watch);
        });
    }
}

/// The wait for the tracker of a request. It counts as a task until it is dropped.
struct TrackerWait {
    request: Arc<Request>,
    slot: u32,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Dropped now, its runtime has shut down before.
    New,
    /// Dropped now, its runtime shuts down.
    Waits,
    Ended,
}

impl Drop for TrackerWait {
    fn drop(&mut self) {
        let Self {
            request,
            slot,
            progress,
        } = self;
        let effects = {
            let mut state = request.lock();
            let in_tracker = request.is_tracker_busy();
            match progress {
                Progress::Ended => state.end(*slot, in_tracker).0,
                // Tasks may be alive in the tracker, so the request stays listed. If this one has not begun, a wake-up
                // would have the wait begin another one, and so on.
                Progress::Waits => state.abandon_tracker_wait(*slot, true),
                Progress::New => state.abandon_tracker_wait(*slot, false),
            }
        };
        effects.carry_out(request);
    }
}

impl Tracker {
    fn new(location: &'static Location<'static>) -> Self {
        Self {
            tracker: TaskTracker::new(),
            location,
            since: Instant::now(),
            peak: AtomicUsize::new(0),
        }
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Whether a task is alive, which is then one that was seen.
    pub(crate) fn look(&self) -> bool {
        self.tracker.close();
        self.update_peak() > 0
    }

    /// Returns how many tasks are alive, which are then ones that were seen.
    pub(crate) fn update_peak(&self) -> usize {
        let alive = self.tracker.len();
        self.peak.fetch_max(alive, Ordering::Relaxed);
        alive
    }

    /// What a report has of each of its tasks.
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

    /// Those that are alive.
    pub(crate) fn alive(&self, now: Instant) -> impl Iterator<Item = TaskInfo> {
        std::iter::repeat_n(self.info(TaskState::Running, now), self.tracker.len())
    }
}
