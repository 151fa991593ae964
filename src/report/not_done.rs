//! Why a task was handed off.

use std::fmt;

/// Why a task with a hand-off did not complete. The closure of
/// [`TaskBuilder::or_hand_off`](crate::TaskBuilder::or_hand_off) receives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotDone {
    /// The task returned an `Err`.
    Failed,
    /// The task panicked.
    Panicked,
    /// The task was dropped before its end by other code: through its `JoinHandle`, or because its runtime shut down.
    Aborted,
    /// The task was stopped for the deadline of its response.
    Deadline,
    /// The task was stopped because its client has gone. See
    /// [`DrainSettings::at_disconnect`](crate::DrainSettings::at_disconnect).
    ClientGone,
    /// The task was stopped for the end of a shutdown.
    Shutdown,
}

impl NotDone {
    fn name(self) -> &'static str {
        match self {
            NotDone::Failed => "failed",
            NotDone::Panicked => "panicked",
            NotDone::Aborted => "aborted",
            NotDone::Deadline => "deadline",
            NotDone::ClientGone => "client gone",
            NotDone::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for NotDone {
    /// Writes the reason in one or two words, such as `deadline` or `client gone`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
