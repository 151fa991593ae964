//! A task with a hand-off before it is spawned.

use std::fmt::{self, Display};
use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::{self, JoinHandle, LocalSet};

use super::builder::TaskBuilder;
use super::kind::{Fallible, TaskKind};
use super::spawning::Spawning;
use super::tracked_closure::TrackedClosure;
use super::tracked_future::TrackedFuture;
use crate::report::NotDone;
use crate::request::Request;
use crate::request::guard::TaskGuard;
use crate::request::hand_off::HandOffFn;

/// A task with a hand-off that is not spawned yet. [`TaskBuilder::or_hand_off`] returns it.
///
/// The methods that spawn are those of [`Tasks`](crate::Tasks) except for `try_spawn`, each with the same meaning and
/// the same panics. They take a future or a closure that returns a `Result` whose error implements `Display`.
#[must_use = "a task does nothing before it is spawned"]
pub struct HandOffBuilder {
    task: TaskBuilder<Fallible>,
    f: HandOffFn,
}

impl<OutputKind> TaskBuilder<OutputKind> {
    /// Adds a hand-off: if the task does not complete, `f` is called, and its future does the work in another way.
    /// Typically it puts the work into a durable queue. The guide
    /// ["When the work takes longer than the client can wait"](crate::guide::hand_off) explains when to use it.
    ///
    /// The task is [`required`](Self::required), unless it is [`detached`](Self::detached). So a response that is held
    /// is a success only after the task has completed, or its hand-off has returned `Ok`.
    ///
    /// 1. If the task completes, `f` is dropped, even if a stop of the task was requested before. Otherwise `f` is
    ///    called with the reason, at most once. It is not called if the end of an awaited shutdown has stopped the
    ///    task, nor if there is no tokio runtime. Both count as a failure of the hand-off.
    /// 2. If the task fails, panics or is aborted, `f` is called at once.
    /// 3. When only the [`hand_off_grace`](crate::DrainSettings::hand_off_grace) is left until the deadline, the task
    ///    is stopped, whatever [`at_deadline`](crate::DrainSettings::at_deadline) is, and then `f` is called. A
    ///    deadline that the client chose stops no task.
    /// 4. If the client leaves, [`at_disconnect`](crate::DrainSettings::at_disconnect) decides. Under `Cancel` and
    ///    `Abort` the task is handed off once it has stopped.
    /// 5. When only that grace is left until the end of a shutdown, the task is stopped and handed off. If no response
    ///    waits for it, this needs a [`shutdown`](crate::TrackerHandle::shutdown) that is awaited. This does not apply
    ///    to a task that itself awaits the shutdown, nor to a task that belongs neither to a request nor to the
    ///    process. For tasks of the [process](crate::TrackerHandle::process_tasks) the grace has its default.
    ///
    /// `f` is called in a task of its own, in the context of the request, on the runtime on which the task ended. (For
    /// a blocking closure that was stopped: on the runtime of the code that stopped it.) A panic of `f` or of its
    /// future is a failure of the hand-off.
    ///
    /// If the hand-off returns `Ok`, the task counts as [handed off](crate::TaskState::HandedOff). If the hand-off
    /// fails, the task counts with the state in which the task itself ended, and with the message of the hand-off, and
    /// the response fails as for any required task. A failed hand-off is logged as an error.
    ///
    /// # Idempotency
    ///
    /// The work may be done twice: a task may be stopped after it has done its work and before it returns. A blocking
    /// closure that has begun cannot be stopped, and runs on beside its hand-off. From then on only the hand-off
    /// counts, and the end of the closure is ignored.
    ///
    /// # Example
    ///
    /// ```
    /// use tokio::sync::mpsc;
    /// use tower_task_tracker::scope;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (queue, mut queued) = mpsc::channel(16);
    /// let ((), report) = scope(|tasks| async move {
    ///     let send = async { Err::<(), _>("the mail service is down") };
    ///     tasks
    ///         .named("receipt")
    ///         .or_hand_off(move |why| async move { queue.send(format!("receipt 7: {why}")).await })
    ///         .spawn(send);
    /// })
    /// .await;
    /// assert_eq!(report.handed_off, 1);
    /// assert_eq!(queued.recv().await.as_deref(), Some("receipt 7: failed"));
    /// # }
    /// ```
    pub fn or_hand_off<F, Fut, E>(self, f: F) -> HandOffBuilder
    where
        F: FnOnce(NotDone) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        HandOffBuilder {
            task: self.for_hand_off(),
            f: HandOffFn::new(f),
        }
    }
}

