//! Items that were taken from the inner body, and are not passed on yet.

use std::fmt;
use std::pin::Pin;
use std::task::Context;

use http::response::Parts;
use http_body::{Body, Frame};
use pin_project_lite::pin_project;

use super::ahead::{Ahead, Peeked};
use super::part::{Part, Polled};
use super::watch::Watch;
use crate::drain::Drain;
use crate::drain::timer::Timer;
use crate::settings::AnswerSettings;

type AheadOf<B> = Ahead<<B as Body>::Data, <B as Body>::Error>;

pin_project! {
    /// Items that are not passed on yet. Beside them are the body that they were taken from, and the head of the
    /// response while that is held too.
    pub(crate) struct Kept<B>
    where
        B: Body,
    {
        // The inner body, if it was polled before the `ResponseBody` was in its final place. A body that was polled
        // must not move, so it stays here until it is dropped. `None` if the body is in the `ResponseBody`.
        #[pin]
        body: Option<B>,
        ahead: AheadOf<B>,
        next: Next,
        // `None` if the end is not watched, or not yet.
        watch: Option<Watch>,
        // `Some` while the answer is a `Whole`.
        head: Option<Head>,
    }
}

/// What happens to the first item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The item may be passed on. If it is an error, the server gets a turn before.
    Passes,
    /// The item is an error, and may be passed on: the server has had its turn.
    FailsNow,
    /// The item ends the response, and is withheld until the tasks are done.
    Waits(Part),
}

/// The head of an answer whose body is complete, and its settings.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) parts: Parts,
    pub(crate) settings: AnswerSettings,
    /// The length of the body.
    pub(crate) length: u64,
    /// The timer for the deadline of the hold.
    pub(crate) timer: Timer,
}

impl<B: Body> Kept<B> {
    /// Returns a box around a body that is about to be polled.
    pub(super) fn around(body: B) -> Pin<Box<Self>> {
        let mut kept = Self::apart();
        kept.as_mut().body_mut().set(Some(body));
        kept
    }

    /// Returns a box around a body that is about to be polled, and the head of its response.
    #[inline]
    pub(crate) fn with_head(
        body: B,
        parts: Parts,
        settings: AnswerSettings,
        length: u64,
    ) -> Pin<Box<Self>> {
        // The box is filled in place, because the parts are large and each move may copy them.
        let mut kept = Self::apart();
        let mut this = kept.as_mut().project();
        this.body.set(Some(body));
        *this.head = Some(Head {
            parts,
            settings,
            length,
            timer: Timer::default(),
        });
        kept
    }

    #[inline]
    pub(crate) fn take_head(self: Pin<&mut Self>) -> Option<Head> {
        self.project().head.take()
    }

    #[inline]
    pub(crate) fn head_mut(self: Pin<&mut Self>) -> Option<&mut Head> {
        self.project().head.as_mut()
    }

    /// Polls the body for its first frame: see [`ResponseBody::peek`](super::ResponseBody::peek).
    #[inline]
    pub(crate) fn peek(
        self: Pin<&mut Self>,
        length: u64,
        is_http1: bool,
        drain: &mut Drain,
        cx: &mut Context<'_>,
    ) -> Peeked {
        let this = self.project();
        this.ahead.peek(this.body, length, is_http1, drain, cx)
    }

    /// Returns an empty box, for the items of a body that is in its `ResponseBody`.
    #[inline(always)]
    pub(super) fn apart() -> Pin<Box<Self>> {
        // `Box::default` writes the value into the box. `Box::new` may copy it there.
        Box::into_pin(Box::default())
    }

    /// Returns an empty box with the watch on the end of a body that is in its `ResponseBody`.
    pub(super) fn watched(watch: Watch) -> Pin<Box<Self>> {
        let mut kept = Self::apart();
        *kept.as_mut().watch_mut() = Some(watch);
        kept
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

    #[inline]
    pub(super) fn watch_mut(self: Pin<&mut Self>) -> &mut Option<Watch> {
        self.project().watch
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    pub(super) fn next(&self) -> Next {
        self.next
    }

    /// Marks that the server gets its turn before the first item, which is an error.
    pub(super) fn fail_next(self: Pin<&mut Self>) {
        *self.project().next = Next::FailsNow;
    }

    /// Takes the first item, if there is one.
    pub(super) fn pop(self: Pin<&mut Self>) -> Option<Polled<B::Data, B::Error>> {
        let this = self.project();
        *this.next = Next::Passes;
        this.ahead.pop()
    }

    /// Withholds an item that ends the response, in front of the others.
    pub(super) fn withhold(self: Pin<&mut Self>, item: Polled<B::Data, B::Error>, part: Part) {
        let this = self.project();
        *this.next = Next::Waits(part);
        this.ahead.withhold(item, part);
    }

    /// Returns the body, the items that were taken from it, and the watch.
    pub(super) fn parts(
        self: Pin<&mut Self>,
    ) -> (Pin<&mut Option<B>>, &mut AheadOf<B>, Option<&mut Watch>) {
        let this = self.project();
        (this.body, this.ahead, this.watch.as_mut())
    }

    /// Returns whether one frame is all that is left: there is no body, and no end to pass on.
    #[inline]
    pub(crate) fn is_only_frame(&self) -> bool {
        self.body.is_none() && self.ahead.is_only_frame()
    }

    /// Takes the frame that is all that is left, if it may be passed on at once. This is the ordinary case.
    #[inline]
    pub(super) fn take_only_frame(self: Pin<&mut Self>) -> Option<Frame<B::Data>> {
        let this = self.project();
        if this.body.is_some() || this.watch.is_some() || *this.next != Next::Passes {
            return None;
        }
        this.ahead.take_only_frame()
    }

    /// Returns whether there is neither a body nor an item.
    pub(super) fn is_spent(&self) -> bool {
        self.body.is_none() && !self.ahead.has_items()
    }
}

impl<B: Body> fmt::Debug for Kept<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("next", &self.next)
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}

impl<B: Body> Default for Kept<B> {
    #[inline(always)]
    fn default() -> Self {
        Self {
            body: None,
            ahead: Ahead::default(),
            next: Next::Passes,
            watch: None,
            head: None,
        }
    }
}
