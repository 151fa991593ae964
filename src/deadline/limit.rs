//! What the deadline sources said of a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;

use super::source::DeadlineSource;
use crate::{panics, trace};

/// The sources of one layer.
#[derive(Clone)]
pub(crate) struct Sources(Arc<[Arc<dyn DeadlineSource>]>);

/// An instant that a deadline source knows of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    at: Instant,
    arrived: Instant,
    /// The window is not made shorter than this by it.
    at_least: Duration,
    pub(crate) name: &'static str,
    pub(crate) from_client: bool,
}

impl Limit {
    /// When a window closes by it that opened at this moment. Until it opens, the arrival counts: it
    /// was not before that. `None` if that is further than the clock can tell.
    pub(crate) fn at(&self, opened: Option<Instant>) -> Option<Instant> {
        if self.at_least.is_zero() {
            // Also where it has passed before the opening: of those that have, the earliest counts.
            return Some(self.at);
        }
        let opened = opened.unwrap_or(self.arrived);
        Some(self.at.max(opened.checked_add(self.at_least)?))
    }
}

impl Sources {
    pub(crate) fn new(sources: &[Arc<dyn DeadlineSource>]) -> Self {
        Self(sources.into())
    }

    /// Whether both are of the same layer.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|source| source.name()))
            .finish()
    }
}

/// Asks every source of a request that arrived just now, but for those that were `asked` before.
pub(crate) fn limits(
    sources: &Sources,
    asked: &[Sources],
    request: &Parts,
    arrived: Instant,
) -> Vec<Limit> {
    let is_new = |source: &&Arc<dyn DeadlineSource>| {
        let is_this = |other: &Arc<dyn DeadlineSource>| {
            std::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(source))
        };
        !asked.iter().flat_map(|asked| &*asked.0).any(is_this)
    };
    let limit = |source: &Arc<dyn DeadlineSource>| {
        let read = panics::caught(|| {
            Some(Limit {
                at: source.deadline(request)?,
                arrived,
                at_least: source.at_least(),
                name: source.name(),
                from_client: source.is_from_client(),
            })
        });
        let limit = read.unwrap_or_else(|message| {
            trace::callback_panicked(message.as_deref());
            None
        })?;
        if limit.at < arrived {
            trace::deadline_ignored(limit.name, "it is past");
            return None;
        }
        Some(limit)
    };
    sources.0.iter().filter(is_new).filter_map(limit).collect()
}
