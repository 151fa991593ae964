//! draft

mod anonymous;
mod builder;
mod context;
mod drain;
mod guard;
mod handle;
mod ledger;
mod live;
#[cfg(feature = "http")]
mod middleware;
mod panics;
mod registry;
mod report;
mod roster;
mod settings;
mod spawn;
mod sync;
mod tasks;
mod token;
mod trace;
mod tracked_closure;
mod tracked_future;

pub use builder::TaskBuilder;
pub use handle::TrackerHandle;
#[cfg(feature = "axum")]
pub use middleware::MissingTaskTracker;
#[cfg(feature = "http")]
pub use middleware::{
    BodyError, ResponseBody, ResponseFuture, TaskTrackerLayer, TaskTrackerService,
};
pub use report::{Bound, DrainReport, OnDrain, Outcome, TaskInfo, TaskState};
#[cfg(feature = "http")]
pub use settings::Hold;
pub use spawn::{named, spawn, spawn_blocking, untracked};
pub use tasks::Tasks;
pub use token::TaskToken;
pub use tracked_future::TrackedFuture;
