//! How a request stops its tasks.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Request;
use super::state::Phase;
use super::tuning::window_settings;
use crate::deadline::schedule::Schedule;
use crate::panics;
use crate::sync::AbortHandle;

impl Request {
    /// A child of the request's token, which is made now if it was not asked for before.
    pub(crate) fn cancellation_token(&self) -> CancellationToken {
        let (token, cancelled) = self.lock().token();
        if cancelled {
            token.cancel();
        }
        token.child_token()
    }

    /// Asks the tasks to stop, once.
    pub(crate) fn cancel(&self) {
        let token = self.lock().cancel();
        cancel(token);
    }

    /// A shutdown of the process has begun.
    pub(crate) fn shutdown_begins(self: &Arc<Self>) {
        let (effects, token) = self.lock().shutdown_begins();
        cancel(token);
        effects.carry_out(self);
    }

    /// Stops the tasks that no response waits for, as far as that is due before the end of a shutdown. Returns when the
    /// next step is due.
    pub(crate) fn step_of_shutdown(
        &self,
        began: Instant,
        end: Instant,
        now: Instant,
        spared: &[u32],
    ) -> Instant {
        let (next, token, handles) = {
            let mut state = self.lock();
            let settings = window_settings(&state, &self.shared().settings);
            let unfinished = settings.at_deadline.unwrap_or_default();
            let schedule = Schedule::at_deadline(began, end, unfinished);
            // The drain of an open window keeps its own time.
            let is_open = matches!(state.phase(), Phase::Window { .. });
            let is_due = |step: Option<Instant>| step.is_some_and(|at| at <= now && !is_open);
            let token = if is_due(schedule.cancel) {
                state.cancel()
            } else {
                None
            };
            // Before its release a request has a window still to come.
            let has_window = !state.is_released() && state.phase() != Phase::Process;
            let handles = if is_due(schedule.abort) && !has_window {
                state.abort_all_except(spared)
            } else {
                Vec::new()
            };
            (schedule.next(now), token, handles)
        };
        cancel(token);
        abort(handles);
        next
    }

    /// Aborts the unfinished tasks. Work that runs elsewhere cannot be aborted.
    pub(crate) fn abort_unfinished(&self) {
        let handles = self.lock().abort_unfinished();
        abort(handles);
    }

    /// The end of a shutdown: asks all tasks to stop, and aborts all but these.
    pub(crate) fn stop_all_except(&self, spared: &[u32]) {
        let (token, handles) = {
            let mut state = self.lock();
            (state.cancel(), state.abort_all_except(spared))
        };
        cancel(token);
        abort(handles);
    }
}

/// Outside of the lock, and with panics caught: this calls wakers, which may run any code, perhaps in a destructor.
fn cancel(token: Option<CancellationToken>) {
    if let Some(token) = token {
        let _ = panics::caught(|| token.cancel());
    }
}

/// Outside of the lock: on a runtime that is gone an abort may drop the task, which takes the lock.
pub(crate) fn abort(handles: Vec<AbortHandle>) {
    for handle in handles {
        let _ = panics::caught(|| handle.abort());
    }
}
