//! Requests of services and functions that are not HTTP.

mod drained;
mod failure_policy;
mod function;
mod future;
mod layer;
pub(crate) mod role;
mod scope_deadlines;
mod service;

pub use self::failure_policy::{FailWith, FailurePolicy};
pub use self::function::{Scope, scope};
pub use self::future::TaskScopeFuture;
pub use self::layer::TaskScopeLayer;
pub use self::scope_deadlines::ScopeDeadlines;
pub use self::service::TaskScopeService;
