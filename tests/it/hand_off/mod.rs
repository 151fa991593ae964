//! Tasks with a hand-off: acknowledged means done or handed off.
//!
//! | module | rule |
//! |---|---|
//! | `begins` | When a task is handed off, and why. |
//! | `deadlines` | The hand-off point: how long before a deadline a task is stopped. |
//! | `limits` | Which limit the hand-off point belongs to, and what each policy does before it. |
//! | `ends` | What the end of a hand-off means for the response and the report. |
//! | `events` | What is logged of a hand-off, and the spans that it runs in. |
//! | `durable` | A queue in a file: at the response the work is done, or it is on the disk. |
//! | `shutdowns` | Hand-offs at a shutdown. |
//! | `closures` | Work that cannot be stopped: blocking closures, and tasks that do not yield. |
//! | `runtimes` | Each way to spawn, and the runtime that a hand-off runs on. |
//! | `detached` | Detached tasks with a hand-off. |
//! | `nested` | Hand-offs under several layers and scopes. |
//! | `at_once` | Several things at one moment: a stop, an end, a panic, a shutdown. |
//! | `places` | Hand-offs in every kind of response, layer and scope. |

mod at_once;
mod begins;
mod closures;
mod deadlines;
mod detached;
mod durable;
mod ends;
mod events;
mod limits;
mod nested;
mod places;
mod runtimes;
mod shutdowns;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tower_task_tracker::{HandOffBuilder, NotDone, TaskBuilder, named};

use crate::support::ms;

/// A queue that records what is put into it.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    made: Instant,
    /// Why, and how long after this was made.
    entries: Arc<Mutex<Vec<(NotDone, Duration)>>>,
    /// How long it takes to put something in.
    takes: Duration,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self::slow(0)
    }

    /// A queue that takes so many milliseconds to put something in.
    pub(crate) fn slow(takes: u64) -> Self {
        Self {
            made: Instant::now(),
            entries: Arc::default(),
            takes: ms(takes),
        }
    }

    /// What was put in, in order.
    pub(crate) fn entries(&self) -> Vec<(NotDone, Duration)> {
        self.entries
            .lock()
            .expect("no panic holds this lock")
            .clone()
    }

    #[track_caller]
    pub(crate) fn entry(&self) -> (NotDone, Duration) {
        let entries = self.entries();
        assert_eq!(entries.len(), 1, "one hand-off: {entries:?}");
        entries[0]
    }

    async fn push(self, why: NotDone) -> Result<(), &'static str> {
        let begun = self.made.elapsed();
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        let mut entries = self.entries.lock().expect("no panic holds this lock");
        entries.push((why, begun));
        Ok(())
    }

    /// Adds a hand-off into this queue.
    pub(crate) fn after<OutputKind>(&self, task: TaskBuilder<OutputKind>) -> HandOffBuilder {
        let queue = self.clone();
        task.or_hand_off(move |why| queue.push(why))
    }

    /// A task named `late` that is handed off into this queue.
    pub(crate) fn task(&self) -> HandOffBuilder {
        self.after(named("late"))
    }
}

/// A hand-off that fails.
pub(crate) async fn full_queue(_: NotDone) -> Result<(), &'static str> {
    Err("the queue is full")
}

/// Work that takes so many milliseconds.
pub(crate) async fn work(millis: u64) -> Result<(), &'static str> {
    tokio::time::sleep(ms(millis)).await;
    Ok(())
}
