//! Whom a scope asks for deadlines.

use std::sync::Arc;

use tokio::time::Instant;

use crate::deadline::{DeadlineSource, SourceLimit, Sources};

/// Who may know of the deadline of an `R`: nobody, which is `()`, or some [`Sources`].
/// It is not for others to implement.
pub trait Asks<R>: Sized {
    /// One more source.
    fn and(self, source: Arc<dyn DeadlineSource<R>>) -> Sources<R>;

    /// Whether there is nobody to ask.
    fn is_empty(&self) -> bool;

    /// What they say of a request that arrives just now.
    fn limits(&self, request: &R, arrived: Instant) -> Vec<SourceLimit>;
}

impl<R> Asks<R> for () {
    fn and(self, source: Arc<dyn DeadlineSource<R>>) -> Sources<R> {
        let mut sources = Sources::default();
        sources.push(source);
        sources
    }

    fn is_empty(&self) -> bool {
        true
    }

    fn limits(&self, _: &R, _: Instant) -> Vec<SourceLimit> {
        Vec::new()
    }
}

impl<R: 'static> Asks<R> for Sources<R> {
    fn and(mut self, source: Arc<dyn DeadlineSource<R>>) -> Sources<R> {
        self.push(source);
        self
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn limits(&self, request: &R, arrived: Instant) -> Vec<SourceLimit> {
        self.limits(request, arrived)
    }
}
