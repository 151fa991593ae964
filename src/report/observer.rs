//! The callbacks about the tasks of requests.

use super::{DrainReport, TaskInfo};

/// Observes what happens to the tasks of requests. The method [`observer`](crate::Scope::observer) of each builder adds
/// one. Implement the callbacks that you need: each does nothing by default. If [`on_drain`](Self::on_drain) is all you
/// need, the method `on_drain` of each builder takes a closure.
///
/// * A callback runs on the thread on which its event happens. Several may run at the same time. A callback must not
///   block.
/// * [`on_drain`](Self::on_drain) runs in the request's span, which is the span that was current when the layer was
///   called. The other two run in the span of their task, because the request's span may have closed by then.
/// * Callbacks run outside of any request. A task that a callback spawns with [`spawn`](fn@crate::spawn) is not
///   tracked. A task that it spawns through a kept [`Tasks`](crate::Tasks) of the same request is late, and calls the
///   observer again.
/// * A panic of a callback is caught and logged, because a callback may run while a body is dropped.
///
/// ```
/// use tower_task_tracker::{DrainObserver, DrainReport, Scope, TaskInfo};
///
/// struct Alarm;
///
/// impl DrainObserver for Alarm {
///     fn on_drain(&self, report: &DrainReport) {
///         if !report.is_clean() {
///             eprintln!("{report}");
///         }
///     }
///
///     fn on_late_spawn(&self, task: &TaskInfo) {
///         eprintln!("{task} was not waited for");
///     }
/// }
///
/// let scope = Scope::new().observer(Alarm);
/// # let _ = scope;
/// ```
pub trait DrainObserver: Send + Sync + 'static {
    /// Called once for every request that spawned a task.
    ///
    /// | the response | `on_drain` is called |
    /// |---|---|
    /// | ends | at its end |
    /// | ends under `Hold::Never` or `Hold::Required`, with tasks alive | when the tasks are done, or the window closes |
    /// | is dropped | after `at_disconnect` was applied to the tasks, which is at once by default |
    /// | has its head released at the deadline | at the end of its body |
    /// | goes on as an upgraded stream | when its head is released; tasks that are alive are stragglers |
    fn on_drain(&self, report: &DrainReport) {
        let _ = report;
    }

    /// Called just before a task of a released request is spawned. The task runs, but the response does not wait
    /// for it. If a head was released at its deadline and the body goes on, this may be called before
    /// [`on_drain`](Self::on_drain).
    ///
    /// It is not called:
    ///
    /// * for detached tasks, including the tasks that a task of a released request spawns;
    /// * in an upgraded exchange;
    /// * while a handler runs on without its client ([`RunToCompletionLayer`](crate::RunToCompletionLayer)), until no
    ///   task of its request is alive.
    fn on_late_spawn(&self, task: &TaskInfo) {
        let _ = task;
    }

    /// Called when a task ends that no report counts as ended. Such a task is:
    ///
    /// * a straggler, or a late spawn, when it ends after the release of its request;
    /// * a [`detached`](crate::TaskBuilder::detached) task, at any time.
    fn on_late_end(&self, task: &TaskInfo) {
        let _ = task;
    }
}

/// An observer that calls a closure with each report.
pub(crate) struct OnDrain<F>(pub(crate) F);

impl<F> DrainObserver for OnDrain<F>
where
    F: Fn(&DrainReport) + Send + Sync + 'static,
{
    fn on_drain(&self, report: &DrainReport) {
        (self.0)(report);
    }
}
