//! Handlers that run to their end after their client has left.

mod future;
mod layer;
mod service;

pub use self::future::RunToCompletionFuture;
pub use self::layer::RunToCompletionLayer;
pub use self::service::RunToCompletionService;
