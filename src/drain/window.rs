//! The drain window: from the moment the response could be released, to its deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::schedule::{AGES, Schedule};
use super::verdict::Last;
use crate::registry::Registry;
use crate::registry::anonymous::Wait;
use crate::registry::limits::Deadline;

#[derive(Default)]
pub(super) struct Window {
    /// `None` while it is not open.
    opened: Option<Instant>,
    /// `Some` once tasks were alive after a turn of the scheduler.
    timer: Option<Pin<Box<Sleep>>>,
    anonymous: Wait,
    /// Tasks were alive when it was last looked, and whether all were in the tokio-util tracker.
    waited: Option<Waited>,
    /// How many tasks had been stopped when it opened.
    stopped_before: usize,
    /// Tasks had a turn of the scheduler since it is open.
    had_turn: bool,
    /// `Some` once what was alive shortly before the deadline was aborted.
    cut: Option<Cut>,
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    /// The end that it was for: it may have moved since.
    end: Instant,
    /// How many had been stopped before.
    before: usize,
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

    /// Whether what was alive was aborted.
    #[cfg(feature = "http")]
    pub(super) fn is_stopping(&self) -> bool {
        self.cut.is_some()
    }

    /// Whether tasks were cut short. What could not be aborted may have ended by itself in time.
    pub(super) fn has_cut_short(&self, registry: &Registry) -> bool {
        let before = match self.cut {
            Some(cut) => cut.before,
            // The end of a shutdown aborts, and may come a moment before ours.
            None if self.is_open() && registry.process().is_over() => self.stopped_before,
            None => return false,
        };
        registry.ledger().stopped() > before
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
        self.stopped_before = ledger.stopped();
        ledger.stamp(now);
    }

    /// Says whether tasks have had a turn of the scheduler since it opened; from now on they have.
    pub(super) fn had_turn(&mut self) -> bool {
        std::mem::replace(&mut self.had_turn, true)
    }

    /// Says for how long it was open, and whose end shut it, if it was open and that was an end.
    pub(super) fn shut(&mut self, registry: &Registry) -> Option<(Duration, Last)> {
        let Window {
            opened,
            timer: _,
            anonymous: _,
            waited,
            stopped_before: _,
            had_turn: _,
            cut: _,
        } = std::mem::take(self);
        let opened = opened?;
        let now = Instant::now();
        registry.ledger().opened = None;
        let last = match waited {
            None => Last::Nobody,
            Some(Waited::ForOwn) => Last::Task(registry.last(), now),
            Some(Waited::ForAnonymous) => Last::Anonymous(now),
        };
        Some((now.duration_since(opened), last))
    }

    /// Ready when no task is alive. The first time that tasks are waited for nobody is registered to be
    /// woken: see [`had_turn`](Self::had_turn).
    pub(super) fn poll_none_alive(
        &mut self,
        registry: &Registry,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let none_alive = if self.had_turn {
            registry.poll_none_alive(&mut self.anonymous, cx)
        } else if registry.look() {
            // Whoever asks lets them have it, and asks again: most have ended then, and nobody had to
            // be woken.
            Poll::Pending
        } else {
            Poll::Ready(())
        };
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
    ) -> Poll<Deadline> {
        // Looked up each time: the request may have moved it.
        let (Some(opened), Some(deadline)) = (self.opened, registry.deadline()) else {
            self.timer = None;
            return Poll::Pending;
        };
        let schedule = Schedule::at_deadline(opened, deadline.at, deadline.unfinished);
        self.poll_schedule(&schedule, registry, cx)
            .map(|()| deadline)
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
            let is_due = |step: Option<Instant>| step.is_some_and(|at| at <= now);
            // Where nobody is alive, a hook is what is waited for.
            if is_due(schedule.cancel) && registry.is_busy() {
                registry.cancel();
            }
            let is_cut = self.cut.is_some_and(|cut| cut.end == schedule.end);
            if is_due(schedule.abort) && !is_cut && registry.is_busy() {
                let before = match self.cut {
                    Some(cut) => cut.before,
                    None => registry.ledger().stopped(),
                };
                let end = schedule.end;
                self.cut = Some(Cut { end, before });
                registry.abort_unfinished();
                // Their destructors get one turn of the scheduler, even if there is no time left.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if schedule.end <= now {
                return Poll::Ready(());
            }
            // A timer cannot bear the last instants of the clock: for those it is set anew.
            let next = schedule.next(now).min(now + AGES);
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
