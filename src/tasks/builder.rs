//! A task before it is spawned.

use std::borrow::Cow;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::{self, JoinHandle, LocalSet};

use super::kind::{Fallible, Plain, TaskKind};
use super::spawning::Spawning;
use super::token::TaskToken;
use super::tracked_future::TrackedFuture;
use super::try_spawn_error::TrySpawnError;
use crate::request::Request;
use crate::request::context::Context;
use crate::request::guard::TaskGuard;
use crate::request::task::{Begins, Kind, Refused, TaskSpec};
use crate::trace;

/// A task that is not spawned yet, with its options. [`Tasks::named`](crate::Tasks::named),
/// [`Tasks::task`](crate::Tasks::task) and [`named`](crate::named) return it.
///
/// The methods that spawn or track are those of [`Tasks`](crate::Tasks), each with the same meaning and the same
/// panics. After [`fallible`](Self::fallible) and [`required`](Self::required) they take a future or a closure that
/// returns a `Result`.
///
/// ```
/// # use tower_task_tracker::Tasks;
/// fn after_an_order(tasks: &Tasks) {
///     // If this fails, the response fails.
///     tasks.named("charge").required().spawn(async { Err::<(), _>("the card was refused") });
///     // The response does not wait for this.
///     tasks.named("warm the cache").detached().spawn(async {});
/// }
/// ```
#[derive(Debug)]
#[must_use = "a task does nothing before it is spawned"]
pub struct TaskBuilder<OutputKind = Plain> {
    context: Context,
    name: Option<Cow<'static, str>>,
    kind: Kind,
    output: PhantomData<OutputKind>,
}

impl TaskBuilder {
    pub(crate) fn new(context: Context, name: Option<Cow<'static, str>>) -> Self {
        Self {
            context,
            name,
            kind: Kind::Ordinary,
            output: PhantomData,
        }
    }
}

impl<OutputKind> TaskBuilder<OutputKind> {
    /// Marks the task as fallible: it returns a `Result` whose error implements `Display`. If it returns an `Err`, it
    /// counts as failed, and is logged and reported with the message of the error. The `JoinHandle` returns the result
    /// as usual.
    ///
    /// If the error does not implement `Display`, this does not compile:
    ///
    /// ```compile_fail,E0277
    /// # use tower_task_tracker::Tasks;
    /// #[derive(Debug)]
    /// struct NoStock;
    ///
    /// fn after_an_order(tasks: &Tasks) {
    ///     tasks.named("order").fallible().spawn(async { Err::<(), _>(NoStock) });
    /// }
    /// ```
    ///
    /// Convert the error into one that implements `Display`, or into a text:
    ///
    /// ```
    /// # use tower_task_tracker::Tasks;
    /// #[derive(Debug)]
    /// struct NoStock;
    ///
    /// fn after_an_order(tasks: &Tasks) {
    ///     let order = async { Err::<(), _>(NoStock) };
    ///     let order = async { order.await.map_err(|error| format!("{error:?}")) };
    ///     tasks.named("order").fallible().spawn(order);
    /// }
    /// ```
    pub fn fallible(self) -> TaskBuilder<Fallible> {
        TaskBuilder {
            context: self.context,
            name: self.name,
            kind: self.kind,
            output: PhantomData,
        }
    }

