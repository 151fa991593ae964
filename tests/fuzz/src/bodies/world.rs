//! The tasks of a plan, and what the harness observes of them from outside the library.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tower_task_tracker::{TaskBuilder, Tasks, named};

use super::alive::{Alive, Fate};
use super::item::Item;
use super::task::{Kind, Task, TaskEnd};
use crate::clock::ms;

/// How things stood when the handler answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) at: Instant,
    pub(super) alive: usize,
    pub(super) required_alive: bool,
    pub(super) required_failed: bool,
    pub(super) spawned: usize,
}

/// What happened, on the harness's own count. Detached tasks are not among the others.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) spawned: usize,
    pub(super) alive: usize,
    /// When the number of tasks alive last became zero.
    pub(super) none_alive_since: Option<Instant>,
    pub(super) fates: Fates,
    pub(super) detached: usize,
    pub(super) detached_alive: usize,
    pub(super) required_alive: usize,
    pub(super) no_required_since: Option<Instant>,
    pub(super) required_failed: bool,
    /// How many were stopped by somebody who was not asked to by the plan.
    pub(super) killed: usize,
    pub(super) answered: Option<Answered>,
    /// When that had ended which is awaited before the release.
    pub(super) hooked: Option<Instant>,
    /// What the inner body gave, and when.
    pub(super) given: Vec<(Instant, Item)>,
    /// When the body was dropped.
    pub(super) body_gone: Option<Instant>,
}

/// How tasks have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fates {
    pub(super) completed: usize,
    pub(super) failed: usize,
    pub(super) panicked: usize,
    pub(super) dropped: usize,
}

impl Fates {
    /// Whether more may have ended since.
    pub(super) fn are_before(&self, later: &Self) -> bool {
        self.completed <= later.completed
            && self.failed <= later.failed
            && self.panicked <= later.panicked
            && self.dropped <= later.dropped
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct World {
    facts: Arc<Mutex<Facts>>,
    body_gone: Arc<Notify>,
}

/// Whatever holds this is, or becomes, the body.
pub(super) struct BodyGuard(World);

impl Drop for BodyGuard {
    fn drop(&mut self) {
        self.0.facts().body_gone = Some(Instant::now());
        self.0.body_gone.notify_waiters();
    }
}

impl World {
    pub(super) fn body_guard(&self) -> BodyGuard {
        BodyGuard(self.clone())
    }

    async fn wait_for_body(&self) {
        let gone = self.body_gone.notified();
        if self.facts().body_gone.is_none() {
            gone.await;
        }
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().expect("no panic holds this lock")
    }

    /// Starts a task through the free functions, as code without a handle does.
    pub(super) fn start(&self, task: &Task) {
        self.start_as(task, task.kind);
    }

    /// The same, where what it becomes may be another kind than what it is spawned as.
    fn start_as(&self, task: &Task, becomes: Kind) {
        let mut alive = Alive::new(self, becomes);
        alive.is_planned = task.end == TaskEnd::Aborted;
        let (world, plan) = (self.clone(), task.clone());
        let work = async move {
            // As a whole: the block would take its fields alone.
            let mut alive = alive;
            world.run(&plan, becomes).await;
            alive.fate = match plan.end {
                TaskEnd::Panics => Fate::Panicked,
                TaskEnd::Fails => Fate::Failed,
                TaskEnd::Completes | TaskEnd::Heeds | TaskEnd::Aborted => Fate::Completed,
            };
            match alive.fate {
                // Past the panic hook, which ends the fuzzer.
                Fate::Panicked => resume_unwind(Box::new("planned")),
                Fate::Failed => Err("planned"),
                Fate::Completed | Fate::Dropped => Ok(()),
            }
        };
        let builder: TaskBuilder = named("planned");
        let handle = match task.kind {
            Kind::Plain => builder.fallible().spawn(work),
            Kind::Required => builder.required().spawn(work),
            Kind::Detached => builder.fallible().detached().spawn(work),
        };
        if task.end == TaskEnd::Aborted {
            handle.abort();
        }
    }

    async fn run(&self, plan: &Task, kind: Kind) {
        let half = plan.takes / 2;
        let tasks = Tasks::current().expect("in a request");
        let work = async {
            sleep(ms(half)).await;
            for child in &plan.children {
                // What a detached task or a straggler spawns is detached itself.
                let is_detached = kind == Kind::Detached || tasks.is_released();
                let becomes = if is_detached {
                    Kind::Detached
                } else {
                    child.kind
                };
                self.start_as(child, becomes);
            }
            sleep(ms(plan.takes - half)).await;
            if plan.waits_for_body {
                self.wait_for_body().await;
            }
        };
        if plan.end == TaskEnd::Heeds {
            tasks.cancellation_token().run_until_cancelled(work).await;
        } else {
            work.await;
        }
    }

    /// Starts a task in the request's tokio-util tracker. It is alive like any other, but of its
    /// spawn and its end nobody is told.
    pub(super) fn start_anonymous(&self, takes: u64) {
        let mut alive = Alive::new(self, Kind::Plain);
        alive.is_planned = true;
        self.facts().spawned -= 1;
        let tasks = Tasks::current().expect("in a request");
        tasks.tracker().spawn(async move {
            let mut alive = alive;
            sleep(ms(takes)).await;
            alive.fate = Fate::Completed;
        });
    }
}
