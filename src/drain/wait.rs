//! The wait itself: it ends when nothing is alive, or at the deadline.

use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::hooks::Hooks;
use super::leaving::Leaving;
use super::window::{Alive, LastEnd, WaitSummary, Window};
use super::{AtDrop, Drain, Ended, HeldFor, Stage};
use crate::deadline::schedule::Schedule;
use crate::metrics;
use crate::report::{Limit, Outcome};
use crate::request::limits::Deadline;
use crate::request::stopping::abort as stop;
use crate::settings::Unfinished;

/// The wait of one request.
#[derive(Default)]
pub(super) struct Wait {
    /// `Some` while a window is open.
    window: Option<Window>,
    pub(super) hooks: Hooks,
    /// The time during which windows were open, without a window that is open now.
    drained: Duration,
    /// The part of it during which the response was held.
    held: Duration,
    /// A window was opened.
    pub(super) has_waited: bool,
    /// The last end in a window that has drained.
    pub(super) last: Option<LastEnd>,
    /// The window closed before the tasks were done.
    pub(super) cut_short: bool,
    /// The window closed before the tasks were done, and the head of a stream was held. So a task may have waited for
    /// the end of its own response's body.
    pub(super) stream_was_held: bool,
    /// The result of a request in [`Stage::Expired`].
    pub(super) ended: Ended,
    /// `Some` in [`Stage::Leaving`].
    pub(super) leaving: Option<Leaving>,
}