    /// Makes the response depend on the task: if the task does not complete, the response fails. The task is
    /// [`fallible`](Self::fallible) too. It does not complete if it returns an `Err`, panics, is aborted, or is still
    /// alive at the deadline.
    ///
    /// | response | how it fails |
    /// |---|---|
    /// | its head is not sent yet | The head becomes the layer's `failure_status` (500 by default), with an empty body. |
    /// | its body has begun | The body ends with an error. The client sees a reset stream, or a body without its last chunk or last bytes. Over HTTP/1.0 without a length it cannot see the difference. |
    /// | `application/grpc` | It gets `grpc-status: 13` (`INTERNAL`) instead, unless its status is an error already. |
    /// | an answer of a `TaskScopeLayer` | It becomes the error of [`fail_with`](crate::TaskScopeLayer::fail_with), or stays if that is not set. |
    /// | an `Err` of the service | It stays. |
    ///
    /// In every case [`DrainReport::required_failed`](crate::DrainReport::required_failed) is true. Under `Hold::Never`
    /// the response does not wait. It then fails only for a task that has already failed, panicked or been aborted when
    /// its head, or its end, goes out.
    ///
    /// `required` is the opposite of [`detached`](Self::detached), and the last call wins: `.detached().required()` is
    /// a required task.
    ///
    /// # Required tasks and the body
    ///
    /// While a required task is alive, `Hold::Auto` and `Hold::Required` hold the head of every response, also of a
    /// stream. Once none is alive, the response continues as it would without required tasks.
    ///
    /// So under these modes, and under `Hold::Head`, a required task must not feed the body of a stream, read what the
    /// body gives, or wait for its drop. It would wait for the head, and the head for the task. At the deadline the
    /// response would fail. `Hold::End` permits all of this, because it sends the head at once. A body that is there as
    /// a whole is no problem, because it is dropped before the wait.
    ///
    /// # Late tasks
    ///
    /// Under [`Unfinished::Continue`](crate::Unfinished::Continue), the default, a task that is late runs on. A client
    /// that was sent a failure may then still find the work done. If that must not happen, choose
    /// [`Unfinished::Abort`](crate::Unfinished::Abort).
    ///
    /// # Where `.await` is better
    ///
    /// If the handler can wait for the work, let it await the work and answer with the result. No timeout of this crate
    /// bounds a handler. A required task is for work that is spawned deep in the code, where no handler has the result.
    ///
    /// The difference shows where the work is slow. For example, a route has a drain timeout of 1 s, and storing an
    /// order takes 1.5 s as a required task:
    ///
    /// 1. After 1 s the client gets a 500.
    /// 2. Half a second later the order is stored.
    /// 3. The client sends the order again, and it is stored twice.
    ///
    /// So a required task needs one of these:
    ///
    /// * a drain timeout that is longer than the work;
    /// * work that may be done twice (an idempotency key);
    /// * [`Unfinished::Abort`](crate::Unfinished::Abort), if dropping the future undoes the work. Work that another
    ///   system has received, or that runs in a blocking closure, is done in the end.
    ///
    /// ```
    /// # async fn store() -> Result<(), std::io::Error> { Ok(()) }
    /// // The answer is the result of the work.
    /// async fn place_order() -> Result<&'static str, std::io::Error> {
    ///     store().await?;
    ///     Ok("stored")
    /// }
    /// ```
    ///
    /// If the client leaves, this handler is dropped, and `store` with it, unless that has ended. A spawned `store`
    /// runs on: `tasks.spawn(store()).await`.
    pub fn required(self) -> TaskBuilder<Fallible> {
        let mut task = self.fallible();
        task.kind = Kind::Required;
        task
    }

    /// Detaches the task: neither the response nor the drain waits for it.
    ///
    /// * The handle tracks it.
    /// * It may outlive the request without being late.
    /// * No deadline and no disconnect aborts it. Only the end of a [`shutdown`](crate::TrackerHandle::shutdown) does.
    ///   But all tasks of a request have the same [`cancellation_token`](crate::Tasks::cancellation_token), which
    ///   `Cancel` and `Abort` cancel: a detached task must not end on it.
    /// * No response can fail with it.
    /// * Its end is passed to [`DrainObserver::on_late_end`](crate::DrainObserver::on_late_end).
    /// * No [`DrainReport`](crate::DrainReport) counts it. [`Tasks::len`](crate::Tasks::len) does. A request that
    ///   spawns only detached tasks is reported too, with zero as [`spawned`](crate::DrainReport::spawned).
    ///
    /// On a platform that freezes an instance when the response ends, the task may never run on.
    ///
    /// `detached` is the opposite of [`required`](Self::required), and the last call wins: `.required().detached()` is
    /// a detached task that is fallible.
    ///
    /// # Tasks of a detached task
    ///
    /// The tasks that a detached task spawns are detached themselves, and so are the tasks that those spawn. It does
    /// not matter how they are spawned: through [`spawn`](fn@crate::spawn), through a kept [`Tasks`](crate::Tasks), as
    /// a token, in a blocking closure or in a destructor. The same holds for the tasks of a task that has outlived its
    /// response.
    ///
    /// * If such a task calls a service with a layer of this crate, the call is a request of its own.
    /// * The tasks in [`Tasks::tracker`](crate::Tasks::tracker) are an exception. The response waits for them, whatever
    ///   code spawns them.
    pub fn detached(mut self) -> Self {
        self.kind = Kind::Detached;
        self
    }

    /// Returns the builder of a task with a hand-off: required, unless it is detached.
    pub(super) fn for_hand_off(self) -> TaskBuilder<Fallible> {
        match self.kind {
            Kind::Detached => self.fallible(),
            _ => self.required(),
        }
    }

