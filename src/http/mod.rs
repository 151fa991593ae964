//! The drain as HTTP middleware. What a response is on the wire matters in no other module.

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

// Imported here, and not in `hold`, so that a test can include `hold` as a module of its own.
use crate::settings::Hold;
