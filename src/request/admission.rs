//! How a task comes to be listed.

use std::sync::Arc;

use tokio::time::Instant;

use super::Request;
use super::effects::Attached;
use super::guard::{Extra, TaskGuard};
use super::state::State;
use super::stopping::abort;
use super::task::{Admitted, Begins, Kind, Parent, Refused, TaskSpec, Ticket};
use crate::settings::TaskSpans;
use crate::sync::{AbortHandle, MutexGuard};
use crate::trace::Span;
use crate::{metrics, trace};

impl Request {
    /// Lists a task that is about to be spawned. [`attach`](Self::attach) has to follow.
    pub(crate) fn admit(self: &Arc<Self>, spec: TaskSpec) -> TaskGuard {
        self.list(spec, Begins::Spawning)
    }

    /// Lists a task that runs elsewhere.
    pub(crate) fn admit_elsewhere(self: &Arc<Self>, spec: TaskSpec) -> TaskGuard {
        self.list(spec, Begins::Elsewhere)
    }

    /// Lists a task whose name was computed. [`attach`](Self::attach) has to follow, unless it runs elsewhere.
    #[cold]
    pub(crate) fn admit_named(
        self: &Arc<Self>,
        spec: TaskSpec,
        begins: Begins,
        name: Arc<str>,
    ) -> TaskGuard {
        let parent = self.parent();
        let admitted = {
            let mut state = self.lock();
            let admitted = state.admit(spec, parent, begins, || self.join());
            state.set_name(admitted.slot, admitted.id, name);
            admitted
        };
        self.admitted(admitted, None)
    }

    #[inline(always)]
    fn list(self: &Arc<Self>, spec: TaskSpec, begins: Begins) -> TaskGuard {
        let parent = self.parent();
        let mut state = self.lock();
        if !state.counts(spec.kind, parent) {
            return self.list_uncounted(state, spec, parent, begins);
        }
        let label = spec.name;
        let admitted = state.admit_counted(spec, begins, || self.join());
        drop(state);
        self.admitted(admitted, label)
    }

    /// The rarer half of [`list`](Self::list).
    #[cold]
    fn list_uncounted(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<AbortHandle>>,
        spec: TaskSpec,
        parent: Parent,
        begins: Begins,
    ) -> TaskGuard {
        let label = spec.name;
        let admitted = state.admit_uncounted(spec, parent, begins, || self.join());
        drop(state);
        self.admitted(admitted, label)
    }

    /// Lists a task that is about to be spawned, unless it would be late or the process is shutting down. `name`: if it
    /// was computed.
    pub(crate) fn try_admit(
        self: &Arc<Self>,
        spec: TaskSpec,
        name: Option<Arc<str>>,
    ) -> Result<TaskGuard, Refused> {
        let process = self.process();
        if process.is_closing() {
            return Err(Refused::ShuttingDown);
        }
        let parent = self.parent();
        let admitted = {
            let mut state = self.lock();
            let admitted = state.try_admit(
                spec,
                parent,
                Begins::Spawning,
                || self.join(),
                || process.is_closing(),
            );
            if let (Ok(admitted), Some(name)) = (&admitted, name) {
                state.set_name(admitted.slot, admitted.id, name);
            }
            admitted
        };
        match admitted {
            Ok(admitted) => Ok(self.admitted(admitted, spec.name)),
            Err((refused, effects)) => {
                effects.carry_out(self);
                Err(refused)
            }
        }
    }

    /// `label`: the name of the task, as a label of metrics.
    #[inline(always)]
    fn admitted(self: &Arc<Self>, admitted: Admitted, label: Option<&'static str>) -> TaskGuard {
        self.joined(admitted.has_joined);
        metrics::task_started();
        let is_load = self.process().add_load();
        if admitted.wants_stamp {
            self.stamp(admitted.slot, admitted.id);
        }
        let extra = if trace::is_off() {
            None
        } else {
            self.span_for(admitted.ticket(), admitted.kind, admitted.spans)
                .map(Extra::of_span)
        };
        let guard = TaskGuard::new(self, admitted, is_load, label, extra);
        if admitted.is_late {
            // With the guard made: if an observer panics through this, the guard ends the task.
            self.report_late_spawn(guard.ticket(), guard.span());
        }
        guard
    }

    /// The span that the task runs in.
    #[cold]
    fn span_for(&self, ticket: Ticket, kind: Kind, spans: TaskSpans) -> Option<Span> {
        let (spec, computed) = self.spec(ticket)?;
        let name = computed.as_deref().or(spec.name);
        match (kind, spans) {
            // Not under the request's span, which would stay open for it.
            (Kind::Detached, _) | (_, TaskSpans::Linked) => {
                trace::linked_task_span(name, spec.location, self.id.as_deref())
            }
            (_, TaskSpans::Child) => trace::task_span(name, spec.location),
            (_, TaskSpans::Inherit) => Span::current(),
        }
    }

    /// Keeps the abort handle of a task that was spawned.
    #[inline(always)]
    pub(crate) fn attach(&self, ticket: Ticket, handle: AbortHandle) {
        let attached = self.lock().attach(ticket.slot, ticket.id, handle);
        match attached {
            Attached::Kept => {}
            Attached::Ended(handle) => drop(handle),
            Attached::ToAbort(handle) => abort_one(handle),
        }
    }

    /// Gives an age to this task, and to every other one that has none.
    #[inline]
    pub(super) fn stamp(&self, slot: u32, id: u32) {
        if self.lock().wants_stamp() {
            self.stamp_now(slot, id);
        }
    }

    #[cold]
    fn stamp_now(&self, slot: u32, id: u32) {
        let now = Instant::now();
        self.lock().stamp_first(slot, id, now);
    }
}

#[cold]
fn abort_one(handle: AbortHandle) {
    abort(vec![handle]);
}