    /// Spawns the task as [`Tasks::spawn`](crate::Tasks::spawn) does.
    #[track_caller]
    pub fn spawn<F>(mut self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        OutputKind: TaskKind<F::Output> + 'static,
    {
        let (spawning, guard) = self.admit();
        let handle = tokio::spawn(TrackedFuture::<F, OutputKind>::new(future, guard));
        spawning.spawned(handle)
    }

    /// Spawns the task as [`Tasks::try_spawn`](crate::Tasks::try_spawn) does. A [`detached`](Self::detached) task, and
    /// a task that a detached task spawns, is refused only during a shutdown.
    ///
    /// # Errors
    ///
    /// [`TrySpawnError::Released`] and [`TrySpawnError::ShuttingDown`]. Both contain the future.
    #[track_caller]
    pub fn try_spawn<F>(mut self, future: F) -> Result<JoinHandle<F::Output>, TrySpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        OutputKind: TaskKind<F::Output> + 'static,
    {
        let (spec, name) = self.spec();
        let request = self.request(spec.location);
        let admitted = request.map(|request| request.try_admit(spec, name));
        let guard = match admitted.unwrap_or_else(|| Ok(TaskGuard::outside())) {
            Ok(guard) => guard,
            Err(Refused::Released) => return Err(TrySpawnError::Released(future)),
            Err(Refused::ShuttingDown) => return Err(TrySpawnError::ShuttingDown(future)),
        };
        let spawning = Spawning::new(request, &guard);
        let handle = tokio::spawn(TrackedFuture::<F, OutputKind>::new(future, guard));
        Ok(spawning.spawned(handle))
    }

    /// Spawns the task as [`Tasks::spawn_on`](crate::Tasks::spawn_on) does.
    #[track_caller]
    pub fn spawn_on<F>(mut self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        OutputKind: TaskKind<F::Output> + 'static,
    {
        let (spawning, guard) = self.admit();
        let handle = handle.spawn(TrackedFuture::<F, OutputKind>::new(future, guard));
        spawning.spawned(handle)
    }

    /// Spawns the task as [`Tasks::spawn_local`](crate::Tasks::spawn_local) does.
    #[track_caller]
    pub fn spawn_local<F>(mut self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
        OutputKind: TaskKind<F::Output> + 'static,
    {
        let (spawning, guard) = self.admit();
        let handle = task::spawn_local(TrackedFuture::<F, OutputKind>::new(future, guard));
        spawning.spawned(handle)
    }

    /// Spawns the task as [`Tasks::spawn_local_on`](crate::Tasks::spawn_local_on) does.
    #[track_caller]
    pub fn spawn_local_on<F>(mut self, future: F, local_set: &LocalSet) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
        OutputKind: TaskKind<F::Output> + 'static,
    {
        let (spawning, guard) = self.admit();
        let handle = local_set.spawn_local(TrackedFuture::<F, OutputKind>::new(future, guard));
        spawning.spawned(handle)
    }

    /// Tracks a future as [`Tasks::track_future`](crate::Tasks::track_future) does.
    #[track_caller]
    pub fn track_future<F>(mut self, future: F) -> TrackedFuture<F, OutputKind>
    where
        F: Future,
        OutputKind: TaskKind<F::Output>,
    {
        TrackedFuture::new(future, self.admit_elsewhere())
    }

    /// Tracks work as [`Tasks::token`](crate::Tasks::token) does.
    #[track_caller]
    pub fn token(mut self) -> TaskToken {
        TaskToken::new(self.admit_elsewhere())
    }

    #[track_caller]
    pub(super) fn admit(&mut self) -> (Spawning<'_>, TaskGuard) {
        let (spec, name) = self.spec();
        let request = self.request(spec.location);
        let guard = match (request, name) {
            (Some(request), None) => request.admit(spec),
            (Some(request), Some(name)) => request.admit_named(spec, Begins::Spawning, name),
            (None, _) => TaskGuard::outside(),
        };
        (Spawning::new(request, &guard), guard)
    }

    #[track_caller]
    fn admit_elsewhere(&mut self) -> TaskGuard {
        let (spec, name) = self.spec();
        match (self.request(spec.location), name) {
            (Some(request), None) => request.admit_elsewhere(spec),
            (Some(request), Some(name)) => request.admit_named(spec, Begins::Elsewhere, name),
            (None, _) => TaskGuard::outside(),
        }
    }

    /// Describes the task. Returns its name too, if that was computed.
    #[track_caller]
    pub(super) fn spec(&mut self) -> (TaskSpec, Option<Arc<str>>) {
        let (name, computed) = match self.name.take() {
            Some(Cow::Borrowed(name)) => (Some(name), None),
            Some(Cow::Owned(name)) => (None, Some(name.into())),
            None => (None, None),
        };
        let spec = TaskSpec {
            name,
            kind: self.kind,
            ..TaskSpec::here()
        };
        (spec, computed)
    }

    /// Returns the request that tracks the task. Outside of a request returns `None`: the task then runs untracked.
    pub(super) fn request(&self, location: &'static Location<'static>) -> Option<&Arc<Request>> {
        if self.context.is_outside() {
            trace::outside_a_request(location);
        }
        self.context.request()
    }
}
