//! What the deadline sources said of a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::source::DeadlineSource;
use crate::{panics, trace};

/// The deadline sources of one layer, that look at a request of this type: in the type of a
/// [`TaskScopeLayer`](crate::TaskScopeLayer) whose `deadline_from` or `deadline_source` was called.
pub struct Sources<Request>(Arc<Vec<Arc<dyn DeadlineSource<Request>>>>);

/// An instant that a deadline source knows of.
#[derive(Debug, Clone, Copy)]
pub struct SourceLimit {
    at: Instant,
    arrived: Instant,
    /// The window is not made shorter than this by it.
    at_least: Duration,
    pub(crate) name: &'static str,
    pub(crate) from_client: bool,
}

impl SourceLimit {
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

    /// Makes one of both, if they are alike: the earlier one counts.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        let kind = |limit: &Self| (limit.name, limit.from_client, limit.at_least);
        let alike = kind(self) == kind(other);
        if alike {
            self.at = self.at.min(other.at);
        }
        alike
    }
}

impl<Request> Sources<Request> {
    pub(crate) fn push(&mut self, source: Arc<dyn DeadlineSource<Request>>) {
        Arc::make_mut(&mut self.0).push(source);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<Request: 'static> Sources<Request> {
    /// Asks every source of a request that arrived just now.
    pub(crate) fn limits(&self, request: &Request, arrived: Instant) -> Vec<SourceLimit> {
        let sources = self.0.iter();
        sources
            .filter_map(|source| limit(&**source, request, arrived))
            .collect()
    }
}

impl<Request> Clone for Sources<Request> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Request> Default for Sources<Request> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<Request: 'static> fmt::Debug for Sources<Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|source| source.name()))
            .finish()
    }
}

fn limit<Request: 'static>(
    source: &dyn DeadlineSource<Request>,
    request: &Request,
    arrived: Instant,
) -> Option<SourceLimit> {
    let read = panics::caught(|| {
        Some(SourceLimit {
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
}
