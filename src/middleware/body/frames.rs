//! Frame by frame: what passes, and what is withheld.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};

use super::error::BodyError;
use super::failure;
use super::part::{Kept, Part, Polled, data_len};
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
        if this.kept.is_some() {
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
        let ended = part == Part::End || has_ended(&this.inner);
        if ended && is_watched {
            // What its destructor spawns is waited for.
            this.inner.set(None);
        }
        drop(entered);
        let Some(drain) = this.drain else {
            *this.done = item.is_none();
            return polled.map_err(BodyError::inner);
        };
        if ended && drain.finish_unused() {
            *this.drain = None;
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
            && self.kept.is_none()
            && (self.done || self.inner.as_ref().is_none_or(Body::is_end_stream))
    }

    fn size_hint(&self) -> SizeHint {
        self.rest_hint()
    }
}

impl<B: Body> ResponseBody<B> {
    /// What is still to come: what is kept, and the rest of the inner body.
    pub(super) fn rest_hint(&self) -> SizeHint {
        let mut hint = match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        };
        match self.kept.as_deref() {
            Some(Kept::Withheld(Some(Ok(frame)), _)) => {
                let kept = data_len(frame).unwrap_or(0);
                let lower = hint.lower().saturating_add(kept);
                // The upper bound goes first: the hint panics if the lower one passes it.
                if let Some(upper) = hint.upper() {
                    hint.set_upper(upper.saturating_add(kept));
                }
                hint.set_lower(lower);
            }
            None | Some(Kept::Withheld(..) | Kept::Failure { .. }) => {}
        }
        hint
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
            let kept = match taken.take() {
                Some((item, part)) => Kept::Withheld(item, part),
                None => {
                    if let (Some(Kept::Withheld(..)), Some(drain)) =
                        (this.kept.as_deref(), &mut *this.drain)
                    {
                        ready!(drain.poll_drained(cx));
                    }
                    match this.kept.take() {
                        Some(kept) => *kept,
                        None => unreachable!("something is kept, or was taken"),
                    }
                }
            };
            let (item, part) = match kept {
                Kept::Withheld(item, part) => (item, part),
                Kept::Failure { waited } => {
                    let end = failure::end(*this.grpc);
                    if end.is_err() && !waited {
                        // hyper discards what it has buffered if the error comes in the same poll.
                        *this.kept = Some(Box::new(Kept::Failure { waited: true }));
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    *this.done = true;
                    return Poll::Ready(Some(end));
                }
            };
            let Some(drain) = this.drain else {
                *this.done = item.is_none();
                return Poll::Ready(item.map(inner_error));
            };
            let ended = part == Part::End || has_ended(&this.inner);
            if !ended && part == Part::Last && drain.must_wait() {
                *this.kept = Some(Box::new(Kept::Withheld(item, part)));
                continue;
            }
            // A response that has failed must not reach its length.
            if ended || (part == Part::Last && drain.required_failed()) {
                drop_inner(this.inner.as_mut(), drain);
                // A server that sees an end after a frame drops the body there: only here can its
                // drop be told from an end.
                if drain.try_finish().is_ok() {
                    let failed = drain.required_failed();
                    *this.drain = None;
                    if failed {
                        let (item, told) = failure::in_place_of(item, part, *this.grpc);
                        *this.done = told;
                        if !told {
                            *this.kept = Some(Box::new(Kept::Failure { waited: false }));
                        }
                        if item.is_none() {
                            continue;
                        }
                        return Poll::Ready(item.map(inner_error));
                    }
                    *this.done = true;
                } else if part != Part::Middle {
                    *this.kept = Some(Box::new(Kept::Withheld(item, part)));
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

/// What came from the inner body, and what part of the response it is.
type Taken<B> = (Polled<<B as Body>::Data, <B as Body>::Error>, Part);

fn inner_error<D, E>(item: Result<Frame<D>, E>) -> Result<Frame<D>, BodyError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    item.map_err(BodyError::inner)
}
