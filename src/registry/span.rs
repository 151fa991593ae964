//! The span of a request.

use std::sync::{Arc, Weak};

use crate::trace::Span;

/// Keeps the span of a request open. The owner of the request holds it until the callbacks of the request have
/// run: a [`Tasks`](crate::Tasks) that is kept for longer does not keep the span.
///
/// In an `Arc`, because a copy of the span itself would be the subscriber's code.
#[derive(Debug, Default)]
pub(crate) struct OpenSpan(Option<Arc<Span>>);

/// The span of a request, as long as it is open.
#[derive(Debug, Default)]
pub(crate) struct SpanRef(Option<Weak<Span>>);

impl OpenSpan {
    /// The span that is current here; nothing is made where there is none.
    #[inline]
    pub(crate) fn current() -> Self {
        let span = Span::current();
        Self((!span.is_none()).then(|| Arc::new(span)))
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn downgrade(&self) -> SpanRef {
        SpanRef(self.0.as_ref().map(Arc::downgrade))
    }

    /// Lets go of the span. What was made under it, or is in it just now, may keep it open.
    #[inline]
    pub(crate) fn close(&mut self) {
        self.0 = None;
    }
}

impl SpanRef {
    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// `None` if there is none, or none any more.
    pub(crate) fn get(&self) -> Option<Arc<Span>> {
        self.0.as_ref().and_then(Weak::upgrade)
    }
}
