//! The wait itself: nothing alive, or the deadline.

use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::hooks::Hooks;
use super::steps::Steps;
use super::{Drain, KeptFor, Stage};
use crate::deadline::schedule::Schedule;
use crate::metrics;
use crate::report::{Bound, Outcome};
use crate::request::Request;
use crate::request::state::Look;
use crate::request::stopping::abort as stop;
use crate::settings::Unfinished;

/// The wait of one request.
#[derive(Default)]
pub(super) struct Wait {
    /// `Some` while a window is open.
    window: Option<Window>,
    pub(super) hooks: Hooks,
    /// For how long windows were open that have closed.
    drained: Duration,
    /// For how long of that the response was kept back.
    held: Duration,
    /// A window was opened.
    pub(super) has_waited: bool,
    /// What ended last, of what a window waited for that has drained.
    pub(super) last: Option<Last>,
    /// The window closed before the tasks were done.
    pub(super) cut_short: bool,
    /// It did so while the head of a stream was kept back, so that a task may have waited for its body.
    pub(super) stream_was_held: bool,
}

/// The drain window: from the moment the response could be released, to its deadline.
struct Window {
    opened: Instant,
    /// Tasks had a turn of the scheduler since then. Before that no waker is kept, and no timer is made: most tasks
    /// have ended when the wait looks again.
    had_turn: bool,
    /// What was alive when it was last looked.
    awaited: Option<Awaited>,
    /// How many tasks had been stopped when it opened.
    stopped_before: usize,
    steps: Steps,
    /// Everything was done when it was last looked: it closes with the release, or now if the request goes on.
    is_drained: bool,
    /// A required task had failed when it was last looked. Final once the window has drained.
    required_failed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    pub(super) awaited: Awaited,
    /// `None` until the window closes that waited for it.
    pub(super) at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    Tasks,
    /// Only those in the tokio-util tracker.
    Tracker,
}

