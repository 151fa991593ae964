//! What is said of a request in the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Drain, KeptFor};
use crate::registry::anonymous::Anonymous;
use crate::registry::ledger::Ledger;
use crate::report::{Bound, DrainReport, Outcome, TaskState};

/// Whose end let the response go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Last {
    /// No task was waited for.
    #[default]
    Nobody,
    /// The task of this id, at this time.
    Task(u32, Instant),
    /// One in the tokio-util tracker.
    Anonymous(Instant),
}

impl Drain {
    /// Lets go whatever is alive.
    pub(super) fn give_up(
        &self,
        outcome: Outcome,
        closed_by: Option<Bound>,
    ) -> Option<Arc<DrainReport>> {
        let registry = self.registry()?;
        {
            // Under the lock, which orders it before what is listed from now on.
            let ledger = registry.ledger();
            let goes_on = ledger.has_handler();
            registry.handler_goes_on.store(goes_on, Ordering::Relaxed);
        }
        registry.release();
        // A task that was counted in but is not listed yet will be told of as late.
        self.last_report(outcome, closed_by, None)
    }

    /// What there is to say of a request that is released; `None` if nothing was spawned.
    /// `spawned`: how many tasks it had then; `None` counts those that are listed.
    pub(super) fn last_report(
        &self,
        outcome: Outcome,
        closed_by: Option<Bound>,
        spawned: Option<usize>,
    ) -> Option<Arc<DrainReport>> {
        let registry = self.registry()?;
        if !registry.has_spawned() {
            return None;
        }
        let mut ledger = registry.ledger();
        ledger.closed = true;
        let all_ended = spawned.is_some();
        let spawned = spawned.map_or(ledger.listed(), |spawned| spawned - ledger.retracted);
        let report = self.report(outcome, closed_by, spawned, all_ended, &ledger);
        // What is aborted for a client that left is no error in the log.
        ledger.failure_is_logged = outcome != Outcome::Dropped
            && report.as_ref().is_some_and(|report| report.required_failed);
        report
    }

    /// How things stand, while they may go on.
    pub(super) fn report_until_now(
        &self,
        outcome: Outcome,
        closed_by: Option<Bound>,
    ) -> Option<Arc<DrainReport>> {
        let registry = self.registry()?;
        let all_ended = !registry.is_busy();
        let ledger = registry.ledger();
        let spawned = if all_ended {
            registry.spawned() - ledger.retracted
        } else {
            ledger.listed()
        };
        self.report(outcome, closed_by, spawned, all_ended, &ledger)
    }

    /// `None` if nothing was spawned. `all_ended`: by the count, which is ahead of what tokio says.
    fn report(
        &self,
        outcome: Outcome,
        closed_by: Option<Bound>,
        spawned: usize,
        all_ended: bool,
        ledger: &Ledger,
    ) -> Option<Arc<DrainReport>> {
        let registry = self.registry()?;
        let anonymous = registry.anonymous();
        let mut stragglers = Vec::new();
        if !all_ended {
            let now = Instant::now();
            stragglers = ledger.stragglers(now);
            stragglers.extend(anonymous.into_iter().flat_map(|a| a.stragglers(now)));
        }
        let (failed, panicked, aborted) = (ledger.failed(), ledger.panicked(), ledger.aborted());
        let other = failed + panicked + aborted + stragglers.len();
        let spawned = spawned + anonymous.map_or(0, Anonymous::seen);
        if spawned == 0 && !registry.has_spawned_detached() {
            return None;
        }
        let course = self.course.as_ref();
        let (drain, held) = course.map_or((Duration::ZERO, Duration::ZERO), |course| {
            let open_for = course.window.open_for();
            let held = if self.kept_for != KeptFor::None {
                open_for
            } else {
                Duration::ZERO
            };
            (course.drained + open_for, course.held + held)
        });
        let last = course.map_or(Last::Nobody, |course| course.last);
        // Who left did not wait for it, and who goes on as a stream does not.
        let is_late = matches!(outcome, Outcome::DeadlineExceeded | Outcome::Shutdown)
            && !all_ended
            && registry.required_unfinished();
        Some(Arc::new(DrainReport {
            outcome,
            closed_by,
            held,
            drain,
            spawned,
            completed: spawned.saturating_sub(other),
            failed,
            panicked,
            aborted,
            cancelled: ledger.cancelled,
            required_failed: ledger.required_failed || is_late,
            last: match last {
                Last::Nobody => None,
                Last::Task(id, at) => ledger.ended(id, at),
                Last::Anonymous(at) => anonymous.map(|a| a.info(TaskState::Completed, at)),
            },
            troubled: ledger.troubled(),
            stragglers,
        }))
    }
}
