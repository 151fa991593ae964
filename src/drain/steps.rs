//! Cancels and aborts tasks on time.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::timer::Timer;
use crate::deadline::schedule::Schedule;
use crate::request::Request;

/// The steps of a [`Schedule`] that were taken so far.
#[derive(Default)]
pub(super) struct Steps {
    /// Runs until the next step.
    pub(super) timer: Timer,
    /// The end of the schedule at the last turn that tasks with a hand-off got at that end.
    last_turn: Option<Instant>,
    /// `Some` once the tasks that were alive shortly before the end were aborted.
    aborted: Option<AbortStep>,
}

/// The steps that stop the tasks of a client that has gone.
pub(super) struct Leaving {
    pub(super) schedule: Schedule,
    pub(super) steps: Steps,
}

/// The step that aborts tasks.
#[derive(Debug, Clone, Copy)]
struct AbortStep {
    /// The schedule's end when the tasks were aborted. If the end moves, tasks are aborted again before the new one.
    end: Instant,
    /// The number of stopped tasks before the first abort.
    stopped_before: usize,
}

impl Steps {
    /// Returns the number of stopped tasks before the abort step; `None` if that step was not taken.
    pub(super) fn stopped_before(&self) -> Option<usize> {
        self.aborted.map(|aborted| aborted.stopped_before)
    }

    /// Takes the steps that are due. Ready at the end of the schedule.
    pub(super) fn poll(
        &mut self,
        schedule: &Schedule,
        request: &Arc<Request>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let now = Instant::now();
            let is_due = |step: Option<Instant>| step.is_some_and(|at| at <= now);
            // If no task is alive, the wait is for a hook, and there is no task to cancel or to abort.
            if is_due(schedule.cancel) && request.is_busy() {
                request.cancel();
            }
            if let Some(point) = schedule.hand_off {
                if point.at <= now && request.stop_for_hand_off(point.why) {
                    // The tasks get one turn of the scheduler to stop, and the hand-offs to begin. At the end they get
                    // one in all: tasks that are spawned again and again do not postpone it.
                    let is_last = schedule.end <= now;
                    if !is_last || self.last_turn.replace(schedule.end) != Some(schedule.end) {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
            let has_aborted = self
                .aborted
                .is_some_and(|aborted| aborted.end == schedule.end);
            if is_due(schedule.abort) && !has_aborted && request.is_busy() {
                let stopped_before = match self.aborted {
                    Some(aborted) => aborted.stopped_before,
                    None => request.stopped(),
                };
                let end = schedule.end;
                self.aborted = Some(AbortStep {
                    end,
                    stopped_before,
                });
                request.stop_unfinished(schedule.why);
                // The tasks' destructors get one turn of the scheduler, even if no time is left.
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
