//! The handle of a request's tasks.

pub(crate) mod abandoned;
mod blocking;
mod builder;
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
pub use self::kind::{Fallible, Plain, TaskKind};
pub use self::spawn::{named, spawn, spawn_blocking, untracked};
pub use self::token::TaskToken;
pub use self::tracked_future::TrackedFuture;
pub use self::try_spawn_error::TrySpawnError;

/// The task tracker of one request: what is spawned through it is waited for before the response
/// ends.
///
/// A handler gets it from the request's extensions, as an axum extractor (feature `axum`), or
/// anywhere below the handler from [`Tasks::current`]. Clones are handles of the same request, and
/// may be kept: a task that is spawned after the request was released still runs, but is reported
/// as late, unless another task of the request spawns it. That one is
/// [detached](TaskBuilder::detached) instead.
///
/// Every task runs in the request's context, so that what it spawns itself is tracked too, and in a
/// `tracing` span of its own under the one that was current where it was spawned (see `task_spans` of the
/// layers). A `Tasks` that is kept does not keep the request's span open. A task that panics touches neither
/// its siblings nor the response, unless it is [`required`](TaskBuilder::required). With its [`JoinHandle`]
/// dropped the task runs on; aborted through that, it counts as aborted.
///
/// # Comparison with tokio-util's `TaskTracker`
///
/// A [`TaskTracker`] counts tasks and waits for them. `Tasks` also has their names, places, ages and ends, takes a
/// deadline, and decides in one atomic step whether a spawn came before the release of the response. Where code asks
/// for a `TaskTracker`, [`tracker`](Self::tracker) has one that is waited for as well.
#[derive(Clone)]
pub struct Tasks {
    pub(crate) request: Arc<Request>,
}

impl Tasks {
    /// The tasks of the request that the running code belongs to.
    ///
    /// `Some` while a handler is called, polled and dropped, and its response body too; in its tracked
    /// tasks and blocking closures, and in a `before_release`; inside of [`Tasks::within`] and of
    /// [`scope`](fn@crate::scope); and in the tasks of a [`TrackerHandle`](crate::TrackerHandle), which are
    /// those of the process. `None` elsewhere: in a plain `tokio::spawn` (unless the handler itself drives
    /// it, as with a `LocalSet`), inside of [`untracked`], and in the callbacks of an
    /// [`DrainObserver`](crate::DrainObserver).
    #[must_use]
    pub fn current() -> Option<Self> {
        let request = Context::current().into_request()?;
        Some(Self { request })
    }

