//! The tasks of one request, and the ways to spawn them.

mod blocking;
mod builder;
mod hand_off_builder;
pub(crate) mod handler;
mod kind;
mod spawn;
mod spawning;
mod token;
mod tracked_closure;
mod tracked_future;
mod try_spawn_error;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::request::Request;
use crate::request::context::{Context, InContext};
use crate::request::task::TaskSpec;
#[cfg(feature = "http")]
use crate::settings::{AnswerSettings, Hold, Settings};
use crate::settings::{DrainSettings, Unfinished};

use self::spawning::spawn_in;

pub use self::builder::TaskBuilder;
pub use self::hand_off_builder::HandOffBuilder;
pub use self::kind::{Fallible, Plain, TaskKind};
pub use self::spawn::{named, spawn, spawn_blocking, untracked};
pub use self::token::TaskToken;
pub use self::tracked_future::TrackedFuture;
pub use self::try_spawn_error::TrySpawnError;

/// The task tracker of one request. The response waits for the tasks that are spawned through it.
///
/// A handler takes it from the request's extensions, or as an axum extractor (feature `axum`). Code that the handler
/// calls, however deep, gets it from [`Tasks::current`].
///
/// Clones belong to the same request, and may be kept. A task that is spawned after the release of the request still
/// runs, but is reported as late. If a task of the request spawns it, it is [detached](TaskBuilder::detached) instead,
/// and is not reported as late.
///
/// * Every task runs in the request's context. So the tasks that it spawns are tracked too.
/// * Every task runs in a `tracing` span of its own by default: see [`TaskSpans`](crate::TaskSpans). A kept `Tasks`
///   does not keep the request's span open.
/// * A task that panics does not touch the other tasks. It does not touch the response either, unless it is
///   [`required`](TaskBuilder::required).
/// * A task whose [`JoinHandle`] is dropped runs on. A task that is aborted through its `JoinHandle` counts as aborted.
///
/// # Comparison with tokio-util's `TaskTracker`
///
/// A [`TaskTracker`] counts tasks and waits for them. `Tasks` also keeps their names, places, ages and ends, and has a
/// deadline. It decides in one atomic step whether a spawn came before the release of the response. For code that takes
/// a `TaskTracker`, [`tracker`](Self::tracker) returns one whose tasks are waited for as well.
#[derive(Clone)]
pub struct Tasks {
    pub(crate) request: Arc<Request>,
}

impl Tasks {
    /// Returns the tasks of the request that the running code belongs to.
    ///
    /// `Some`:
    ///
    /// * while a handler is called, polled and dropped, and while its response body is polled and dropped;
    /// * in tracked tasks and blocking closures, and in a `before_release`;
    /// * inside of [`Tasks::within`] and of [`scope`](fn@crate::scope);
    /// * in the tasks of a [`TrackerHandle`](crate::TrackerHandle). It then returns the tasks of the process.
    ///
    /// `None`:
    ///
    /// * in a plain `tokio::spawn`, unless the handler itself drives the task, as with a `LocalSet`;
    /// * inside of [`untracked`];
    /// * in the callbacks of a [`DrainObserver`](crate::DrainObserver);
    /// * everywhere else.
    #[must_use]
    pub fn current() -> Option<Self> {
        let request = Context::current().into_request()?;
        Some(Self { request })
    }

