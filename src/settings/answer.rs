//! What is held of a response, and what the layer writes into its head.

use http::StatusCode;

use super::Hold;

/// The explicit settings of the response. `None` inherits from the enclosing layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AnswerSettings {
    pub(crate) hold: Option<Hold>,
    pub(crate) deadline_status: Option<StatusCode>,
    pub(crate) failure_status: Option<StatusCode>,
    pub(crate) server_timing: Option<bool>,
    pub(crate) report_extension: Option<bool>,
}

impl AnswerSettings {
    /// Returns these settings. Where one is not set, that of `outer` is taken.
    pub(crate) fn over(self, outer: Self) -> Self {
        let Self {
            hold,
            deadline_status,
            failure_status,
            server_timing,
            report_extension,
        } = self;
        Self {
            hold: hold.or(outer.hold),
            deadline_status: deadline_status.or(outer.deadline_status),
            failure_status: failure_status.or(outer.failure_status),
            server_timing: server_timing.or(outer.server_timing),
            report_extension: report_extension.or(outer.report_extension),
        }
    }
}
