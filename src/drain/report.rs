//! The report of a request: made only if it is read.

use std::sync::Arc;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::wait::{Awaited, Last};
use super::{Drain, Ended, KeptFor};
use crate::report::{Bound, DrainReport, Outcome, TaskInfo, TaskState};
use crate::request::state::{Account, Ask, Readers, Standings};
use crate::request::tracker::Tracker;
use crate::trace;

impl Drain {
    /// Releases the request, whatever is alive. If `aborts`, returns the handles of the tasks to abort.
    pub(super) fn release(
        &self,
        outcome: Outcome,
        closed_by: Option<Bound>,
        now: Instant,
        aborts: bool,
    ) -> (Ended, Vec<AbortHandle>) {
        let Some(request) = self.request() else {
            return (Ended::default(), Vec::new());
        };
        let (standings, abort) = request.release(self.ask(outcome, now), aborts);
        (self.ended(standings, outcome, closed_by, now), abort)
    }

    /// What the report asks of the tasks when the request is released.
    pub(super) fn ask(&self, outcome: Outcome, now: Instant) -> Ask {
        let is_read = match self.readers() {
            Readers::Some => true,
            Readers::Subscriber { ok, failed } => {
                // The level of the event depends on the ends of the tasks, which are not looked at yet: the report is made
                // if either level is read.
                ok || failed || self.request().is_some_and(|r| r.is_observed())
            }
        };
        Ask {
            outcome,
            at: is_read.then_some(now),
        }
    }

    /// What reads the report: the caller, an observer, a recorder or a subscriber.
    #[inline]
    pub(super) fn readers(&self) -> Readers {
        let has_own_observers = || self.request().is_some_and(|r| r.has_own_observers());
        if self.wants_report || cfg!(feature = "metrics") || has_own_observers() {
            Readers::Some
        } else {
            Readers::Subscriber {
                ok: trace::is_request_logged(false),
                failed: trace::is_request_logged(true),
            }
        }
    }

    /// How a request was released, with its report if that is read.
    pub(super) fn ended(
        &self,
        standings: Standings,
        outcome: Outcome,
        closed_by: Option<Bound>,
        now: Instant,
    ) -> Ended {
        let Standings {
            has_spawned,
            required_failed,
            account,
            waker: _,
        } = standings;
        let account = account.filter(|_| has_spawned);
        Ended {
            required_failed,
            report: account
                .and_then(|account| self.report(account, required_failed, outcome, closed_by, now)),
        }
    }

    /// How things stand, while they may go on.
    pub(super) fn report_until_now(
        &self,
        outcome: Outcome,
        closed_by: Option<Bound>,
    ) -> Option<Arc<DrainReport>> {
        let request = self.request()?;
        let now = Instant::now();
        let standings = request.account(Ask {
            outcome,
            at: Some(now),
        });
        self.ended(standings, outcome, closed_by, now).report
    }

    /// What ended last, of what was waited for.
    fn last(&self) -> Option<Last> {
        self.wait.as_ref()?.last
    }

    /// `None` if nothing was spawned.
    pub(super) fn report(
        &self,
        account: Account,
        required_failed: bool,
        outcome: Outcome,
        closed_by: Option<Bound>,
        now: Instant,
    ) -> Option<Arc<DrainReport>> {
        let tracker = self.request()?.tracker();
        let Account {
            tally,
            last,
            failures,
            mut stragglers,
            cancelled,
            has_detached,
            is_idle,
        } = account;
        if !is_idle {
            stragglers.extend(tracker.into_iter().flat_map(|t| t.stragglers(now)));
        }
        let seen = tracker.map_or(0, Tracker::seen);
        let spawned = tally.spawned + seen;
        if spawned == 0 && !has_detached {
            return None;
        }
        let is_held = self.kept_for != KeptFor::None;
        let durations = self.wait.as_ref().map(|w| w.durations(now, is_held));
        let (drain, held) = durations.unwrap_or_default();
        Some(Arc::new(DrainReport {
            outcome,
            closed_by,
            held,
            drain,
            spawned,
            completed: (tally.completed(0) + seen).saturating_sub(stragglers.len()),
            failed: tally.failed,
            panicked: tally.panicked,
            aborted: tally.aborted,
            cancelled,
            required_failed,
            last: self.last().and_then(|waited| {
                let at = waited.at.unwrap_or(now);
                match waited.awaited {
                    Awaited::Tracker => tracker.map(|t| t.info(TaskState::Completed, at)),
                    Awaited::Tasks => last.map(|(info, started)| aged(info, started, at)),
                }
            }),
            troubled: failures,
            stragglers,
        }))
    }
}

/// `started`: `None` if the info has its age, or the task has none.
fn aged(mut info: TaskInfo, started: Option<Instant>, now: Instant) -> TaskInfo {
    if let Some(started) = started {
        info.age = now.saturating_duration_since(started);
    }
    info
}
