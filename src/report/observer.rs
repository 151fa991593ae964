//! The callbacks about what happens to tasks.

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
    /// `Hold::Never` and `Hold::Required` when its tasks are done after that, or the window closes. If the response was
    /// dropped, it is called once `at_disconnect` has been applied to the tasks, which is at once by default. A response
    /// whose head was released at its deadline is reported at the end of its body.
    fn on_drain(&self, report: &DrainReport) {
        let _ = report;
    }

    /// Called just before a task is spawned whose request was released: it runs, but the response does not wait for
    /// it. This may be before [`on_drain`](Self::on_drain), if a head was released at its deadline and the body goes on.
    ///
    /// It is not called:
    ///
    /// * for detached tasks, which includes what a task of a released request spawns;
    /// * in an upgraded exchange;
    /// * while a handler runs on alone ([`RunToCompletionLayer`](crate::RunToCompletionLayer)), until no task of its
    ///   request is alive.
    fn on_late_spawn(&self, task: &TaskInfo) {
        let _ = task;
    }

    /// Called when a task ends whose end no report counts: a straggler or a late spawn, after its request was released,
    /// and a [`detached`](crate::TaskBuilder::detached) task at any time.
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
