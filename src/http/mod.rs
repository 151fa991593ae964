//! The drain as HTTP middleware: the only place that knows what a response is on the wire.

mod answer;
mod body;
mod facts;
mod fields;
mod future;
mod grpc;
mod head;
mod hold;
mod kept;
mod layer;
mod passing;
mod release;
mod service;
mod whole;

#[cfg(feature = "axum")]
mod axum;

#[cfg(feature = "axum")]
pub use axum::MissingTaskTracker;
pub use body::{BodyError, ResponseBody};
pub use future::ResponseFuture;
pub use layer::TaskTrackerLayer;
pub use service::TaskTrackerService;

// Named here, and not in `hold`, so that `hold` can be asked by itself.
use crate::settings::Hold;
