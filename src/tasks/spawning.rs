//! What every spawn does: the task is counted in, spawned, and then listed.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::kind::TaskKind;
use super::tracked_future::TrackedFuture;
use crate::registry::Registry;
use crate::registry::entry::Brief;
use crate::registry::guard::TaskGuard;
use crate::registry::listing::Listing;

/// Spawns a task on the current runtime.
///
/// # Panics
///
/// Outside of a tokio runtime.
#[track_caller]
pub(super) fn spawn_in<F, J>(
    registry: Option<&Arc<Registry>>,
    brief: Brief,
    future: F,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    J: TaskKind<F::Output> + 'static,
{
    let (listing, guard) = admit_in(registry, brief);
    let handle = tokio::spawn(TrackedFuture::<F, J>::new(future, guard));
    listed(listing, handle)
}

pub(super) fn admit_in(
    registry: Option<&Arc<Registry>>,
    brief: Brief,
) -> (Option<Listing<'_>>, Option<TaskGuard>) {
    registry.map(|registry| registry.admit(brief)).unzip()
}

pub(super) fn listed<T>(listing: Option<Listing<'_>>, handle: JoinHandle<T>) -> JoinHandle<T> {
    if let Some(listing) = listing {
        listing.spawned(handle.abort_handle());
    }
    handle
}
