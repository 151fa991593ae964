//! How a wait ended.

/// How the wait for the tasks of a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Outcome {
    /// Every task ended in time: before the response did, or, where it is not held for them (`Hold::Never`,
    /// `Hold::Required`), before the window closed that begins with its end.
    #[default]
    Drained,
    /// The drain window closed before the tasks were done. They are the report's stragglers, or were
    /// aborted: [`Unfinished`](crate::Unfinished) decides. If the report has neither, a `before_release` had not
    /// ended.
    DeadlineExceeded,
    /// The drain window closed before the tasks were done because the process shuts down.
    Shutdown,
    /// The response was dropped before its end: the client left, an outer timeout fired, or the
    /// handler panicked. Or the runtime shut down, or there was none, while the tasks of a response that had
    /// ended were to be waited for.
    Dropped,
    /// The exchange goes on as an upgraded stream (status 101, or 2xx to `CONNECT`), so that its
    /// tasks were not waited for.
    #[cfg(feature = "http")]
    Upgraded,
}

impl Outcome {
    /// Whether the exchange goes on as an upgraded stream.
    pub(crate) fn is_upgraded(self) -> bool {
        #[cfg(feature = "http")]
        return self == Outcome::Upgraded;
        #[cfg(not(feature = "http"))]
        false
    }
}
