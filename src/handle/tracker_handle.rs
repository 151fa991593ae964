//! The handle of all tracked requests.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::shutdown::shut_down;
use crate::deadline::schedule::FAR_FUTURE;
use crate::process::waiters::Awaits;
use crate::report::{LiveTask, ShutdownReport, TaskState};
use crate::request::waiting::Waiting;
use crate::request::{Process, Request, Shared};
use crate::settings::Settings;
use crate::tasks::Tasks;

/// A view of every task of every request that it tracks.
///
/// Layers can share a handle: [`TaskTrackerLayer::tracked_by`](crate::TaskTrackerLayer::tracked_by) sets it, and
/// [`TaskTrackerLayer::handle`](crate::TaskTrackerLayer::handle) returns it. Clones are the same handle.
///
/// A request is listed here from its first spawn, from its first call of [`Tasks::tracker`], or from the moment its
/// response waits for a hook. It stays listed until its response has ended, its observers were called, and none of its
/// tasks is alive. A request that spawns nothing and is not held is never listed, and costs nothing here.
///
/// # Shutdown
///
/// A process has little time to stop. Cloud Run sends SIGTERM, and SIGKILL 10 s later ([container contract]). After the
/// signal:
///
/// 1. Call [`begin_shutdown`](Self::begin_shutdown) at once, so that no response is held for longer than the process
///    lives.
/// 2. Let the server stop accepting.
/// 3. Await the graceful end of the server, but with a timeout: a client may be slow. This step waits for handlers that
///    have not spawned yet, which are not listed here.
/// 4. Call [`shutdown`](Self::shutdown), which waits for the tasks that no response waits for.
///
/// The example [`graceful_shutdown`](crate#examples) has these steps. A runtime that is dropped waits for blocking
/// closures that are still running. `std::process::exit` does not.
///
/// [container contract]: https://cloud.google.com/run/docs/container-contract#instance-shutdown
#[derive(Clone)]
pub struct TrackerHandle {
    pub(crate) process: Arc<Process>,
}

