//! The drain without HTTP.

mod asks;
mod drained;
mod fails;
mod function;
mod future;
mod layer;
pub(crate) mod role;
mod service;

pub use self::fails::FailWith;
pub use self::function::{Scope, scope};
pub use self::future::TaskScopeFuture;
pub use self::layer::TaskScopeLayer;
pub use self::service::TaskScopeService;
