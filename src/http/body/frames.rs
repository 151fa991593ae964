//! Frame by frame: what passes, and what is withheld.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};

use super::ahead::Phase;
use super::error::BodyError;
use super::failure;
use super::kept::Kept;
use super::part::{Part, Polled};
use super::{ResponseBody, drop_inner, has_ended};
use crate::drain::Drain;

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = BodyError;

    #[inline]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.as_mut().project();
        if *this.done {
            return Poll::Ready(None);
        }
        if let Some(kept) = this.kept {
            if this.drain.is_none() {
                if let Some(frame) = kept.as_mut().take_only_frame() {
                    *this.kept = None;
                    return Poll::Ready(Some(Ok(frame)));
                }
            }
            return self.poll_kept(None, cx);
        }
        let entered = this.drain.as_mut().map(Drain::enter);
        let is_watched = entered.is_some();
        let polled = match this.inner.as_mut().as_pin_mut() {
            Some(inner) => inner.poll_frame(cx),
            None => Poll::Ready(None),
        };
        // Looked at where it lies, as the response is before.
        let Poll::Ready(item) = &polled else {
            return Poll::Pending;
        };
        let part = Part::of(item, this.length);
        let ended = part == Part::End || has_ended(this.inner.as_ref().as_pin_ref().as_deref());
        if ended && is_watched {
            // What its destructor spawns is waited for.
            this.inner.set(None);
        }
        drop(entered);
        if !is_watched {
            *this.done = item.is_none();
            return polled.map_err(BodyError::inner);
        }
        if ended && Drain::give_back_unused(this.drain) {
            *this.done = true;
        } else if ended || part == Part::Last {
            return match polled {
                Poll::Ready(item) => self.poll_kept(Some((item, part)), cx),
                Poll::Pending => Poll::Pending,
            };
        }
        polled.map_err(BodyError::inner)
    }

    fn is_end_stream(&self) -> bool {
        // While the end is watched, or something is kept, it has not come.
        self.drain.is_none()
            && !self
                .kept
                .as_ref()
                .is_some_and(|kept| kept.ahead().is_pending())
            && (self.done || has_ended(self.get_ref()))
    }

    fn size_hint(&self) -> SizeHint {
        let rest = match self.get_ref() {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        };
        match &self.kept {
            Some(kept) => kept.ahead().size_hint(&rest),
            None => rest,
        }
    }
}

impl<B> ResponseBody<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Passes on what may end the response, and what was kept. `taken`: just now, from the inner body.
    #[inline(never)]
    fn poll_kept(
        self: Pin<&mut Self>,
        mut taken: Option<Taken<B>>,
        cx: &mut Context<'_>,
    ) -> Poll<Passed<B>> {
        let mut this = self.project();
        loop {
            let (item, part) = match taken.take() {
                Some(taken) => taken,
                None => {
                    let phase = this.kept.as_ref().map(|kept| kept.ahead().phase());
                    match phase.unwrap_or(Phase::Ahead) {
                        Phase::Ahead if is_error_next(this.kept) => {
                            // hyper discards what it has buffered if the error comes in the same poll.
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        Phase::Ahead | Phase::Error => {
                            let item = match pop(this.kept) {
                                Some(item) => item,
                                None => ready!(poll_inner(
                                    this.inner.as_mut(),
                                    this.kept,
                                    this.drain,
                                    cx
                                )),
                            };
                            let part = Part::of(&item, this.length);
                            (item, part)
                        }
                        Phase::Withheld(part) => {
                            if let Some(drain) = &mut *this.drain {
                                // Before the look at the tasks: what is dropped may end one, or spawn one.
                                look_past(
                                    this.inner.as_mut(),
                                    this.kept,
                                    *this.is_http1,
                                    drain,
                                    cx,
                                );
                                ready!(drain.poll_free(cx));
                            }
                            match pop(this.kept) {
                                Some(item) => (item, part),
                                None => unreachable!("an item is withheld"),
                            }
                        }
                        Phase::Failure { waited } => {
                            let mut ahead =
                                this.kept.as_mut().map(|kept| kept.as_mut().ahead_mut());
                            let trailers = ahead.as_mut().and_then(|ahead| ahead.take_trailers());
                            let end = failure::end(*this.grpc, trailers);
                            if let (true, false, Some(ahead)) = (end.is_err(), waited, ahead) {
                                // hyper discards what it has buffered if the error comes in the same poll.
                                ahead.set_phase(Phase::Failure { waited: true });
                                cx.waker().wake_by_ref();
                                return Poll::Pending;
                            }
                            *this.kept = None;
                            *this.done = true;
                            return Poll::Ready(Some(end));
                        }
                    }
                }
            };
            let Some(drain) = this.drain else {
                *this.done = item.is_none();
                return Poll::Ready(item.map(inner_error));
            };
            let is_alone = !this
                .kept
                .as_ref()
                .is_some_and(|kept| kept.ahead().has_items());
            let body = body_of(this.inner.as_ref(), this.kept.as_ref());
            let ended = part == Part::End || (is_alone && has_ended(body));
            if !ended && part == Part::Last && drain.must_wait() {
                withhold(this.kept, item, part);
                continue;
            }
            // A response that has failed must not reach its length. A gRPC call over HTTP/2 reports that in its
            // trailers, whose own status must not be lost.
            let reports_later = *this.grpc && !*this.is_http1;
            if ended || (part == Part::Last && !reports_later && drain.required_failed()) {
                drop_inner(this.inner.as_mut(), this.kept, drain);
                // A server that sees an end after a frame drops the body there: only here can its
                // drop be told from an end.
                if drain.try_finish().is_ok() {
                    let failed = drain.required_failed();
                    *this.drain = None;
                    if failed {
                        let (item, told) = failure::in_place_of(item, part, *this.grpc);
                        *this.done = told;
                        if told {
                            *this.kept = None;
                        } else {
                            let new = || Kept::apart(Phase::Ahead);
                            this.kept
                                .get_or_insert_with(new)
                                .as_mut()
                                .ahead_mut()
                                .fail();
                        }
                        if item.is_none() {
                            continue;
                        }
                        return Poll::Ready(item.map(inner_error));
                    }
                    *this.done = true;
                } else if part != Part::Middle {
                    withhold(this.kept, item, part);
                    continue;
                }
            } else if part == Part::Last {
                // The server has all it needs. It may drop the body, or ask on for trailers.
                drain.complete();
            }
            return Poll::Ready(item.map(inner_error));
        }
    }
}

