//! The process-wide view of tracked requests.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::shutdown::shut_down;
use crate::deadline::schedule::AGES;
use crate::process::waiters::Awaits;
use crate::report::{LiveTask, ShutdownReport, TaskState};
use crate::request::waiting::Waiting;
use crate::request::{Process, Request, Shared};
use crate::settings::Settings;
use crate::tasks::Tasks;

/// Every task of every request that is tracked by it: shared between layers by
/// [`TaskTrackerLayer::tracked_by`](crate::TaskTrackerLayer::tracked_by), and taken from one by
/// [`TaskTrackerLayer::handle`](crate::TaskTrackerLayer::handle). Clones are the same handle.
///
/// A request is listed here from its first spawn, or from the moment its response is held, until its response has ended,
/// its observers were called, and none of its tasks is alive. A request that spawns nothing, and is not held, is not
/// listed, and costs nothing here.
///
/// # Shutdown
///
/// A process that is asked to stop has little time: Cloud Run sends SIGTERM, and SIGKILL 10 s later
/// ([container contract]). Call [`begin_shutdown`](Self::begin_shutdown) at the signal, so that no
/// response is held past the time there is, let the server stop accepting, await its graceful end for
/// no longer than there is time (a client may be slow, and a handler that has not spawned yet is not
/// listed here), and wait with [`shutdown`](Self::shutdown) for the tasks that no response waits for. The
/// example [`graceful_shutdown`](crate#examples) does so. A runtime that is dropped waits for blocking closures that
/// are still running: `std::process::exit` does not.
///
/// [container contract]: https://cloud.google.com/run/docs/container-contract#instance-shutdown
#[derive(Clone)]
pub struct TrackerHandle {
    pub(crate) process: Arc<Process>,
}

