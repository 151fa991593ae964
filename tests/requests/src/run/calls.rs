//! An observer of the layer that records its calls.

use std::sync::{Arc, Mutex};

use tower_task_tracker::{DrainObserver, DrainReport, TaskInfo, TaskState};

use crate::world::{Facts, World};

#[derive(Debug, Clone)]
pub(super) struct Observer {
    world: World,
    calls: Arc<Mutex<Calls>>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    /// Each with the facts at its call.
    pub(crate) reports: Vec<(DrainReport, Facts)>,
    pub(crate) late_spawns: usize,
    pub(crate) late_ends: usize,
    /// How many of these tasks were stopped: aborted, perhaps with a destructor that panics.
    pub(crate) late_stops: usize,
}

impl Calls {
    pub(crate) fn report(&self) -> Option<&DrainReport> {
        self.reports.first().map(|(report, _)| report)
    }
}

impl Observer {
    pub(super) fn new(world: &World) -> Self {
        Self {
            world: world.clone(),
            calls: Arc::default(),
        }
    }

    pub(super) fn calls(&self) -> Calls {
        self.calls.lock().expect("no panic holds this lock").clone()
    }

    fn record(&self, line: &str, add: impl FnOnce(&mut Calls)) {
        assert!(!line.is_empty(), "a line for a log");
        add(&mut self.calls.lock().expect("no panic holds this lock"));
    }
}

impl DrainObserver for Observer {
    fn on_drain(&self, report: &DrainReport) {
        let facts = self.world.now().facts;
        self.record(&report.to_string(), |calls| {
            calls.reports.push((report.clone(), facts));
        });
    }

    fn on_late_spawn(&self, task: &TaskInfo) {
        self.record(&task.to_string(), |calls| calls.late_spawns += 1);
    }

    fn on_late_end(&self, task: &TaskInfo) {
        let is_stopped = matches!(task.state, TaskState::Aborted | TaskState::Panicked);
        self.record(&task.to_string(), |calls| {
            calls.late_ends += 1;
            calls.late_stops += usize::from(is_stopped);
        });
    }
}