impl TrackerHandle {
    /// Returns a handle that tracks nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            process: Arc::default(),
        }
    }

    /// Returns the number of requests that are listed here. The tasks of the process count as one request while at
    /// least one of them is alive.
    #[must_use]
    pub fn live_requests(&self) -> usize {
        self.process.registry().len()
    }

    /// Returns the number of tasks that are alive in all listed requests, including those that were released. Each call
    /// counts them.
    #[must_use]
    pub fn live_tasks(&self) -> usize {
        let requests = self.process.registry().members();
        requests.iter().map(|request| request.alive()).sum()
    }

    /// Returns every task that is alive, with its request. It is for a status page, or for a log before the process
    /// gives up. Each call reads all listed requests.
    #[must_use]
    pub fn snapshot(&self) -> Vec<LiveTask> {
        let requests = self.process.registry().members();
        requests.iter().flat_map(|r| r.snapshot(&[])).collect()
    }

    /// Waits until no request is listed here. Then [`live_requests`](Self::live_requests) and
    /// [`live_tasks`](Self::live_tasks) return zero.
    ///
    /// Code of a listed request may wait too, such as a tracked task. It waits neither for itself nor for other code
    /// that waits for this handle: see [`shutdown`](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub async fn wait_idle(&self) {
        // The last task of a request may have ended where no runtime could wait for its tokio-util tracker.
        for request in self.process.registry().members() {
            request.leave_if_over();
        }
        let waiting = Waiting::new(&self.process, Awaits::Idleness);
        waiting.during(waiting.idle()).await;
    }

    /// Returns the tasks of the process itself, which belong to no request: they warm a cache, or empty a queue. No
    /// response waits for them. [`shutdown`](Self::shutdown) does. If one of them calls a service with a layer of this
    /// crate, that layer is the outermost.
    ///
    /// * Settings of a response have no effect on them.
    /// * Their [`cancellation_token`](Tasks::cancellation_token) is cancelled when a shutdown begins. Requests may
    ///   continue after that.
    /// * How one of them ends is only in the log and in the [`ShutdownReport`].
    /// * Tasks in their [`tracker`](Tasks::tracker) are counted here, until they end, if another task of the process
    ///   was alive at the same time as they were. Otherwise they are not counted.
    #[must_use]
    pub fn process_tasks(&self) -> Tasks {
        let request = self.process.own(|stop| {
            let shared = Shared {
                settings: Settings::default(),
                process: self.process.clone(),
                warnings: None,
            };
            Request::of_process(Arc::new(shared), stop)
        });
        Tasks { request }
    }

    /// Spawns a task of the process itself. This is [`spawn`](Tasks::spawn) of [`process_tasks`](Self::process_tasks).
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.process_tasks().spawn(future)
    }

    /// Begins a shutdown that ends after `within`, on tokio's clock. It does not wait for the end.
    ///
    /// * Every drain window, open now or later, closes at that end at the latest. A response that is released then has
    ///   [`Outcome::Shutdown`](crate::Outcome::Shutdown). [`at_deadline`](crate::TaskTrackerLayer::at_deadline) applies
    ///   as at any other deadline, and tasks with a [hand-off](crate::TaskBuilder::or_hand_off) are handed off before
    ///   it.
    /// * From now on [`try_spawn`](Tasks::try_spawn) returns an error. [`spawn`](Tasks::spawn) still runs the task, and
    ///   the task is waited for.
    /// * The token of the [tasks of the process](Self::process_tasks) is cancelled. This method stops nothing else.
    ///
    /// Zero closes every window at once. Of several calls the earliest end counts. A current runtime is needed only if
    /// tokio's clock is paused.
    pub fn begin_shutdown(&self, within: Duration) {
        let now = Instant::now();
        let at = now + within.min(FAR_FUTURE);
        self.process.close(now, at, Request::shutdown_begins);
    }

    /// Begins a shutdown, and waits until no request is listed here, or until `within` has passed, on tokio's
    /// clock. Zero stops everything at once. A shutdown cannot be undone.
    ///
    /// This method also stops the tasks that no response waits for: stragglers, late tasks, detached tasks, and the
    /// tasks of the process.
    ///
    /// 1. Those with a [hand-off](crate::TaskBuilder::or_hand_off) are handed off before the end: see
    ///    [`hand_off_grace`](crate::DrainSettings::hand_off_grace).
    /// 2. [`at_deadline`](crate::TaskTrackerLayer::at_deadline) of their layer applies to the others, with the end of
    ///    the shutdown as the deadline.
    /// 3. At the end the remaining tasks are aborted, whatever the policy is. They have up to 110 ms for their
    ///    destructors, so this method may return that much later.
    /// 4. Tasks that cannot be aborted are in [`still_running`](ShutdownReport::still_running).
    ///
    /// This happens only while this method is awaited. So that the grace of
    /// [`Unfinished::Cancel`](crate::Unfinished::Cancel) begins in time, await this method and the end of the server at
    /// the same time.
    ///
    /// There is one end for `begin_shutdown` and `shutdown`. A response that is held until that end leaves no time for
    /// its stragglers. To leave them some, choose a drain timeout that is shorter than the shutdown.
    ///
    /// This method may be called several times, also concurrently. The earliest end counts for all calls, including
    /// those of `begin_shutdown`. A request whose response is still being read is not done, and is waited for.
    ///
    /// # Inside of a request
    ///
    /// Code of a listed request may await the shutdown, such as an admin route that stops the server:
    ///
    /// | awaited in | it waits for everything except |
    /// |---|---|
    /// | a tracked task | the task itself, its response, and other tasks that await a shutdown or [`wait_idle`](Self::wait_idle) of this handle |
    /// | a handler, a body, a `before_release` | the end of its own response, and tasks that wait as in the row above. It does wait for the other tasks of its request |
    /// | code outside of any request | nothing: it waits for these tasks and responses too, until the end of the shutdown |
    ///
    /// If several requests await the shutdown, all these waits end at once, as soon as nothing else is alive. A task
    /// that awaits the shutdown is not aborted at its end, and is not [`still_running`](ShutdownReport::still_running).
    /// It may run on for as long as it needs after it has the report.
    ///
    /// There are limits:
    ///
    /// * If a task awaits the `JoinHandle` of a task that awaits the shutdown, the shutdown waits for it, and aborts it
    ///   at the end.
    /// * The drain window of a response closes with the shutdown at the latest. Under
    ///   [`Unfinished::Abort`](crate::Unfinished::Abort) and `Cancel` that aborts the tasks that the response waits
    ///   for, including one that awaits the shutdown. If tasks may be left at the end, spawn the task that awaits the
    ///   shutdown as [`detached`](crate::TaskBuilder::detached), or with [`spawn`](Self::spawn).
    /// * A task that has begun such a wait counts as waiting until it drops the wait, also if it does other work
    ///   meanwhile.
    /// * If a handler becomes a task ([`RunToCompletionLayer`](crate::RunToCompletionLayer)) after its wait is over,
    ///   another shutdown may abort it.
    /// * If two tasks each wait for the handle that tracks the other one, a shutdown waits until its end, and
    ///   [`wait_idle`](Self::wait_idle) for ever.
    ///
    /// # Example
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
    /// // The example `graceful_shutdown` has a timeout here: a slow client must not use up the time.
    /// server.await?;
    /// // The time of the budget began with the signal.
    /// let report = handle.shutdown(budget).await;
    /// println!("{report}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it no longer waits, and aborts nothing. The shutdown continues as after
    /// [`begin_shutdown`](Self::begin_shutdown).
    ///
    /// # Panics
    ///
    /// Panics if it has to wait outside of a tokio runtime, or on one without the time driver.
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
            handed_off: ended(TaskState::HandedOff),
            failures: self.process.failures(),
            still_running: self.still_running(),
        };
        waiting.ended();
        report
    }

    /// Returns every task that is alive, except for tasks that wait for this process themselves.
    fn still_running(&self) -> Vec<LiveTask> {
        let requests = self.process.registry().members();
        let waiters = self.process.waiters();
        let alive = |r: &Arc<Request>| r.snapshot(&waiters.of(r));
        requests.iter().flat_map(alive).collect()
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
