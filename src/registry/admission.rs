//! How a task comes to be counted and listed, and how it ends.

use std::sync::Arc;

use tokio::time::Instant;

use super::Registry;
use super::context::Context;
use super::entry::{Brief, Pulse, Task};
use super::guard::TaskGuard;
use super::listing::Listing;
use super::live::Added;
use crate::report::{TaskInfo, TaskState};
use crate::trace;

impl Registry {
    /// Counts in a task that is about to be spawned.
    pub(crate) fn admit(self: &Arc<Self>, brief: Brief) -> (Listing<'_>, TaskGuard) {
        let added = if brief.detached {
            self.detached.add(2)
        } else {
            self.live.add_with_spawner()
        };
        self.admitted(added, brief)
    }

    /// Counts in a task that is about to be spawned, unless the request was released.
    pub(crate) fn try_admit(self: &Arc<Self>, brief: Brief) -> Option<(Listing<'_>, TaskGuard)> {
        let added = if brief.detached {
            self.detached.add(2)
        } else {
            self.live.try_add_with_spawner()?
        };
        Some(self.admitted(added, brief))
    }

    /// Counts in and lists a task that runs elsewhere.
    pub(crate) fn admit_elsewhere(self: &Arc<Self>, brief: Brief) -> TaskGuard {
        let added = if brief.detached {
            self.detached.add(1)
        } else {
            self.live.add()
        };
        let task = self.task(added, brief);
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
            (late && !task.brief.detached && !ledger.goes_on, ended)
        };
        let told_alone = spawner && self.count_out(task);
        if late {
            let info = self.info(task, TaskState::Running, None);
            self.in_span(|| trace::late_spawn(&info));
            self.tell(|observer| observer.on_late_spawn(&info));
        }
        if let Some(info) = ended {
            self.tell(|observer| observer.on_detached_end(&info));
        }
        if told_alone {
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
            self.in_span(|| trace::task_ended(&info, task.brief.required));
            counted = in_report;
        }
        if self.count_out(task) {
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

    fn admitted(self: &Arc<Self>, added: Added, brief: Brief) -> (Listing<'_>, TaskGuard) {
        let task = self.task(added, brief);
        let guard = TaskGuard::new(Context::In(self.clone()), task, true);
        (Listing::new(self, task), guard)
    }

    fn task(self: &Arc<Self>, Added { id, late }: Added, brief: Brief) -> Task {
        if id == 0 || late {
            self.join_roster();
        }
        Task { id, late, brief }
    }

    /// Says whether its end may be news to the report: nobody waits for it any more.
    fn count_out(&self, task: Task) -> bool {
        if task.brief.detached {
            self.detached.remove();
            return true;
        }
        self.live.remove(task.id)
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
