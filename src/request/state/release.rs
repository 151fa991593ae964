//! The release, and what follows it.

use super::{Phase, Spawns, State};
use crate::report::{NotDone, Outcome};
use crate::request::account::{Drained, Finish, Readers, ReleaseState, ReportQuery};
use crate::request::effects::{Effects, Stops};
use crate::request::task::{Entry, ReportedAs};

impl<H> State<H> {
    /// Releases the request if no task is alive. What is spawned from now on is late. If nothing reads the report, the
    /// request is over at once.
    #[inline(always)]
    pub(crate) fn finish(&mut self, readers: Readers, in_tracker: bool) -> Finish<H> {
        // Without the wait for the tracker, which may be alive for a moment after the tracker is empty.
        if self.waited_for() > 0 || in_tracker {
            return Finish::NotIdle {
                opened: self.window_opened_at(),
            };
        }
        let required_failed = self.required_failed;
        let is_read = match readers {
            Readers::Some => true,
            Readers::Subscriber { ok, failed } => {
                self.is_observed() || if required_failed { failed } else { ok }
            }
        };
        // A request that is listed had a task, or its tokio-util tracker may have had some.
        if is_read && self.registration.is_some() {
            let drained = Drained {
                required_failed,
                account: self.account_now(),
                opened: self.window_opened_at(),
                is_plain: self.span.is_none() && !self.is_observed(),
            };
            self.phase = Phase::Released(Spawns::Late);
            return Finish::Released {
                drained,
                waker: self.waker.take(),
            };
        }
        self.phase = Phase::Over(Spawns::Late);
        if self.is_last() && self.is_bare() {
            let leave = self.registration.take();
            return Finish::Over {
                required_failed,
                leave,
            };
        }
        let mut effects = Effects::none();
        effects.span = self.span.take();
        self.leave_if_last(in_tracker, &mut effects);
        Finish::OverWith {
            required_failed,
            effects,
            waker: self.waker.take(),
        }
    }

    /// Releases the request if no task is alive. What is spawned from now on is late.
    pub(crate) fn release_if_idle(
        &mut self,
        query: ReportQuery,
        in_tracker: bool,
    ) -> Option<ReleaseState> {
        if self.waited_for() > 0 || in_tracker {
            return None;
        }
        Some(self.release_as(Spawns::Late, query))
    }

    /// Releases the request, even if tasks are alive. These tasks are the stragglers of the report.
    pub(super) fn release(&mut self, query: ReportQuery) -> ReleaseState {
        let handler = |entry: &Entry<H>| entry.is_handler && entry.is_alive();
        let spawns = if query.outcome.is_upgraded() {
            Spawns::Upgraded
        } else if self.table.iter().any(handler) {
            Spawns::WithHandler
        } else {
            Spawns::Late
        };
        self.release_as(spawns, query)
    }

    fn release_as(&mut self, spawns: Spawns, query: ReportQuery) -> ReleaseState {
        let mut release_state = self.account(query);
        self.phase = Phase::Released(spawns);
        // The end of a straggler must not wake the server.
        release_state.waker = self.waker.take();
        if self.alive > 0 {
            // If a task is aborted because the client has left, that is no error in the log.
            let is_logged = release_state.required_failed && query.outcome != Outcome::Dropped;
            for entry in self.table.iter_mut() {
                if entry.is_alive() && entry.reported_as == ReportedAs::Counted {
                    entry.reported_as = ReportedAs::Straggler { is_logged };
                }
            }
        }
        release_state
    }

    /// Ends a request after everything was reported. It leaves the registry once no task is alive.
    #[inline]
    pub(crate) fn conclude(&mut self, in_tracker: bool) -> Effects<H> {
        let spawns = self.spawns().unwrap_or(Spawns::Late);
        self.phase = Phase::Over(spawns);
        let mut effects = Effects::none();
        effects.span = self.span.take();
        self.leave_if_last(in_tracker, &mut effects);
        effects
    }

    /// Returns whether nothing is alive, and no callback is pending.
    #[inline]
    pub(super) fn is_last(&self) -> bool {
        (self.alive | self.detached | self.pending_callbacks) == 0
    }

    /// Leaves the registry if the request is over, nothing is alive, and no callback is pending.
    #[inline]
    pub(super) fn leave_if_last(&mut self, in_tracker: bool, effects: &mut Effects<H>) {
        let (Phase::Over(_) | Phase::Process) = self.phase else {
            return;
        };
        if !self.is_last() || self.registration.is_none() {
            return;
        }
        if in_tracker {
            // Tasks in the tracker do not keep the request alive. The wait for the tracker does, so that the handle
            // counts them.
            effects.wait_for_tracker = true;
            return;
        }
        effects.leave = self.registration.take();
        if self.phase == Phase::Over(Spawns::WithHandler) {
            self.phase = Phase::Over(Spawns::Late);
        }
    }

    /// Leaves the registry if the request is over. Its last task may have ended where no runtime could wait for the
    /// tokio-util tracker.
    pub(crate) fn leave_if_over(&mut self, in_tracker: bool) -> Effects<H> {
        let mut effects = Effects::none();
        self.leave_if_last(in_tracker, &mut effects);
        effects
    }
}

impl<H: Clone> State<H> {
    /// Releases the request, even if tasks are alive. These tasks are the stragglers of the report. If `stops`, they are
    /// stopped for this reason.
    pub(crate) fn release_and_stop(
        &mut self,
        query: ReportQuery,
        stops: Option<NotDone>,
    ) -> (ReleaseState, Stops<H>) {
        let stops = stops.map_or(Stops::none(), |why| self.stop_unfinished(why));
        (self.release(query), stops)
    }
}
