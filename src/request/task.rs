//! What a request has of each of its tasks.

use std::borrow::Cow;
use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

use crate::report::{TaskInfo, TaskState};
use crate::settings::TaskSpans;

/// What describes a task, from before it is spawned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskSpec {
    pub(crate) name: Option<&'static str>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) kind: Kind,
    /// It is the handler itself, which runs on when the client has left.
    pub(crate) is_handler: bool,
}

/// The code that spawns a task, as far as its own request is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    /// It is no task of the request.
    None,
    Task,
    DetachedTask,
}

/// Where a task is in the table of its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) slot: u32,
    pub(crate) id: u32,
}

/// A task was listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admitted {
    pub(crate) slot: u32,
    pub(crate) id: u32,
    /// In place of the kind of its spec.
    pub(crate) kind: Kind,
    /// The report is to count it.
    pub(crate) is_counted: bool,
    /// It is to be reported as late: [`State::callbacks_done`](super::state::State::callbacks_done) has to follow.
    pub(crate) is_late: bool,
    /// It needs an age now: nothing else may read the clock for it later.
    pub(crate) wants_stamp: bool,
    pub(crate) spans: TaskSpans,
    /// The request has joined the registry just now.
    pub(crate) has_joined: bool,
}

/// Why a task was not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Released,
    ShuttingDown,
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
pub(crate) enum ReportedAs {
    /// The report that is still to come counts it.
    Counted,
    /// The report has it as unfinished. `is_logged`: as an error, where it is required.
    Straggler { is_logged: bool },
    /// No report has it: it was spawned after the release, or is detached, or is the wait for the tracker.
    Excluded,
}

/// How the state of a slot begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    Spawning,
    Elsewhere,
}

/// How far the spawn of a task is, and whether it can be aborted.
#[derive(Debug)]
pub(crate) enum SlotState<H> {
    /// It is about to be spawned: its handle is attached next.
    Spawning,
    /// The same, and it is to be aborted once its handle is there.
    AbortPending,
    Spawned(H),
    /// It runs elsewhere, and cannot be aborted.
    Elsewhere,
    /// Its end was written down, and it counts out next.
    Ended(TaskState),
    /// There is no task: the slot is free. With the free slot that was left before this one.
    Free(u32),
}

/// A task in the table of its request, or a free slot. A free slot keeps what it had of its last task.
#[derive(Debug)]
pub(crate) struct Entry<H> {
    pub(crate) id: u32,
    // The spec, in parts: an entry is smaller so.
    name: Option<&'static str>,
    location: &'static Location<'static>,
    pub(crate) kind: Kind,
    pub(crate) is_handler: bool,
    /// Its name was computed, and stands among the request's [`Names`](super::names::Names).
    pub(crate) has_computed_name: bool,
    pub(crate) reported_as: ReportedAs,
    pub(crate) slot_state: SlotState<H>,
    /// `None` until the clock is read for other reasons: spawning must not cost a clock read.
    pub(crate) started: Option<Instant>,
}

impl TaskSpec {
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
            name: self.name.map(Cow::Borrowed),
            location: self.location,
            age,
            required: self.kind == Kind::Required,
            state,
            message,
        }
    }
}

impl Admitted {
    #[inline]
    pub(crate) fn ticket(self) -> Ticket {
        Ticket {
            slot: self.slot,
            id: self.id,
        }
    }
}

impl<H> SlotState<H> {
    #[inline]
    pub(crate) fn into_handle(self) -> Option<H> {
        match self {
            Self::Spawned(handle) => Some(handle),
            _ => None,
        }
    }
}

impl<H> Entry<H> {
    /// A slot that had no task yet.
    pub(crate) const fn free(next: u32) -> Self {
        Self {
            id: 0,
            name: None,
            location: Location::caller(),
            kind: Kind::Ordinary,
            is_handler: false,
            has_computed_name: false,
            reported_as: ReportedAs::Excluded,
            slot_state: SlotState::Free(next),
            started: None,
        }
    }

    /// Puts a task into a free slot, and returns the slot that was left before this one.
    #[inline(always)]
    pub(crate) fn fill(
        &mut self,
        id: u32,
        spec: TaskSpec,
        kind: Kind,
        reported_as: ReportedAs,
        begins: Begins,
    ) -> u32 {
        let SlotState::Free(next) = self.slot_state else {
            unreachable!("a task has the slot")
        };
        self.id = id;
        self.name = spec.name;
        self.location = spec.location;
        self.kind = kind;
        self.is_handler = spec.is_handler;
        self.has_computed_name = false;
        self.reported_as = reported_as;
        self.slot_state = match begins {
            Begins::Spawning => SlotState::Spawning,
            Begins::Elsewhere => SlotState::Elsewhere,
        };
        self.started = None;
        next
    }

    pub(crate) fn spec(&self) -> TaskSpec {
        TaskSpec {
            name: self.name,
            location: self.location,
            kind: self.kind,
            is_handler: self.is_handler,
        }
    }

    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        matches!(self.slot_state, SlotState::Free(_))
    }

    pub(crate) fn info(
        &self,
        state: TaskState,
        message: Option<String>,
        now: Option<Instant>,
    ) -> TaskInfo {
        self.spec().info(state, message, self.started, now)
    }

    /// Whether it is alive, the report that is still to come counts it, and its end takes no more than to count it out.
    #[inline]
    pub(crate) fn is_running_and_plain(&self) -> bool {
        self.reported_as == ReportedAs::Counted && self.is_alive() && !self.has_computed_name
    }

    #[inline]
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.slot_state, SlotState::Ended(_) | SlotState::Free(_))
    }

    /// Whether it is alive, and the response waits for it or did until its window closed.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.is_alive() && self.reported_as != ReportedAs::Excluded
    }
}
