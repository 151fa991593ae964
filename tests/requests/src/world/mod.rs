//! The tasks of a plan, and what can be observed of them from outside the library.

mod alive;
mod body;
mod facts;
mod hand_off;
mod item;

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tower_task_tracker::{Tasks, named};

use self::alive::Alive;
use crate::clock::ms;
use crate::plan::{Kind, Task, TaskEnd};

pub(crate) use self::alive::Fate;
pub(crate) use self::body::Scripted;
pub(crate) use self::facts::{Begun, Facts, Fates, Moment, Record};
pub(crate) use self::item::{BodyFailure, Item, is_grpc_failure, item};

/// The world of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    record: Arc<Mutex<Record>>,
    body_dropped: Arc<Notify>,
}

/// Lives until the body is dropped, or the handler that would make it.
pub(crate) struct BodyGuard(World);

impl Drop for BodyGuard {
    fn drop(&mut self) {
        self.0.record().facts.body_dropped = Some(Instant::now());
        self.0.body_dropped.notify_waiters();
    }
}

impl World {
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no panic holds this lock")
    }

    pub(crate) fn now(&self) -> Moment {
        Moment {
            at: Instant::now(),
            facts: self.record().facts,
        }
    }

    pub(crate) fn body_guard(&self) -> BodyGuard {
        BodyGuard(self.clone())
    }

    /// Starts a task through the free functions, as code without a handle does.
    pub(crate) fn start(&self, task: &Task) {
        self.start_as(task, task.kind);
    }

    /// Starts a task whose kind may become another than it is spawned as.
    fn start_as(&self, task: &Task, becomes: Kind) {
        // A task with a hand-off is required, unless it is detached.
        let becomes = match becomes {
            Kind::Plain if task.hand_off.is_some() => Kind::Required,
            kind => kind,
        };
        let mut alive = Alive::new(self, becomes);
        let armed = Arc::default();
        alive.armed = task.hand_off.map(|_| Arc::clone(&armed));
        alive.is_drop_planned = task.end == TaskEnd::Aborted;
        let (world, plan) = (self.clone(), task.clone());
        let work = async move {
            // As a whole: the block would take its fields alone.
            let mut alive = alive;
            world.run(&plan, becomes).await;
            alive.fate = match plan.end {
                TaskEnd::Panics => Fate::Panicked,
                TaskEnd::Fails => Fate::Failed,
                TaskEnd::Completes | TaskEnd::StopsOnCancel | TaskEnd::Aborted => Fate::Completed,
            };
            match alive.fate {
                // Without the panic hook, which ends the fuzzer.
                Fate::Panicked => resume_unwind(Box::new("planned")),
                Fate::Failed => Err("planned"),
                Fate::Completed | Fate::Dropped | Fate::HandedOff => Ok(()),
            }
        };
        let handle = if let Some(hand_off) = task.hand_off {
            let (world, plan) = (self.clone(), task.clone());
            let f = move |why| world.hand_off((&plan, hand_off), becomes, &armed, why);
            let builder = named("armed").or_hand_off(f);
            match task.kind {
                Kind::Detached => builder.detached().spawn(work),
                Kind::Plain | Kind::Required => builder.spawn(work),
            }
        } else {
            let builder = named("planned");
            match task.kind {
                Kind::Plain => builder.fallible().spawn(work),
                Kind::Required => builder.required().spawn(work),
                Kind::Detached => builder.fallible().detached().spawn(work),
            }
        };
        if task.end == TaskEnd::Aborted {
            handle.abort();
        }
    }

    async fn run(&self, plan: &Task, kind: Kind) {
        let half = plan.takes / 2;
        let tasks = current();
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
        if plan.end == TaskEnd::StopsOnCancel {
            tasks.cancellation_token().run_until_cancelled(work).await;
        } else {
            work.await;
        }
    }

    async fn wait_for_body(&self) {
        let dropped = self.body_dropped.notified();
        if self.record().facts.body_dropped.is_none() {
            dropped.await;
        }
    }

    /// Starts a task in the request's tokio-util tracker. It is alive like any other, but its spawn and its end are not
    /// reported.
    pub(crate) fn start_in_tracker(&self, takes: u64) {
        let mut alive = Alive::new(self, Kind::Plain);
        alive.is_drop_planned = true;
        self.record().facts.spawned -= 1;
        current().tracker().spawn(async move {
            let mut alive = alive;
            sleep(ms(takes)).await;
            alive.fate = Fate::Completed;
        });
    }
}

fn current() -> Tasks {
    Tasks::current().expect("in a request")
}