    /// Spawns a task on the current runtime. The response waits for it.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, as [`tokio::spawn`] does.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // Not through a builder, which would clone the `Arc` of the request.
        spawn_in::<F, Plain>(Some(&self.request), TaskSpec::here(), future)
    }

    /// Spawns a task on the current runtime, if the response will wait for it. A task that would be late is not
    /// spawned.
    ///
    /// One atomic step checks whether the request was released, and counts the task. In a
    /// [detached](TaskBuilder::detached) task this fails only during a shutdown, because the new task is detached too.
    ///
    /// # Errors
    ///
    /// Both errors contain the future:
    ///
    /// * [`TrySpawnError::Released`] if the request was released. An upgraded request counts as released.
    /// * [`TrySpawnError::ShuttingDown`] if the process is shutting down.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, as [`tokio::spawn`] does.
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, TrySpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.task().try_spawn(future)
    }

    /// Spawns a task on the given runtime. The response waits for it.
    #[track_caller]
    pub fn spawn_on<F>(&self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.task().spawn_on(future, handle)
    }

    /// Spawns a task on the current [`LocalSet`] or local runtime. The response waits for it.
    ///
    /// # Panics
    ///
    /// Panics outside of a `LocalSet` or local runtime, as [`tokio::task::spawn_local`] does.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.task().spawn_local(future)
    }

    /// Spawns a task on the given [`LocalSet`]. The response waits for it. If the set is not driven meanwhile, the
    /// response waits until its deadline.
    #[track_caller]
    pub fn spawn_local_on<F>(&self, future: F, local_set: &LocalSet) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.task().spawn_local_on(future, local_set)
    }

    /// Runs a blocking closure on the runtime's blocking threads. The response waits for it.
    ///
    /// A closure that has begun cannot be aborted. If it is still running when the drain window closes, it is reported
    /// as a straggler and runs on.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, as [`tokio::task::spawn_blocking`] does.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.task().spawn_blocking(f)
    }

    /// Runs a blocking closure on the blocking threads of the given runtime. The response waits for it.
    #[track_caller]
    pub fn spawn_blocking_on<F, T>(&self, f: F, handle: &Handle) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.task().spawn_blocking_on(f, handle)
    }

    /// Tracks a future without spawning it. The future counts as a task from this call until it has ended or is
    /// dropped. It runs in the request's context.
    #[track_caller]
    pub fn track_future<F: Future>(&self, future: F) -> TrackedFuture<F> {
        self.task().track_future(future)
    }

    /// Tracks work that is not a future, such as a message to an actor, or a thread. The work counts as a task until
    /// the token is dropped.
    #[track_caller]
    pub fn token(&self) -> TaskToken {
        self.task().token()
    }

    /// Returns a builder for a task with this name. Reports and logs have the name in place of the source location.
    ///
    /// The name may be computed: a `String`, as well as a `&'static str`. A computed name is not a label of metrics,
    /// because each value of a label is a series of its own.
    pub fn named(&self, name: impl Into<Cow<'static, str>>) -> TaskBuilder {
        TaskBuilder::new(Context::within(self.request.clone()), Some(name.into()))
    }

    /// Returns a builder for a task without a name.
    pub fn task(&self) -> TaskBuilder {
        TaskBuilder::new(Context::within(self.request.clone()), None)
    }

    /// Returns a tokio-util tracker of this request, for code that takes one. The first call makes it. The response
    /// waits for its tasks too.
    ///
    /// These tasks differ from others:
    ///
    /// * They have no names, and do not run in the request's context. If such a task spawns through a kept `Tasks`
    ///   after the release, that spawn is reported as late.
    /// * A report counts the largest number of them that was seen alive at one time. It does not contain how they
    ///   ended. The number is read before the response waits, with each poll while it waits, and when its head goes
    ///   out. A task that begins and ends in between is not counted.
    /// * A task that a detached task spawns in the tracker is counted and waited for like the others.
    /// * A task that is spawned in the tracker after the release, or in a race with it, is not reported as late. The
    ///   handle counts it only if the request is still listed there.
    ///
    /// While tasks are alive in the tracker, a small task on the runtime that polls the response awaits the tracker,
    /// and wakes the response. Outside of a runtime nothing awaits the tracker. Then its last task does not wake the
    /// response.
    ///
    /// The wait closes the tracker. A closed tracker still accepts tasks. If code reopens it during the wait, the
    /// response waits until its deadline.
    #[track_caller]
    #[must_use]
    pub fn tracker(&self) -> &TaskTracker {
        self.request.make_tracker(std::panic::Location::caller())
    }

    /// Returns the number of tasks that are alive, including detached ones and those in the [`tracker`](Self::tracker).
    #[must_use]
    pub fn len(&self) -> usize {
        self.request.alive()
    }

    /// Returns true if no task is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns true if the request was released: a task that is spawned from now on is late.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.request.is_released()
    }

    /// Returns the deadline of the wait, on tokio's clock: the earliest of the limits that exist now. `None` if there
    /// is no limit.
    ///
    /// The drain timeout becomes a limit when the window opens, that is when the response is ready and waits for its
    /// tasks.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.request.deadline().map(|deadline| deadline.at)
    }

    /// Returns a token that is cancelled when the request's tasks should stop.
    ///
    /// | policy | the token is cancelled |
    /// |---|---|
    /// | [`Unfinished::Cancel`] | its grace before the deadline, or before tasks with a [hand-off](crate::TaskBuilder::or_hand_off) are stopped; with `at_disconnect`, when the client has left |
    /// | [`Unfinished::Abort`] | just before the deadline; with `at_disconnect`, when the client has left |
    /// | [`Unfinished::Continue`] | neither at the deadline nor at a disconnect |
    ///
    /// Under every policy it is cancelled at the end of a [`shutdown`](crate::TrackerHandle::shutdown) that is awaited.
    ///
    /// Each call returns a child token. Cancelling it does not affect other tasks. If the tasks had to stop before this
    /// call, the token is already cancelled.
    #[must_use]
    pub fn cancellation_token(&self) -> CancellationToken {
        self.request.cancellation_token()
    }

    /// Sets what is held of this request's response. It wins over the settings of the layers, which decide by default.
    /// It has an effect only before the handler has answered.
    #[cfg(feature = "http")]
    pub fn set_hold(&self, hold: Hold) {
        self.request.overlay(&Settings {
            answer: AnswerSettings {
                hold: Some(hold),
                ..AnswerSettings::default()
            },
            ..Settings::default()
        });
    }

    /// Sets the drain timeout of this request. It wins over the settings of the layers.
    ///
    /// The time is measured on tokio's clock, and starts when the window opens. Zero gives running tasks one turn of
    /// the scheduler. `None` waits without limit.
    ///
    /// If the response waits already, the wait becomes longer or shorter at once. A wait that has ended at its deadline
    /// does not begin again.
    pub fn set_drain_timeout(&self, timeout: impl Into<Option<Duration>>) {
        let settings = DrainSettings::new().drain_timeout(timeout);
        self.request.overlay(&settings.into());
    }

    /// Sets what happens to tasks of this request that are alive at the deadline. It wins over the settings of the
    /// layers.
    ///
    /// If the response waits already, the new policy applies from now on. Tasks that were aborted, and a token that was
    /// cancelled, stay so.
    pub fn set_at_deadline(&self, unfinished: Unfinished) {
        let settings = DrainSettings::new().at_deadline(unfinished);
        self.request.overlay(&settings.into());
    }

    /// Runs a future in this request's context. The future does not count as a task, but the tasks that it spawns are
    /// tracked. This is for upgraded connections and for actors.
    ///
    /// The future does not run in the request's `tracing` span, and does not keep that span open.
    ///
    /// # Panics
    ///
    /// The returned future panics if it is polled after it has ended.
    pub fn within<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        InContext::new(future, Context::within(self.request.clone()))
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("len", &self.len())
            .field("is_released", &self.is_released())
            .finish_non_exhaustive()
    }
}
