//! The wrapped body, where it lies.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::part::{Polled, data_len};

pin_project! {
    /// A body that lies inline, or in a box if it had to be polled before it came to its place: a
    /// body that was polled may not move.
    #[project = Place]
    pub(crate) enum InnerBody<B>
    where
        B: Body,
    {
        Inline { #[pin] body: B },
        Boxed { looked_at: Pin<Box<LookedAt<B>>> },
        // Dropped before its time. What is left is the length that it spoke of.
        Gone { size_hint: SizeHint },
    }
}

pin_project! {
    /// A body that was asked for its first frame.
    pub(crate) struct LookedAt<B>
    where
        B: Body,
    {
        #[pin]
        body: B,
        // What it answered, and the length that it spoke of before, until that is passed on.
        first: Option<(Polled<B::Data, B::Error>, SizeHint)>,
    }
}

impl<B: Body> InnerBody<B> {
    /// Asks a body for its first frame, and says whether that is there and all there is.
    pub(crate) fn look(body: B, length: u64, cx: &mut Context<'_>) -> (Self, bool) {
        let size_hint = body.size_hint();
        let mut looked_at = Box::pin(LookedAt { body, first: None });
        let this = looked_at.as_mut().project();
        let mut is_whole = false;
        if let Poll::Ready(item) = this.body.poll_frame(cx) {
            if let Some(Ok(frame)) = &item {
                let fills = data_len(frame).is_some_and(|len| len >= length);
                is_whole = fills || looked_at.body.is_end_stream();
            }
            *looked_at.as_mut().project().first = Some((item, size_hint));
        }
        (InnerBody::Boxed { looked_at }, is_whole)
    }

    pub(crate) fn get_ref(&self) -> Option<&B> {
        match self {
            InnerBody::Inline { body } => Some(body),
            InnerBody::Boxed { looked_at } => Some(&looked_at.body),
            InnerBody::Gone { .. } => None,
        }
    }

    pub(crate) fn get_mut(&mut self) -> Option<&mut B>
    where
        B: Unpin,
    {
        match self {
            InnerBody::Inline { body } => Some(body),
            InnerBody::Boxed { looked_at } => Some(looked_at.as_mut().project().body.get_mut()),
            InnerBody::Gone { .. } => None,
        }
    }

    pub(crate) fn get_pin_mut(self: Pin<&mut Self>) -> Option<Pin<&mut B>> {
        match self.project() {
            Place::Inline { body } => Some(body),
            Place::Boxed { looked_at } => Some(looked_at.as_mut().project().body),
            Place::Gone { .. } => None,
        }
    }

    /// Whether nothing comes after what it was asked for already. Who asks a body that is gone must not
    /// learn that it has ended: the server would leave out the headers that tell of its length.
    pub(crate) fn rest_has_ended(&self) -> bool {
        self.get_ref().is_some_and(Body::is_end_stream)
    }
}

impl<B: Body> Body for InnerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project() {
            Place::Inline { body } => body.poll_frame(cx),
            Place::Boxed { looked_at } => {
                let this = looked_at.as_mut().project();
                match this.first.take() {
                    Some((first, _)) => Poll::Ready(first),
                    None => this.body.poll_frame(cx),
                }
            }
            Place::Gone { .. } => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_kept = match self {
            InnerBody::Boxed { looked_at } => looked_at.first.is_some(),
            InnerBody::Inline { .. } | InnerBody::Gone { .. } => false,
        };
        !is_kept && self.rest_has_ended()
    }

    // It is `Copy` since http-body 1.1 only.
    #[allow(clippy::clone_on_copy)]
    fn size_hint(&self) -> SizeHint {
        match self {
            InnerBody::Inline { body } => body.size_hint(),
            InnerBody::Boxed { looked_at } => match &looked_at.first {
                Some((_, before)) => before.clone(),
                None => looked_at.body.size_hint(),
            },
            InnerBody::Gone { size_hint } => size_hint.clone(),
        }
    }
}