    /// Spawns a task on the current runtime that the response waits for.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as [`tokio::spawn`] does.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // Without a builder, which would have a handle of its own.
        spawn_in::<F, Plain>(Some(&self.request), TaskSpec::here(), future)
    }

    /// Spawns a task on the current runtime, unless it would be late: the response waits for it, or
    /// it is not spawned at all.
    ///
    /// Whether the request was released is decided in the same atomic step that counts the task. In a
    /// [detached](TaskBuilder::detached) task, whose children are detached too, it refuses only in a shutdown.
    ///
    /// # Errors
    ///
    /// [`TrySpawnError::Released`], with the future, if the request was released, which an upgraded
    /// one is too; [`TrySpawnError::ShuttingDown`] if the process is shutting down.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as [`tokio::spawn`] does.
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, TrySpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.task().try_spawn(future)
    }

    /// Spawns a task on the given runtime that the response waits for.
    #[track_caller]
    pub fn spawn_on<F>(&self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.task().spawn_on(future, handle)
    }

    /// Spawns a task on the current [`LocalSet`] or local runtime that the response waits for.
    ///
    /// # Panics
    ///
    /// Outside of a `LocalSet` or local runtime, as [`tokio::task::spawn_local`] does.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.task().spawn_local(future)
    }

    /// Spawns a task on the given [`LocalSet`] that the response waits for: until the deadline, if the
    /// set is not driven meanwhile.
    #[track_caller]
    pub fn spawn_local_on<F>(&self, future: F, local_set: &LocalSet) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.task().spawn_local_on(future, local_set)
    }

    /// Runs a blocking closure on the runtime's blocking threads; the response waits for it.
    ///
    /// A closure that has begun cannot be aborted: if it outlives the drain window it is reported as a
    /// straggler and runs on.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as [`tokio::task::spawn_blocking`] does.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.task().spawn_blocking(f)
    }

    /// Runs a blocking closure on the given runtime's blocking threads; the response waits for it.
    #[track_caller]
    pub fn spawn_blocking_on<F, T>(&self, f: F, handle: &Handle) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.task().spawn_blocking_on(f, handle)
    }

    /// Tracks a future without spawning it. It counts as a task from now until it has ended or is dropped, and runs in
    /// the request's context.
    #[track_caller]
    pub fn track_future<F: Future>(&self, future: F) -> TrackedFuture<F> {
        self.task().track_future(future)
    }

    /// Tracks work that is no future here, such as a message to an actor or a thread: it counts
    /// as alive until the token is dropped.
    #[track_caller]
    pub fn token(&self) -> TaskToken {
        self.task().token()
    }

    /// Names a task before it is spawned: the name stands in reports and logs, where the source
    /// location would stand otherwise.
    pub fn named(&self, name: impl Into<Cow<'static, str>>) -> TaskBuilder {
        TaskBuilder::new(Context::within(self.request.clone()), Some(name.into()))
    }

    /// A task without a name, to be spawned.
    pub fn task(&self) -> TaskBuilder {
        TaskBuilder::new(Context::within(self.request.clone()), None)
    }

    /// A tokio-util tracker of this request, for code that wants one: made when first asked for,
    /// and waited for like everything else.
    ///
    /// Its tasks are anonymous. They do not run in the request's context. A report counts the most that were seen alive at
    /// a time, also those that a detached task spawned in it, and has nothing of how they ended. The response looks
    /// before it waits, with each poll while it waits, and when its head goes out; of what ends in between nothing is
    /// counted.
    /// What they spawn late through a kept `Tasks` is reported as late. What is spawned in the tracker after the release,
    /// or races it, is not reported as late, and the handle counts it only if the request is still listed there.
    ///
    /// While tasks are alive in it, a small task on the runtime that polls the response awaits the tracker, and wakes
    /// the response. Outside of a runtime nothing awaits the tracker: there its last task does not wake the response. The
    /// wait closes the tracker, which refuses nothing. If code reopens it meanwhile, the response waits until its deadline.
    #[track_caller]
    #[must_use]
    pub fn tracker(&self) -> &TaskTracker {
        self.request.make_tracker(std::panic::Location::caller())
    }

    /// The number of tasks that are alive now, also detached ones and those in the [`tracker`](Self::tracker).
    #[must_use]
    pub fn len(&self) -> usize {
        self.request.alive()
    }

    /// Whether no task is alive now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the request was released: what is spawned from now on is late.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.request.is_released()
    }

    /// The earliest limit of the wait that there is now, on tokio's clock. The drain timeout is one of them once the
    /// window is open, that is when the response is ready and waits for its tasks.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.request.deadline().map(|deadline| deadline.at)
    }

    /// A token that is cancelled when the request's tasks are to stop: under [`Unfinished::Cancel`] its
    /// grace before the deadline, under [`Unfinished::Abort`] just before it, and under both when the
    /// client is gone, if `at_disconnect` is set to it. Under [`Unfinished::Continue`] only the end of a
    /// [`shutdown`](crate::TrackerHandle::shutdown) that is awaited does it.
    ///
    /// It is a child: cancelling it does nothing to other tasks. If the tasks were asked to stop
    /// before, it is cancelled already.
    #[must_use]
    pub fn cancellation_token(&self) -> CancellationToken {
        self.request.cancellation_token()
    }

    /// Sets what is held back of this request's response, over the settings of its layers. It counts if it
    /// is set before the handler has answered. By default the layers decide.
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

    /// Sets the drain timeout of this request alone, over the settings of its layers.
    ///
    /// It counts from the opening of the window, on tokio's clock. While the response waits
    /// already, the wait is extended or shortened at once; once it has ended at its deadline, it
    /// stays ended. Zero gives the tasks one turn of the scheduler; `None` waits without limit.
    pub fn set_drain_timeout(&self, timeout: impl Into<Option<Duration>>) {
        let settings = DrainSettings::new().drain_timeout(timeout);
        self.request.overlay(&settings.into());
    }

    /// Sets what becomes of this request's tasks that are alive when its window closes, over the
    /// settings of its layers. While the response waits already, it counts from now on; what was aborted or
    /// cancelled stays so.
    pub fn set_at_deadline(&self, unfinished: Unfinished) {
        let settings = DrainSettings::new().at_deadline(unfinished);
        self.request.overlay(&settings.into());
    }

    /// Runs a future in this request's context without counting it as a task: what it spawns is
    /// tracked. For upgraded connections and actors. It does not run in the request's `tracing` span, and does
    /// not keep that open.
    ///
    /// # Panics
    ///
    /// The future that this gives panics when it is polled after it has ended.
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
