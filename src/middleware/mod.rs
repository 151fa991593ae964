//! The drain as HTTP middleware: the only place that knows HTTP.

mod answer;
mod body;
mod body_error;
mod future;
mod hold;
mod inner_body;
mod layer;
mod part;
mod service;

#[cfg(feature = "axum")]
mod axum;

#[cfg(feature = "axum")]
pub use axum::MissingTaskTracker;
pub use body::ResponseBody;
pub use body_error::BodyError;
pub use future::ResponseFuture;
pub use layer::TaskTrackerLayer;
pub use service::TaskTrackerService;

// Named here, and not in `hold`, so that `hold` can be asked by itself.
use crate::settings::Hold;
