//! The wait itself: it ends when nothing is alive, or at the deadline.

use std::task::{Context as TaskContext, Poll, ready};

use tokio::time::Instant;

use super::wait::{Alive, Window};
use super::window::expired;
use super::{AtDrop, Drain, Stage};
use crate::report::Outcome;
use crate::request::limits::Deadline;
use crate::settings::Unfinished;

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
        let schedule = deadline.schedule(window.opened);
        ready!(window.steps.poll(&schedule, request, cx));
        let cut_short = request.is_busy() || window.has_cut_short(request);
        let stops = (deadline.unfinished != Unfinished::Continue).then_some(deadline.why());
        self.expire(Some(deadline.limit), cut_short, stops);
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
}
