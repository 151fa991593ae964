//! What closed a drain window.

use std::fmt;

/// One of the limits of a drain window: the deadline is the earliest of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// The drain timeout, counted from the opening of the window.
    DrainTimeout,
    /// The total timeout, counted from the arrival of the request.
    TotalTimeout,
    /// A deadline source, by its name.
    Source(&'static str),
    /// The end of the shutdown that has begun.
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
