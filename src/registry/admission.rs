//! How a task comes to be counted and listed, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use tokio::time::Instant;

use super::Registry;
use super::entry::{Brief, Pulse, Task};
use super::guard::TaskGuard;
use super::listing::Listing;
use super::live::Added;
use crate::report::{TaskInfo, TaskState};
use crate::{metrics, trace};

/// Why a task was not counted in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    Released,
    ShuttingDown,
}

impl Registry {
    /// Counts in a task that is about to be spawned.
    pub(crate) fn admit(self: &Arc<Self>, brief: Brief) -> (Listing<'_>, TaskGuard) {
        let brief = self.brief(brief);
        let added = if brief.detached {
            self.detached.add(2)
        } else {
            self.live.add_with_spawner()
        };
        self.admitted(added, brief)
    }

    /// Counts in a task that is about to be spawned, unless it would be late or the process is
    /// shutting down.
    pub(crate) fn try_admit(
        self: &Arc<Self>,
        brief: Brief,
    ) -> Result<(Listing<'_>, TaskGuard), Refusal> {
        let brief = self.brief(brief);
        if self.process().is_closing() {
            return Err(Refusal::ShuttingDown);
        }
        let added = if brief.detached {
            self.detached.add(2)
        } else {
            let added = self.live.try_add_with_spawner();
            added.ok_or(Refusal::Released)?
        };
        self.join_roster();
        // Either a shutdown that begins now sees the task, or the task sees it here.
        fence(Ordering::SeqCst);
        if self.process().is_closing() {
            self.retract(added, brief);
            return Err(Refusal::ShuttingDown);
        }
        Ok(self.admitted(added, brief))
    }

    /// Counts in and lists a task that runs elsewhere.
    pub(crate) fn admit_elsewhere(self: &Arc<Self>, brief: Brief) -> TaskGuard {
        let brief = self.brief(brief);
        let added = if brief.detached {
            self.detached.add(1)
        } else {
            self.live.add()
        };
        let task = self.task(added, brief);
        self.enlist(task, Pulse::Elsewhere, false);
        TaskGuard::new(self, task, false)
    }

    /// Lists a task that was counted in. Its spawner, if it has one, holds the request no longer.
    pub(crate) fn enlist(self: &Arc<Self>, task: Task, pulse: Pulse, spawner: bool) {
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
            metrics::late_spawn();
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
    pub(crate) fn end(
        self: &Arc<Self>,
        task: Task,
        spawned: bool,
        state: TaskState,
        message: Option<String>,
    ) {
        self.process().note_end(state);
        if task.is_load {
            self.process().remove_load();
        }
        metrics::task_ended(task.brief.name, state);
        let mut counted = false;
        // The ordinary path takes no lock: tokio knows of the end, and what is not in trouble has
        // completed.
        if !spawned || state != TaskState::Completed {
            let (info, in_report) = self.note_end(task, state, message.clone());
            self.in_span(|| trace::task_ended(&info, task.brief.required));
            if state != TaskState::Completed {
                self.process().note_trouble(&info);
            }
            counted = in_report;
        }
        if task.brief.required && !task.late {
            self.required.fetch_sub(1, Ordering::Release);
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
        } else if task.brief.required {
            // A head may be held for it alone.
            self.live.wake();
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
        let guard = TaskGuard::new(self, task, true);
        (Listing::new(self, task), guard)
    }

    fn task(self: &Arc<Self>, Added { id, late }: Added, brief: Brief) -> Task {
        if id == 0 || late {
            self.join_roster();
        }
        metrics::task_started();
        if brief.required && !late {
            self.required.fetch_add(1, Ordering::Relaxed);
        }
        Task {
            id,
            late,
            is_load: self.process().add_load(),
            brief,
        }
    }

    /// What was counted in is not spawned.
    fn retract(self: &Arc<Self>, Added { id, late }: Added, brief: Brief) {
        if !brief.detached {
            self.ledger().retracted += 1;
        }
        let mut told_alone = false;
        for _ in 0..2 {
            told_alone = self.count_out(Task {
                id,
                late,
                is_load: false,
                brief,
            });
        }
        if told_alone {
            self.leave_if_over();
        }
    }

    /// Nobody waits for the work of the process itself.
    fn brief(&self, brief: Brief) -> Brief {
        Brief {
            detached: brief.detached || self.is_process,
            ..brief
        }
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
