//! What a task does.

use arbitrary::{Arbitrary, Unstructured};

use super::choices::long;
use crate::bytes::few;

/// A task, the tasks it spawns when it has run for half its time, and how it ends.
#[derive(Debug, Clone, Arbitrary)]
pub(super) struct Task {
    #[arbitrary(with = long)]
    pub(super) takes: u64,
    #[arbitrary(with = end)]
    pub(super) end: TaskEnd,
    #[arbitrary(with = kind)]
    pub(super) kind: Kind,
    /// When its time is over, it waits for the drop of the body.
    #[arbitrary(with = waits)]
    pub(super) waits_for_body: bool,
    #[arbitrary(with = few)]
    pub(super) children: Vec<Task>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskEnd {
    Completes,
    /// It stops as soon as it is asked to.
    Heeds,
    Fails,
    Panics,
    Aborted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Required,
    Detached,
}

impl Task {
    /// How many tasks it is, with those that it spawns.
    fn count(&self) -> usize {
        1 + count(&self.children)
    }
}

/// Whether one of them waits for the drop of the body, or one that they spawn does.
pub(super) fn wait_for_body(tasks: &[Task]) -> bool {
    let waits = |task: &Task| task.waits_for_body || wait_for_body(&task.children);
    tasks.iter().any(waits)
}

pub(super) fn count(tasks: &[Task]) -> usize {
    tasks.iter().map(Task::count).sum()
}

fn end(u: &mut Unstructured<'_>) -> arbitrary::Result<TaskEnd> {
    use TaskEnd::{Aborted, Completes, Fails, Heeds, Panics};
    let ends = [
        Completes, Completes, Completes, Heeds, Fails, Panics, Aborted,
    ];
    u.choose(&ends).copied()
}

fn waits(u: &mut Unstructured<'_>) -> arbitrary::Result<bool> {
    Ok(u.int_in_range(0..=3)? == 3)
}

fn kind(u: &mut Unstructured<'_>) -> arbitrary::Result<Kind> {
    use Kind::{Detached, Plain, Required};
    u.choose(&[Plain, Plain, Plain, Required, Required, Detached])
        .copied()
}
