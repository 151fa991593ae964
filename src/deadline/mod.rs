//! Deadline sources, for [`TaskTrackerLayer::deadline_source`](crate::TaskTrackerLayer::deadline_source).
//!
//! A source reads each request when it arrives. It may return an instant at which the response has to be on its way.
//! The drain window closes at the earliest limit, so a source can only shorten a wait.
//!
//! * The sources below ignore a value that they cannot read, and an instant that is too far away for the clock. A debug
//!   event is logged for it.
//! * If two limits fall on the same instant, the layer's own limits come first, then those of the platform, then those
//!   of the client. The first one is in the report.
//!
//! | source | what it reads | chosen by |
//! |---|---|---|
//! | [`grpc_timeout`] | the `grpc-timeout` header | the client |
//! | [`prefer_wait`] | `Prefer: wait=N` | the client |
//! | [`lambda_web_adapter`] | the `x-amzn-lambda-context` header | the platform |
//! | [`from_env`] | seconds in an environment variable | the platform |
//! | [`unix_millis`] | Unix milliseconds that a closure returns | the platform; the client, after [`from_client`](Source::from_client) |
//!
//! A client can end a hold, but not the work. If the window closes at an instant that the client chose, the tasks run
//! on, whatever [`at_deadline`](crate::TaskTrackerLayer::at_deadline) is.
//!
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use std::time::Duration;
//! use tower_task_tracker::{TaskTrackerLayer, deadline};
//!
//! let layer = TaskTrackerLayer::new()
//!     .deadline_source(deadline::from_env("CLOUD_RUN_TIMEOUT_SECONDS").margin(Duration::from_secs(1)))
//!     .deadline_source(deadline::grpc_timeout().at_least(Duration::from_millis(50)));
//! # let _ = layer;
//! ```

mod from_env;
#[cfg(feature = "http")]
mod grpc_timeout;
#[cfg(feature = "lambda")]
mod lambda_web_adapter;
#[cfg(feature = "http")]
mod prefer_wait;
pub(crate) mod schedule;
mod source;
mod sources;
mod unix_millis;

pub use self::from_env::from_env;
#[cfg(feature = "http")]
pub use self::grpc_timeout::grpc_timeout;
#[cfg(feature = "lambda")]
pub use self::lambda_web_adapter::lambda_web_adapter;
#[cfg(feature = "http")]
pub use self::prefer_wait::prefer_wait;
pub use self::source::{DeadlineSource, Source};
pub use self::unix_millis::unix_millis;

pub(crate) use self::source::ClosureSource;
pub(crate) use self::sources::SourceLimit;
pub use self::sources::Sources;
