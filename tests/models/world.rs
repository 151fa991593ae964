//! Requests of a process, without a runtime.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Context;

use tokio::time::Instant;

use crate::process::Process;
use crate::report::{DrainObserver, Outcome, TaskInfo};
use crate::request::account::{Account, Look, ReleaseState, ReportQuery};
use crate::request::task::TaskSpec;
use crate::request::{Request, Shared, pool};
use crate::settings::{DrainSettings, Settings};

/// Checks a model in every interleaving, or in those with at most so many preemptions.
pub(crate) fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 20_000;
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    builder.check(move || {
        counter.fetch_add(1, SeqCst);
        model();
    });
    println!("{} interleavings", count.load(SeqCst));
}

/// What observers were called about. Its own counts are no part of the model.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) late_spawns: AtomicUsize,
    pub(crate) late_ends: AtomicUsize,
    /// A callback ran while its request was not listed.
    pub(crate) unlisted: AtomicUsize,
    process: Mutex<Option<std::sync::Weak<Process<Request>>>>,
}

struct Observer(Arc<Seen>);

/// One process, and what its requests share.
pub(crate) struct World {
    pub(crate) process: Arc<Process<Request>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) seen: Arc<Seen>,
}

impl World {
    /// Without observers.
    pub(crate) fn new() -> Self {
        Self::with(Settings::default(), Arc::default())
    }

    pub(crate) fn observed() -> Self {
        let seen = Arc::new(Seen::default());
        let settings = DrainSettings::new().observer(Observer(seen.clone()));
        Self::with(settings.into(), seen)
    }

    fn with(settings: Settings, seen: Arc<Seen>) -> Self {
        let process: Arc<Process<Request>> = Arc::default();
        *seen.process.lock().expect("no panic") = Some(Arc::downgrade(&process));
        let shared = Arc::new(Shared {
            settings,
            process: process.clone(),
            warnings: None,
        });
        Self {
            process,
            shared,
            seen,
        }
    }

    pub(crate) fn request(&self) -> Arc<Request> {
        pool::take(&self.shared, None)
    }
}

impl Seen {
    fn look(&self) {
        let process = self.process.lock().expect("no panic").clone();
        let process = process.and_then(|process| process.upgrade());
        if process.is_none_or(|process| process.registry().is_empty()) {
            self.unlisted.fetch_add(1, SeqCst);
        }
    }

    pub(crate) fn late_spawns(&self) -> usize {
        self.late_spawns.load(SeqCst)
    }

    pub(crate) fn late_ends(&self) -> usize {
        self.late_ends.load(SeqCst)
    }
}

impl DrainObserver for Observer {
    fn on_late_spawn(&self, _: &TaskInfo) {
        self.0.look();
        self.0.late_spawns.fetch_add(1, SeqCst);
    }

    fn on_late_end(&self, _: &TaskInfo) {
        self.0.look();
        self.0.late_ends.fetch_add(1, SeqCst);
    }
}

#[track_caller]
pub(crate) fn named(name: &'static str) -> TaskSpec {
    TaskSpec {
        name: Some(name),
        ..TaskSpec::here()
    }
}

/// As a wait looks, which is woken from then on.
pub(crate) fn look(request: &Arc<Request>, cx: &mut Context<'_>) -> Look {
    request.look_again(cx).0
}

pub(crate) fn query(outcome: Outcome) -> ReportQuery {
    let now = Instant::now();
    ReportQuery {
        outcome,
        at: Some(now),
    }
}

pub(crate) fn account(release_state: ReleaseState) -> Account {
    release_state.account.expect("it was asked for")
}