impl TrackerHandle {
    /// A handle that tracks nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            process: Arc::default(),
        }
    }

    /// The number of requests that are listed here: the response has not ended, or a task is alive. The
    /// work of the process itself counts as one while there is some.
    #[must_use]
    pub fn live_requests(&self) -> usize {
        self.process.registry().len()
    }

    /// The number of tasks alive, of all requests, also of those that were released. It is summed
    /// up when asked for.
    #[must_use]
    pub fn live_tasks(&self) -> usize {
        let requests = self.process.registry().members();
        requests.iter().map(|request| request.alive()).sum()
    }

    /// Every task that is alive, with its request: for a status page, or for a log before the process
    /// gives up. It walks over all of them.
    #[must_use]
    pub fn snapshot(&self) -> Vec<LiveTask> {
        let requests = self.process.registry().members();
        requests.iter().flat_map(|r| r.snapshot(&[])).collect()
    }

    /// Waits until no request is listed here: [`live_requests`](Self::live_requests) is zero, and
    /// with it [`live_tasks`](Self::live_tasks).
    ///
    /// Code of a request that is listed here, such as a tracked task, waits for everything but itself, and but for other
    /// code that waits so: see [`shutdown`](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_idle(&self) {
        // Some requests may have ended where there was no runtime to wait for the rest of them.
        for request in self.process.registry().members() {
            request.leave_if_over();
        }
        let waiting = Waiting::new(&self.process, Awaits::Idleness);
        waiting.during(waiting.idle()).await;
    }

    /// The tasks of the process itself, of no request: caches to warm, queues to drain. No response
    /// waits for them, [`shutdown`](Self::shutdown) does. A layer that is called by one of them is the
    /// outermost.
    ///
    /// Settings that are about a response do nothing here. The
    /// [`cancellation_token`](Tasks::cancellation_token) is cancelled when a shutdown begins: requests may
    /// go on after that. What runs in its [`tracker`](Tasks::tracker) is counted here if another task
    /// of the process was alive beside it, and then until it ends. How one of these tasks ended is in the log and in
    /// the [`ShutdownReport`] alone.
    #[must_use]
    pub fn process_tasks(&self) -> Tasks {
        let request = self.process.own(|stop| {
            let shared = Shared {
                settings: Settings::default(),
                process: self.process.clone(),
                notices: None,
            };
            Request::of_process(Arc::new(shared), stop)
        });
        Tasks { request }
    }

    /// Spawns work of the process itself: [`spawn`](Tasks::spawn) of [`process_tasks`](Self::process_tasks).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.process_tasks().spawn(future)
    }

    /// Begins a shutdown that is to be over after this time, on tokio's clock.
    ///
    /// Every drain window closes then at the latest, those that are open now and those that will be:
    /// held responses are released in time, with [`Outcome::Shutdown`](crate::Outcome::Shutdown), and
    /// [`at_deadline`](crate::TaskTrackerLayer::at_deadline) is about this deadline as about any other.
    /// From now on [`try_spawn`](Tasks::try_spawn) refuses; [`spawn`](Tasks::spawn) still runs and is
    /// waited for. The work of the process itself is asked to stop, by its token; nothing else is stopped
    /// by this. It does not wait, and needs no runtime but the one that is current (for the clock, where
    /// that is paused).
    ///
    /// Zero closes every window at once. Called again, the earlier end counts.
    pub fn begin_shutdown(&self, within: Duration) {
        let now = Instant::now();
        let at = now + within.min(AGES);
        self.process.close(now, at, Request::shutdown_begins);
    }

    /// Begins a shutdown, and waits until no request is listed here any more, for this time at most, on
    /// tokio's clock.
    ///
    /// What no response waits for, which are stragglers, late and detached tasks and the work of the
    /// process, is treated by [`at_deadline`](crate::TaskTrackerLayer::at_deadline) of its layer,
    /// with the end of the shutdown as the deadline. What is left when the time is up is aborted under any policy,
    /// and has up to 110 ms for its destructors. All of this happens only while this method is awaited:
    /// to have the grace of [`Unfinished::Cancel`](crate::Unfinished::Cancel) kept while the server ends,
    /// await both at once. What cannot be aborted is
    /// [`still_running`](ShutdownReport::still_running).
    ///
    /// There is one end for both: what [`begin_shutdown`](Self::begin_shutdown) releases at its end leaves no
    /// time for stragglers here. To give them some, choose a drain timeout that is shorter than the shutdown.
    /// It may be called several times, and concurrently: the earliest end counts for all, also that of
    /// `begin_shutdown`. A request whose response is still being read counts as
    /// not done.
    ///
    /// # Awaited inside of a request
    ///
    /// It may be awaited by code of a request that is listed here, such as an admin route that stops the server. A wait
    /// in a tracked task waits neither for that task, nor for its response, nor for other tasks that await a
    /// shutdown or [`wait_idle`](Self::wait_idle) of this handle: all of them are over at once, when nothing
    /// else is left. A wait in a handler, in a body or in a `before_release` waits for the tasks of its request,
    /// and not for the end of its response. A task that awaits the shutdown is not aborted at its end and is not
    /// [`still_running`](ShutdownReport::still_running); when it has the report, it has all the time it needs. A
    /// wait outside of any request waits for these tasks and responses too, as long as there is time.
    ///
    /// The limits of this:
    ///
    /// * A task that awaits the *handle* of a task which awaits the shutdown is waited for, and aborted at the end.
    /// * The drain window of a response closes with the shutdown at the latest: under
    ///   [`Unfinished::Abort`](crate::Unfinished::Abort) and `Cancel` it aborts what its response waits for, such a
    ///   task too. Spawn it [`detached`](crate::TaskBuilder::detached), or with [`spawn`](Self::spawn), where
    ///   something may be left at the end.
    /// * A task that has begun such a wait counts as waiting until it drops the wait, also if it works on beside it.
    /// * A handler that becomes a task ([`RunToCompletionLayer`](crate::RunToCompletionLayer)) after its wait is over
    ///   may be aborted by another shutdown.
    /// * Two tasks, each waiting for the handle that tracks the other one, wait for each other for ever.
    ///
    #[cfg_attr(feature = "axum", doc = "```no_run")]
    #[cfg_attr(not(feature = "axum"), doc = "```ignore")]
    /// # use std::time::Duration;
    /// # use axum::Router;
    /// # use tokio::{net::TcpListener, signal::unix::{SignalKind, signal}};
    /// # use tower_task_tracker::TaskTrackerLayer;
    /// # async fn serve(listener: TcpListener, app: Router) -> std::io::Result<()> {
    /// let layer = TaskTrackerLayer::new();
    /// let (handle, at_signal) = (layer.handle(), layer.handle());
    /// let budget = Duration::from_secs(9);
    /// let mut sigterm = signal(SignalKind::terminate())?;
    /// let signalled = async move {
    ///     sigterm.recv().await;
    ///     at_signal.begin_shutdown(budget);
    /// };
    /// let server = axum::serve(listener, app.layer(layer)).with_graceful_shutdown(signalled);
    /// // The example `graceful_shutdown` bounds it too: a slow client must not use up the time.
    /// server.await?;
    /// // Ends when the budget does, which began with the signal.
    /// let report = handle.shutdown(budget).await;
    /// println!("{report}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropped, it waits no longer, and nothing is aborted. The shutdown goes on as after
    /// [`begin_shutdown`](Self::begin_shutdown).
    ///
    /// # Panics
    ///
    /// On a runtime without time.
    pub async fn shutdown(&self, within: Duration) -> ShutdownReport {
        self.begin_shutdown(within);
        let began = self.process.began_at().unwrap_or_else(Instant::now);
        let waiting = Waiting::new(&self.process, Awaits::Shutdown);
        waiting.during(shut_down(&waiting, began)).await;
        let ended = |state| self.process.ended(state);
        let report = ShutdownReport {
            waited: began.elapsed(),
            completed: ended(TaskState::Completed),
            failed: ended(TaskState::Failed),
            panicked: ended(TaskState::Panicked),
            aborted: ended(TaskState::Aborted),
            failures: self.process.failures(),
            still_running: self.still_running(),
        };
        waiting.ended();
        report
    }

    /// Every task that is alive, but those that are waiting for the process themselves.
    fn still_running(&self) -> Vec<LiveTask> {
        let requests = self.process.registry().members();
        let waiters = self.process.waiters();
        let left = |r: &Arc<Request>| r.snapshot(&waiters.of(r));
        requests.iter().flat_map(left).collect()
    }
}

impl Default for TrackerHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TrackerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackerHandle")
            .field("live_requests", &self.live_requests())
            .field("live_tasks", &self.live_tasks())
            .finish()
    }
}
