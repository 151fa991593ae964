//! What a request has of each of its tasks.

use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

use crate::report::{TaskInfo, TaskState};

/// What describes a task, from before it is spawned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brief {
    pub(crate) name: Option<&'static str>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) kind: Kind,
    /// It is the handler itself, which runs on when the client has left.
    pub(crate) is_handler: bool,
}

/// What a task is to the response of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ordinary,
    /// The response fails with it.
    Required,
    /// No response waits for it.
    Detached,
    /// It waits for the tasks of the tokio-util tracker. Reports and snapshots list those in its place.
    Tracker,
}

/// What the report of a request makes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The report that is still to come counts it.
    Counted,
    /// The report has it as unfinished. `is_logged`: as an error, where it is required.
    Straggler { is_logged: bool },
    /// No report has it: it was spawned after the release, or is detached, or is the wait for the tracker.
    Apart,
}

/// How far the spawn of a task is, and whether it can be aborted.
#[derive(Debug)]
pub(crate) enum Pulse<H> {
    /// It is about to be spawned: its handle is attached next.
    Spawning,
    /// The same, and it is to be aborted once its handle is there.
    Doomed,
    Spawned(H),
    /// It runs elsewhere, and cannot be aborted.
    Elsewhere,
    /// Its end was written down, and it counts out next.
    Ended(TaskState),
}

/// A task in the table of its request.
#[derive(Debug)]
pub(crate) struct Entry<H> {
    pub(crate) id: u32,
    pub(crate) brief: Brief,
    pub(crate) standing: Standing,
    pub(crate) pulse: Pulse<H>,
    /// `None` until the clock is read for other reasons: spawning must not cost a clock read.
    pub(crate) started: Option<Instant>,
}

impl Brief {
    /// Describes a task without a name that is spawned where this is called.
    #[track_caller]
    #[inline]
    pub(crate) fn here() -> Self {
        Self {
            name: None,
            location: Location::caller(),
            kind: Kind::Ordinary,
            is_handler: false,
        }
    }

    /// `now`: `None` for a task without age.
    pub(crate) fn info(
        &self,
        state: TaskState,
        message: Option<String>,
        started: Option<Instant>,
        now: Option<Instant>,
    ) -> TaskInfo {
        let age = started.zip(now).map_or(Duration::ZERO, |(started, now)| {
            now.saturating_duration_since(started)
        });
        TaskInfo {
            name: self.name,
            location: self.location,
            age,
            required: self.kind == Kind::Required,
            state,
            message,
        }
    }
}

impl<H> Entry<H> {
    pub(crate) fn info(
        &self,
        state: TaskState,
        message: Option<String>,
        now: Option<Instant>,
    ) -> TaskInfo {
        self.brief.info(state, message, self.started, now)
    }

    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.pulse, Pulse::Ended(_))
    }

    /// Whether it is alive, and the response waits for it or did until its window closed.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.is_alive() && self.standing != Standing::Apart
    }
}
