//! When the drain window of a request closes: every limit that is known of it.

use tokio::time::Instant;

use super::Registry;
use crate::deadline::Limit;
use crate::report::Bound;
use crate::settings::{DEFAULT_DRAIN_TIMEOUT, Unfinished, WindowSettings};

/// The limits that do not count from the opening of the window.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// When the request arrived: what the total timeout counts from.
    arrived: Option<Instant>,
    sources: Vec<Limit>,
}

/// The earliest of the limits, and what it means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) bound: Bound,
    pub(crate) unfinished: Unfinished,
}

impl Registry {
    /// The earliest limit that is known now; `None` if there is none.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        let ledger = self.ledger();
        let settings = ledger.window_settings(&self.shared().settings);
        let unfinished = settings.at_deadline.unwrap_or_default();
        let timeout = settings.drain_timeout.unwrap_or(DEFAULT_DRAIN_TIMEOUT);
        let drain = ledger.opened.zip(timeout).and_then(|(opened, timeout)| {
            Some(Deadline {
                // What is too far away for the clock is no limit.
                at: opened.checked_add(timeout)?,
                bound: Bound::DrainTimeout,
                unfinished,
            })
        });
        let limits = ledger
            .limits
            .as_deref()
            .into_iter()
            .flat_map(|limits| limits.deadlines(ledger.opened, settings, unfinished));
        let shutdown = self.shared().process.closes_at().map(|at| Deadline {
            at,
            bound: Bound::Shutdown,
            unfinished,
        });
        // Of several at once the first counts: the client's own stand last.
        let ours = drain.into_iter().chain(shutdown);
        ours.chain(limits).min_by_key(|deadline| deadline.at)
    }

    /// Whether its drain window is open.
    pub(crate) fn has_open_window(&self) -> bool {
        self.ledger().opened.is_some()
    }

    /// Adds what is known when the request arrives, at this layer or at one further in.
    /// `arrived`: where the layer has a total timeout.
    pub(crate) fn add_limits(&self, arrived: Option<Instant>, said: Vec<Limit>) {
        {
            let mut ledger = self.ledger();
            let limits = ledger.limits.get_or_insert_default();
            limits.arrived = limits.arrived.or(arrived);
            for limit in said {
                // A request may pass the same layer again and again.
                if !limits.sources.iter_mut().any(|other| other.merge(&limit)) {
                    limits.sources.push(limit);
                }
            }
            // A stable sort, for ties: see `deadline`.
            limits.sources.sort_by_key(|source| source.from_client);
        }
        // A drain may go on: of who calls this layer in a task.
        self.live.wake();
    }
}

impl Limits {
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
                bound: Bound::TotalTimeout,
                unfinished,
            })
        });
        let sources = self.sources.iter().filter_map(move |source| {
            Some(Deadline {
                at: source.at(opened)?,
                bound: Bound::Source(source.name),
                // A client can end a hold, never the work.
                unfinished: if source.from_client {
                    Unfinished::Detach
                } else {
                    unfinished
                },
            })
        });
        total.into_iter().chain(sources)
    }
}