impl HandOffBuilder {
    /// Detaches the task, as [`TaskBuilder::detached`] does. No response waits for it, or depends on it. It is handed
    /// off if it fails, panics or is aborted, and before the end of a shutdown that is awaited. Only the
    /// [`ShutdownReport`](crate::ShutdownReport) counts it.
    pub fn detached(mut self) -> Self {
        self.task = self.task.detached();
        self
    }

    /// Makes the response depend on the task again, after [`detached`](Self::detached).
    pub fn required(mut self) -> Self {
        self.task = self.task.required();
        self
    }

    /// Spawns the task as [`Tasks::spawn`](crate::Tasks::spawn) does.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        Fallible: TaskKind<F::Output>,
    {
        self.spawn_with(future, |future| tokio::spawn(future))
    }

    /// Spawns the task as [`Tasks::spawn_on`](crate::Tasks::spawn_on) does.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        Fallible: TaskKind<F::Output>,
    {
        self.spawn_with(future, |future| handle.spawn(future))
    }

    /// Spawns the task as [`Tasks::spawn_local`](crate::Tasks::spawn_local) does.
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
        Fallible: TaskKind<F::Output>,
    {
        self.spawn_with(future, |future| task::spawn_local(future))
    }

    /// Spawns the task as [`Tasks::spawn_local_on`](crate::Tasks::spawn_local_on) does.
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, local_set: &LocalSet) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
        Fallible: TaskKind<F::Output>,
    {
        self.spawn_with(future, |future| local_set.spawn_local(future))
    }

    /// Runs a closure as [`Tasks::spawn_blocking`](crate::Tasks::spawn_blocking) does.
    #[track_caller]
    pub fn spawn_blocking<F, T>(self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
        Fallible: TaskKind<T>,
    {
        self.spawn_closure(f, |f| task::spawn_blocking(move || f.call::<T, Fallible>()))
    }

    /// Runs a closure as [`Tasks::spawn_blocking_on`](crate::Tasks::spawn_blocking_on) does.
    #[track_caller]
    pub fn spawn_blocking_on<F, T>(self, f: F, handle: &Handle) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
        Fallible: TaskKind<T>,
    {
        self.spawn_closure(f, |f| {
            handle.spawn_blocking(move || f.call::<T, Fallible>())
        })
    }

    #[track_caller]
    fn spawn_with<F: Future>(
        self,
        future: F,
        spawn: impl FnOnce(TrackedFuture<F, Fallible>) -> JoinHandle<F::Output>,
    ) -> JoinHandle<F::Output> {
        let (request, guard) = self.admit();
        let spawning = Spawning::new(Some(&request), &guard);
        spawning.spawned(spawn(TrackedFuture::new(future, guard)))
    }

    #[track_caller]
    fn spawn_closure<F, T>(
        self,
        f: F,
        spawn: impl FnOnce(TrackedClosure<F>) -> JoinHandle<T>,
    ) -> JoinHandle<T> {
        let (request, guard) = self.admit();
        guard.note_closure();
        let spawning = Spawning::new(Some(&request), &guard);
        spawning.spawned(spawn(TrackedClosure::new(f, guard)))
    }

    /// Lists the task. Outside of a request it is tracked by a request that nothing waits for, so that it is handed off
    /// there too.
    #[track_caller]
    fn admit(self) -> (Arc<Request>, TaskGuard) {
        let Self { mut task, f } = self;
        let (spec, name) = task.spec();
        let request = task.request(spec.location).cloned();
        let request = request.unwrap_or_else(Request::of_nothing);
        let guard = request.admit_with_hand_off(spec, name, f);
        (request, guard)
    }
}

impl fmt::Debug for HandOffBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOffBuilder")
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}
