//! How a task ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Registry;
use super::detached::is_detached;
use super::entry::{Standing, Task};
use super::guard::Extra;
use super::ledger::End;
use super::telling::Telling;
use crate::report::TaskState;
use crate::{metrics, trace};

impl Registry {
    /// A task has ended, and what it was doing is dropped. `extra`: with its span.
    pub(super) fn end(
        self: &Arc<Self>,
        task: Task,
        state: TaskState,
        message: Option<String>,
        mut extra: Option<Arc<Extra>>,
    ) {
        self.process().note_end(state);
        if task.is_load {
            self.process().remove_load();
        }
        metrics::task_ended(task.name(), state);
        // The ordinary path takes no lock: tokio knows of the end, and what is not in trouble has
        // completed.
        let is_ordinary = task.is_spawned && state == TaskState::Completed;
        let note_end = |message, extra: &Option<Arc<Extra>>| {
            self.note_end(task, state, message, extra.as_deref())
        };
        let noted = (!is_ordinary).then(|| note_end(message, &extra));
        let is_required = task.standing == Standing::Required;
        if is_required {
            // Release: with the Acquire of `required_unfinished`, who sees none alive sees a failure noted above.
            self.required.fetch_sub(1, Ordering::Release);
        }
        if extra.is_some() && task.standing.is_counted() && !self.is_released() {
            // Before it counts down: a hook or a waiter that runs because of that finds the span closed, to export it. If
            // the request is released just now, the event of the end is in the request's span.
            extra = None;
        }
        let telling = self.count_out(task.id);
        if telling.is_some() {
            // The report may be still to come: then it counts this end.
            let end = noted.unwrap_or_else(|| note_end(None, &extra));
            if let Some(end) = end.filter(|end| !end.is_counted) {
                self.tell(extra.as_deref(), |observer| observer.on_late_end(&end.info));
            }
            // Before the request may leave the roster: when the handle is idle, spans are closed.
            drop(extra);
        }
        if is_required {
            // A head may be held for it alone.
            self.live.wake();
        }
    }

    /// Writes its end down. `None` for a task that is not listed yet: who lists it tells of its end.
    fn note_end(
        &self,
        task: Task,
        state: TaskState,
        message: Option<String>,
        extra: Option<&Extra>,
    ) -> Option<End> {
        let end = self
            .ledger()
            .note_end(task, state, message, Instant::now())?;
        self.log_end(&end, extra);
        Some(end)
    }

    /// Counts a task out. If its end may have to be reported, because no response waits for it any more, or code of
    /// the request waits for the process, the caller keeps the result until that has happened.
    #[inline]
    pub(super) fn count_out(self: &Arc<Self>, id: u32) -> Option<Telling<'_>> {
        if is_detached(id) {
            let telling = Telling::new(self);
            self.detached.remove();
            return Some(telling);
        }
        self.live.remove(id, || Telling::new(self))
    }

    /// Logs the end of a task, if it did not complete: in the request's span, if the report is to count it.
    pub(super) fn log_end(&self, end: &End, extra: Option<&Extra>) {
        if end.info.state != TaskState::Completed {
            let (required, reported) = (end.is_required, end.is_reported);
            let log = || trace::task_ended(&end.info, required, reported, self.id.as_deref());
            self.in_span_of(extra, end.is_counted, log);
            self.process().note_trouble(&end.info);
        }
    }
}
