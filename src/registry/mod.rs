//! Everything known of one request's tasks: who is alive, and who has to be told.

mod admission;
pub(crate) mod anonymous;
pub(crate) mod context;
pub(crate) mod entry;
pub(crate) mod guard;
pub(crate) mod ledger;
pub(crate) mod listing;
mod live;
mod seat;
mod sync;
mod telling;

use std::panic::Location;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{self, Poll};

use tokio_util::task::TaskTracker;

use self::anonymous::{Anonymous, Wait};
use self::ledger::Ledger;
use self::live::Live;
use crate::roster::Roster;
use crate::settings::Settings;
use crate::trace::Span;

/// What all requests of one layer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) roster: Arc<Roster<Registry>>,
}

/// The tasks of one request.
#[derive(Debug)]
pub(crate) struct Registry {
    live: Live,
    ledger: Mutex<Ledger>,
    /// Made when a tokio-util tracker is asked for.
    anonymous: OnceLock<Anonymous>,
    shared: Arc<Shared>,
    span: Span,
    /// Everything was told of the response.
    over: AtomicBool,
}

impl Registry {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            live: Live::new(),
            ledger: Mutex::default(),
            anonymous: OnceLock::new(),
            shared,
            span: Span::current(),
            over: AtomicBool::new(false),
        })
    }

    /// The tokio-util tracker, made now if it was not asked for before.
    pub(crate) fn tracker(self: &Arc<Self>, location: &'static Location<'static>) -> &TaskTracker {
        let anonymous = self.anonymous.get_or_init(|| Anonymous::new(location));
        if !self.is_released() {
            self.join_roster();
            // It may have been released, and over, since the look above.
            self.leave_if_over();
        }
        anonymous.tracker()
    }

    pub(crate) fn anonymous(&self) -> Option<&Anonymous> {
        self.anonymous.get()
    }

    /// How many tasks are alive, without those in the tokio-util tracker.
    pub(crate) fn counted(&self) -> usize {
        self.live.alive()
    }

    pub(crate) fn alive(&self) -> usize {
        self.counted() + self.anonymous().map_or(0, |a| a.tracker().len())
    }

    /// How many tasks were counted in, late ones too.
    pub(crate) fn spawned(&self) -> usize {
        self.live.spawned()
    }

    /// The id of the task whose end left none alive.
    pub(crate) fn last(&self) -> u32 {
        self.live.last()
    }

    pub(crate) fn roster(&self) -> &Arc<Roster<Registry>> {
        &self.shared.roster
    }

    pub(crate) fn is_released(&self) -> bool {
        self.live.is_released()
    }

    /// Releases if no task is alive, and tells how many had been counted in by then.
    pub(crate) fn try_release(&self) -> Option<usize> {
        if self.anonymous().is_some_and(|a| !a.tracker().is_empty()) {
            return None;
        }
        self.live.try_release()
    }

    pub(crate) fn release(&self) {
        self.live.release();
    }

    /// Ready when no task is alive. It is no release: the next moment may add one.
    pub(crate) fn poll_none_alive(&self, wait: &mut Wait, cx: &mut task::Context<'_>) -> Poll<()> {
        let own = self.live.poll_none_alive(cx);
        match self.anonymous() {
            Some(anonymous) if anonymous.poll_empty(wait, cx).is_pending() => {
                // With no task of its own alive it would not hear of a deadline that is moved.
                self.live.listen(cx);
                Poll::Pending
            }
            _ => own,
        }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
