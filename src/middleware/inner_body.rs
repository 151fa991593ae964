//! The wrapped body, where it lies.

use std::pin::Pin;

use http_body::Body;
use pin_project_lite::pin_project;

pin_project! {
    /// A body that lies inline, or in a box if it had to be polled before it came to its place: a
    /// body that was polled may not move.
    #[project = Place]
    pub(crate) enum InnerBody<B> {
        Inline { #[pin] body: B },
        Boxed { body: Pin<Box<B>> },
    }
}

impl<B> InnerBody<B> {
    pub(crate) fn get_ref(&self) -> &B {
        match self {
            InnerBody::Inline { body } => body,
            InnerBody::Boxed { body } => body,
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool
    where
        B: Body,
    {
        self.get_ref().is_end_stream()
    }

    pub(crate) fn get_mut(&mut self) -> &mut B
    where
        B: Unpin,
    {
        match self {
            InnerBody::Inline { body } => body,
            InnerBody::Boxed { body } => body,
        }
    }

    pub(crate) fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut B> {
        match self.project() {
            Place::Inline { body } => body,
            Place::Boxed { body } => body.as_mut(),
        }
    }
}
