//! An observer that records its calls.

use std::sync::{Arc, Mutex};

use tower_task_tracker::{DrainObserver, DrainReport, TaskInfo, TaskTrackerLayer};

/// What an observer was called with.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Drained(DrainReport),
    LateSpawn(TaskInfo),
    LateEnd(TaskInfo),
}

/// An observer that remembers everything, in its order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Call>>>);

impl Log {
    pub(crate) fn all(&self) -> Vec<Call> {
        self.0.lock().expect("no panic holds this lock").clone()
    }

    pub(crate) fn reports(&self) -> Vec<DrainReport> {
        let pick = |call| match call {
            Call::Drained(report) => Some(report),
            _ => None,
        };
        self.all().into_iter().filter_map(pick).collect()
    }

    pub(crate) fn late_spawns(&self) -> Vec<TaskInfo> {
        let pick = |call| match call {
            Call::LateSpawn(task) => Some(task),
            _ => None,
        };
        self.all().into_iter().filter_map(pick).collect()
    }

    pub(crate) fn late_ends(&self) -> Vec<TaskInfo> {
        let pick = |call| match call {
            Call::LateEnd(task) => Some(task),
            _ => None,
        };
        self.all().into_iter().filter_map(pick).collect()
    }

    /// The one report there is.
    #[track_caller]
    pub(crate) fn report(&self) -> DrainReport {
        let mut reports = self.reports();
        assert_eq!(reports.len(), 1, "exactly one report: {reports:?}");
        let report = reports.remove(0);
        assert_adds_up(&report);
        report
    }

    fn push(&self, call: Call) {
        self.0.lock().expect("no panic holds this lock").push(call);
    }
}

impl DrainObserver for Log {
    fn on_drain(&self, report: &DrainReport) {
        self.push(Call::Drained(report.clone()));
    }

    fn on_late_spawn(&self, task: &TaskInfo) {
        self.push(Call::LateSpawn(task.clone()));
    }

    fn on_late_end(&self, task: &TaskInfo) {
        self.push(Call::LateEnd(task.clone()));
    }
}

/// Every task is counted once.
#[track_caller]
pub(crate) fn assert_adds_up(report: &DrainReport) {
    let counted = report.completed
        + report.failed
        + report.panicked
        + report.aborted
        + report.handed_off
        + report.stragglers.len();
    assert_eq!(counted, report.spawned, "the counts add up: {report:?}");
    assert_eq!(
        report.failures.len(),
        report.failed + report.panicked + report.aborted,
        "the report lists each task that did not complete: {report:?}"
    );
}

/// A layer, and all that it tells.
pub(crate) fn observed() -> (Log, TaskTrackerLayer) {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    (log, layer)
}
