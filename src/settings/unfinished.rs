//! What becomes of late tasks.

use std::time::Duration;

/// What becomes of tasks that are still alive when the drain window closes, or when the client is
/// gone.
///
/// What can be aborted is what was spawned through this crate. A blocking closure that has begun, a
/// [`TaskToken`](crate::TaskToken), a [`TrackedFuture`](crate::TrackedFuture) and what runs in
/// [`Tasks::tracker`](crate::Tasks::tracker) cannot: they run on, are reported as stragglers, and
/// stay with the handle. [`Tasks::cancellation_token`](crate::Tasks::cancellation_token) reaches
/// them all the same, if they watch it.
///
/// A deadline that the client chose never kills work: there, everything is detached, and runs on
/// past the deadline that it would have had otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Unfinished {
    /// They run on: reported as stragglers, and counted by the handle until they end, or a
    /// [`shutdown`](crate::TrackerHandle::shutdown) does. (A task that is
    /// [`detached`](crate::TaskBuilder::detached) is another thing: it was never waited for.)
    #[default]
    Continue,
    /// They are asked to stop, and then made to: the request's
    /// [`cancellation_token`](crate::Tasks::cancellation_token) is cancelled so long before the
    /// deadline, or as soon as the client is gone; what is left when the time is up is aborted, as
    /// [`Abort`](Unfinished::Abort) does. If all stop by themselves, the request has drained;
    /// [`DrainReport::cancelled`](crate::DrainReport::cancelled) tells that they were asked to.
    Cancel {
        /// From the cancellation to the deadline, or from the disconnect to the end of the wait, on tokio's clock.
        /// Its end, at most 100 ms, a tenth of the window or half of the grace, is for the destructors of
        /// what is aborted. A grace that is longer than the window begins with the window; with zero
        /// no task has time to stop by itself.
        grace: Duration,
    },
    /// They are aborted so shortly before the deadline that their destructors end in time: 100 ms,
    /// or a tenth of the window if that is shorter. The token is cancelled in the same moment, and the
    /// window closes when the tasks are gone. When the client is gone, they are aborted at once.
    Abort,
}
