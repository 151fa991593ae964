//! The limits of a drain window. The window closes at the earliest of them.

use tokio::time::Instant;

use crate::deadline::SourceLimit;
use crate::deadline::schedule::{HandOffPoint, Schedule};
use crate::report::{Limit, NotDone};
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
    /// When the tasks with a hand-off are stopped. `None` if there are none, or the window is not open, or closes before
    /// that.
    pub(crate) hand_off: Option<HandOffPoint>,
}

impl Deadline {
    pub(super) fn new(at: Instant, limit: Limit, unfinished: Unfinished) -> Self {
        Self {
            at,
            limit,
            unfinished,
            hand_off: None,
        }
    }

    /// Returns the last steps of a window that opened at `opened`.
    #[inline]
    pub(crate) fn schedule(&self, opened: Instant) -> Schedule {
        let schedule = Schedule::at_deadline(opened, self.at, self.unfinished, self.why());
        match self.hand_off {
            Some(point) => schedule.with_hand_off(point),
            None => schedule,
        }
    }

    /// Returns why a task that is stopped for this deadline is not done.
    pub(crate) fn why(&self) -> NotDone {
        match self.limit {
            Limit::Shutdown => NotDone::Shutdown,
            _ => NotDone::Deadline,
        }
    }
}

/// Returns the earliest of all limits. `drain`: the one of the drain timeout. `hands_off`: the tasks with a hand-off are
/// to be stopped before the earliest limit that the client did not choose.
#[cold]
pub(super) fn earliest(
    drain: Option<Deadline>,
    limits: Option<&Limits>,
    opened: Option<Instant>,
    settings: WindowSettings,
    closes_at: Option<Instant>,
    hands_off: bool,
) -> Option<Deadline> {
    let unfinished = settings.at_deadline.unwrap_or_default();
    let shutdown = closes_at.map(|at| Deadline::new(at, Limit::Shutdown, unfinished));
    let (ours, clients) = match limits {
        Some(limits) => limits.deadlines(opened, settings, unfinished),
        None => (None, None),
    };
    // If several limits are equal, the first one counts. That of the client is the last.
    let ours = [drain, shutdown, ours].into_iter().flatten();
    let ours = ours.min_by_key(|deadline| deadline.at);
    let mut earliest = [ours, clients].into_iter().flatten().min_by_key(|d| d.at)?;
    if let (true, Some(ours), Some(opened)) = (hands_off, ours, opened) {
        let grace = settings.hand_off_grace;
        let point = HandOffPoint::before(opened, ours.at, grace, unfinished, ours.why());
        // If the client does not wait until then, its deadline ends the wait, and stops nothing.
        let comes_first = ours.at <= earliest.at || point.at <= earliest.at;
        earliest.hand_off = comes_first.then_some(point);
    }
    Some(earliest)
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
    }

    /// Returns the earliest of these limits that the client did not choose, and the earliest that it did.
    fn deadlines(
        &self,
        opened: Option<Instant>,
        settings: WindowSettings,
        unfinished: Unfinished,
    ) -> (Option<Deadline>, Option<Deadline>) {
        let total = settings.total_timeout.flatten();
        let total = self.arrived.zip(total).and_then(|(arrived, timeout)| {
            let at = arrived.checked_add(timeout)?;
            Some(Deadline::new(at, Limit::TotalTimeout, unfinished))
        });
        let of_sources = |from_client: bool, unfinished| {
            let sources = self.sources.iter();
            let sources = sources.filter(move |source| source.from_client == from_client);
            sources.filter_map(move |source| {
                let limit = Limit::Source(source.name);
                Some(Deadline::new(source.at(opened)?, limit, unfinished))
            })
        };
        let ours = total.into_iter().chain(of_sources(false, unfinished));
        // The deadline of a client can end a hold, and never the work.
        let clients = of_sources(true, Unfinished::Continue);
        (
            ours.min_by_key(|deadline| deadline.at),
            clients.min_by_key(|deadline| deadline.at),
        )
    }
}
