//! What is taken from the inner body before it can be passed on.

use std::pin::Pin;

use http_body::Body;
use pin_project_lite::pin_project;

use super::ahead::{Ahead, Phase};

type AheadOf<B> = Ahead<<B as Body>::Data, <B as Body>::Error>;

pin_project! {
    /// Items that are still to be passed on, with the body that they were taken from.
    pub(super) struct Kept<B>
    where
        B: Body,
    {
        // `Some` if it had to be polled before it came to its place: a body that was polled may not move,
        // and lies here until it is dropped. Otherwise it lies in the response body.
        #[pin]
        body: Option<B>,
        ahead: AheadOf<B>,
    }
}

impl<B: Body> Kept<B> {
    /// A body that is about to be polled.
    pub(super) fn around(body: B) -> Pin<Box<Self>> {
        Box::pin(Self {
            body: Some(body),
            ahead: Ahead::new(Phase::Ahead),
        })
    }

    /// The items of a body that lies elsewhere.
    pub(super) fn apart(phase: Phase) -> Pin<Box<Self>> {
        Box::pin(Self {
            body: None,
            ahead: Ahead::new(phase),
        })
    }

    pub(super) fn body(&self) -> Option<&B> {
        self.body.as_ref()
    }

    pub(super) fn body_mut(self: Pin<&mut Self>) -> Pin<&mut Option<B>> {
        self.project().body
    }

    pub(super) fn ahead(&self) -> &AheadOf<B> {
        &self.ahead
    }

    pub(super) fn ahead_mut(self: Pin<&mut Self>) -> &mut AheadOf<B> {
        self.project().ahead
    }

    /// Both at once.
    pub(super) fn parts(self: Pin<&mut Self>) -> (Pin<&mut Option<B>>, &mut AheadOf<B>) {
        let this = self.project();
        (this.body, this.ahead)
    }

    /// Whether nothing is left in it.
    pub(super) fn is_spent(&self) -> bool {
        self.body.is_none() && !self.ahead.is_pending()
    }
}
