//! What a report, an observer or a snapshot has of one task.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It was alive when this was written.
    Running,
    /// It ran to its end.
    Completed,
    /// It was [`fallible`](crate::TaskBuilder::fallible), and returned an `Err`.
    Failed,
    /// It panicked.
    Panicked,
    /// It was dropped before its end: aborted, or its runtime shut down.
    Aborted,
}

impl TaskState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            TaskState::Running => "running",
            TaskState::Completed => "completed",
            TaskState::Failed => "failed",
            TaskState::Panicked => "panicked",
            TaskState::Aborted => "aborted",
        }
    }
}

/// One task of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskInfo {
    /// The name given by [`Tasks::named`](crate::Tasks::named), if there is one.
    pub name: Option<Cow<'static, str>>,
    /// Where it was spawned; of what runs in [`Tasks::tracker`](crate::Tasks::tracker), where that was
    /// asked for first.
    pub location: &'static Location<'static>,
    /// How long it had been running, on tokio's clock. The clock is not read for every spawn: it is when a
    /// task of the request is first seen waiting, at a [`snapshot`](crate::TrackerHandle::snapshot), when
    /// the drain window opens, while it is open for every spawn, and for those that are late or detached.
    /// All that have no age then get theirs. Zero for a task that ended before.
    pub age: Duration,
    /// Whether it was spawned as [`required`](crate::TaskBuilder::required).
    pub required: bool,
    /// What became of it.
    pub state: TaskState,
    /// The message of its error, or of its panic if that was a string.
    pub message: Option<String>,
}

impl fmt::Display for TaskInfo {
    /// The name or else the location, the state, the age if it has one, then the message: on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "{}", self.location)?,
        }
        write!(f, " ({}", self.state.name())?;
        if !self.age.is_zero() {
            write!(f, ", {:.1?}", self.age)?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {}", message.escape_debug())?;
        }
        f.write_str(")")
    }
}

/// A task that is alive, as [`TrackerHandle::snapshot`](crate::TrackerHandle::snapshot) finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveTask {
    /// The name given by [`Tasks::named`](crate::Tasks::named), if there is one.
    pub name: Option<Cow<'static, str>>,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
    /// How long it has been running, as in [`TaskInfo::age`].
    pub age: Duration,
    /// The `x-request-id` header that its request arrived with, if it had one. `None` for the work of
    /// the process itself, in a [`scope`](fn@crate::scope), and under an outermost `TaskScopeLayer`.
    pub request_id: Option<String>,
    /// Whether its request was released: nothing is held for it any more. Nothing ever is for detached
    /// tasks and the work of the process, whatever this is.
    pub released: bool,
}

impl fmt::Display for LiveTask {
    /// The name or else the location, the request, the age if it has one, and whether it was released: on one
    /// line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "{}", self.location)?,
        }
        if let Some(id) = &self.request_id {
            write!(f, " of {id}")?;
        }
        match (self.age, self.released) {
            (Duration::ZERO, false) => Ok(()),
            (Duration::ZERO, true) => f.write_str(" (released)"),
            (age, false) => write!(f, " ({age:.1?})"),
            (age, true) => write!(f, " ({age:.1?}, released)"),
        }
    }
}
