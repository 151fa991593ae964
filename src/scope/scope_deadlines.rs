//! The deadline sources of a scope layer.

use std::sync::Arc;

use tokio::time::Instant;

use crate::deadline::{DeadlineSource, SourceLimit, Sources};

/// The deadline sources of a [`TaskScopeLayer`](crate::TaskScopeLayer) for requests of the type `Request`: `()` for
/// none, or [`Sources`].
///
/// This trait is sealed: it is for bounds, and cannot be implemented outside of this crate.
pub trait ScopeDeadlines<Request>: Sized + sealed::Sealed {
    /// Adds a source.
    #[doc(hidden)]
    fn with(self, source: Arc<dyn DeadlineSource<Request>>) -> Sources<Request>;

    /// Returns true if there is no source.
    #[doc(hidden)]
    fn is_empty(&self) -> bool;

    /// Returns the limits that the sources find in a request that arrives now.
    #[doc(hidden)]
    fn limits(&self, request: &Request, arrived: Instant) -> Vec<SourceLimit>;
}

impl<Request> ScopeDeadlines<Request> for () {
    fn with(self, source: Arc<dyn DeadlineSource<Request>>) -> Sources<Request> {
        let mut sources = Sources::default();
        sources.push(source);
        sources
    }

    fn is_empty(&self) -> bool {
        true
    }

    fn limits(&self, _: &Request, _: Instant) -> Vec<SourceLimit> {
        Vec::new()
    }
}

impl<Request: 'static> ScopeDeadlines<Request> for Sources<Request> {
    fn with(mut self, source: Arc<dyn DeadlineSource<Request>>) -> Sources<Request> {
        self.push(source);
        self
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn limits(&self, request: &Request, arrived: Instant) -> Vec<SourceLimit> {
        self.limits(request, arrived)
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for () {}
    impl<Request> Sealed for crate::deadline::Sources<Request> {}
}
