//! The wait itself: nothing alive, or the deadline.

use std::task::{Context as TaskContext, Poll, ready};

use super::verdict::Last;
use super::{Course, Drain, KeptFor, Stage};
use crate::metrics;
use crate::registry::Registry;
use crate::report::{Bound, Outcome};
use crate::settings::Unfinished;

impl Drain {
    /// Ready when no task is alive and the hooks are through, or the deadline has passed. The window
    /// opens with the first poll that finds something to wait for.
    pub(crate) fn poll_drained(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Stage::Open { .. } = &self.stage else {
            return Poll::Ready(());
        };
        // The drain wins over the deadline: what is whole is not reported as late.
        if self.poll_work(cx).is_ready() {
            return self.poll_shut(cx);
        }
        self.open_window();
        let window = &mut self.course.get_or_insert_default().window;
        if !window.had_turn() {
            // Tasks get one turn of the scheduler, even if the deadline has passed. Most need no
            // more, and then no timer is made.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(registry) = self.context.registry() else {
            return Poll::Ready(());
        };
        let deadline = ready!(window.poll_deadline(registry, cx));
        let cut_short = registry.is_busy() || window.has_cut_short(registry);
        self.expire(Some(deadline.bound), None, cut_short);
        if deadline.unfinished != Unfinished::Detach {
            self.abort_rest();
        }
        Poll::Ready(())
    }

    /// Ready when no task is alive and the hooks are through.
    fn poll_work(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            let Some(registry) = self.context.registry() else {
                return Poll::Ready(());
            };
            if self.course.is_none() && !registry.is_busy() {
                return Poll::Ready(());
            }
            let Course { window, hooks, .. } = &mut **self.course.get_or_insert_default();
            let tasks = window.poll_none_alive(registry, cx);
            if hooks.are_through() || (hooks.are_waiting() && tasks.is_pending()) {
                return tasks;
            }
            let registry = registry.clone();
            if hooks.are_waiting() {
                // It may ask for its deadline.
                self.open_window();
                let (outcome, bound) = if self.has_cut_short(&registry) {
                    expired(registry.deadline().map(|deadline| deadline.bound))
                } else {
                    (Outcome::Drained, None)
                };
                let report = self.report_until_now(outcome, bound);
                let hooks = &mut self.course_mut().hooks;
                hooks.start(&registry, report.unwrap_or_default());
            }
            let polled = {
                let hooks = &mut self.course.get_or_insert_default().hooks;
                let _entered = self.context.enter();
                hooks.poll(&registry, cx)
            };
            if polled.is_pending() {
                // With no task alive nobody else would tell of a deadline that is moved. After the
                // poll: a hook that moves it must not wake itself for ever.
                registry.listen(cx);
                return Poll::Pending;
            }
            // They may have spawned.
        }
    }

    /// Everything is done: shuts the window.
    fn poll_shut(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let registry = self.context.registry();
        if let Some(registry) = registry.filter(|registry| self.has_cut_short(registry)) {
            // It is done because it was cut short: that is a deadline, a moment before its time.
            let bound = registry.deadline().map(|deadline| deadline.bound);
            let Some(spawned) = registry.try_release() else {
                // A task came up at the last moment.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            };
            self.expire(bound, Some(spawned), true);
        } else if let Some(last) = self.shut_window() {
            self.course_mut().last = last;
        }
        Poll::Ready(())
    }

    fn has_cut_short(&self, registry: &Registry) -> bool {
        let course = self.course.as_ref();
        course.is_some_and(|course| course.window.has_cut_short(registry))
    }

    /// Dropped between the abort and the end of the window, it has not drained.
    pub(super) fn expire_if_cut_short(&mut self) {
        let registry = self.context.registry();
        if let Some(registry) = registry.filter(|registry| self.has_cut_short(registry)) {
            let bound = registry.deadline().map(|deadline| deadline.bound);
            self.expire(bound, None, true);
        }
    }

    /// The window closes at its deadline. `spawned`: how many tasks there were, if all have ended.
    /// `cut_short`: some had not, or have because they were made to.
    fn expire(&mut self, bound: Option<Bound>, spawned: Option<usize>, cut_short: bool) {
        self.shut_window();
        self.stop_hooks();
        let course = self.course_mut();
        course.last = Last::Nobody;
        course.cut_short = cut_short;
        let (outcome, bound) = expired(bound);
        let report = match spawned {
            Some(_) => self.last_report(outcome, bound, spawned),
            None => self.give_up(outcome, bound),
        };
        self.course_mut().expired = report;
        self.stage = Stage::Expired;
    }

    /// Aborts what destructors have spawned, or others since. After the report: it knows of all that
    /// this does.
    pub(super) fn abort_rest(&self) {
        if let Some(registry) = self.registry() {
            registry.abort_unfinished();
        }
    }

    fn open_window(&mut self) {
        let course = self.course.get_or_insert_default();
        if course.window.is_open() {
            return;
        }
        let Some(registry) = self.context.registry() else {
            return;
        };
        course.waited = true;
        // A shutdown has to find it, also if it waits for a hook alone, and if its first task is counted
        // but not seated yet.
        if !registry.is_seated() {
            registry.join_roster();
        }
        course.window.open(registry);
        if self.kept_for != KeptFor::None {
            metrics::held(1.0);
        }
    }

    /// Says whose end shut the window, if it was open and that was an end.
    pub(super) fn shut_window(&mut self) -> Option<Last> {
        let course = self.course.as_deref_mut()?;
        let (open_for, last) = course.window.shut(self.context.registry()?)?;
        if self.kept_for != KeptFor::None {
            metrics::held(-1.0);
            course.held += open_for;
        }
        course.drained += open_for;
        Some(last)
    }

    /// Drops what still runs of the hooks, in the request's context.
    pub(super) fn stop_hooks(&mut self) {
        let Some(course) = self.course.as_deref_mut() else {
            return;
        };
        if course.hooks.are_through() {
            return;
        }
        let _entered = self.context.enter();
        course.hooks.stop();
    }
}

fn expired(bound: Option<Bound>) -> (Outcome, Option<Bound>) {
    let outcome = match bound {
        Some(Bound::Shutdown) => Outcome::Shutdown,
        _ => Outcome::DeadlineExceeded,
    };
    (outcome, bound)
}
