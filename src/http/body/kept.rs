//! What is taken from the inner body before it can be passed on.

use std::pin::Pin;
use std::task::Context;

use http::response::Parts;
use http_body::{Body, Frame};
use pin_project_lite::pin_project;

use super::ahead::{Ahead, Looked};
use crate::drain::Drain;
use crate::settings::AnswerSettings;

type AheadOf<B> = Ahead<<B as Body>::Data, <B as Body>::Error>;

pin_project! {
    /// Items that are still to be passed on, with the body that they were taken from, and the head of their response
    /// while that is held too.
    pub(crate) struct Kept<B>
    where
        B: Body,
    {
        // `Some` if it had to be polled before it came to its place: a body that was polled may not move,
        // and lies here until it is dropped. Otherwise it lies in the response body.
        #[pin]
        body: Option<B>,
        ahead: AheadOf<B>,
        // `Some` while the answer is a `Whole`.
        head: Option<Head>,
    }
}

/// The head of an answer that is there as a whole, and what was set for it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) parts: Parts,
    pub(crate) settings: AnswerSettings,
    /// The length of the body.
    pub(crate) length: u64,
}

impl<B: Body> Kept<B> {
    /// A body that is about to be polled.
    pub(super) fn around(body: B) -> Pin<Box<Self>> {
        Box::pin(Self {
            body: Some(body),
            ahead: Ahead::new(),
            head: None,
        })
    }

    /// A body that is about to be polled, and its head.
    #[inline]
    pub(crate) fn with_head(
        body: B,
        parts: Parts,
        settings: AnswerSettings,
        length: u64,
    ) -> Pin<Box<Self>> {
        // Filled in its place: the parts are large, and were copied twice.
        let mut kept = Self::apart();
        let mut this = kept.as_mut().project();
        this.body.set(Some(body));
        *this.head = Some(Head {
            parts,
            settings,
            length,
        });
        kept
    }

    #[inline]
    pub(crate) fn take_head(self: Pin<&mut Self>) -> Option<Head> {
        self.project().head.take()
    }

    /// Asks the body for its first frame: see [`ResponseBody::look`](super::ResponseBody::look).
    #[inline]
    pub(crate) fn look(
        self: Pin<&mut Self>,
        length: u64,
        is_http1: bool,
        drain: &mut Drain,
        cx: &mut Context<'_>,
    ) -> Looked {
        let this = self.project();
        this.ahead.look(this.body, length, is_http1, drain, cx)
    }

    /// The items of a body that lies elsewhere.
    #[inline(always)]
    pub(super) fn apart() -> Pin<Box<Self>> {
        Box::pin(Self {
            body: None,
            ahead: Ahead::new(),
            head: None,
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

    /// Whether a frame is all there is left: no end of the body is to be passed on.
    #[inline]
    pub(crate) fn is_only_frame(&self) -> bool {
        self.body.is_none() && self.ahead.is_only_frame()
    }

    /// Takes the frame that is all there is left: the ordinary case.
    #[inline]
    pub(super) fn take_only_frame(self: Pin<&mut Self>) -> Option<Frame<B::Data>> {
        let this = self.project();
        if this.body.is_some() {
            return None;
        }
        this.ahead.take_only_frame()
    }

    /// Whether nothing is left in it.
    pub(super) fn is_spent(&self) -> bool {
        self.body.is_none() && !self.ahead.has_items()
    }
}
