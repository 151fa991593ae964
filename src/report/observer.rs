//! Who is told.

use super::{DrainReport, TaskInfo};

/// Observes what happens to the tasks of requests: [`observer`](crate::Scope::observer) of each builder takes
/// one. Implement the callbacks that you need; each does nothing by default. Where
/// [`on_drain`](Self::on_drain) is all you need, the method `on_drain` of each builder takes a closure.
///
/// The callbacks run on whatever thread made them happen, several at a time perhaps, and must not block.
/// [`on_drain`](Self::on_drain) runs in the request's span, which is the one that was current when the layer was
/// called; the other two run in the span of their task, because the request's may have closed long ago. All of
/// them run outside of any request: what a callback spawns with [`spawn`](fn@crate::spawn) is not
/// tracked, and what it spawns through a kept [`Tasks`](crate::Tasks) of the same request is late and calls
/// it again. One that panics is caught and logged: it may run while a body is dropped.
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
    /// Called once for every request that spawned something: when its response ends; under
    /// `Hold::Never` and `Hold::Required` when its tasks are done after that, or the window closes; and for one
    /// that was dropped when what `at_disconnect` says of its tasks is through, which is at once by default. A head
    /// that was released at its deadline is reported with the end of its body.
    fn on_drain(&self, report: &DrainReport) {
        let _ = report;
    }

    /// Called when a task is spawned after its request was released: it runs, but the response
    /// did not wait for it. That may be before [`on_drain`](Self::on_drain), where a head was released at
    /// its deadline and the body goes on. It is not called for detached tasks, which includes those that a task
    /// of the request spawns then, in an upgraded exchange, or,
    /// where a handler runs on alone ([`RunToCompletionLayer`](crate::RunToCompletionLayer)), until no task of
    /// its request is alive.
    fn on_late_spawn(&self, task: &TaskInfo) {
        let _ = task;
    }

    /// Called when a task ends that no report counts as ended: a straggler or a late spawn, after its
    /// request was released, and a [`detached`](crate::TaskBuilder::detached) one at any time. A
    /// straggler that ended on another thread in the very instant of the report is not told of again.
    fn on_late_end(&self, task: &TaskInfo) {
        let _ = task;
    }
}

/// Observes the reports by a closure.
pub(crate) struct OnDrain<F>(pub(crate) F);

impl<F> DrainObserver for OnDrain<F>
where
    F: Fn(&DrainReport) + Send + Sync + 'static,
{
    fn on_drain(&self, report: &DrainReport) {
        (self.0)(report);
    }
}
