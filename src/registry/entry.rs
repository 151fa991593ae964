//! A task, as its request knows it.

use std::panic::Location;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::report::TaskState;

/// What is said of a task before it exists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brief {
    pub(crate) name: Option<&'static str>,
    pub(crate) location: &'static Location<'static>,
    /// The response fails with it.
    pub(crate) required: bool,
    /// Nobody waits for it, and it is told of by itself.
    pub(crate) detached: bool,
    /// It is the handler itself, which runs on when the client has left.
    pub(crate) is_handler: bool,
}

impl Brief {
    /// Of a task without a name that is spawned where this is called.
    #[track_caller]
    pub(crate) fn here() -> Self {
        Self {
            name: None,
            location: Location::caller(),
            required: false,
            detached: false,
            is_handler: false,
        }
    }
}

/// A task that was counted in: enough to tell of it, wherever it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) id: u32,
    /// No report counts it: it is detached, or was spawned after its request was released.
    pub(crate) late: bool,
    /// It is counted in the load of the process.
    pub(crate) is_load: bool,
    pub(crate) brief: Brief,
}

/// How one can tell whether a task is still alive.
#[derive(Debug)]
pub(crate) enum Pulse {
    /// Spawned by us: tokio knows when it has ended.
    Spawned(AbortHandle),
    /// It runs elsewhere, so that its end will be written down here.
    Elsewhere,
    /// Its end was written down.
    Ended(TaskState),
}

/// A task in the ledger.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) task: Task,
    pub(crate) pulse: Pulse,
    /// `None` until the clock is read for other reasons: spawning must not cost a clock read.
    pub(crate) started: Option<Instant>,
}

impl Entry {
    /// Whether it is alive, and the report's to tell of.
    pub(crate) fn is_unfinished(&self) -> bool {
        !self.task.late && !self.pulse.has_ended()
    }
}

impl Pulse {
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Pulse::Spawned(handle) => handle.is_finished(),
            Pulse::Elsewhere => false,
            Pulse::Ended(_) => true,
        }
    }
}
