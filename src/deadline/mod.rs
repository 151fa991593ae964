//! Where deadlines come from: what
//! [`TaskTrackerLayer::deadline_source`](crate::TaskTrackerLayer::deadline_source) takes.
//!
//! A source looks at a request when it arrives, and may know of an instant at which its response has
//! to be on its way. The drain window closes at the earliest of all that are known, so a source can
//! only shorten a wait. What one of these cannot read, and what is too far away for the clock, it ignores,
//! with a debug log. Of two limits that fall on the same instant, the layer's own count before the
//! platform's, and those before the client's.
//!
//! | source | what it reads | chosen by |
//! |---|---|---|
//! | [`grpc_timeout`] | the `grpc-timeout` header | the client |
//! | [`prefer_wait`] | `Prefer: wait=N` | the client |
//! | [`lambda_web_adapter`] | the `x-amzn-lambda-context` header | the platform |
//! | [`from_env`] | seconds in an environment variable | the platform |
//! | [`unix_millis`] | Unix milliseconds that a closure finds | the platform, unless it is said to be [`from_client`](Source::from_client) |
//!
//! A client can end a hold, but not the work: when the window closes at an instant that the client
//! chose, the tasks are detached, whatever [`at_deadline`](crate::TaskTrackerLayer::at_deadline) says.
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

pub(crate) use self::source::ReadBy;
pub(crate) use self::sources::SourceLimit;
pub use self::sources::Sources;
