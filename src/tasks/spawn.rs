//! The tracker of the running request, without having it at hand.

use std::borrow::Cow;
use std::future::Future;

use tokio::task::JoinHandle;

use super::builder::TaskBuilder;
use crate::request::context::{Context, InContext};

/// Spawns a task that the current request waits for: [`Tasks::spawn`](crate::Tasks::spawn) through
/// [`Tasks::current`](crate::Tasks::current), for code that is handed no `Tasks`.
///
/// Outside of a request the task runs all the same, tracked by nothing, and a warning is logged
/// once for each place in the source.
///
/// # Panics
///
/// Outside of a tokio runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    TaskBuilder::new(Context::current(), None).spawn(future)
}

/// Runs a blocking closure that the current request waits for, as [`spawn`] does with a future.
///
/// # Panics
///
/// Outside of a tokio runtime.
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    TaskBuilder::new(Context::current(), None).spawn_blocking(f)
}

/// Names a task of the current request: [`Tasks::named`](crate::Tasks::named) for code that is
/// handed no `Tasks`. Outside of a request it spawns as [`spawn`] does.
pub fn named(name: impl Into<Cow<'static, str>>) -> TaskBuilder {
    TaskBuilder::new(Context::current(), Some(name.into()))
}

/// Runs a future outside of the current request, on purpose: what it spawns through this crate is
/// tracked by nothing, and nothing is logged about it.
///
/// # Panics
///
/// The future that this gives panics when it is polled after it has ended.
pub fn untracked<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    InContext::new(future, Context::untracked())
}
