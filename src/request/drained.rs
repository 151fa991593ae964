//! The methods of a request that the drain calls.

use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::time::Instant;

use super::Request;
use super::account::{Drained, Finish, Look, Readers, ReleaseState, ReportQuery};
use super::effects::Stops;
use super::limits::Deadline;
use super::tracker::Tracker;
use crate::panics;
use crate::report::{NotDone, TaskState};
use crate::sync::AbortHandle;

/// The result of an attempt to end a request.
pub(crate) enum Finished {
    /// The request goes on. Either a task is alive, or `if_ordinary` was set and the end of a task changes the
    /// response.
    GoesOn {
        /// When the drain window opened, if it is open.
        opened: Option<Instant>,
    },
    /// The request is released, and is to be reported.
    Released { drained: Drained },
    /// The request is over, because nothing reads a report.
    Over { required_failed: bool },
}

impl Request {
    /// Returns whether a task that is waited for is alive.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.lock().waited_for() > 0 || self.is_tracker_busy()
    }

    /// Returns whether a required task is alive.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn required_unfinished(&self) -> bool {
        self.lock().required() > 0
    }

    /// Returns whether a required task has failed.
    pub(crate) fn required_failed(&self) -> bool {
        self.lock().required_failed()
    }

    /// Returns whether anything was spawned, or the tokio-util tracker was requested.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn has_spawned(&self) -> bool {
        self.tracker().is_some() || self.lock().has_spawned()
    }

    /// Returns how many tasks were aborted or have panicked. Panics count too, because the destructor of an aborted
    /// task may panic.
    pub(crate) fn stopped(&self) -> usize {
        self.lock().stopped()
    }

    /// Looks whether tasks are alive, for a wait. Updates the peak of the tokio-util tracker.
    #[inline]
    pub(crate) fn look(&self) -> Look {
        let in_tracker = self.tracker().is_some_and(Tracker::look);
        self.lock().look(in_tracker)
    }

    /// Looks again whether tasks are alive. If one is, keeps the waker of the wait, and the end of the last task wakes
    /// it. Also returns the deadline.
    pub(crate) fn look_again(self: &Arc<Self>, cx: &mut Context<'_>) -> (Look, Option<Deadline>) {
        // Before the lock is taken, because cloning a waker may run any code, and so may closing a tracker.
        let waker = cx.waker().clone();
        if let Some(tracker) = self.tracker() {
            tracker.look();
        }
        let (look, unused, deadline) = {
            let mut state = self.lock();
            let in_tracker = self.is_tracker_busy();
            let (look, unused) = state.look_and_keep_waker(waker, in_tracker);
            // Under the lock, so that a shutdown that begins after this finds the waker.
            let closes_at = self.process().closes_at();
            (look, unused, self.deadline_in(&state, closes_at))
        };
        drop_waker(unused);
        if look.in_tracker {
            // After the waker is kept, because the wait for the tracker may end at once.
            self.spawn_tracker_wait();
        }
        (look, deadline)
    }

    /// Keeps the waker of a wait that waits for no task now. A change of a limit wakes it.
    pub(crate) fn wake_on_limits(&self, cx: &mut Context<'_>) {
        let waker = cx.waker().clone();
        let unused = self.lock().wake_on_limits(waker);
        drop_waker(unused);
    }

    /// Opens the drain window.
    pub(crate) fn open_window(self: &Arc<Self>, now: Instant) {
        let has_joined = self.lock().open_window(now, || self.join());
        self.joined(has_joined);
    }

    /// Looks whether tasks are alive. If one is, opens the drain window under the same lock.
    pub(crate) fn open_if_busy(self: &Arc<Self>, now: Instant) -> Look {
        let in_tracker = self.tracker().is_some_and(Tracker::look);
        let (look, has_joined) = {
            let mut state = self.lock();
            let look = state.look(in_tracker);
            let has_joined = look.is_busy() && state.open_window(now, || self.join());
            (look, has_joined)
        };
        self.joined(has_joined);
        look
    }

    /// Returns when the drain window opened. Returns `None` if it is not open.
    pub(crate) fn window_opened_at(&self) -> Option<Instant> {
        self.lock().window_opened_at()
    }

    /// Returns whether a task was aborted or has panicked since the drain window opened.
    pub(crate) fn has_stopped_in_window(&self) -> bool {
        self.lock().has_stopped_in_window()
    }

    /// Closes the drain window. The request goes on, or is released next.
    pub(crate) fn close_window(&self) {
        let unused = self.lock().close_window();
        drop_waker(unused);
    }

    /// Notes that the client has gone.
    pub(crate) fn client_gone(&self) {
        self.lock().client_gone();
    }

    /// Ends the request if no task is alive, and carries out the effects. If `if_ordinary`, does nothing where the end
    /// of a task changes the response: a required task has failed, or a task was aborted or has panicked in the window.
    #[inline(always)]
    pub(crate) fn finish(self: &Arc<Self>, readers: Readers, if_ordinary: bool) -> Finished {
        // In two steps, because the guard would otherwise live until the end of the match.
        let finish = {
            let mut state = self.lock();
            let in_tracker = self.is_tracker_busy();
            if if_ordinary && state.has_failed_or_stopped() {
                let opened = state.window_opened_at();
                return Finished::GoesOn { opened };
            }
            state.finish(readers, in_tracker)
        };
        match finish {
            Finish::NotIdle { opened } => Finished::GoesOn { opened },
            Finish::Released { drained, waker } => {
                drop_waker(waker);
                Finished::Released { drained }
            }
            Finish::Over {
                required_failed,
                leave,
            } => {
                if let Some(registration) = leave {
                    self.process().registry().leave(registration);
                }
                Finished::Over { required_failed }
            }
            Finish::OverWith {
                required_failed,
                effects,
                waker,
            } => {
                drop_waker(waker);
                self.carry_out(effects);
                Finished::Over { required_failed }
            }
        }
    }

    /// Releases the request if no task is alive. Returns `None` if one is.
    pub(crate) fn release_if_idle(&self, query: ReportQuery) -> Option<ReleaseState> {
        let release_state = {
            let mut state = self.lock();
            let in_tracker = self.is_tracker_busy();
            state.release_if_idle(query, in_tracker)?
        };
        Some(Self::released(release_state))
    }

    /// Releases the request, even if tasks are alive. If `stops`, also returns what stops them, for this reason.
    pub(crate) fn release(
        &self,
        query: ReportQuery,
        stops: Option<NotDone>,
    ) -> (ReleaseState, Stops<AbortHandle>) {
        let (release_state, stops) = self.lock().release_and_stop(query, stops);
        (
            self.with_tracker(Self::released(release_state), query),
            stops,
        )
    }

    /// Returns what a report contains at this moment. The request goes on.
    pub(crate) fn account(&self, query: ReportQuery) -> ReleaseState {
        let release_state = self.lock().account(query);
        self.with_tracker(release_state, query)
    }

    /// Drops the waker of the wait, which is over.
    fn released(mut release_state: ReleaseState) -> ReleaseState {
        drop_waker(release_state.waker.take());
        release_state
    }

    /// Adds the tasks that are alive in the tokio-util tracker, and updates its peak.
    fn with_tracker(&self, mut release_state: ReleaseState, query: ReportQuery) -> ReleaseState {
        if let Some(tracker) = self.tracker() {
            let alive = tracker.update_peak();
            if let Some(at) = query.at {
                let infos = std::iter::repeat_n(tracker.info(TaskState::Running, at), alive);
                release_state.stragglers.extend(infos);
            }
        }
        release_state
    }

    /// Ends a request after everything about it was reported.
    #[inline]
    pub(crate) fn conclude(self: &Arc<Self>) {
        let effects = {
            let mut state = self.lock();
            let in_tracker = self.is_tracker_busy();
            state.conclude(in_tracker)
        };
        self.carry_out(effects);
    }
}

/// Drops a waker, and catches panics. The last waker of a task may drop the task, and so run any code.
fn drop_waker(waker: Option<Waker>) {
    if let Some(waker) = waker {
        let _ = panics::caught(|| drop(waker));
    }
}
