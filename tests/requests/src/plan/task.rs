//! What a task does.

/// A task, the tasks it spawns when it has run for half its time, and how it ends.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) takes: u64,
    pub(crate) end: TaskEnd,
    pub(crate) kind: Kind,
    /// When its time is over, it waits until the body is dropped.
    pub(crate) waits_for_body: bool,
    pub(crate) children: Vec<Task>,
    pub(crate) hand_off: Option<HandOff>,
}

/// What happens if the task does not complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandOff {
    pub(crate) takes: u64,
    pub(crate) fails: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskEnd {
    Completes,
    /// It completes as soon as its request's token is cancelled.
    StopsOnCancel,
    Fails,
    Panics,
    /// The handler aborts it.
    Aborted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Required,
    Detached,
}

impl Task {
    /// Whether it, or a task that it spawns, waits until the body is dropped.
    pub(crate) fn needs_drop(&self) -> bool {
        self.waits_for_body || self.children.iter().any(Self::needs_drop)
    }
}
