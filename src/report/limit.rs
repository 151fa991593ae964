//! The limits that can close a drain window.

use std::fmt;

/// A limit of a drain window. The earliest limit is the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// The drain timeout, from the opening of the window.
    DrainTimeout,
    /// The total timeout, from the arrival of the request.
    TotalTimeout,
    /// The deadline source with this name.
    Source(&'static str),
    /// The end of a shutdown.
    Shutdown,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::DrainTimeout => "drain timeout",
            Limit::TotalTimeout => "total timeout",
            Limit::Source(name) => name,
            Limit::Shutdown => "shutdown",
        })
    }
}
