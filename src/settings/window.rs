//! The settings of the drain window.

use std::time::Duration;

use super::Unfinished;

/// Below 29 s, which is the shortest common limit of a front end (an API gateway).
pub(crate) const DEFAULT_DRAIN_TIMEOUT: Option<Duration> = Some(Duration::from_secs(25));

/// The explicit settings of the drain window. `None` inherits from the enclosing layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WindowSettings {
    pub(crate) drain_timeout: Option<Option<Duration>>,
    pub(crate) total_timeout: Option<Option<Duration>>,
    pub(crate) at_deadline: Option<Unfinished>,
    pub(crate) at_disconnect: Option<Unfinished>,
    pub(crate) hand_off_grace: Option<Duration>,
}

impl WindowSettings {
    /// Returns these settings. Where one is not set, that of `outer` is taken.
    pub(crate) fn over(self, outer: Self) -> Self {
        let Self {
            drain_timeout,
            total_timeout,
            at_deadline,
            at_disconnect,
            hand_off_grace,
        } = self;
        Self {
            drain_timeout: drain_timeout.or(outer.drain_timeout),
            total_timeout: total_timeout.or(outer.total_timeout),
            at_deadline: at_deadline.or(outer.at_deadline),
            at_disconnect: at_disconnect.or(outer.at_disconnect),
            hand_off_grace: hand_off_grace.or(outer.hand_off_grace),
        }
    }
}
