//! Opens and closes the drain window of a request.

use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::wait::{Alive, Ended, LastEnd, WaitSummary, Window};
use super::{Drain, HeldFor, Stage};
use crate::metrics;
use crate::report::{Limit, NotDone, Outcome};
use crate::request::effects::Stops;

impl Drain {
    /// Closes the window of a request that was released with no task alive. `opened`: when it opened, if it was open.
    #[inline]
    pub(super) fn end_window(&mut self, opened: Option<Instant>, now: Instant) -> WaitSummary {
        if let (Stage::PlainWait, Some(opened), None) = (&self.stage, opened, &self.wait) {
            // A plain wait needs no `Wait` here.
            metrics::held(-1.0);
            let open_for = now.saturating_duration_since(opened);
            return WaitSummary {
                drain: open_for,
                held: open_for,
                last: Some(LastEnd {
                    kind: Alive::Tasks,
                    at: Some(now),
                }),
            };
        }
        self.make_wait(opened);
        self.window_drained();
        self.take_window(Some(now));
        self.wait_summary(now)
    }

    /// Returns what a report shows of the wait up to `now`.
    pub(super) fn wait_summary(&self, now: Instant) -> WaitSummary {
        let Some(wait) = &self.wait else {
            return WaitSummary::default();
        };
        let (drain, held) = wait.durations(now, self.held_for != HeldFor::None);
        WaitSummary {
            drain,
            held,
            last: wait.last,
        }
    }

    /// Marks the window as drained. It stays open until the release.
    pub(super) fn window_drained(&mut self) {
        if let Some(wait) = &mut self.wait {
            if let Some(window) = &mut wait.window {
                window.is_drained = true;
                wait.last = window.alive.map(|alive| LastEnd {
                    kind: alive,
                    at: None,
                });
            }
        }
    }

    /// See [`Window::has_cut_short`].
    pub(super) fn has_cut_short(&self) -> bool {
        let window = self.wait.as_ref().and_then(|wait| wait.window.as_ref());
        let request = self.context.own();
        window
            .zip(request)
            .is_some_and(|(window, request)| window.has_cut_short(request))
    }

    /// Expires a request that is dropped between the abort step and the end of the window, because tasks were stopped.
    pub(super) fn expire_if_cut_short(&mut self) {
        if self.has_cut_short() {
            let request = self.context.own();
            let deadline = request.and_then(|request| request.deadline());
            self.expire(deadline.map(|deadline| deadline.limit), true, None);
        }
    }

    /// Closes the window at its deadline, and releases the request. `cut_short`: some task is alive, or was stopped by
    /// the schedule. `stops`: if `Some`, tasks that are alive are stopped for this reason.
    pub(super) fn expire(&mut self, limit: Option<Limit>, cut_short: bool, stops: Option<NotDone>) {
        let now = Instant::now();
        self.expired(now, cut_short);
        let (outcome, limit) = expired(limit);
        let (ended, stops) = self.release(outcome, limit, now, stops);
        self.set_expired(ended);
        // After the report is made, so that these tasks are its stragglers.
        self.stop(stops);
    }

    fn stop(&self, stops: Stops<AbortHandle>) {
        if let Some(request) = self.request() {
            request.stop(stops);
        }
    }

    pub(super) fn set_expired(&mut self, ended: Ended) {
        self.stage = Stage::Expired;
        self.wait_mut().ended = ended;
    }

    /// Closes the window and stops the hooks of a request that expires.
    pub(super) fn expired(&mut self, now: Instant, cut_short: bool) {
        self.close_window(now);
        self.stop_hooks();
        let wait = self.wait_mut();
        wait.last = None;
        wait.cut_short = cut_short;
    }

    /// Opens the window if it is not open, for a hook. No task is alive.
    pub(super) fn open_window(&mut self) {
        let wait = self.wait.get_or_insert_default();
        let (None, Some(request)) = (&wait.window, self.context.own()) else {
            return;
        };
        let opened = Instant::now();
        // Registers the request: a shutdown has to find a request that waits for a hook alone, too.
        request.open_window(opened);
        self.window_opened(Window::new(opened, None));
    }

    pub(super) fn set_window(&mut self, window: Window) {
        let wait = self.wait.get_or_insert_default();
        wait.has_waited = true;
        wait.window = Some(window);
    }

    /// Stores a window that has just opened, and counts the response as held.
    pub(super) fn window_opened(&mut self, window: Window) {
        self.set_window(window);
        if self.held_for != HeldFor::None {
            metrics::held(1.0);
        }
    }

    /// Closes the window, if it is open. After this the request goes on, or is released next.
    pub(super) fn close_window(&mut self, now: Instant) {
        if !self.take_window(Some(now)) {
            return;
        }
        if let Some(request) = self.context.own() {
            request.close_window();
        }
    }

    /// Takes the window out, and returns whether one was open. `now`: `None` if no report is made.
    pub(super) fn take_window(&mut self, now: Option<Instant>) -> bool {
        let Some(wait) = self.wait.as_deref_mut() else {
            return false;
        };
        let Some(window) = wait.window.take() else {
            return false;
        };
        let open_for = now.map_or(Duration::ZERO, |now| {
            now.saturating_duration_since(window.opened)
        });
        wait.drained += open_for;
        if let (true, Some(last)) = (window.is_drained, &mut wait.last) {
            last.at = now;
        }
        if self.held_for != HeldFor::None {
            metrics::held(-1.0);
            wait.held += open_for;
        }
        true
    }

    /// Closes a window that has drained.
    #[inline]
    pub(crate) fn close_drained(&mut self) {
        if self.has_drained_window() {
            self.close_window(Instant::now());
        }
    }

    /// Closes the window if it is open, whether it has drained or not.
    pub(super) fn close_window_now(&mut self) {
        if self.wait.as_ref().is_some_and(|wait| wait.window.is_some()) {
            self.close_window(Instant::now());
        }
    }

    fn has_drained_window(&self) -> bool {
        self.drained_as_failed().is_some()
    }

    /// Returns whether a required task had failed when the window drained; `None` if no drained window is open.
    #[inline]
    pub(super) fn drained_as_failed(&self) -> Option<bool> {
        let window = self.wait.as_ref()?.window.as_ref()?;
        window.is_drained.then_some(window.required_failed)
    }

    /// Drops hooks that have not run to their end, in the request's context.
    pub(super) fn stop_hooks(&mut self) {
        let Some(wait) = self.wait.as_deref_mut() else {
            return;
        };
        if wait.hooks.are_done() {
            return;
        }
        let _entered = self.context.enter();
        wait.hooks.stop();
    }
}

/// Returns the outcome of a request whose window was closed by `limit`, with that limit.
pub(super) fn expired(limit: Option<Limit>) -> (Outcome, Option<Limit>) {
    let outcome = match limit {
        Some(Limit::Shutdown) => Outcome::Shutdown,
        _ => Outcome::DeadlineExceeded,
    };
    (outcome, limit)
}
