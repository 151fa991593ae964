//! Stops the tasks of a request.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Request;
use super::effects::Stops;
use super::hand_off::Which;
use super::state::Phase;
use super::state::stop::Stop;
use super::tuning::window_settings;
use crate::deadline::schedule::{HandOffPoint, Schedule};
use crate::panics;
use crate::report::NotDone;
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
        self: &Arc<Self>,
        began: Instant,
        end: Instant,
        now: Instant,
        spared: &[u32],
    ) -> Instant {
        let (next, token, hand_offs, others) = {
            let mut state = self.lock();
            let settings = window_settings(&state, &self.shared().settings);
            let unfinished = settings.at_deadline.unwrap_or_default();
            let why = NotDone::Shutdown;
            // An open window has its own schedule.
            let is_open = matches!(state.phase(), Phase::Window { .. });
            let these = if is_open {
                Which::NotAwaited
            } else {
                Which::All
            };
            let mut schedule = Schedule::at_deadline(began, end, unfinished, why);
            if state.any_hand_off_due(these) {
                let grace = settings.hand_off_grace;
                let point = HandOffPoint::before(began, end, grace, unfinished, why);
                schedule = schedule.with_hand_off(point);
            }
            let is_due = |step: Option<Instant>| step.is_some_and(|at| at <= now && !is_open);
            let token = if is_due(schedule.cancel) {
                state.cancel()
            } else {
                None
            };
            // Before the release, the window of a request is still to come.
            let has_window = !state.is_released() && state.phase() != Phase::Process;
            // Also before the release: a response that is not ready may open its window too late for this.
            let hand_offs = match schedule.hand_off {
                Some(point) if point.at <= now => state.stop_for_hand_off(why, these, spared),
                _ => Stops::none(),
            };
            let others = if is_due(schedule.abort) && !has_window {
                state.stop_all_except(Stop::HandOff(why), spared)
            } else {
                Stops::none()
            };
            (schedule.next(now), token, hand_offs, others)
        };
        cancel(token);
        self.stop(hand_offs);
        self.stop(others);
        next
    }

    /// Stops the unfinished tasks. Work that runs elsewhere cannot be stopped.
    pub(crate) fn stop_unfinished(self: &Arc<Self>, why: NotDone) {
        let stops = self.lock().stop_unfinished(why);
        self.stop(stops);
    }

    /// Stops the unfinished tasks that have a hand-off and that a response waits for. Returns whether there were any.
    pub(crate) fn stop_for_hand_off(self: &Arc<Self>, why: NotDone) -> bool {
        let (any, stops) = {
            let mut state = self.lock();
            let any = state.any_hand_off_due(Which::Awaited);
            (any, state.stop_for_hand_off(why, Which::Awaited, &[]))
        };
        self.stop(stops);
        any
    }

    /// Stops all tasks at the end of a shutdown: cancels the token, and aborts all tasks except for these.
    pub(crate) fn stop_all_except(self: &Arc<Self>, spared: &[u32]) {
        let (token, stops) = {
            let mut state = self.lock();
            let stops = state.stop_all_except(Stop::EndOfShutdown, spared);
            (state.cancel(), stops)
        };
        cancel(token);
        self.stop(stops);
    }

    /// Stops tasks. Runs outside of the lock, because an abort on a runtime that is gone may drop the task, and this
    /// takes the lock.
    pub(crate) fn stop(self: &Arc<Self>, stops: Stops<AbortHandle>) {
        let Stops { handles, hand_offs } = stops;
        for handle in handles {
            abort(&handle);
        }
        for beside in hand_offs {
            self.start_beside_closure(beside);
        }
    }
}

/// Cancels a token. Runs outside of the lock and catches panics, because this calls wakers. They may run any code, and
/// the caller may be a destructor.
fn cancel(token: Option<CancellationToken>) {
    if let Some(token) = token {
        let _ = panics::caught(|| token.cancel());
    }
}

/// Aborts a task, outside of the lock.
pub(super) fn abort(handle: &AbortHandle) {
    let _ = panics::caught(|| handle.abort());
}
