//! Stops tasks on time.

use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::timer::Timer;
use crate::deadline::schedule::Schedule;
use crate::request::Request;

/// How far the steps of a [`Schedule`] were taken.
#[derive(Default)]
pub(super) struct Steps {
    /// For the next step.
    pub(super) timer: Timer,
    /// `Some` once what was alive shortly before the end was aborted.
    cut: Option<Cut>,
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    /// The end that it was for: it may have moved since.
    end: Instant,
    /// How many tasks had been stopped before.
    before: usize,
}

impl Steps {
    /// How many tasks had been stopped before those that were alive were aborted; `None` if none were.
    pub(super) fn stopped_before(&self) -> Option<usize> {
        self.cut.map(|cut| cut.before)
    }

    /// Takes the steps that are due; ready at the end of the last one.
    pub(super) fn poll(
        &mut self,
        schedule: &Schedule,
        request: &Request,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let now = Instant::now();
            let is_due = |step: Option<Instant>| step.is_some_and(|at| at <= now);
            // With no task alive a hook is what is waited for.
            if is_due(schedule.cancel) && request.is_busy() {
                request.cancel();
            }
            let is_cut = self.cut.is_some_and(|cut| cut.end == schedule.end);
            if is_due(schedule.abort) && !is_cut && request.is_busy() {
                let before = match self.cut {
                    Some(cut) => cut.before,
                    None => request.stopped(),
                };
                let end = schedule.end;
                self.cut = Some(Cut { end, before });
                request.abort_unfinished();
                // Their destructors get one turn of the scheduler, even if there is no time left.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if schedule.end <= now {
                return Poll::Ready(());
            }
            ready!(self.timer.poll(schedule.next(now), now, cx));
        }
    }
}
