//! A task, as its request knows it.

use std::panic::Location;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::report::TaskState;

/// Where a task comes from: enough to tell of it, wherever it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) id: u32,
    /// Spawned after its request was released.
    pub(crate) late: bool,
    pub(crate) name: Option<&'static str>,
    pub(crate) location: &'static Location<'static>,
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

impl Pulse {
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Pulse::Spawned(handle) => handle.is_finished(),
            Pulse::Elsewhere => false,
            Pulse::Ended(_) => true,
        }
    }
}