impl Drain {
    /// Ready when no task is alive and the hooks have run, or the deadline has passed. The window opens at the first
    /// poll that finds something to wait for.
    pub(crate) fn poll_drained(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.end_plain_wait();
        if !self.is_open() {
            return Poll::Ready(());
        }
        let (Some(wait), Some(request)) = (&mut self.wait, self.context.own()) else {
            return self.poll_first(cx);
        };
        if let (true, Some(window)) = (wait.hooks.are_done(), wait.awaiting()) {
            let (look, deadline) = request.look_again(cx);
            return match window.update(look) {
                // If both have come, the drain wins over the deadline: tasks that are done are not reported as late.
                Poll::Ready(()) => self.poll_done(cx),
                Poll::Pending => self.poll_deadline(deadline, cx),
            };
        }
        if self.poll_work(cx).is_ready() {
            return self.poll_done(cx);
        }
        self.open_window();
        let window = self.wait.as_mut().and_then(|wait| wait.window.as_mut());
        if window.is_some_and(|window| !std::mem::replace(&mut window.had_turn, true)) {
            // The tasks get one turn of the scheduler, even if the deadline has passed.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let deadline = self.request().and_then(|request| request.deadline());
        self.poll_deadline(deadline, cx)
    }

    /// Ready at the deadline. The caller reads it anew for each poll, because the request may move it.
    fn poll_deadline(&mut self, deadline: Option<Deadline>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let (Some(wait), Some(request)) = (&mut self.wait, self.context.own()) else {
            return Poll::Ready(());
        };
        let Some(window) = &mut wait.window else {
            return Poll::Ready(());
        };
        let Some(deadline) = deadline else {
            window.steps.timer.stop();
            return Poll::Pending;
        };
        let schedule = Schedule::at_deadline(window.opened, deadline.at, deadline.unfinished);
        ready!(window.steps.poll(&schedule, request, cx));
        let cut_short = request.is_busy() || window.has_cut_short(request);
        let aborts = deadline.unfinished != Unfinished::Continue;
        self.expire(Some(deadline.limit), cut_short, aborts);
        Poll::Ready(())
    }

    /// The first check of a request without hooks. If a task is alive, the window opens, and the tasks get one turn of
    /// the scheduler, even if the deadline has passed. Most tasks need no more.
    fn poll_first(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(request) = self.context.own() else {
            return Poll::Ready(());
        };
        let opened = Instant::now();
        let Some(alive) = Alive::of(request.open_if_busy(opened)) else {
            return Poll::Ready(());
        };
        self.make_wait_for(alive, opened);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Makes the [`Wait`] of a request in [`Stage::PlainWait`], because more is to be done than to wait for tasks.
    pub(super) fn end_plain_wait(&mut self) {
        if let (Stage::PlainWait, Some(request)) = (&self.stage, self.context.own()) {
            let opened = request.window_opened_at();
            self.make_wait(opened);
        }
    }

    /// Makes the [`Wait`] of a request in [`Stage::PlainWait`] whose window opened at `opened`, if it is open.
    pub(super) fn make_wait(&mut self, opened: Option<Instant>) {
        if let (Stage::PlainWait, Some(opened)) = (&self.stage, opened) {
            self.make_wait_for(Alive::Tasks, opened);
        }
    }

    /// Makes the [`Wait`] of a window whose tasks have their first turn. `alive`: what was alive at the last check.
    pub(super) fn make_wait_for(&mut self, alive: Alive, opened: Instant) {
        let window = Window {
            had_turn: true,
            ..Window::new(opened, Some(alive))
        };
        if let Stage::PlainWait = self.stage {
            self.stage = Stage::Open {
                at_drop: AtDrop::Disconnected,
            };
            self.set_window(window);
        } else {
            self.window_opened(window);
        }
    }

    /// Ready when no task is alive and the hooks have run. Starts the hooks once the tasks are done.
    #[inline]
    fn poll_work(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            let tasks = self.poll_tasks(cx);
            let Some(wait) = &self.wait else {
                return tasks;
            };
            if wait.hooks.are_done() || (wait.hooks.are_waiting() && tasks.is_pending()) {
                return tasks;
            }
            let Some(request) = self.context.own().cloned() else {
                return Poll::Ready(());
            };
            if wait.hooks.are_waiting() {
                // The window has to be open, because a hook may call `Tasks::deadline`.
                self.open_window();
                let (outcome, limit) = if self.has_cut_short() {
                    expired(request.deadline().map(|deadline| deadline.limit))
                } else {
                    (Outcome::Drained, None)
                };
                let report = self.report_until_now(outcome, limit);
                let hooks = request.hooks();
                self.wait_mut()
                    .hooks
                    .start(hooks, report.unwrap_or_default());
            }
            let polled = {
                let hooks = &mut self.wait.get_or_insert_default().hooks;
                let _entered = self.context.enter();
                hooks.poll(&request, cx)
            };
            if polled.is_pending() {
                // Without this, a limit that changes would not wake the wait. The waker is registered after the poll,
                // so that a hook that changes a limit does not wake itself for ever. The ends of tasks are checked
                // when the hook has run.
                request.wake_on_limits(cx);
                return Poll::Pending;
            }
            // The hooks may have spawned.
        }
    }

    /// Ready when no task is alive.
    #[inline]
    fn poll_tasks(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(request) = self.context.own() else {
            return Poll::Ready(());
        };
        let wait = self.wait.as_deref_mut();
        if let Some(window) = wait.and_then(|wait| wait.window.as_mut()) {
            // No waker is registered before the first turn, because most tasks end within it.
            let look = if window.had_turn {
                request.look_again(cx).0
            } else {
                request.look()
            };
            if !window.is_drained {
                return window.update(look);
            }
            window.required_failed = look.required_failed;
            if !look.is_busy() {
                return Poll::Ready(());
            }
        }
        self.open_window_for_tasks()
    }

    /// Opens a window if a task is alive. A window that has drained is closed before that. Ready if no task is alive.
    fn open_window_for_tasks(&mut self) -> Poll<()> {
        self.close_drained();
        let Some(request) = self.context.own() else {
            return Poll::Ready(());
        };
        let opened = Instant::now();
        // One step under the lock: a task that ends after this check ends within the window.
        let Some(alive) = Alive::of(request.open_if_busy(opened)) else {
            return Poll::Ready(());
        };
        self.window_opened(Window::new(opened, Some(alive)));
        Poll::Pending
    }

    /// Ends the wait after all tasks and hooks are done. Pending if a task was spawned at the last moment.
    #[inline]
    fn poll_done(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if !self.has_cut_short() {
            self.window_drained();
            return Poll::Ready(());
        }
        // The tasks have ended because the schedule aborted them. So this is the deadline, slightly early.
        let Some(request) = self.context.own() else {
            return Poll::Ready(());
        };
        let (outcome, limit) = expired(request.deadline().map(|deadline| deadline.limit));
        let now = Instant::now();
        let query = self.query(outcome, now);
        let Some(release_state) = request.release_if_idle(query) else {
            // A task was spawned at the last moment.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        self.expired(now, true);
        let ended = self.ended_as(release_state, outcome, limit, now);
        self.set_expired(ended);
        Poll::Ready(())
    }

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
    fn window_drained(&mut self) {
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
    fn has_cut_short(&self) -> bool {
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
            self.expire(deadline.map(|deadline| deadline.limit), true, false);
        }
    }

    /// Closes the window at its deadline, and releases the request. `cut_short`: some task is alive, or was stopped by
    /// the schedule. `aborts`: tasks that are alive are aborted.
    fn expire(&mut self, limit: Option<Limit>, cut_short: bool, aborts: bool) {
        let now = Instant::now();
        self.expired(now, cut_short);
        let (outcome, limit) = expired(limit);
        let (ended, abort) = self.release(outcome, limit, now, aborts);
        self.set_expired(ended);
        // After the report is made, so that these tasks are its stragglers.
        stop(abort);
    }

    fn set_expired(&mut self, ended: Ended) {
        self.stage = Stage::Expired;
        self.wait_mut().ended = ended;
    }

    /// Closes the window and stops the hooks of a request that expires.
    fn expired(&mut self, now: Instant, cut_short: bool) {
        self.close_window(now);
        self.stop_hooks();
        let wait = self.wait_mut();
        wait.last = None;
        wait.cut_short = cut_short;
    }

    /// Opens the window if it is not open, for a hook. No task is alive.
    fn open_window(&mut self) {
        let wait = self.wait.get_or_insert_default();
        let (None, Some(request)) = (&wait.window, self.context.own()) else {
            return;
        };
        let opened = Instant::now();
        // Registers the request: a shutdown has to find a request that waits for a hook alone, too.
        request.open_window(opened);
        self.window_opened(Window::new(opened, None));
    }

    fn set_window(&mut self, window: Window) {
        let wait = self.wait.get_or_insert_default();
        wait.has_waited = true;
        wait.window = Some(window);
    }

    /// Stores a window that has just opened, and counts the response as held.
    fn window_opened(&mut self, window: Window) {
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

impl Wait {
    /// Returns whether the abort step before the deadline was taken.
    #[cfg(feature = "http")]
    pub(super) fn is_stopping(&self) -> bool {
        let window = self.window.as_ref();
        window.is_some_and(|window| window.steps.stopped_before().is_some())
    }

    /// Returns for how long windows were open up to `now`, and for how long of that the response was held. `is_held`:
    /// an open window holds the response.
    pub(super) fn durations(&self, now: Instant, is_held: bool) -> (Duration, Duration) {
        let window = self.window.as_ref();
        let open_for = window.map_or(Duration::ZERO, |window| {
            now.saturating_duration_since(window.opened)
        });
        let held = if is_held { open_for } else { Duration::ZERO };
        (self.drained + open_for, self.held + held)
    }

    /// Returns the window if its tasks have had their first turn, and something was alive at the last check.
    #[inline]
    fn awaiting(&mut self) -> Option<&mut Window> {
        let window = self.window.as_mut();
        window.filter(|window| window.had_turn && !window.is_drained)
    }

    /// Ends the held time of the open window: the response is not held any more.
    #[cfg(feature = "http")]
    pub(super) fn stop_holding(&mut self) {
        if let Some(window) = &self.window {
            self.held += window.opened.elapsed();
            metrics::held(-1.0);
        }
    }
}

/// Returns the outcome of a request whose window was closed by `limit`, with that limit.
fn expired(limit: Option<Limit>) -> (Outcome, Option<Limit>) {
    let outcome = match limit {
        Some(Limit::Shutdown) => Outcome::Shutdown,
        _ => Outcome::DeadlineExceeded,
    };
    (outcome, limit)
}
