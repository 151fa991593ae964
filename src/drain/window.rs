//! The drain window: from the moment the response could be released, to its deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::schedule::Schedule;
use super::verdict::Last;
use crate::registry::Registry;
use crate::registry::anonymous::Wait;
use crate::report::Bound;

#[derive(Default)]
pub(super) struct Window {
    /// `None` while it is not open.
    opened: Option<Instant>,
    /// `Some` once tasks were alive after a turn of the scheduler.
    timer: Option<Pin<Box<Sleep>>>,
    anonymous: Wait,
    /// Tasks were alive when it was last looked, and whether all were in the tokio-util tracker.
    waited: Option<Waited>,
    /// `Some` once what was alive shortly before the deadline was aborted: how many had been aborted
    /// before that.
    cut: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Waited {
    ForOwn,
    ForAnonymous,
}

impl Window {
    pub(super) fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Whether tasks were cut short. What could not be aborted may have ended by itself in time.
    pub(super) fn has_cut_short(&self, registry: &Registry) -> bool {
        self.cut
            .is_some_and(|before| registry.ledger().aborted() > before)
    }

    pub(super) fn open_for(&self) -> Duration {
        self.opened
            .map_or(Duration::ZERO, |opened| opened.elapsed())
    }

    pub(super) fn open(&mut self, registry: &Registry) {
        let now = Instant::now();
        self.opened = Some(now);
        let mut ledger = registry.ledger();
        ledger.opened = Some(now);
        ledger.stamp(now);
    }

    /// Says for how long it was open, and whose end shut it, if it was open and that was an end.
    pub(super) fn shut(&mut self, registry: &Registry) -> Option<(Duration, Last)> {
        let Window {
            opened,
            timer: _,
            anonymous: _,
            waited,
            cut: _,
        } = std::mem::take(self);
        let open_for = opened?.elapsed();
        registry.ledger().opened = None;
        let last = match waited {
            None => Last::Nobody,
            Some(Waited::ForOwn) => Last::Task(registry.last()),
            Some(Waited::ForAnonymous) => Last::Anonymous,
        };
        Some((open_for, last))
    }

    pub(super) fn poll_none_alive(
        &mut self,
        registry: &Registry,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let none_alive = registry.poll_none_alive(&mut self.anonymous, cx);
        if none_alive.is_pending() {
            self.waited = Some(match registry.counted() {
                0 => Waited::ForAnonymous,
                _ => Waited::ForOwn,
            });
        }
        none_alive
    }

    pub(super) fn poll_deadline(
        &mut self,
        registry: &Registry,
        cx: &mut Context<'_>,
    ) -> Poll<Bound> {
        // Looked up each time: the request may have moved it.
        let (Some(opened), Some(deadline)) = (self.opened, registry.deadline()) else {
            self.timer = None;
            return Poll::Pending;
        };
        let schedule = Schedule::at_deadline(opened, deadline.at, deadline.unfinished);
        self.poll_schedule(&schedule, registry, cx)
            .map(|()| deadline.bound)
    }

    /// Takes the steps that are due; ready at the end of the last one.
    pub(super) fn poll_schedule(
        &mut self,
        schedule: &Schedule,
        registry: &Registry,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let now = Instant::now();
            if schedule.cancel.is_some_and(|at| at <= now) {
                registry.cancel();
            }
            if schedule.abort.is_some_and(|at| at <= now) && self.cut.is_none() {
                self.cut = Some(registry.ledger().aborted());
                registry.abort_unfinished();
                // Their destructors get one turn of the scheduler, even if there is no time left.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if schedule.end <= now {
                if self.cut.is_some() {
                    // What destructors have spawned.
                    registry.abort_unfinished();
                }
                return Poll::Ready(());
            }
            let next = schedule.next(now);
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(next)));
            if timer.deadline() != next {
                timer.as_mut().reset(next);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }
}
