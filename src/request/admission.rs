//! Lists a task: before it is spawned, or before it begins to run elsewhere.

use std::sync::Arc;

use tokio::time::Instant;

use super::Request;
use super::effects::Attached;
use super::guard::{Extra, TaskGuard};
use super::hand_off::HandOffFn;
use super::state::State;
use super::stopping::abort;
use super::task::{Admitted, Begins, Kind, Parent, Refused, TaskSpec, Ticket};
use crate::settings::TaskSpans;
use crate::sync::{AbortHandle, MutexGuard};
use crate::trace::Span;
use crate::{metrics, trace};

impl Request {
    /// Lists a task that is about to be spawned. The caller spawns it, and then calls [`attach`](Self::attach).
    pub(crate) fn admit(self: &Arc<Self>, spec: TaskSpec) -> TaskGuard {
        self.list(spec, Begins::Spawning)
    }

    /// Lists a task that runs elsewhere.
    pub(crate) fn admit_elsewhere(self: &Arc<Self>, spec: TaskSpec) -> TaskGuard {
        self.list(spec, Begins::Elsewhere)
    }

    /// Lists a task with a computed name. If the task is about to be spawned, the caller spawns it, and then calls
    /// [`attach`](Self::attach).
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

    /// Lists a task that has a hand-off. The caller spawns it, and then calls [`attach`](Self::attach). `name`: as in
    /// [`try_admit`](Self::try_admit).
    #[cold]
    pub(crate) fn admit_with_hand_off(
        self: &Arc<Self>,
        spec: TaskSpec,
        name: Option<Arc<str>>,
        f: HandOffFn,
    ) -> TaskGuard {
        let parent = self.parent();
        let label = spec.name;
        let (admitted, effects) = {
            let mut state = self.lock();
            let admitted = state.admit(spec, parent, Begins::Spawning, || self.join());
            if let Some(name) = name {
                state.set_name(admitted.slot, admitted.id, name);
            }
            (admitted, state.arm(&admitted, f))
        };
        self.carry_out(effects);
        // A shutdown that is awaited has one more step now, also if the request was listed before.
        self.process().registry().joined();
        let mut guard = self.admitted(admitted, label);
        guard.arm();
        guard
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

    /// Lists a task that no report counts: the rare part of [`list`](Self::list).
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

    /// Lists a task that is about to be spawned. The caller spawns it, and then calls [`attach`](Self::attach). `name`:
    /// the name, if it was computed.
    ///
    /// # Errors
    ///
    /// Returns an error if the task would be a late spawn, or if the process is shutting down.
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
                self.carry_out(effects);
                Err(refused)
            }
        }
    }

    /// Completes an admission outside of the lock, and returns the guard of the task. `label`: the name of the task, as
    /// a label of metrics.
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
            // After the guard is created. If an observer panics through this call, the guard ends the task.
            self.report_late_spawn(guard.ticket(), guard.span());
        }
        guard
    }

    /// Returns the span that the task runs in.
    #[cold]
    fn span_for(&self, ticket: Ticket, kind: Kind, spans: TaskSpans) -> Option<Span> {
        let (spec, computed) = self.spec(ticket)?;
        let name = computed.as_deref().or(spec.name);
        match (kind, spans) {
            // Not a child of the request's span, which would stay open as long as the task.
            (Kind::Detached, _) | (_, TaskSpans::Linked) => {
                trace::linked_task_span(name, spec.location, self.id.as_deref())
            }
            (_, TaskSpans::Child) => trace::task_span(name, spec.location),
            (_, TaskSpans::Inherit) => Span::current(),
        }
    }

    /// Keeps the abort handle of a task that was spawned. If the task was to be aborted before this call, aborts it
    /// now.
    #[inline(always)]
    pub(crate) fn attach(&self, ticket: Ticket, handle: AbortHandle) {
        let attached = self.lock().attach(ticket.slot, ticket.id, handle);
        attached.carry_out();
    }

    /// Like [`attach`](Self::attach), for the abort handle of a hand-off.
    pub(super) fn attach_hand_off(&self, ticket: Ticket, handle: AbortHandle) {
        let attached = self.lock().attach_hand_off(ticket, handle);
        attached.carry_out();
    }

    /// Gives a start to this task, and to every other one that has none.
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

impl Attached<AbortHandle> {
    #[inline(always)]
    fn carry_out(self) {
        match self {
            Attached::Kept => {}
            Attached::Ended(handle) => drop(handle),
            Attached::ToAbort(handle) => abort(&handle),
        }
    }
}
