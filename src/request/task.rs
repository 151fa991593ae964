//! What a request keeps of each of its tasks.

use std::borrow::Cow;
use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

use crate::report::{TaskInfo, TaskState};
use crate::settings::TaskSpans;

/// The description of a task, which exists before the task is spawned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskSpec {
    pub(crate) name: Option<&'static str>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) kind: Kind,
    /// True for the handler itself, which runs on as a task after its client has left.
    pub(crate) is_handler: bool,
}

/// Which code spawns a task: a task of the same request, a detached one, or other code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    /// The code is no task of the request.
    None,
    Task,
    DetachedTask,
}

/// The place of a task in the table of its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) slot: u32,
    pub(crate) id: u32,
}

/// What the guard of a task keeps. Each task contains this, so it is little. The rest is in the table of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) ticket: Ticket,
    /// True if no response waits for the task.
    pub(super) is_detached: bool,
    /// True if the report counts the task: it was spawned before the release, and is not detached.
    pub(super) is_counted: bool,
    /// True if the load of the process includes the task.
    pub(super) is_load: bool,
    /// True if a poll of the task was pending. The task has an age since then.
    pub(super) has_age: bool,
    #[cfg(feature = "metrics")]
    pub(super) label: Option<&'static str>,
}

/// The result of listing a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admitted {
    pub(crate) slot: u32,
    pub(crate) id: u32,
    /// The kind of the task. It may differ from the kind of the spec.
    pub(crate) kind: Kind,
    /// True if the report counts the task.
    pub(crate) is_counted: bool,
    /// True if the task is to be reported as late. After that, the caller calls
    /// [`State::callbacks_done`](super::state::State::callbacks_done).
    pub(crate) is_late: bool,
    /// True if the task needs a start now, because nothing else may read the clock for it later.
    pub(crate) wants_stamp: bool,
    pub(crate) spans: TaskSpans,
    /// True if the request has joined the registry with this task.
    pub(crate) has_joined: bool,
}

/// Why a task was not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Released,
    ShuttingDown,
}

/// What a task means for the response of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ordinary,
    /// The response fails if the task does.
    Required,
    /// No response waits for the task.
    Detached,
    /// The wait for the tasks in the tokio-util tracker. Reports and snapshots list those tasks instead of it.
    Tracker,
}

/// How a task appears in the report of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportedAs {
    /// The report is still to come, and counts the task.
    Counted,
    /// The report lists the task as unfinished. `is_logged`: if the task is required, the event about the request is
    /// the error for it.
    Straggler { is_logged: bool },
    /// No report contains the task. It was spawned after the release, is detached, or is the wait for the tracker.
    Excluded,
}

/// The first state of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    Spawning,
    Elsewhere,
}

/// The progress of a task in its slot, and whether the task can be aborted.
#[derive(Debug)]
pub(crate) enum SlotState<H> {
    /// The task is about to be spawned. Its handle is attached after that.
    Spawning,
    /// Like `Spawning`, and the task is to be aborted when its handle is attached.
    AbortPending,
    /// The task, or its hand-off, was spawned, and this handle aborts it.
    Spawned(H),
    /// The hand-off of the task has begun and is about to be spawned, in place of the task.
    HandOffSpawning,
    /// Like `HandOffSpawning`, and the hand-off is to be aborted when its handle is attached.
    HandOffAbortPending,
    /// The task runs elsewhere, and cannot be aborted.
    Elsewhere,
    /// The end of the task was recorded. The task counts out next.
    Ended(TaskState),
    /// The slot is free. Contains the free slot that was left before this one.
    Free(u32),
}

/// A task in the table of its request, or a free slot. A free slot keeps the values of its last task, except for the
/// state.
#[derive(Debug)]
pub(crate) struct Entry<H> {
    pub(crate) id: u32,
    // The parts of the spec. The entry is smaller than with the spec as a whole.
    name: Option<&'static str>,
    location: &'static Location<'static>,
    pub(crate) kind: Kind,
    pub(crate) is_handler: bool,
    /// True if the name was computed. It is then in the [`Names`](super::names::Names) of the request.
    pub(crate) has_computed_name: bool,
    pub(crate) reported_as: ReportedAs,
    pub(crate) slot_state: SlotState<H>,
    /// `None` until the clock is read for another reason, so that a spawn costs no read of the clock.
    pub(crate) started: Option<Instant>,
}

impl TaskSpec {
    /// Describes a task without a name. Its location is the caller.
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

    /// Returns the description of the task for a report. `now`: the moment up to which the age counts; `None` for an
    /// age of zero.
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

impl Task {
    /// Describes a task that was listed just before. `_label`: its name, as a label of metrics.
    #[inline]
    pub(crate) fn new(admitted: &Admitted, is_load: bool, _label: Option<&'static str>) -> Self {
        Self {
            ticket: admitted.ticket(),
            is_detached: admitted.kind == Kind::Detached,
            is_counted: admitted.is_counted,
            is_load,
            has_age: false,
            #[cfg(feature = "metrics")]
            label: _label,
        }
    }

    /// Returns the name of the task, as a label of metrics.
    pub(super) fn label(&self) -> Option<&'static str> {
        #[cfg(feature = "metrics")]
        return self.label;
        #[cfg(not(feature = "metrics"))]
        None
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
    /// Returns a slot that had no task yet.
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

    /// Puts a task into a free slot. Returns the slot that was left before this one.
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

    /// Returns whether the task is alive, the report is still to come and counts it, and its end has no effect but to
    /// count it out.
    #[inline]
    pub(crate) fn is_running_and_plain(&self) -> bool {
        self.reported_as == ReportedAs::Counted && self.is_alive() && !self.has_computed_name
    }

    #[inline]
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.slot_state, SlotState::Ended(_) | SlotState::Free(_))
    }

    /// Returns whether the task is alive, and the response waits for it, or did until its window closed.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.is_alive() && self.reported_as != ReportedAs::Excluded
    }
}
