//! The limits of a drain window. The window closes at the earliest of them.

use std::sync::Arc;

use tokio::time::Instant;

use super::Request;
use super::state::State;
use super::tuning::window_settings;
use crate::deadline::SourceLimit;
use crate::report::Limit;
use crate::settings::{DEFAULT_DRAIN_TIMEOUT, Settings, Unfinished, WindowSettings};
use crate::sync::AbortHandle;

/// The limits that do not start when the window opens.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// When the request arrived. The total timeout starts then.
    arrived: Option<Instant>,
    sources: Vec<SourceLimit>,
}

/// The earliest of the limits, and what happens at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) limit: Limit,
    pub(crate) unfinished: Unfinished,
}

impl Request {
    /// Returns the earliest limit at this moment. Returns `None` if there is none.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        let closes_at = self.process().closes_at();
        self.deadline_in(&self.lock(), closes_at)
    }

    /// Like [`deadline`](Self::deadline), under the lock. `closes_at`: the end of a shutdown that has begun.
    #[inline(always)]
    pub(super) fn deadline_in(
        &self,
        state: &State<AbortHandle>,
        closes_at: Option<Instant>,
    ) -> Option<Deadline> {
        deadline(state, &self.shared().settings, closes_at)
    }

    /// Adds the limits that a layer has when the request arrives at it. The layer may be nested. `arrived`: the moment
    /// of the arrival, if the layer has a total timeout.
    pub(crate) fn add_limits(self: &Arc<Self>, arrived: Option<Instant>, limits: Vec<SourceLimit>) {
        let effects = {
            let mut state = self.lock();
            state.limits_mut().add(arrived, limits);
            // A wait may be going on, because a task may have called this layer.
            state.wake()
        };
        effects.carry_out(self);
    }
}

/// Returns the earliest limit at this moment. `closes_at`: the end of a shutdown that has begun.
#[inline(always)]
pub(super) fn deadline<H>(
    state: &State<H>,
    ours: &Settings,
    closes_at: Option<Instant>,
) -> Option<Deadline> {
    let settings = window_settings(state, ours);
    let unfinished = settings.at_deadline.unwrap_or_default();
    let timeout = settings.drain_timeout.unwrap_or(DEFAULT_DRAIN_TIMEOUT);
    let opened = state.window_opened_at();
    let drain = opened.zip(timeout).and_then(|(opened, timeout)| {
        Some(Deadline {
            // A moment beyond the range of the clock is no limit.
            at: opened.checked_add(timeout)?,
            limit: Limit::DrainTimeout,
            unfinished,
        })
    });
    let limits = state.limits();
    if let (None, None) = (limits, closes_at) {
        return drain;
    }
    earliest(drain, limits, opened, settings, closes_at)
}

/// Returns the earliest of all limits. `drain`: the one of the drain timeout.
#[cold]
fn earliest(
    drain: Option<Deadline>,
    limits: Option<&Limits>,
    opened: Option<Instant>,
    settings: WindowSettings,
    closes_at: Option<Instant>,
) -> Option<Deadline> {
    let unfinished = settings.at_deadline.unwrap_or_default();
    let limits = limits.into_iter();
    let limits = limits.flat_map(|limits| limits.deadlines(opened, settings, unfinished));
    let shutdown = closes_at.map(|at| Deadline {
        at,
        limit: Limit::Shutdown,
        unfinished,
    });
    // If several limits are equal, the first one counts. The limits of the client are the last.
    let ours = drain.into_iter().chain(shutdown);
    ours.chain(limits).min_by_key(|deadline| deadline.at)
}

impl Limits {
    fn add(&mut self, arrived: Option<Instant>, limits: Vec<SourceLimit>) {
        self.arrived = self.arrived.or(arrived);
        for limit in limits {
            // A request may pass the same layer several times.
            if !self.sources.iter_mut().any(|other| other.merge(&limit)) {
                self.sources.push(limit);
            }
        }
        // The sort is stable, and puts the limits of the client last: see `earliest`.
        self.sources.sort_by_key(|source| source.from_client);
    }

    fn deadlines(
        &self,
        opened: Option<Instant>,
        settings: WindowSettings,
        unfinished: Unfinished,
    ) -> impl Iterator<Item = Deadline> + '_ {
        let total = settings.total_timeout.flatten();
        let total = self.arrived.zip(total).and_then(|(arrived, timeout)| {
            Some(Deadline {
                at: arrived.checked_add(timeout)?,
                limit: Limit::TotalTimeout,
                unfinished,
            })
        });
        let sources = self.sources.iter().filter_map(move |source| {
            Some(Deadline {
                at: source.at(opened)?,
                limit: Limit::Source(source.name),
                // The deadline of a client can end a hold, and never the work.
                unfinished: if source.from_client {
                    Unfinished::Continue
                } else {
                    unfinished
                },
            })
        });
        total.into_iter().chain(sources)
    }
}
