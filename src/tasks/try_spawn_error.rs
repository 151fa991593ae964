//! Why a task was not spawned.

use std::error::Error;
use std::fmt;

/// [`Tasks::try_spawn`](crate::Tasks::try_spawn) did not spawn a task. The error contains the future, which was not
/// polled.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySpawnError<F> {
    /// The request was released, so its response would not wait for the task. To run the task all the same, spawn it
    /// with [`Tasks::spawn`](crate::Tasks::spawn). To keep the work safe, pass it to something that outlives the
    /// request.
    Released(F),
    /// The process is shutting down: see [`TrackerHandle::begin_shutdown`](crate::TrackerHandle::begin_shutdown).
    ShuttingDown(F),
}

impl<F> TrySpawnError<F> {
    /// Returns the future that was not spawned.
    pub fn into_inner(self) -> F {
        match self {
            TrySpawnError::Released(future) | TrySpawnError::ShuttingDown(future) => future,
        }
    }
}

impl<F> fmt::Debug for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySpawnError::Released(_) => "Released(..)",
            TrySpawnError::ShuttingDown(_) => "ShuttingDown(..)",
        })
    }
}

impl<F> fmt::Display for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySpawnError::Released(_) => {
                "the request was released, so that its response would not wait for the task: \
                 `spawn` runs it all the same"
            }
            TrySpawnError::ShuttingDown(_) => {
                "the process is shutting down: leave the work to the next one, or `spawn` it to be waited for"
            }
        })
    }
}

impl<F> Error for TrySpawnError<F> {}
