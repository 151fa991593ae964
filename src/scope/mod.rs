//! The drain without HTTP.

mod asks;
mod drained;
mod fails;
mod future;
mod layer;
pub(crate) mod role;
mod scope;
mod service;

pub use self::fails::FailWith;
pub use self::future::TaskScopeFuture;
pub use self::layer::TaskScopeLayer;
pub use self::scope::{Scope, scope};
pub use self::service::TaskScopeService;
