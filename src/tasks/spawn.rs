//! The functions that spawn tasks of the current request.

use std::borrow::Cow;
use std::future::Future;

use tokio::task::JoinHandle;

use super::builder::TaskBuilder;
use crate::request::context::{Context, InContext};

/// Spawns a task of the current request. The response waits for it.
///
/// This is [`Tasks::spawn`](crate::Tasks::spawn) through [`Tasks::current`](crate::Tasks::current), for code that has
/// no `Tasks`. Outside of a request the task runs untracked, and a warning is logged once for each place in the source.
///
/// # Panics
///
/// Panics outside of a tokio runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    TaskBuilder::new(Context::current(), None).spawn(future)
}

/// Runs a blocking closure as a task of the current request. The response waits for it. Outside of a request it runs
/// untracked, as with [`spawn`].
///
/// # Panics
///
/// Panics outside of a tokio runtime.
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    TaskBuilder::new(Context::current(), None).spawn_blocking(f)
}

/// Returns a builder for a task of the current request with this name, as [`Tasks::named`](crate::Tasks::named) does.
/// Outside of a request the task runs untracked, as with [`spawn`].
pub fn named(name: impl Into<Cow<'static, str>>) -> TaskBuilder {
    TaskBuilder::new(Context::current(), Some(name.into()))
}

/// Runs a future outside of the current request, on purpose. The tasks that it spawns through this crate are not
/// tracked, and no warning is logged about them.
///
/// # Panics
///
/// The returned future panics if it is polled after it has ended.
pub fn untracked<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    InContext::new(future, Context::untracked())
}
