//! The layer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use super::service::TaskTrackerService;
use crate::handle::TrackerHandle;
use crate::registry::Shared;
use crate::report::OnDrain;
use crate::settings::{Hold, Settings};

/// Gives every request a task tracker, and holds its response back until the tasks are done.
///
/// Clones are cheap, and share one [`TrackerHandle`]. Where another `TaskTrackerLayer` stands
/// further out, that one holds, and this one only lets what was set on it win for the requests
/// that pass it: so a route's own layer tunes the route.
///
/// ```
/// use std::time::Duration;
/// use tower_task_tracker::{DrainReport, TaskTrackerLayer};
///
/// let layer = TaskTrackerLayer::new()
///     .drain_timeout(Duration::from_secs(5))
///     .on_drain(|report: &DrainReport| println!("{report}"));
/// # let _ = layer;
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing before it wraps a service"]
pub struct TaskTrackerLayer {
    settings: Settings,
    handle: TrackerHandle,
}

impl TaskTrackerLayer {
    /// A layer with a handle of its own and everything at its default.
    pub fn new() -> Self {
        Self {
            settings: Settings::default(),
            handle: TrackerHandle::new(),
        }
    }

    /// What is held back of a response. [`Hold::Auto`] by default.
    pub fn hold(mut self, hold: Hold) -> Self {
        self.settings.hold = Some(hold);
        self
    }

    /// For how long a response waits for its tasks: 25 s by default, below the shortest common
    /// limit of a front end (29 s).
    ///
    /// It counts on tokio's clock from the moment the response could be released: when the handler
    /// has answered, where the head is held, and when the body has come to its end, where the end
    /// is held. Then the response goes out, and the tasks run on. Zero gives running tasks one
    /// turn of the scheduler; `None` waits without limit.
    ///
    /// # Panics
    ///
    /// A wait on a runtime without time panics.
    pub fn drain_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.drain_timeout = Some(timeout.into());
        self
    }

    /// Adds a callback: each of them is told of every request that spawned something. A closure
    /// `|report: &DrainReport|` will do; [`OnDrain`] can be told more.
    pub fn on_drain(mut self, observer: impl OnDrain) -> Self {
        self.settings.observers.push(Arc::new(observer));
        self
    }

    /// Tracks the requests by this handle, instead of the layer's own.
    pub fn tracked_by(mut self, handle: &TrackerHandle) -> Self {
        self.handle = handle.clone();
        self
    }

    /// The handle that the requests are tracked by.
    #[must_use]
    pub fn handle(&self) -> TrackerHandle {
        self.handle.clone()
    }
}

impl Default for TaskTrackerLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for TaskTrackerLayer {
    type Service = TaskTrackerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Shared {
            settings: self.settings.clone(),
            roster: self.handle.roster.clone(),
        };
        TaskTrackerService::new(inner, Arc::new(shared))
    }
}

impl fmt::Debug for TaskTrackerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTrackerLayer")
            .field("settings", &self.settings)
            .field("handle", &self.handle)
            .finish()
    }
}
