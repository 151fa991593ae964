//! A tower [`Layer`](tower_layer::Layer) that gives every request a task tracker for background work, and holds the
//! response back until that work is done or a deadline passes.
//!
//! <div>
#![doc = include_str!("timelines.svg")]
//! </div>
//!
#![doc = include_str!("docs/front_page.md")]
// On docs.rs, each item shows the feature that it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// The front page and the guides link to items of each feature. Without these features some of the items do not exist.
#![cfg_attr(
    not(all(feature = "axum", feature = "lambda", feature = "metrics")),
    allow(rustdoc::broken_intra_doc_links)
)]

pub mod deadline;
mod drain;
#[cfg(any(doc, doctest))]
pub mod guide;
mod handle;
#[cfg(feature = "http")]
mod http;
mod metrics;
mod panics;
mod process;
mod report;
mod request;
mod run_to_completion;
mod scope;
mod settings;
mod sync;
mod tasks;
mod throttle;
mod trace;

#[cfg(feature = "axum")]
pub use self::http::MissingTaskTracker;
#[cfg(feature = "http")]
pub use self::http::{
    BodyError, ResponseBody, ResponseFuture, TaskTrackerLayer, TaskTrackerService,
};
pub use handle::TrackerHandle;
#[cfg(feature = "metrics")]
pub use metrics::describe_metrics;
pub use report::{
    DrainObserver, DrainReport, Limit, LiveTask, NotDone, Outcome, ShutdownReport, TaskInfo,
    TaskState,
};
pub use run_to_completion::{RunToCompletionFuture, RunToCompletionLayer, RunToCompletionService};
pub use scope::{
    FailWith, FailurePolicy, Scope, ScopeDeadlines, TaskScopeFuture, TaskScopeLayer,
    TaskScopeService, scope,
};
#[cfg(feature = "http")]
pub use settings::Hold;
pub use settings::{DrainSettings, TaskSpans, Unfinished};
pub use tasks::{
    Fallible, HandOffBuilder, Plain, TaskBuilder, TaskKind, TaskToken, Tasks, TrackedFuture,
    TrySpawnError,
};
pub use tasks::{named, spawn, spawn_blocking, untracked};

/// Compiles the code in the README.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
