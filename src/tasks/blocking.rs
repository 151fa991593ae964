//! Spawns blocking closures as tasks.

use tokio::runtime::Handle;
use tokio::task::{self, JoinHandle};

use super::builder::TaskBuilder;
use super::kind::TaskKind;
use super::tracked_closure::TrackedClosure;

impl<OutputKind> TaskBuilder<OutputKind> {
    /// Runs a closure as [`Tasks::spawn_blocking`](crate::Tasks::spawn_blocking) does.
    #[track_caller]
    pub fn spawn_blocking<F, T>(mut self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
        OutputKind: TaskKind<T> + 'static,
    {
        let (spawning, guard) = self.admit();
        let f = TrackedClosure::new(f, guard);
        let handle = task::spawn_blocking(move || f.call::<T, OutputKind>());
        spawning.spawned(handle)
    }

    /// Runs a closure as [`Tasks::spawn_blocking_on`](crate::Tasks::spawn_blocking_on) does.
    #[track_caller]
    pub fn spawn_blocking_on<F, T>(mut self, f: F, handle: &Handle) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
        OutputKind: TaskKind<T> + 'static,
    {
        let (spawning, guard) = self.admit();
        let f = TrackedClosure::new(f, guard);
        let handle = handle.spawn_blocking(move || f.call::<T, OutputKind>());
        spawning.spawned(handle)
    }
}
