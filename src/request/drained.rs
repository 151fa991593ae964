//! What the drain asks of a request.

use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::time::Instant;

use super::Request;
use super::state::{Account, Ask, Finish, Look, Readers, Standings};
use super::tracker::Tracker;
use crate::panics;
use crate::sync::AbortHandle;

/// What came of the try to end a request.
pub(crate) enum Finished {
    /// A task is alive.
    NotIdle,
    /// It is released, and to be reported.
    Released {
        required_failed: bool,
        account: Account,
    },
    /// It is over: nothing reads a report.
    Over { required_failed: bool },
}

impl Request {
    /// Whether a task is alive that is waited for.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.lock().waited_for() > 0 || self.is_tracker_busy()
    }

    /// Whether a task is alive that the response fails with.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn required_unfinished(&self) -> bool {
        self.lock().required() > 0
    }

    /// Whether a task has failed that the response fails with.
    pub(crate) fn required_failed(&self) -> bool {
        self.lock().required_failed()
    }

    /// Whether anything was spawned.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn has_spawned(&self) -> bool {
        self.tracker().is_some() || self.lock().has_spawned()
    }

    /// How many tasks were aborted or have panicked: the destructor of an aborted task may panic.
    pub(crate) fn stopped(&self) -> usize {
        self.lock().stopped()
    }

    /// Looks whether a task is alive, for a wait: the tasks in the tokio-util tracker count as seen.
    #[inline]
    pub(crate) fn look(&self) -> Look {
        let in_tracker = self.tracker().is_some_and(Tracker::look);
        self.lock().look(in_tracker)
    }

    /// Looks again. If a task is still alive, keeps the waker of the wait, to be woken by the last task.
    pub(crate) fn look_again(self: &Arc<Self>, cx: &mut Context<'_>) -> Look {
        // Before the lock is taken: cloning a waker may run any code.
        let waker = cx.waker().clone();
        let (look, unused) = {
            let mut state = self.lock();
            let in_tracker = self.is_tracker_busy();
            state.look_and_listen(waker, in_tracker)
        };
        drop_waker(unused);
        if look.in_tracker {
            // After the waker is kept: the watch may end at once.
            self.watch_tracker();
        }
        look
    }

    /// Keeps the waker of the wait, to be woken when a limit changes.
    pub(crate) fn listen(&self, cx: &mut Context<'_>) {
        let waker = cx.waker().clone();
        let unused = self.lock().listen(waker);
        drop_waker(unused);
    }

    /// Opens the drain window, and returns how many tasks had been stopped by then.
    pub(crate) fn open_window(self: &Arc<Self>, now: Instant) -> usize {
        let (has_joined, stopped) = {
            let mut state = self.lock();
            (state.open_window(now, || self.join()), state.stopped())
        };
        self.joined(has_joined);
        stopped
    }

    pub(crate) fn close_window(&self) {
        self.lock().close_window();
    }

    pub(crate) fn client_gone(&self) {
        self.lock().client_gone();
    }

    /// Ends the request if no task is alive, and carries out the effects.
    #[inline]
    pub(crate) fn finish(self: &Arc<Self>, readers: Readers) -> Finished {
        // In two steps: the guard would live as long as the match.
        let finish = {
            let mut state = self.lock();
            let in_tracker = self.is_tracker_busy();
            state.finish(readers, in_tracker)
        };
        match finish {
            Finish::NotIdle => Finished::NotIdle,
            Finish::Released {
                required_failed,
                account,
                waker,
            } => {
                drop_waker(waker);
                Finished::Released {
                    required_failed,
                    account,
                }
            }
            Finish::Over {
                required_failed,
                effects,
                waker,
            } => {
                drop_waker(waker);
                effects.carry_out(self);
                Finished::Over { required_failed }
            }
        }
    }

    /// Releases if no task is alive.
    pub(crate) fn release_if_idle(&self, ask: Ask) -> Option<Standings> {
        let standings = {
            let mut state = self.lock();
            let in_tracker = self.is_tracker_busy();
            state.release_if_idle(ask, in_tracker)?
        };
        Some(self.released(standings))
    }

    /// Releases whatever is alive. If `aborts`, returns the handles of the tasks to abort.
    pub(crate) fn release(&self, ask: Ask, aborts: bool) -> (Standings, Vec<AbortHandle>) {
        let (standings, abort) = self.lock().release_and_abort(ask, aborts);
        (self.released(standings), abort)
    }

    /// How things stand, while they may go on.
    pub(crate) fn account(&self, ask: Ask) -> Standings {
        let standings = self.lock().account(ask);
        self.with_tracker(standings)
    }

    fn released(&self, mut standings: Standings) -> Standings {
        drop_waker(standings.waker.take());
        self.with_tracker(standings)
    }

    fn with_tracker(&self, mut standings: Standings) -> Standings {
        standings.has_spawned |= self.tracker().is_some();
        standings
    }

    /// Ends a request that has reported everything.
    #[inline]
    pub(crate) fn conclude(self: &Arc<Self>) {
        let effects = {
            let mut state = self.lock();
            let in_tracker = self.is_tracker_busy();
            state.conclude(in_tracker)
        };
        effects.carry_out(self);
    }
}

/// Dropping the last waker of a task may drop the task, and so run any code.
fn drop_waker(waker: Option<Waker>) {
    if let Some(waker) = waker {
        let _ = panics::caught(|| drop(waker));
    }
}
