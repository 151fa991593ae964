//! The limits of a drain window. The window closes at the earliest of them.

use tokio::time::Instant;

use crate::deadline::SourceLimit;
use crate::report::Limit;
use crate::settings::{Unfinished, WindowSettings};

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

/// Returns the earliest of all limits. `drain`: the one of the drain timeout.
#[cold]
pub(super) fn earliest(
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
    pub(super) fn add(&mut self, arrived: Option<Instant>, limits: Vec<SourceLimit>) {
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
