//! When the drain window of a request closes: at the earliest of its limits.

use std::sync::Arc;

use tokio::time::Instant;

use super::Request;
use super::state::State;
use super::tuning::window_settings;
use crate::deadline::SourceLimit;
use crate::report::Limit;
use crate::settings::{DEFAULT_DRAIN_TIMEOUT, Settings, Unfinished, WindowSettings};
use crate::sync::AbortHandle;

/// The limits that do not count from the opening of the window.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// When the request arrived: what the total timeout counts from.
    arrived: Option<Instant>,
    sources: Vec<SourceLimit>,
}

/// The earliest of the limits, and what it means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) limit: Limit,
    pub(crate) unfinished: Unfinished,
}

impl Request {
    /// The earliest limit that there is now; `None` if there is none.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        let closes_at = self.process().closes_at();
        self.deadline_in(&self.lock(), closes_at)
    }

    /// `closes_at`: the end of a shutdown that has begun.
    #[inline(always)]
    pub(super) fn deadline_in(
        &self,
        state: &State<AbortHandle>,
        closes_at: Option<Instant>,
    ) -> Option<Deadline> {
        deadline(state, &self.shared().settings, closes_at)
    }

    /// Adds the limits that a layer has when the request arrives there: its own layer, or a nested one. `arrived`: `Some`
    /// if the layer has a total timeout.
    pub(crate) fn add_limits(self: &Arc<Self>, arrived: Option<Instant>, limits: Vec<SourceLimit>) {
        let effects = {
            let mut state = self.lock();
            state.limits_mut().add(arrived, limits);
            // A drain may go on: a task may have called this layer.
            state.wake()
        };
        effects.carry_out(self);
    }
}

/// `closes_at`: the end of a shutdown that has begun.
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
            // What is too far away for the clock is no limit.
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

/// The earliest of all limits. `drain`: that of the drain timeout.
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
    // Of several limits at the same time the first counts. The client's are the last.
    let ours = drain.into_iter().chain(shutdown);
    ours.chain(limits).min_by_key(|deadline| deadline.at)
}

impl Limits {
    fn add(&mut self, arrived: Option<Instant>, limits: Vec<SourceLimit>) {
        self.arrived = self.arrived.or(arrived);
        for limit in limits {
            // A request may pass the same layer again and again.
            if !self.sources.iter_mut().any(|other| other.merge(&limit)) {
                self.sources.push(limit);
            }
        }
        // A stable sort, for ties: see `deadline`.
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
                // A client can end a hold, never the work.
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
