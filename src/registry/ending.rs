//! How a task ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Registry;
use super::entry::Task;
use crate::report::{TaskInfo, TaskState};
use crate::{metrics, trace};

impl Registry {
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

    /// Says whether its end may be news to the report: nobody waits for it any more.
    pub(super) fn count_out(&self, task: Task) -> bool {
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
}
