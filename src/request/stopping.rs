//! Stops the tasks of a request.

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
    /// Returns a child of the token of the request. Creates the token if it was not requested before.
    pub(crate) fn cancellation_token(&self) -> CancellationToken {
        let (token, cancelled) = self.lock().token();
        if cancelled {
            token.cancel();
        }
        token.child_token()
    }

    /// Cancels the token of the request. Only the first call does.
    pub(crate) fn cancel(&self) {
        let token = self.lock().cancel();
        cancel(token);
    }

    /// Notes that a shutdown of the process has begun.
    pub(crate) fn shutdown_begins(self: &Arc<Self>) {
        let (effects, token) = self.lock().shutdown_begins();
        cancel(token);
        self.carry_out(effects);
    }

    /// Stops the tasks that no response waits for, if that is due at `now`, before the end of a shutdown. Returns when
    /// the next step is due. Does not abort the tasks whose ids are in `spared`.
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
            // An open window has its own schedule.
            let is_open = matches!(state.phase(), Phase::Window { .. });
            let is_due = |step: Option<Instant>| step.is_some_and(|at| at <= now && !is_open);
            let token = if is_due(schedule.cancel) {
                state.cancel()
            } else {
                None
            };
            // Before the release, the window of a request is still to come.
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

    /// Stops all tasks at the end of a shutdown: cancels the token, and aborts all tasks except for these.
    pub(crate) fn stop_all_except(&self, spared: &[u32]) {
        let (token, handles) = {
            let mut state = self.lock();
            (state.cancel(), state.abort_all_except(spared))
        };
        cancel(token);
        abort(handles);
    }
}

/// Cancels a token. Runs outside of the lock and catches panics, because this calls wakers. They may run any code, and
/// the caller may be a destructor.
fn cancel(token: Option<CancellationToken>) {
    if let Some(token) = token {
        let _ = panics::caught(|| token.cancel());
    }
}

/// Aborts tasks. Runs outside of the lock, because an abort on a runtime that is gone may drop the task, and this takes
/// the lock.
pub(crate) fn abort(handles: Vec<AbortHandle>) {
    for handle in handles {
        let _ = panics::caught(|| handle.abort());
    }
}
