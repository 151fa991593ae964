//! How a task comes to be counted and listed, and how it ends.

use std::panic::Location;
use std::sync::Arc;

use tokio::time::Instant;

use super::Registry;
use super::context::Context;
use super::entry::{Pulse, Task};
use super::guard::TaskGuard;
use super::listing::Listing;
use super::live::Added;
use crate::report::{TaskInfo, TaskState};
use crate::trace;

impl Registry {
    /// Counts in a task that is about to be spawned.
    pub(crate) fn admit(
        self: &Arc<Self>,
        name: Option<&'static str>,
        location: &'static Location<'static>,
    ) -> (Listing<'_>, TaskGuard) {
        let task = self.task(self.live.add_with_spawner(), name, location);
        let guard = TaskGuard::new(Context::In(self.clone()), task, true);
        (Listing::new(self, task), guard)
    }

    /// Counts in and lists a task that runs elsewhere.
    pub(crate) fn admit_elsewhere(
        self: &Arc<Self>,
        name: Option<&'static str>,
        location: &'static Location<'static>,
    ) -> TaskGuard {
        let task = self.task(self.live.add(), name, location);
        self.enlist(task, Pulse::Elsewhere, false);
        TaskGuard::new(Context::In(self.clone()), task, false)
    }

    /// Lists a task that was counted in. Its spawner, if it has one, holds the request no longer.
    pub(crate) fn enlist(&self, task: Task, pulse: Pulse, spawner: bool) {
        let (late, ended) = {
            let mut ledger = self.ledger();
            // A report that was made since the task was counted in, at a deadline or a disconnect,
            // does not know of it.
            let late = task.late || ledger.closed;
            let ended = ledger.enlist(Task { late, ..task }, pulse);
            (late && !ledger.goes_on, ended)
        };
        let released = spawner && self.live.remove(task.id);
        if late {
            let info = self.info(task, TaskState::Running, None);
            self.in_span(|| trace::late_spawn(&info));
            self.tell(|observer| observer.on_late_spawn(&info));
        }
        if let Some(info) = ended {
            self.tell(|observer| observer.on_detached_end(&info));
        }
        if released {
            self.leave_if_over();
        }
    }

    /// A task has ended, and what it was doing is dropped.
    pub(crate) fn end(&self, task: Task, spawned: bool, state: TaskState, message: Option<String>) {
        let mut counted = false;
        // The ordinary path takes no lock: tokio knows of the end, and what is not in trouble has
        // completed.
        if !spawned || state != TaskState::Completed {
            let (info, in_report) = self.note_end(task, state, message.clone());
            self.in_span(|| trace::task_ended(&info));
            counted = in_report;
        }
        if self.live.remove(task.id) {
            // Released, but the report may be still to come: then it counts this end.
            if !counted {
                let (info, in_report) = self.note_end(task, state, message);
                if !in_report {
                    self.tell(|observer| observer.on_detached_end(&info));
                }
            }
            self.leave_if_over();
        }
    }

    /// Gives an age to every task that has none.
    pub(crate) fn stamp(&self) {
        let mut ledger = self.ledger();
        if ledger.wants_stamp() {
            ledger.stamp(Instant::now());
        }
    }

    fn task(
        self: &Arc<Self>,
        Added { id, late }: Added,
        name: Option<&'static str>,
        location: &'static Location<'static>,
    ) -> Task {
        if id == 0 || late {
            self.join_roster();
        }
        Task {
            id,
            late,
            name,
            location,
        }
    }

    fn note_end(&self, task: Task, state: TaskState, message: Option<String>) -> (TaskInfo, bool) {
        let mut ledger = self.ledger();
        let info = ledger.info(task, state, message, Instant::now());
        let counted = ledger.note_end(task, &info);
        (info, counted)
    }

    fn info(&self, task: Task, state: TaskState, message: Option<String>) -> TaskInfo {
        self.ledger().info(task, state, message, Instant::now())
    }
}