impl Drain {
    /// Ready when no task is alive and the hooks are through, or the deadline has passed. The window
    /// opens with the first poll that finds something to wait for.
    pub(crate) fn poll_drained(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if !self.is_open() {
            return Poll::Ready(());
        }
        if self.wait.is_none() {
            return self.poll_first(cx);
        }
        // The drain wins over the deadline: what is whole is not reported as late.
        if self.poll_work(cx).is_ready() {
            return self.poll_done(cx);
        }
        self.open_window();
        let (Some(wait), Some(request)) = (&mut self.wait, self.context.own()) else {
            return Poll::Ready(());
        };
        let Some(window) = &mut wait.window else {
            return Poll::Ready(());
        };
        if !std::mem::replace(&mut window.had_turn, true) {
            // Tasks get one turn of the scheduler, even if the deadline has passed.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Looked up each time: the request may have moved it.
        let Some(deadline) = request.deadline() else {
            window.steps.stop_timer();
            return Poll::Pending;
        };
        let schedule = Schedule::at_deadline(window.opened, deadline.at, deadline.unfinished);
        ready!(window.steps.poll(&schedule, request, cx));
        let cut_short = request.is_busy() || window.has_cut_short(request);
        let aborts = deadline.unfinished != Unfinished::Detach;
        self.expire(Some(deadline.bound), cut_short, aborts);
        Poll::Ready(())
    }

    /// The first look of a request without hooks. Tasks get one turn of the scheduler, even if the deadline has passed:
    /// most need no more.
    #[inline]
    fn poll_first(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let look = self.context.own().map(|request| request.look());
        let Some(awaited) = look.and_then(Awaited::of) else {
            return Poll::Ready(());
        };
        self.open_window_at(Some(awaited), true);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready when no task is alive and the hooks are through.
    #[inline]
    fn poll_work(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            let tasks = self.poll_tasks(cx);
            let Some(wait) = &self.wait else {
                return tasks;
            };
            if wait.hooks.are_through() || (wait.hooks.are_waiting() && tasks.is_pending()) {
                return tasks;
            }
            let Some(request) = self.context.own().cloned() else {
                return Poll::Ready(());
            };
            if wait.hooks.are_waiting() {
                // A hook may ask for its deadline.
                self.open_window();
                let (outcome, bound) = if self.has_cut_short() {
                    expired(request.deadline().map(|deadline| deadline.bound))
                } else {
                    (Outcome::Drained, None)
                };
                let report = self.report_until_now(outcome, bound);
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
                // With no task alive nothing else would wake the wait when a deadline is moved. After the
                // poll: a hook that moves it must not wake itself for ever.
                request.listen(cx);
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
        let mut window = wait.and_then(|wait| wait.window.as_mut());
        let mut look = request.look();
        let had_turn = window.as_ref().is_some_and(|window| window.had_turn);
        if had_turn && Awaited::of(look).is_some() {
            // Only now: in most cases the tasks have ended in their first turn, and no waker is needed.
            look = request.look_again(cx);
        }
        if let Some(window) = &mut window {
            window.required_failed = look.required_failed;
        }
        let Some(awaited) = Awaited::of(look) else {
            return Poll::Ready(());
        };
        match &mut window {
            Some(window) if !window.is_drained => window.awaited = Some(awaited),
            _ => self.open_window_for(awaited),
        }
        Poll::Pending
    }

    /// Everything is done.
    #[inline]
    fn poll_done(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if !self.has_cut_short() {
            if let Some(wait) = &mut self.wait {
                if let Some(window) = &mut wait.window {
                    window.is_drained = true;
                    wait.last = window.awaited.map(|awaited| Last { awaited, at: None });
                }
            }
            return Poll::Ready(());
        }
        // The tasks have ended because they were aborted: this is the deadline, a moment early.
        let Some(request) = self.context.own() else {
            return Poll::Ready(());
        };
        let (outcome, bound) = expired(request.deadline().map(|deadline| deadline.bound));
        let now = Instant::now();
        let ask = self.ask(outcome, now);
        let Some(standings) = request.release_if_idle(ask) else {
            // A task came up at the last moment.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        self.expired(now, true);
        self.stage = Stage::Expired(Box::new(self.ended(standings, outcome, bound, now)));
        Poll::Ready(())
    }

    /// Whether tasks were cut short. What could not be aborted may have ended by itself in time.
    fn has_cut_short(&self) -> bool {
        let window = self.wait.as_ref().and_then(|wait| wait.window.as_ref());
        let request = self.context.own();
        window
            .zip(request)
            .is_some_and(|(window, request)| window.has_cut_short(request))
    }

    /// Expires a request that is dropped between the abort and the end of the window: it has not drained.
    pub(super) fn expire_if_cut_short(&mut self) {
        if self.has_cut_short() {
            let request = self.context.own();
            let deadline = request.and_then(|request| request.deadline());
            self.expire(deadline.map(|deadline| deadline.bound), true, false);
        }
    }

    /// Closes the window at its deadline. `cut_short`: some tasks had not ended, or had because they were aborted.
    /// `aborts`: aborts those that are alive.
    fn expire(&mut self, bound: Option<Bound>, cut_short: bool, aborts: bool) {
        let now = Instant::now();
        self.expired(now, cut_short);
        let (outcome, bound) = expired(bound);
        let (ended, abort) = self.release(outcome, bound, now, aborts);
        self.stage = Stage::Expired(Box::new(ended));
        // After the report, which has these tasks as its stragglers.
        stop(abort);
    }

    fn expired(&mut self, now: Instant, cut_short: bool) {
        self.close_window(now);
        self.stop_hooks();
        let wait = self.wait_mut();
        wait.last = None;
        wait.cut_short = cut_short;
    }

    fn open_window(&mut self) {
        let wait = self.wait.get_or_insert_default();
        if wait.window.is_none() {
            self.open_window_at(None, false);
        }
    }

    /// Opens the window, or a new one if the last one has drained.
    fn open_window_for(&mut self, awaited: Awaited) {
        self.close_drained();
        self.open_window_at(Some(awaited), false);
    }

    /// `has_turn`: tasks get their turn now.
    fn open_window_at(&mut self, awaited: Option<Awaited>, has_turn: bool) {
        let Some(request) = self.context.own() else {
            return;
        };
        let opened = Instant::now();
        // A shutdown has to find the request, also if it waits for a hook alone.
        let stopped_before = request.open_window(opened);
        let wait = self.wait.get_or_insert_default();
        wait.has_waited = true;
        wait.window = Some(Window {
            opened,
            had_turn: has_turn,
            awaited,
            stopped_before,
            steps: Steps::default(),
            is_drained: false,
            required_failed: false,
        });
        if self.kept_for != KeptFor::None {
            metrics::held(1.0);
        }
    }

    /// Closes the window, if it is open. The request goes on, or is released next.
    pub(super) fn close_window(&mut self, now: Instant) {
        if !self.take_window(Some(now)) {
            return;
        }
        if let Some(request) = self.context.own() {
            request.close_window();
        }
    }

    /// Closes the window of a request that was released, and returns whether one was open. `now`: `None` if no report
    /// is made of it.
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
        if self.kept_for != KeptFor::None {
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

    /// Whether a required task has failed by the end of a window that has just drained.
    #[inline]
    pub(super) fn drained_as_failed(&self) -> Option<bool> {
        let window = self.wait.as_ref()?.window.as_ref()?;
        window.is_drained.then_some(window.required_failed)
    }

    /// Drops what still runs of the hooks, in the request's context.
    pub(super) fn stop_hooks(&mut self) {
        let Some(wait) = self.wait.as_deref_mut() else {
            return;
        };
        if wait.hooks.are_through() {
            return;
        }
        let _entered = self.context.enter();
        wait.hooks.stop();
    }
}

impl Awaited {
    #[inline]
    fn of(look: Look) -> Option<Self> {
        if look.own {
            Some(Awaited::Tasks)
        } else if look.in_tracker {
            Some(Awaited::Tracker)
        } else {
            None
        }
    }
}

impl Wait {
    /// Whether the deadline has begun to end tasks.
    #[cfg(feature = "http")]
    pub(super) fn is_stopping(&self) -> bool {
        let window = self.window.as_ref();
        window.is_some_and(|window| window.steps.stopped_before().is_some())
    }

    /// For how long windows were open, and for how long of that the response was kept back.
    pub(super) fn durations(&self, now: Instant, is_held: bool) -> (Duration, Duration) {
        let window = self.window.as_ref();
        let open_for = window.map_or(Duration::ZERO, |window| {
            now.saturating_duration_since(window.opened)
        });
        let held = if is_held { open_for } else { Duration::ZERO };
        (self.drained + open_for, self.held + held)
    }

    /// The response is not kept back any longer.
    #[cfg(feature = "http")]
    pub(super) fn let_go(&mut self) {
        if let Some(window) = &self.window {
            self.held += window.opened.elapsed();
            metrics::held(-1.0);
        }
    }
}

impl Window {
    fn has_cut_short(&self, request: &Request) -> bool {
        let before = match self.steps.stopped_before() {
            Some(before) => before,
            // The end of a shutdown aborts tasks, perhaps a moment before this window ends.
            None if request.process().is_over() => self.stopped_before,
            None => return false,
        };
        request.stopped() > before
    }
}

fn expired(bound: Option<Bound>) -> (Outcome, Option<Bound>) {
    let outcome = match bound {
        Some(Bound::Shutdown) => Outcome::Shutdown,
        _ => Outcome::DeadlineExceeded,
    };
    (outcome, bound)
}
