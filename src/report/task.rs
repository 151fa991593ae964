//! The description of one task, in a report, for an observer, or in a snapshot.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// The task was alive when this value was made.
    Running,
    /// The task ran to its end.
    Completed,
    /// The task was [`fallible`](crate::TaskBuilder::fallible), and returned an `Err`.
    Failed,
    /// The task panicked.
    Panicked,
    /// The task was dropped before its end: it was aborted, or its runtime shut down.
    Aborted,
    /// The task did not complete, and its [hand-off](crate::TaskBuilder::or_hand_off) returned `Ok`.
    HandedOff,
}

impl TaskState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            TaskState::Running => "running",
            TaskState::Completed => "completed",
            TaskState::Failed => "failed",
            TaskState::Panicked => "panicked",
            TaskState::Aborted => "aborted",
            TaskState::HandedOff => "handed off",
        }
    }
}

/// One task of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskInfo {
    /// The name that [`Tasks::named`](crate::Tasks::named) has set.
    pub name: Option<Cow<'static, str>>,
    /// The place in the source where the task was spawned. For tasks in [`Tasks::tracker`](crate::Tasks::tracker), the
    /// place of the first call of that method.
    pub location: &'static Location<'static>,
    /// How long the task had been running, on tokio's clock. Zero if the task ended before its age began.
    ///
    /// The clock is not read at every spawn. The age of a task begins at the first of these moments after its spawn:
    ///
    /// * a task of the request is found waiting for the first time;
    /// * a [`snapshot`](crate::TrackerHandle::snapshot) is taken;
    /// * the drain window opens;
    /// * a task is spawned while the window is open;
    /// * a late or a detached task is spawned.
    pub age: Duration,
    /// True if the task was spawned as [`required`](crate::TaskBuilder::required).
    pub required: bool,
    /// The state of the task.
    pub state: TaskState,
    /// The message of the task's error, or of its panic if that was a string. If the task has a
    /// [hand-off](crate::TaskBuilder::or_hand_off) that has failed, the message of that.
    pub message: Option<String>,
}

impl fmt::Display for TaskInfo {
    /// Writes one line: the name or else the location, the state, the age if it is not zero, and the message.
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

/// A task that is alive. [`TrackerHandle::snapshot`](crate::TrackerHandle::snapshot) returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveTask {
    /// The name that [`Tasks::named`](crate::Tasks::named) has set.
    pub name: Option<Cow<'static, str>>,
    /// The place in the source where the task was spawned, as [`TaskInfo::location`].
    pub location: &'static Location<'static>,
    /// How long the task has been running, as [`TaskInfo::age`].
    pub age: Duration,
    /// The `x-request-id` header of the request, if it arrived with one. `None` for the tasks of the process, in a
    /// [`scope`](fn@crate::scope), and under an outermost `TaskScopeLayer`.
    pub request_id: Option<String>,
    /// True if the request was released: nothing is held for it any more. For a detached task, and for a task of the
    /// process, nothing is ever held, whatever this value is.
    pub released: bool,
}

impl fmt::Display for LiveTask {
    /// Writes one line: the name or else the location, the request, the age if it is not zero, and whether the request
    /// was released.
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
