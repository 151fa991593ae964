//! Counts the tasks in the tokio-util tracker of a request, and waits for them.

use std::panic::Location;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::Request;
use super::task::{Begins, Kind, Parent, TaskSpec};
use super::tracker::Tracker;

impl Request {
    /// Returns the tokio-util tracker. Creates it if it was not requested before.
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

    /// Returns whether a task in the tokio-util tracker is alive.
    #[inline]
    pub(crate) fn is_tracker_busy(&self) -> bool {
        self.tracker()
            .is_some_and(|tracker| !tracker.tracker.is_empty())
    }

    /// Updates the peak of the tokio-util tracker.
    #[cfg(feature = "http")]
    pub(crate) fn update_tracker_peak(&self) {
        self.tracker().map(Tracker::update_peak);
    }

    /// Returns how many tasks in the tokio-util tracker are alive.
    pub(crate) fn alive_in_tracker(&self) -> usize {
        self.tracker().map_or(0, |tracker| tracker.tracker.len())
    }

    /// Spawns a task that waits for the tasks in the tokio-util tracker. It counts as alive until it is dropped. Does
    /// nothing if there is such a task, or outside of a runtime.
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
            // A task may have been added at the last moment of the wait.
            while !tracker.is_empty() {
                // The wait for a tracker ends only if the tracker is closed. A closed tracker accepts tasks too.
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
    /// Not polled yet. If it is dropped in this state, its runtime has shut down before.
    New,
    /// Waiting. If it is dropped in this state, its runtime is shutting down.
    Waits,
    /// The tracker was empty.
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
                // Tasks may be alive in the tracker, so the request stays listed. If this wait has not begun, no
                // wake-up: the woken wait of the request would spawn another one, which would be dropped too, and so
                // on.
                Progress::Waits => state.abandon_tracker_wait(*slot, true),
                Progress::New => state.abandon_tracker_wait(*slot, false),
            }
        };
        request.carry_out(effects);
    }
}
