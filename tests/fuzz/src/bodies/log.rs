//! An observer of the layer that records its calls.

use std::sync::{Arc, Mutex};

use tower_task_tracker::{DrainObserver, DrainReport, TaskInfo};

use super::world::{Facts, World};

#[derive(Debug, Clone)]
pub(super) struct Log {
    world: World,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// With how things stood.
    pub(super) reports: Vec<(DrainReport, Facts)>,
    pub(super) late_spawns: usize,
    pub(super) late_ends: usize,
}

impl Log {
    pub(super) fn new(world: &World) -> Self {
        Self {
            world: world.clone(),
            told: Arc::default(),
        }
    }

    pub(super) fn told(&self) -> Told {
        self.told.lock().expect("no panic holds this lock").clone()
    }

    fn tell(&self, add: impl FnOnce(&mut Told)) {
        add(&mut self.told.lock().expect("no panic holds this lock"));
    }
}

impl DrainObserver for Log {
    fn on_drain(&self, report: &DrainReport) {
        assert!(!report.to_string().is_empty(), "its line for a log");
        let facts = self.world.facts().clone();
        self.tell(|told| told.reports.push((report.clone(), facts)));
    }

    fn on_late_spawn(&self, task: &TaskInfo) {
        assert!(!task.to_string().is_empty());
        self.tell(|told| told.late_spawns += 1);
    }

    fn on_late_end(&self, task: &TaskInfo) {
        assert!(!task.to_string().is_empty());
        self.tell(|told| told.late_ends += 1);
    }
}
