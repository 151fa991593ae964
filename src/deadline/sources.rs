//! The deadline sources of a layer, and the limits that they find.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::source::DeadlineSource;
use crate::{panics, trace};

/// The deadline sources of one layer, which read requests of this type. It is in the type of a
/// [`TaskScopeLayer`](crate::TaskScopeLayer) after `deadline_from` or `deadline_source` was called.
pub struct Sources<Request>(Arc<Vec<Arc<dyn DeadlineSource<Request>>>>);

/// The limit that a deadline source has found.
#[derive(Debug, Clone, Copy)]
pub struct SourceLimit {
    at: Instant,
    arrived: Instant,
    /// The shortest window that this limit may cause.
    at_least: Duration,
    pub(crate) name: &'static str,
    pub(crate) from_client: bool,
}

impl SourceLimit {
    /// Returns when a window that opened at `opened` closes by this limit. `None` if that is too far away for the
    /// clock. Before the window opens, the arrival of the request stands in for the opening, because the window cannot
    /// open earlier.
    pub(crate) fn at(&self, opened: Option<Instant>) -> Option<Instant> {
        if self.at_least.is_zero() {
            // Not raised to the opening: of several instants that have passed by then, the earliest has to count.
            return Some(self.at);
        }
        let opened = opened.unwrap_or(self.arrived);
        Some(self.at.max(opened.checked_add(self.at_least)?))
    }

    /// Merges a limit of the same kind into this one. The earlier instant counts. Returns false if the kinds differ.
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
    /// Calls every source with a request that has just arrived.
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
