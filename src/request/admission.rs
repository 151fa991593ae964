//! How a task comes to be listed.

use std::sync::Arc;

use tokio::time::Instant;

use super::Request;
use super::guard::{TaskGuard, Ticket};
use super::state::{Admitted, Attached, Refused};
use super::stopping::abort;
use super::task::{Brief, Kind, Pulse};
use crate::sync::AbortHandle;
use crate::trace::Span;
use crate::{metrics, trace};

impl Request {
    /// Lists a task that is about to be spawned. [`attach`](Self::attach) has to follow.
    #[inline]
    pub(crate) fn admit(self: &Arc<Self>, brief: Brief) -> TaskGuard {
        self.list(brief, Pulse::Spawning)
    }

    /// Lists a task that runs elsewhere.
    pub(crate) fn admit_elsewhere(self: &Arc<Self>, brief: Brief) -> TaskGuard {
        self.list(brief, Pulse::Elsewhere)
    }

    #[inline]
    fn list(self: &Arc<Self>, brief: Brief, pulse: Pulse<AbortHandle>) -> TaskGuard {
        let parent = self.parent();
        let admitted = self.lock().admit(brief, parent, pulse, || self.join());
        self.admitted(admitted)
    }

    /// Lists a task that is about to be spawned, unless it would be late or the process is shutting down.
    pub(crate) fn try_admit(self: &Arc<Self>, brief: Brief) -> Result<TaskGuard, Refused> {
        let process = self.process();
        if process.is_closing() {
            return Err(Refused::ShuttingDown);
        }
        let parent = self.parent();
        let admitted = self.lock().try_admit(
            brief,
            parent,
            Pulse::Spawning,
            || self.join(),
            || process.is_closing(),
        );
        match admitted {
            Ok(admitted) => Ok(self.admitted(admitted)),
            Err((refused, effects)) => {
                effects.carry_out(self);
                Err(refused)
            }
        }
    }

    #[inline]
    fn admitted(self: &Arc<Self>, admitted: Admitted) -> TaskGuard {
        self.joined(admitted.has_joined);
        metrics::task_started();
        let is_load = self.process().add_load();
        if admitted.wants_stamp {
            self.stamp(admitted.slot, admitted.id);
        }
        let span = if admitted.has_span {
            self.task_span(&admitted.brief)
        } else {
            Span::current()
        };
        let guard = TaskGuard::new(self, &admitted, is_load, span);
        if admitted.is_late {
            // With the guard made: if an observer panics through this, the guard ends the task.
            self.report_late_spawn(&admitted.brief, guard.span());
        }
        guard
    }

    /// Keeps the abort handle of a task that was spawned.
    #[inline]
    pub(crate) fn attach(&self, ticket: Ticket, handle: AbortHandle) {
        let attached = self.lock().attach(ticket.slot, ticket.id, handle);
        match attached {
            Attached::Kept => {}
            Attached::Ended(handle) => drop(handle),
            Attached::ToAbort(handle) => abort(vec![handle]),
        }
    }

    /// Gives an age to this task, and to every other one that has none.
    #[cold]
    pub(super) fn stamp(&self, slot: u32, id: u32) {
        if self.lock().wants_stamp() {
            let now = Instant::now();
            self.lock().stamp_first(slot, id, now);
        }
    }

    /// The task's own span: under the one that is current here.
    #[inline]
    fn task_span(&self, brief: &Brief) -> Option<Span> {
        if brief.kind == Kind::Detached {
            // Not under the request's span, which would stay open for it.
            trace::linked_task_span(brief.name, brief.location, self.id.as_deref())
        } else {
            trace::task_span(brief.name, brief.location)
        }
    }
}
