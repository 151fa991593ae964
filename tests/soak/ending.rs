//! The ways in which a request of the soak test ends.

use std::time::Duration;

use tower_task_tracker::{DrainReport, Hold, Outcome, TaskTrackerLayer, Unfinished};

use Ending::{
    DeadlineAborts, DeadlineCancels, DeadlineDetaches, Drains, DropAborts, DropCancels,
    DropDetaches, RequiredFails, StreamDrains, StreamDropped, Unheld,
};

/// Enough for every task to stop by itself, on any machine.
const GRACE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A held head is let go when the tasks are done.
    Drains,
    /// So it is, as a 500.
    RequiredFails,
    DeadlineDetaches,
    DeadlineAborts,
    DeadlineCancels,
    /// The future is dropped while the head is held.
    DropDetaches,
    DropAborts,
    DropCancels,
    /// A held end is let go when the tasks are done.
    StreamDrains,
    /// The body is dropped while its end is held.
    StreamDropped,
    /// `Hold::Never`.
    Unheld,
}

impl Ending {
    pub(crate) const ALL: [Self; 11] = [
        Drains,
        RequiredFails,
        DeadlineDetaches,
        DeadlineAborts,
        DeadlineCancels,
        DropDetaches,
        DropAborts,
        DropCancels,
        StreamDrains,
        StreamDropped,
        Unheld,
    ];

    pub(crate) fn layer(self, base: &TaskTrackerLayer) -> TaskTrackerLayer {
        // Nothing may end before the round lets it.
        let layer = base.clone().drain_timeout(None);
        match self {
            Drains | RequiredFails | DeadlineDetaches | DropDetaches => layer,
            DeadlineAborts => layer.at_deadline(Unfinished::Abort),
            DeadlineCancels => layer.at_deadline(Unfinished::Cancel { grace: GRACE }),
            DropAborts => layer.at_disconnect(Unfinished::Abort),
            DropCancels => layer.at_disconnect(Unfinished::Cancel { grace: GRACE }),
            StreamDrains | StreamDropped => layer.hold(Hold::End),
            Unheld => layer.hold(Hold::Never),
        }
    }

    /// How far away the deadline is that is set while the response waits.
    pub(crate) fn deadline(self) -> Option<Duration> {
        match self {
            DeadlineDetaches => Some(Duration::ZERO),
            // A tenth of a second of it is for destructors.
            DeadlineAborts => Some(Duration::from_millis(150)),
            // The grace begins at once.
            DeadlineCancels => Some(GRACE),
            _ => None,
        }
    }

    pub(crate) fn is_held(self) -> bool {
        self != Unheld
    }

    pub(crate) fn is_stream(self) -> bool {
        matches!(self, StreamDrains | StreamDropped)
    }

    /// The client leaves before the response has ended.
    pub(crate) fn is_dropped(self) -> bool {
        matches!(
            self,
            DropDetaches | DropAborts | DropCancels | StreamDropped
        )
    }

    /// Tasks stop when they are asked to.
    pub(crate) fn cancels(self) -> bool {
        matches!(self, DeadlineCancels | DropCancels)
    }

    pub(crate) fn aborts(self) -> bool {
        matches!(self, DeadlineAborts | DropAborts)
    }

    /// Two tasks are still at work when the response is let go.
    pub(crate) fn leaves_work(self) -> bool {
        self.aborts() || matches!(self, DeadlineDetaches | DropDetaches | StreamDropped)
    }

    /// Whether this is what has to be said of a request with the tasks of an order.
    pub(crate) fn is_told_by(self, report: &DrainReport) -> bool {
        let outcome = match self {
            _ if self.is_dropped() => Outcome::Dropped,
            DeadlineDetaches | DeadlineAborts => Outcome::DeadlineExceeded,
            // Whoever was asked to stop has stopped.
            _ => Outcome::Drained,
        };
        let required = usize::from(self == RequiredFails);
        let unfinished = 2 * usize::from(self.leaves_work());
        let streamed = usize::from(self.is_stream());
        // One of the two can be aborted. On a busy machine it is not gone in time, perhaps.
        let cut_short = usize::from(self.aborts());
        report.outcome == outcome
            && report.completed == 6 + streamed - required - unfinished
            && report.failed == 1 + required
            && report.panicked == 1
            && (1..=1 + cut_short).contains(&report.aborted)
            && report.aborted + report.stragglers.len() == 1 + unfinished
            && report.spawned == 9 + streamed
            && report.required_failed == (self == RequiredFails)
            && report.cancelled == (self.cancels() || self.aborts())
            && report.held.is_zero() != self.is_held()
    }
}
