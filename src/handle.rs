//! The process-wide view of tracked requests.

use std::fmt;
use std::sync::Arc;

use crate::registry::Registry;
use crate::roster::Roster;

/// Every task of every request that is tracked by it: shared between layers by
/// [`TaskTrackerLayer::tracked_by`](crate::TaskTrackerLayer::tracked_by), and taken from one by
/// [`TaskTrackerLayer::handle`](crate::TaskTrackerLayer::handle). Clones are the same handle.
///
/// A request is seen here from its first spawn until its response has ended, its observers were told,
/// and none of its tasks is alive. One that spawns nothing is never seen, and costs nothing here.
#[derive(Clone)]
pub struct TrackerHandle {
    pub(crate) roster: Arc<Roster<Registry>>,
}

impl TrackerHandle {
    /// A handle that tracks nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            roster: Arc::new(Roster::new()),
        }
    }

    /// The number of requests that have spawned something and are not over: the response has not
    /// ended, or a task is alive.
    #[must_use]
    pub fn live_requests(&self) -> usize {
        self.roster.len()
    }

    /// The number of tasks alive, of all requests, also of those that were released. It is summed
    /// up when asked for.
    #[must_use]
    pub fn live_tasks(&self) -> usize {
        self.roster
            .members()
            .iter()
            .map(|request| request.alive())
            .sum()
    }

    /// Waits until no request is seen here: [`live_requests`](Self::live_requests) is zero, and
    /// with it [`live_tasks`](Self::live_tasks).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_idle(&self) {
        self.roster.wait_idle().await;
    }
}

impl Default for TrackerHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TrackerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackerHandle")
            .field("live_requests", &self.live_requests())
            .field("live_tasks", &self.live_tasks())
            .finish()
    }
}
