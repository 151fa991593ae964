//! A task, as its request knows it.

use std::panic::Location;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::report::{TaskInfo, TaskState};

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

    pub(crate) fn info(
        &self,
        state: TaskState,
        message: Option<String>,
        age: Duration,
    ) -> TaskInfo {
        TaskInfo {
            name: self.name,
            location: self.location,
            age,
            required: self.required,
            state,
            message,
        }
    }
}

/// A task that was counted in, as it knows itself: little, for it is a part of each task. What is said of
/// it stands in the ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) id: u32,
    pub(crate) standing: Standing,
    /// It is counted in the load of the process.
    pub(crate) is_load: bool,
    /// It was spawned by us, so that tokio knows when it has ended.
    pub(crate) is_spawned: bool,
    /// It was seen waiting, so that it has an age.
    pub(crate) has_age: bool,
    #[cfg(feature = "metrics")]
    pub(crate) name: Option<&'static str>,
}

impl Task {
    /// As a label of metrics.
    pub(crate) fn name(&self) -> Option<&'static str> {
        #[cfg(feature = "metrics")]
        return self.name;
        #[cfg(not(feature = "metrics"))]
        None
    }
}

/// What a task is to its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Ordinary,
    /// The response fails with it.
    Required,
    /// It was spawned after its request was released: no report counts it.
    Late,
    /// Nobody waits for it, and no report counts it.
    Detached,
}

impl Standing {
    /// Whether the report is to count it, if it is still to be made.
    pub(crate) fn is_counted(self) -> bool {
        matches!(self, Standing::Ordinary | Standing::Required)
    }
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

impl Pulse {
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Pulse::Spawned(handle) => handle.is_finished(),
            Pulse::Elsewhere => false,
            Pulse::Ended(_) => true,
        }
    }
}

/// A task in the ledger.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u32,
    pub(crate) brief: Brief,
    /// The report counts it.
    pub(crate) is_counted: bool,
    pub(crate) pulse: Pulse,
    /// `None` until the clock is read for other reasons: spawning must not cost a clock read.
    pub(crate) started: Option<Instant>,
}

impl Entry {
    /// What there is to say of it. `now`: `None` for a task without age.
    pub(crate) fn info(
        &self,
        state: TaskState,
        message: Option<String>,
        now: Option<Instant>,
    ) -> TaskInfo {
        let age = self.started.zip(now);
        let age = age.map_or(Duration::ZERO, |(started, now)| now.duration_since(started));
        self.brief.info(state, message, age)
    }

    /// Whether it is alive, and the report's to tell of.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.is_counted && !self.pulse.has_ended()
    }
}
