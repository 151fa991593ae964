//! How the wait for the tasks of a request ended.

/// How the wait for the tasks of a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Outcome {
    /// Every task ended before the window closed. If the response is not held for a task (`Hold::Never`,
    /// `Hold::Required`), the window opens at the end of the response.
    #[default]
    Drained,
    /// The drain window closed before the tasks were done. [`Unfinished`](crate::Unfinished) decides whether they are
    /// stragglers of the report, or were aborted. If the report has neither, a `before_release` hook had not ended.
    DeadlineExceeded,
    /// The drain window closed before the tasks were done, because the process is shutting down.
    Shutdown,
    /// The response was dropped before its end: the client has left, a timeout outside of the layer has passed, or the
    /// handler has panicked. The outcome is also this one if the tasks of a response that had ended could not be waited
    /// for, because the runtime shut down or there was none.
    Dropped,
    /// The exchange goes on as an upgraded stream (status 101, or 2xx to `CONNECT`). Its tasks were not waited for.
    #[cfg(feature = "http")]
    Upgraded,
}

impl Outcome {
    /// Returns true if the exchange goes on as an upgraded stream.
    pub(crate) fn is_upgraded(self) -> bool {
        #[cfg(feature = "http")]
        return self == Outcome::Upgraded;
        #[cfg(not(feature = "http"))]
        false
    }
}
