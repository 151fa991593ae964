//! The report of a request. It is made only if something reads it.

use std::sync::Arc;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Drain;
use super::wait::{Alive, Ended, WaitSummary};
use crate::report::{DrainReport, Limit, NotDone, Outcome, TaskInfo, TaskState};
use crate::request::account::{Account, Incomplete, Readers, ReleaseState, ReportQuery};
use crate::request::effects::Stops;
use crate::request::names::put_name;
use crate::request::tracker::Tracker;
use crate::trace;

/// The end of a request, for its report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) closed_by: Option<Limit>,
    pub(super) required_failed: bool,
}

impl Drain {
    /// Releases the request, whatever is alive. If `stops`, returns what stops the tasks, for this reason.
    pub(super) fn release(
        &self,
        outcome: Outcome,
        closed_by: Option<Limit>,
        now: Instant,
        stops: Option<NotDone>,
    ) -> (Ended, Stops<AbortHandle>) {
        let Some(request) = self.request() else {
            return (Ended::default(), Stops::none());
        };
        let (release_state, stops) = request.release(self.query(outcome, now), stops);
        (self.ended_as(release_state, outcome, closed_by, now), stops)
    }

    /// Returns what the release has to collect about the tasks.
    pub(super) fn query(&self, outcome: Outcome, now: Instant) -> ReportQuery {
        let is_read = match self.readers() {
            Readers::Some => true,
            Readers::Subscriber { ok, failed } => {
                // The level of the event depends on the ends of the tasks, which are not known yet. So the report is
                // made if either level is enabled.
                ok || failed || self.request().is_some_and(|r| r.is_observed())
            }
        };
        ReportQuery {
            outcome,
            at: is_read.then_some(now),
        }
    }

    /// Returns what reads the report: the caller, an observer, a metrics recorder or a `tracing` subscriber.
    #[inline(always)]
    pub(super) fn readers(&self) -> Readers {
        let has_own_observers = || self.request().is_some_and(|r| r.has_own_observers());
        if self.needs_report || cfg!(feature = "metrics") || has_own_observers() {
            Readers::Some
        } else if trace::is_off() {
            Readers::Subscriber {
                ok: false,
                failed: false,
            }
        } else {
            Readers::Subscriber {
                ok: trace::is_request_logged(false),
                failed: trace::is_request_logged(true),
            }
        }
    }

    /// Returns the result of a release, with the report if something reads it.
    pub(super) fn ended_as(
        &self,
        release_state: ReleaseState,
        outcome: Outcome,
        closed_by: Option<Limit>,
        now: Instant,
    ) -> Ended {
        let ReleaseState {
            required_failed,
            account,
            stragglers,
            waker: _,
        } = release_state;
        let verdict = Verdict {
            outcome,
            closed_by,
            required_failed,
        };
        let account = account.filter(|account| self.has_spawned(account));
        let report = account.map(|account| {
            let summary = self.wait_summary(now);
            Arc::new(self.report(account, stragglers, verdict, summary, now))
        });
        Ended {
            required_failed,
            report,
        }
    }

    /// Returns a report of a request that may go on; `None` if there is nothing to report.
    pub(super) fn report_until_now(
        &self,
        outcome: Outcome,
        closed_by: Option<Limit>,
    ) -> Option<Arc<DrainReport>> {
        let request = self.request()?;
        let now = Instant::now();
        let release_state = request.account(ReportQuery {
            outcome,
            at: Some(now),
        });
        self.ended_as(release_state, outcome, closed_by, now).report
    }

    /// Returns whether there is anything to report: a task was spawned, or was seen in the tokio-util tracker.
    #[inline]
    pub(super) fn has_spawned(&self, account: &Account) -> bool {
        account.tally.spawned > 0 || account.has_detached || self.seen_in_tracker() > 0
    }

    fn tracker(&self) -> Option<&Tracker> {
        self.request()?.tracker()
    }

    #[inline]
    fn seen_in_tracker(&self) -> usize {
        self.tracker().map_or(0, Tracker::peak)
    }

    /// Makes the report. `now` counts as the end of the last task if `summary` has no time for that.
    #[inline(always)]
    pub(super) fn report(
        &self,
        account: Account,
        stragglers: Vec<TaskInfo>,
        verdict: Verdict,
        summary: WaitSummary,
        now: Instant,
    ) -> DrainReport {
        let seen = self.seen_in_tracker();
        let Account {
            tally,
            last,
            has_detached: _,
            incomplete,
        } = account;
        let (failed, failures, last_name, cancelled) = match incomplete {
            Some(incomplete) => {
                let Incomplete {
                    last,
                    failures,
                    last_name,
                    cancelled,
                } = *incomplete;
                (last, failures, last_name, cancelled)
            }
            None => (None, Vec::new(), None, false),
        };
        let ended_at = summary.last.and_then(|last| last.at).unwrap_or(now);
        let last = match (summary.last.map(|last| last.kind), last) {
            (Some(Alive::TrackerOnly), _) => self
                .tracker()
                .map(|tracker| tracker.info(TaskState::Completed, ended_at)),
            (Some(Alive::Tasks), Some(_)) if failed.is_some() => failed,
            (Some(Alive::Tasks), Some(last)) => {
                let mut info = last.info();
                put_name(&mut info, last_name.as_ref());
                if let Some(started) = last.started {
                    info.age = ended_at.saturating_duration_since(started);
                }
                Some(info)
            }
            (Some(Alive::Tasks), None) | (None, _) => None,
        };
        let Verdict {
            outcome,
            closed_by,
            required_failed,
        } = verdict;
        DrainReport {
            outcome,
            closed_by,
            held: summary.held,
            drain: summary.drain,
            spawned: tally.spawned + seen,
            completed: (tally.completed(0) + seen).saturating_sub(stragglers.len()),
            failed: tally.failed,
            panicked: tally.panicked,
            aborted: tally.aborted,
            handed_off: tally.handed_off,
            cancelled,
            required_failed,
            last,
            failures,
            stragglers,
        }
    }
}