/// What is passed on.
type Passed<B> = Polled<<B as Body>::Data, BodyError>;

/// What comes from the inner body.
type Given<B> = Polled<<B as Body>::Data, <B as Body>::Error>;

/// What came from the inner body, and what part of the response it is.
type Taken<B> = (Given<B>, Part);

type KeptBox<B> = Option<Pin<Box<Kept<B>>>>;

fn inner_error<D, E>(item: Result<Frame<D>, E>) -> Result<Frame<D>, BodyError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    item.map_err(BodyError::inner)
}

/// Whether an error comes next, before which the server has to have a turn; from now on it has.
fn is_error_next<B: Body>(kept: &mut KeptBox<B>) -> bool {
    let ahead = kept.as_mut().map(|kept| kept.as_mut().ahead_mut());
    let Some(ahead) = ahead.filter(|ahead| ahead.is_error_next()) else {
        return false;
    };
    ahead.set_phase(Phase::Error);
    true
}

/// Takes the first item that is kept, if there is one.
fn pop<B: Body>(kept: &mut KeptBox<B>) -> Option<Given<B>> {
    let item = kept.as_mut()?.as_mut().ahead_mut().pop();
    if kept.as_ref().is_some_and(|kept| kept.is_spent()) {
        *kept = None;
    }
    item
}

fn withhold<B: Body>(kept: &mut KeptBox<B>, item: Given<B>, part: Part) {
    let kept = kept.get_or_insert_with(|| Kept::apart(Phase::Ahead));
    kept.as_mut().ahead_mut().withhold(item, part);
}

/// Polls the inner body, wherever it lies, in the request's context.
fn poll_inner<B: Body>(
    inner: Pin<&mut Option<B>>,
    kept: &mut KeptBox<B>,
    drain: &mut Option<Drain>,
    cx: &mut Context<'_>,
) -> Poll<Given<B>> {
    let _entered = drain.as_mut().map(Drain::enter);
    let kept = kept.as_mut().map(|kept| kept.as_mut().body_mut());
    let kept = kept.and_then(Option::as_pin_mut);
    match inner.as_pin_mut().or(kept) {
        Some(body) => body.poll_frame(cx),
        None => Poll::Ready(None),
    }
}

fn look_past<B: Body>(
    inner: Pin<&mut Option<B>>,
    kept: &mut KeptBox<B>,
    is_http1: bool,
    drain: &mut Drain,
    cx: &mut Context<'_>,
) {
    if let Some(kept) = kept {
        let (body, ahead) = kept.as_mut().parts();
        // It lies in one of the two.
        let body = if inner.is_some() { inner } else { body };
        ahead.look_past(body, is_http1, drain, cx);
    }
}

fn body_of<'a, B: Body>(
    inner: Pin<&'a Option<B>>,
    kept: Option<&'a Pin<Box<Kept<B>>>>,
) -> Option<&'a B> {
    let kept = || kept.and_then(|kept| kept.body());
    inner.get_ref().as_ref().or_else(kept)
}
