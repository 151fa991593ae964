//! The wrapped body, where it lies.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A body that lies inline, or in a box if it had to be polled before it came to its place: a
    /// body that was polled may not move.
    #[project = Place]
    pub(crate) enum InnerBody<B> {
        Inline { #[pin] body: B },
        Boxed { body: Pin<Box<B>> },
        // Dropped before its time. What is left is the length that it spoke of.
        Gone { size_hint: SizeHint },
    }
}

impl<B> InnerBody<B> {
    pub(crate) fn get_ref(&self) -> Option<&B> {
        match self {
            InnerBody::Inline { body } => Some(body),
            InnerBody::Boxed { body } => Some(body),
            InnerBody::Gone { .. } => None,
        }
    }

    pub(crate) fn get_mut(&mut self) -> Option<&mut B>
    where
        B: Unpin,
    {
        match self {
            InnerBody::Inline { body } => Some(body),
            InnerBody::Boxed { body } => Some(body),
            InnerBody::Gone { .. } => None,
        }
    }

    pub(crate) fn get_pin_mut(self: Pin<&mut Self>) -> Option<Pin<&mut B>> {
        match self.project() {
            Place::Inline { body } => Some(body),
            Place::Boxed { body } => Some(body.as_mut()),
            Place::Gone { .. } => None,
        }
    }
}

impl<B: Body> Body for InnerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.get_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        // Who asks a body that is gone must not learn that it has ended: the server would leave
        // out the headers that tell of its length.
        self.get_ref().is_some_and(Body::is_end_stream)
    }

    // It is `Copy` since http-body 1.1 only.
    #[allow(clippy::clone_on_copy)]
    fn size_hint(&self) -> SizeHint {
        match self {
            InnerBody::Inline { body } => body.size_hint(),
            InnerBody::Boxed { body } => body.size_hint(),
            InnerBody::Gone { size_hint } => size_hint.clone(),
        }
    }
}
