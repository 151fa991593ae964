//! A task on its way to be spawned.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::{self, JoinHandle, LocalSet};

use super::judge::{Fallible, Judge, Plain};
use super::token::TaskToken;
use super::tracked_closure::TrackedClosure;
use super::tracked_future::TrackedFuture;
use crate::registry::Registry;
use crate::registry::context::Context;
use crate::registry::guard::TaskGuard;
use crate::registry::listing::Listing;
use crate::trace;

/// A task that is not spawned yet: made by [`Tasks::named`](crate::Tasks::named),
/// [`Tasks::task`](crate::Tasks::task) and [`named`](crate::named).
///
/// The methods are those of [`Tasks`](crate::Tasks), each with the same meaning, panics and cancel
/// safety.
///
/// After [`fallible`](Self::fallible) they take what returns a `Result`.
#[derive(Debug)]
#[must_use = "a task does nothing before it is spawned"]
pub struct TaskBuilder<J = Plain> {
    context: Context,
    name: Option<&'static str>,
    judge: PhantomData<J>,
}

impl TaskBuilder {
    pub(crate) fn new(context: Context, name: Option<&'static str>) -> Self {
        Self {
            context,
            name,
            judge: PhantomData,
        }
    }

    /// The task returns a `Result`, and has failed if that is an `Err`: it is counted as failed, and
    /// logged and reported with the error's message. The result comes through the `JoinHandle` as
    /// ever.
    pub fn fallible(self) -> TaskBuilder<Fallible> {
        TaskBuilder {
            context: self.context,
            name: self.name,
            judge: PhantomData,
        }
    }
}

impl<J> TaskBuilder<J> {
    /// As [`Tasks::spawn`](crate::Tasks::spawn).
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        J: Judge<F::Output> + 'static,
    {
        let (listing, guard) = self.admit();
        let handle = tokio::spawn(TrackedFuture::<F, J>::new(future, guard));
        listed(listing, handle)
    }

    /// As [`Tasks::spawn_on`](crate::Tasks::spawn_on).
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        J: Judge<F::Output> + 'static,
    {
        let (listing, guard) = self.admit();
        let handle = handle.spawn(TrackedFuture::<F, J>::new(future, guard));
        listed(listing, handle)
    }

    /// As [`Tasks::spawn_local`](crate::Tasks::spawn_local).
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
        J: Judge<F::Output> + 'static,
    {
        let (listing, guard) = self.admit();
        let handle = task::spawn_local(TrackedFuture::<F, J>::new(future, guard));
        listed(listing, handle)
    }

    /// As [`Tasks::spawn_local_on`](crate::Tasks::spawn_local_on).
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, local_set: &LocalSet) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
        J: Judge<F::Output> + 'static,
    {
        let (listing, guard) = self.admit();
        let handle = local_set.spawn_local(TrackedFuture::<F, J>::new(future, guard));
        listed(listing, handle)
    }

    /// As [`Tasks::spawn_blocking`](crate::Tasks::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, T>(self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
        J: Judge<T> + 'static,
    {
        let (listing, guard) = self.admit();
        let f = TrackedClosure::new(f, guard);
        let handle = task::spawn_blocking(move || f.call::<T, J>());
        listed(listing, handle)
    }

    /// As [`Tasks::spawn_blocking_on`](crate::Tasks::spawn_blocking_on).
    #[track_caller]
    pub fn spawn_blocking_on<F, T>(self, f: F, handle: &Handle) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
        J: Judge<T> + 'static,
    {
        let (listing, guard) = self.admit();
        let f = TrackedClosure::new(f, guard);
        let handle = handle.spawn_blocking(move || f.call::<T, J>());
        listed(listing, handle)
    }

    /// As [`Tasks::track_future`](crate::Tasks::track_future).
    #[track_caller]
    pub fn track_future<F>(self, future: F) -> TrackedFuture<F, J>
    where
        F: Future,
        J: Judge<F::Output>,
    {
        TrackedFuture::new(future, self.admit_elsewhere())
    }

    /// As [`Tasks::token`](crate::Tasks::token).
    #[track_caller]
    pub fn token(self) -> TaskToken {
        TaskToken::new(self.admit_elsewhere())
    }

    #[track_caller]
    fn admit(&self) -> (Option<Listing<'_>>, Option<TaskGuard>) {
        let location = Location::caller();
        self.registry(location)
            .map(|registry| registry.admit(self.name, location))
            .unzip()
    }

    #[track_caller]
    fn admit_elsewhere(&self) -> Option<TaskGuard> {
        let location = Location::caller();
        self.registry(location)
            .map(|registry| registry.admit_elsewhere(self.name, location))
    }

    /// `None` outside of a request: the task runs, tracked by nothing.
    fn registry(&self, location: &'static Location<'static>) -> Option<&Arc<Registry>> {
        if let Context::Outside = self.context {
            trace::outside_a_request(location);
        }
        self.context.registry()
    }
}

fn listed<T>(listing: Option<Listing<'_>>, handle: JoinHandle<T>) -> JoinHandle<T> {
    if let Some(listing) = listing {
        listing.spawned(handle.abort_handle());
    }
    handle
}
