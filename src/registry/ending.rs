//! How a task ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Registry;
use super::detached::is_detached;
use super::entry::{Standing, Task};
use super::ledger::End;
use crate::report::TaskState;
use crate::{metrics, trace};

impl Registry {
    /// A task has ended, and what it was doing is dropped.
    pub(crate) fn end(self: &Arc<Self>, task: Task, state: TaskState, message: Option<String>) {
        self.process().note_end(state);
        if task.is_load {
            self.process().remove_load();
        }
        metrics::task_ended(task.name(), state);
        let mut noted = None;
        // The ordinary path takes no lock: tokio knows of the end, and what is not in trouble has
        // completed.
        if !task.is_spawned || state != TaskState::Completed {
            noted = Some(self.note_end(task, state, message));
        }
        let is_required = task.standing == Standing::Required;
        if is_required {
            self.required.fetch_sub(1, Ordering::Release);
        }
        if self.count_out(task.id) {
            // Released, but the report may be still to come: then it counts this end.
            let end = noted.unwrap_or_else(|| self.note_end(task, state, None));
            if let Some(end) = end.filter(|end| !end.is_counted) {
                self.tell(|observer| observer.on_detached_end(&end.info));
            }
            self.leave_if_over();
        } else if is_required {
            // A head may be held for it alone.
            self.live.wake();
        }
    }

    /// Says whether its end may be news to the report: nobody waits for it any more.
    #[inline]
    pub(super) fn count_out(&self, id: u32) -> bool {
        if is_detached(id) {
            self.detached.remove();
            return true;
        }
        self.live.remove(id)
    }

    /// `None` for a task that is not listed yet: who lists it tells of its end.
    fn note_end(&self, task: Task, state: TaskState, message: Option<String>) -> Option<End> {
        let end = self
            .ledger()
            .note_end(task, state, message, Instant::now())?;
        self.log_end(&end);
        Some(end)
    }

    /// Logs the end of a task, if it did not complete.
    pub(super) fn log_end(&self, end: &End) {
        if end.info.state != TaskState::Completed {
            self.in_span(|| trace::task_ended(&end.info, end.is_required));
            self.process().note_trouble(&end.info);
        }
    }
}
