//! Who is told.

use super::{DrainReport, TaskInfo};

/// Told what happened to the tasks of a request.
///
/// Closures `|report: &DrainReport|` implement it for [`on_drain`](OnDrain::on_drain) alone, and
/// `()` ignores everything.
///
/// The callbacks run on whatever thread made them happen, several at a time perhaps, and must not block.
/// They run in the span that was current when the layer was called, so that the current span tells which
/// request it is, and outside of any request: what a callback spawns with [`spawn`](fn@crate::spawn) is not
/// tracked, and what it spawns through a kept [`Tasks`](crate::Tasks) of the same request is late and calls
/// it again. One that panics is caught and logged: it may run while a body is dropped.
pub trait OnDrain: Send + Sync + 'static {
    /// Called once for every request that spawned something: when its response ends; under
    /// `Hold::Never` when its tasks are done after that, or the window closes; and for one that was dropped
    /// when what `at_disconnect` says of its tasks is through, which is at once by default. A head that was
    /// released at its deadline is reported with the end of its body.
    fn on_drain(&self, report: &DrainReport);

    /// Called when a task is spawned after its request was released: it runs, but the response
    /// did not wait for it. That may be before [`on_drain`](Self::on_drain), where a head was released at
    /// its deadline and the body goes on. It is not called for detached tasks, in an upgraded exchange, or,
    /// where a handler runs on alone ([`RunToCompletionLayer`](crate::RunToCompletionLayer)), until no task of
    /// its request is alive.
    fn on_late_spawn(&self, task: &TaskInfo) {
        let _ = task;
    }

    /// Called when a task ends that no report counts as ended: a straggler or a late spawn, after its
    /// request was released, and a [`detached`](crate::TaskBuilder::detached) one at any time. A
    /// straggler that ended on another thread in the very instant of the report is not told of again.
    fn on_detached_end(&self, task: &TaskInfo) {
        let _ = task;
    }
}

impl OnDrain for () {
    fn on_drain(&self, _: &DrainReport) {}
}

impl<F> OnDrain for F
where
    F: Fn(&DrainReport) + Send + Sync + 'static,
{
    fn on_drain(&self, report: &DrainReport) {
        self(report);
    }
}
