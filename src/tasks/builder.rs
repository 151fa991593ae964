//! A task on its way to be spawned.

use std::borrow::Cow;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::{self, JoinHandle, LocalSet};

use super::kind::{Fallible, Plain, TaskKind};
use super::spawning::{Spawning, spawn_in};
use super::token::TaskToken;
use super::tracked_future::TrackedFuture;
use super::try_spawn_error::TrySpawnError;
use crate::request::Request;
use crate::request::context::Context;
use crate::request::guard::TaskGuard;
use crate::request::task::{Kind, Refused, TaskSpec};
use crate::trace;

/// A task that is not spawned yet: made by [`Tasks::named`](crate::Tasks::named),
/// [`Tasks::task`](crate::Tasks::task) and [`named`](crate::named).
///
/// The methods are those of [`Tasks`](crate::Tasks), each with the same meaning and panics.
///
/// After [`fallible`](Self::fallible) and [`required`](Self::required) they take what returns a
/// `Result`.
///
/// ```
/// # use tower_task_tracker::Tasks;
/// fn after_an_order(tasks: &Tasks) {
///     // Its response fails with it.
///     tasks.named("charge").required().spawn(async { Err::<(), _>("the card was refused") });
///     // Nobody waits for it.
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
    /// The task returns a `Result` whose error implements `Display`, and has failed if that is an `Err`: it
    /// is counted as failed, and logged and reported with the error's message. The result comes through the
    /// `JoinHandle` as ever.
    ///
    /// Where the error does not implement `Display`, turn it into one that does, or into a text:
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

    /// The response depends on the task: it is [`fallible`](Self::fallible), and if it fails, panics,
    /// is aborted, or is still alive at the deadline, the response says so.
    ///
    /// * A head that was not sent yet becomes `failure_status` with an empty body: 500, unless the
    ///   layer says otherwise. While such a task is alive, `Hold::Auto` and `Hold::Required` hold the head of
    ///   every response, also of one that streams; once none is, the response goes on as it would
    ///   have. So a required task must not feed the body of a stream, read what that body gives, or wait for its
    ///   drop: it would wait for the head that waits for it, until the deadline, and fail the response. With
    ///   `Hold::End` it may do all of this, since the head is sent at once. A body that is there as a whole is
    ///   dropped before the wait, so that waiting for it is no problem.
    /// * A body that has begun ends as an error, in place of its end: the client sees a stream that
    ///   is reset, or that lacks its last chunk or its last bytes. (HTTP/1.0 without a length cannot
    ///   tell the two apart.)
    /// * `application/grpc` gets `grpc-status: 13` (`INTERNAL`) instead, if its status was no error
    ///   already.
    ///
    /// A late one runs on all the same under [`Unfinished::Continue`](crate::Unfinished::Continue), which
    /// is the default: who is told that it failed may still find it done. Choose
    /// [`Unfinished::Abort`](crate::Unfinished::Abort) where that must not be.
    ///
    /// An `Err` of the service itself is passed on as it is. Under `Hold::Never` nothing waits, and
    /// the response says only what is known by then. The report has it in any case:
    /// [`DrainReport::required_failed`](crate::DrainReport::required_failed).
    ///
    /// It is the opposite of [`detached`](Self::detached), and of both the last call wins:
    /// `.detached().required()` is a required task.
    ///
    /// # Where `.await` is better
    ///
    /// Where the handler can wait for the work, it awaits it, and answers as it went: no timeout of a layer
    /// bounds a handler. A required task is for work that is spawned deep in the code, where no
    /// handler has its result.
    ///
    /// The difference is seen where the work is slow. On a route with a drain timeout of 1 s a required store
    /// that takes 1.5 s is answered with 500 after 1 s, and is stored all the same half a second later. The
    /// sender of the order tries again, and it is stored twice. So a required task needs a
    /// drain timeout that is longer than the work, work that may be done twice (an idempotency key), or
    /// [`Unfinished::Abort`](crate::Unfinished::Abort), which helps where dropping the future takes the work
    /// back: what was sent to another system, or runs in a blocking closure, is done in the end.
    ///
    /// ```
    /// # async fn store() -> Result<(), std::io::Error> { Ok(()) }
    /// // The answer is what became of it.
    /// async fn place_order() -> Result<&'static str, std::io::Error> {
    ///     store().await?;
    ///     Ok("stored")
    /// }
    /// ```
    ///
    /// If the client leaves, that handler is dropped, and perhaps the store with it. Spawned, and awaited
    /// by its handle, it goes on: `tasks.spawn(store()).await`.
    pub fn required(self) -> TaskBuilder<Fallible> {
        let mut task = self.fallible();
        task.kind = Kind::Required;
        task
    }

    /// Nobody waits for the task, neither the response nor the drain. It is tracked by the handle,
    /// it may outlive the request without being late, neither a deadline nor a disconnect stops it,
    /// and its end is passed to [`DrainObserver::on_late_end`](crate::DrainObserver::on_late_end).
    ///
    /// No [`DrainReport`](crate::DrainReport) counts it, though [`Tasks::len`](crate::Tasks::len) does, and
    /// no response can fail with it. It is the opposite of [`required`](Self::required), and of both the last call
    /// wins: `.required().detached()` is a detached task that is fallible. Only the end of
    /// a [`shutdown`](crate::TrackerHandle::shutdown) stops it.
    ///
    /// What it spawns is detached itself, and so is what that spawns, however it is spawned: through
    /// [`spawn`](fn@crate::spawn), a kept [`Tasks`](crate::Tasks), a token, in a blocking closure or in a
    /// destructor. The same goes for what a task spawns that has outlived its response. Where such a task calls
    /// a service with a layer of this crate, that is a request of its own. The one exception is
    /// [`Tasks::tracker`](crate::Tasks::tracker), whose tasks are waited for whatever spawns them.
    ///
    /// A request that has spawned nothing else is reported all the same, with
    /// [`spawned`](crate::DrainReport::spawned) zero. On a platform that freezes an instance when the response
    /// ends the task may never run on.
    pub fn detached(mut self) -> Self {
        self.kind = Kind::Detached;
        self
    }

    /// As [`Tasks::spawn`](crate::Tasks::spawn).
    #[track_caller]
    pub fn spawn<F>(mut self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        OutputKind: TaskKind<F::Output> + 'static,
    {
        let spec = self.spec();
        spawn_in::<F, OutputKind>(self.request(spec.location), spec, future)
    }

    /// As [`Tasks::try_spawn`](crate::Tasks::try_spawn). A [`detached`](Self::detached) task, and what
    /// such a task spawns, is only refused in a shutdown.
    ///
    /// # Errors
    ///
    /// [`TrySpawnError::Released`] and [`TrySpawnError::ShuttingDown`], with the future.
    #[track_caller]
    pub fn try_spawn<F>(mut self, future: F) -> Result<JoinHandle<F::Output>, TrySpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        OutputKind: TaskKind<F::Output> + 'static,
    {
        let spec = self.spec();
        let request = self.request(spec.location);
        let admitted = request.map(|request| request.try_admit(spec));
        let guard = match admitted.unwrap_or_else(|| Ok(TaskGuard::outside())) {
            Ok(guard) => guard,
            Err(Refused::Released) => return Err(TrySpawnError::Released(future)),
            Err(Refused::ShuttingDown) => return Err(TrySpawnError::ShuttingDown(future)),
        };
        let spawning = Spawning::new(request, &guard);
        let handle = tokio::spawn(TrackedFuture::<F, OutputKind>::new(future, guard));
        Ok(spawning.spawned(handle))
    }

    /// As [`Tasks::spawn_on`](crate::Tasks::spawn_on).
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

    /// As [`Tasks::spawn_local`](crate::Tasks::spawn_local).
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

    /// As [`Tasks::spawn_local_on`](crate::Tasks::spawn_local_on).
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

    /// As [`Tasks::track_future`](crate::Tasks::track_future).
    #[track_caller]
    pub fn track_future<F>(mut self, future: F) -> TrackedFuture<F, OutputKind>
    where
        F: Future,
        OutputKind: TaskKind<F::Output>,
    {
        TrackedFuture::new(future, self.admit_elsewhere())
    }

    /// As [`Tasks::token`](crate::Tasks::token).
    #[track_caller]
    pub fn token(mut self) -> TaskToken {
        TaskToken::new(self.admit_elsewhere())
    }

    #[track_caller]
    pub(super) fn admit(&mut self) -> (Spawning<'_>, TaskGuard) {
        let spec = self.spec();
        Spawning::admit(self.request(spec.location), spec)
    }

    #[track_caller]
    fn admit_elsewhere(&mut self) -> TaskGuard {
        let spec = self.spec();
        match self.request(spec.location) {
            Some(request) => request.admit_elsewhere(spec),
            None => TaskGuard::outside(),
        }
    }

    #[track_caller]
    fn spec(&mut self) -> TaskSpec {
        TaskSpec {
            name: self.name.take(),
            kind: self.kind,
            ..TaskSpec::here()
        }
    }

    /// `None` outside of a request: the task runs, tracked by nothing.
    fn request(&self, location: &'static Location<'static>) -> Option<&Arc<Request>> {
        if self.context.is_outside() {
            trace::outside_a_request(location);
        }
        self.context.request()
    }
}
