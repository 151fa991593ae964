//! Ends a task.

use std::sync::Arc;

use tokio::time::Instant;

use super::Request;
use super::effects::{Completed, Effects, LateEnd};
use super::guard::{Extra, HandOffRole};
use super::names::put_name;
use super::state::State;
use super::task::{Task, TaskSpec, Ticket};
use crate::report::{TaskInfo, TaskState};
use crate::sync::{AbortHandle, MutexGuard};
use crate::{metrics, trace};

impl Request {
    /// Ends a task that has completed. Its future or closure was dropped before. `extra`: its span, if it has one.
    #[inline]
    pub(super) fn complete(self: &Arc<Self>, task: &Task, extra: &mut Option<Box<Extra>>) {
        if extra.is_some() {
            self.complete_with(task, extra.take());
            return;
        }
        self.note_end(task, TaskState::Completed);
        let mut state = self.lock();
        let Some(Completed { handle, wake }) = state.complete(task.ticket.slot) else {
            self.count_out(state, task.ticket, None, None);
            return;
        };
        drop(state);
        let effects = Effects {
            wake,
            handle,
            ..Effects::none()
        };
        self.carry_out(effects);
    }

    /// Completes a task with a span or a hand-off, or a hand-off itself.
    #[cold]
    fn complete_with(self: &Arc<Self>, task: &Task, extra: Option<Box<Extra>>) {
        match role_of(extra.as_deref()) {
            HandOffRole::None => {
                self.note_end(task, TaskState::Completed);
                self.end_spanned(task, None, extra);
            }
            HandOffRole::Armed => self.complete_armed(task, extra),
            HandOffRole::HandOff => self.complete_hand_off(task, extra),
        }
    }

    /// Like [`complete`](Self::complete), for a task that did not complete.
    #[cold]
    pub(super) fn end(
        self: &Arc<Self>,
        task: &Task,
        state: TaskState,
        message: Option<String>,
        extra: Option<Box<Extra>>,
    ) {
        match role_of(extra.as_deref()) {
            HandOffRole::None => self.end_without_hand_off(task, state, message, extra),
            HandOffRole::Armed => self.hand_off(task, state, message, extra),
            HandOffRole::HandOff => self.fail_hand_off(task, state, message, extra),
        }
    }

    /// Ends a task that did not complete, and has no hand-off that could begin.
    pub(super) fn end_without_hand_off(
        self: &Arc<Self>,
        task: &Task,
        state: TaskState,
        message: Option<String>,
        extra: Option<Box<Extra>>,
    ) {
        self.note_end(task, state);
        // Before the task counts out, so that code that waits for the end, or reads the report, finds the end in the
        // log.
        let id = self.id.as_deref();
        let log = |info: &TaskInfo, is_reported| trace::task_ended(info, is_reported, id);
        let failed = self.fail(task.ticket, state, message, extra.as_deref(), log);
        self.end_spanned(task, failed, extra);
    }

    #[inline]
    pub(super) fn note_end(&self, task: &Task, state: TaskState) {
        self.process().note_end(state);
        if task.is_load {
            self.process().remove_load();
        }
        metrics::task_ended(task.label(), state);
    }

    /// Counts out a task that may have a span. `failed`: the recorded end of a task that did not complete.
    pub(super) fn end_spanned(
        self: &Arc<Self>,
        task: &Task,
        failed: Option<TaskInfo>,
        mut extra: Option<Box<Extra>>,
    ) {
        if extra.is_some() && task.is_counted && !self.is_released() {
            // Before the task counts out, because a hook, or code that waits for the end, may export the span. If the
            // request is released at this moment, the callbacks about the end run in the span of the request.
            extra = None;
        }
        self.count_out(self.lock(), task.ticket, failed, extra);
    }

    /// Counts out a task, with all effects that this may have.
    #[cold]
    pub(super) fn count_out(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<AbortHandle>>,
        ticket: Ticket,
        failed: Option<TaskInfo>,
        mut extra: Option<Box<Extra>>,
    ) {
        let (effects, late) = state.end(ticket.slot, self.is_tracker_busy());
        drop(state);
        if late.is_none() {
            // Before the request may leave the registry. Once the handle is idle, all spans have to be closed.
            extra = None;
        }
        self.carry_out(effects);
        if let Some(late) = late {
            self.report_late_end(late, failed, extra);
        }
    }

    /// Records and logs the end of a task that did not complete. `log` gets the task, and whether the event about the
    /// request covers it.
    #[cold]
    pub(super) fn fail(
        &self,
        ticket: Ticket,
        state: TaskState,
        message: Option<String>,
        extra: Option<&Extra>,
        log: impl FnOnce(&TaskInfo, bool),
    ) -> Option<TaskInfo> {
        let now = Instant::now();
        let failure = self
            .lock()
            .fail(ticket.slot, ticket.id, state, message, now)?;
        drop(failure.handle);
        let info = failure.info;
        let span = extra.and_then(|extra| extra.span.as_ref());
        self.in_span_of(span, failure.is_counted, || {
            log(&info, failure.is_reported);
        });
        self.process().note_failure(&info);
        Some(info)
    }

    /// Calls the observers about the end of a task that no report counts as ended.
    #[cold]
    fn report_late_end(
        self: &Arc<Self>,
        late: LateEnd,
        failed: Option<TaskInfo>,
        extra: Option<Box<Extra>>,
    ) {
        let info = failed.unwrap_or_else(|| {
            let LateEnd {
                spec,
                name,
                started,
            } = late;
            let now = Some(Instant::now());
            let mut info = spec.info(TaskState::Completed, None, started, now);
            put_name(&mut info, name.as_ref());
            info
        });
        let span = extra.as_ref().and_then(|extra| extra.span.as_ref());
        self.notify(span, |observer| observer.on_late_end(&info));
        // Before the request may leave the registry, as in `count_out`.
        drop(extra);
        self.callbacks_done();
    }

    /// Notes that the observers were called about a late spawn or a late end.
    fn callbacks_done(self: &Arc<Self>) {
        let effects = {
            let mut state = self.lock();
            let in_tracker = self.is_tracker_busy();
            state.callbacks_done(in_tracker)
        };
        self.carry_out(effects);
    }

    /// Logs a late spawn, and calls the observers about it.
    #[cold]
    pub(super) fn report_late_spawn(self: &Arc<Self>, ticket: Ticket, span: Option<&trace::Span>) {
        if let Some((spec, name)) = self.spec(ticket) {
            let mut info = spec.info(TaskState::Running, None, None, None);
            put_name(&mut info, name.as_ref());
            metrics::late_spawn();
            self.in_span_of(span, false, || trace::late_spawn(&info, self.id.as_deref()));
            self.notify(span, |observer| observer.on_late_spawn(&info));
        }
        self.callbacks_done();
    }

    /// Returns the spec of a task that is alive, and its name if that was computed.
    pub(super) fn spec(&self, ticket: Ticket) -> Option<(TaskSpec, Option<Arc<str>>)> {
        self.lock().spec(ticket.slot, ticket.id)
    }
}

fn role_of(extra: Option<&Extra>) -> HandOffRole {
    extra.map_or(HandOffRole::None, |extra| extra.hand_off)
}
