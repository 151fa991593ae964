//! The drain window: from the moment the response could be released, to its deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

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
    /// What was waited for last was all in the tokio-util tracker.
    only_anonymous: bool,
}

impl Window {
    pub(super) fn is_open(&self) -> bool {
        self.opened.is_some()
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
            only_anonymous,
        } = std::mem::take(self);
        let open_for = opened?.elapsed();
        registry.ledger().opened = None;
        let last = if only_anonymous {
            Last::Anonymous
        } else {
            Last::Task(registry.last())
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
            self.only_anonymous = registry.counted() == 0;
        }
        none_alive
    }

    pub(super) fn poll_deadline(
        &mut self,
        registry: &Registry,
        cx: &mut Context<'_>,
    ) -> Poll<Bound> {
        // Looked up each time: the request may have moved it.
        let Some((deadline, bound)) = registry.deadline() else {
            self.timer = None;
            return Poll::Pending;
        };
        if deadline <= Instant::now() {
            return Poll::Ready(bound);
        }
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).map(|()| bound)
    }
}
