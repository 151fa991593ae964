//! What happens to tasks that do not end in time.

use std::time::Duration;

/// What happens to tasks that are alive when the drain window closes, or when the client has left.
///
/// Only a task that was spawned through this crate can be aborted. A future is aborted when it yields next: one that
/// does not reach an `.await` that is pending cannot be stopped. These cannot be aborted at all: a blocking closure
/// that has begun, a [`TaskToken`](crate::TaskToken), a [`TrackedFuture`](crate::TrackedFuture), and the tasks in
/// [`Tasks::tracker`](crate::Tasks::tracker). They run on, are reported as stragglers, and the handle still tracks
/// them. (If a blocking closure has a [hand-off](crate::TaskBuilder::or_hand_off), the hand-off takes its place, and
/// the closure is no longer tracked.) They can stop by themselves, if they watch
/// [`Tasks::cancellation_token`](crate::Tasks::cancellation_token).
///
/// If the client chose the deadline, every task runs on, and of the later limits only a
/// [`shutdown`](crate::TrackerHandle::shutdown) that is awaited stops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Unfinished {
    /// The tasks run on, and are reported as stragglers. The handle counts them until they end by themselves or by a
    /// [`shutdown`](crate::TrackerHandle::shutdown). (A [`detached`](crate::TaskBuilder::detached) task is different:
    /// the response never waits for it.)
    #[default]
    Continue,
    /// The tasks get time to stop, and are then aborted:
    ///
    /// 1. The request's [`cancellation_token`](crate::Tasks::cancellation_token) is cancelled: `grace` before the
    ///    deadline, or as soon as the client has left. If a task has a
    ///    [hand-off](crate::DrainSettings::hand_off_grace), the token is cancelled `grace` before that task is stopped.
    /// 2. When the time is up, the tasks that are left are aborted, as under [`Abort`](Unfinished::Abort).
    ///
    /// If all tasks stop by themselves, the request has drained, and
    /// [`DrainReport::cancelled`](crate::DrainReport::cancelled) is true.
    Cancel {
        /// The time from the cancellation to the deadline, or from the disconnect to the end of the wait, on tokio's
        /// clock. Its last part is for the destructors of the aborted tasks: the smallest of 100 ms, a tenth of the
        /// window, and half of the grace. At a disconnect, the window in this rule is the grace itself. If the grace is
        /// longer than the window, it begins with the window. With zero, no task has time to stop by itself.
        grace: Duration,
    },
    /// The tasks are aborted shortly before the deadline, so that their destructors end in time: 100 ms before it, or a
    /// tenth of the window if that is shorter. The token is cancelled at the same moment. The window closes when the
    /// tasks are gone. If the client has left, the tasks are aborted at once.
    Abort,
}
