//! What the test itself counts as started, and what the crate reports.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tower_task_tracker::{DrainObserver, DrainReport, TaskInfo};

use crate::ending::Ending;

/// The counts of one round.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    started: AtomicUsize,
    alive: AtomicUsize,
    /// Responses that did not come at once.
    held: AtomicUsize,
    seen: Mutex<Seen>,
}

/// What the observers were called with.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) reports: usize,
    /// The sum over all reports.
    pub(crate) spawned: usize,
    /// Tasks that a policy has aborted in time.
    pub(crate) cut_short: usize,
    /// By the names of the tasks.
    pub(crate) alone: BTreeMap<Cow<'static, str>, Alone>,
    /// The first report that is not what has to come.
    pub(crate) wrong: Option<String>,
}

/// Tasks whose ends no report counts: an observer is called once for each.
#[derive(Debug, Default)]
pub(crate) struct Alone {
    pub(crate) detached: usize,
    pub(crate) late: usize,
    pub(crate) stragglers: usize,
    pub(crate) ends: usize,
}

/// A task, from when it is spawned until what it was doing is dropped.
#[derive(Debug)]
pub(crate) struct Work(Arc<Tally>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tally {
    pub(crate) fn start(self: &Arc<Self>) -> Work {
        self.started.fetch_add(1, Ordering::Relaxed);
        self.alive.fetch_add(1, Ordering::Relaxed);
        Work(self.clone())
    }

    pub(crate) fn start_detached(self: &Arc<Self>, name: &'static str) -> Work {
        self.seen().alone.entry(name.into()).or_default().detached += 1;
        self.start()
    }

    pub(crate) fn hold(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    pub(crate) fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no panic holds this lock")
    }

    /// Every task is in one report, or has a call of its own.
    pub(crate) fn check(&self) {
        let seen = self.seen();
        assert_eq!(seen.wrong, None, "a report");
        let (mut late, mut detached) = (0, 0);
        for (name, alone) in &seen.alone {
            late += alone.late;
            detached += alone.detached;
            let ends = alone.stragglers + alone.late + alone.detached;
            assert_eq!(alone.ends, ends, "one call for each: {name} {alone:?}");
        }
        let counted = seen.spawned + late + detached;
        assert_eq!(counted, self.started(), "every task is counted once");
        assert!(seen.cut_short > 0, "no policy has aborted anything");
        assert_eq!(self.alive(), 0, "what a task was doing is dropped");
    }
}

/// Hears of the requests that come to one ending.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) ending: Ending,
    pub(crate) tally: Arc<Tally>,
}

impl DrainObserver for Observer {
    fn on_drain(&self, report: &DrainReport) {
        let mut seen = self.tally.seen();
        seen.reports += 1;
        seen.spawned += report.spawned;
        seen.cut_short += report.aborted.saturating_sub(1);
        for straggler in &report.stragglers {
            seen.of(straggler).stragglers += 1;
        }
        let ended = report.completed + report.failed + report.panicked + report.aborted;
        let adds_up = ended + report.stragglers.len() == report.spawned;
        if !adds_up || !self.ending.is_told_by(report) {
            // A panic here would be caught by the layer.
            let ending = self.ending;
            seen.wrong
                .get_or_insert_with(|| format!("{ending:?}: {report:?}"));
        }
    }

    fn on_late_spawn(&self, task: &TaskInfo) {
        self.tally.seen().of(task).late += 1;
    }

    fn on_late_end(&self, task: &TaskInfo) {
        self.tally.seen().of(task).ends += 1;
    }
}

impl Seen {
    fn of(&mut self, task: &TaskInfo) -> &mut Alone {
        self.alone
            .entry(task.name.clone().unwrap_or("?".into()))
            .or_default()
    }

    pub(crate) fn late(&self) -> usize {
        self.alone.values().map(|alone| alone.late).sum()
    }
}
