//! Polls a tracked body: passes its frames on, and withholds what ends the response.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};

use super::error::BodyError;
use super::failure;
use super::kept::{Kept, Next};
use super::part::{Part, Polled};
use super::watch::Watch;
use super::{ResponseBody, State, has_ended};

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
        let State::Streaming(watch) = this.state else {
            return self.poll_unwatched(cx);
        };
        let entered = watch.drain.enter();
        let polled = match this.inner.as_mut().as_pin_mut() {
            Some(inner) => inner.poll_frame(cx),
            None => Poll::Ready(None),
        };
        // The item is used by reference: it may be large, and each move may copy it.
        let Poll::Ready(item) = &polled else {
            return Poll::Pending;
        };
        let part = Part::of(item, &mut watch.rest.length);
        let ended = part == Part::End || has_ended(this.inner.as_ref().as_pin_ref().as_deref());
        if ended {
            // Dropped before the wait, so that tasks that its destructor spawns are waited for.
            this.inner.set(None);
        }
        drop(entered);
        if ended && watch.drain.end_unused() {
            if watch.drain.is_empty() {
                // Nothing is left to drop. Without this the destructor would check each field.
                std::mem::forget(std::mem::replace(this.state, State::Done));
            } else {
                *this.state = State::Done;
            }
        } else if ended || part == Part::Last {
            return match polled {
                Poll::Ready(item) => self.poll_kept(Some((item, part)), cx),
                Poll::Pending => Poll::Pending,
            };
        }
        polled.map_err(BodyError::inner)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.state {
            // A body in this state has not passed its end on.
            State::Streaming(_) => false,
            State::Done => true,
            _ => self.has_passed_all(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let rest = match self.get_ref() {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        };
        match self.state.kept() {
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
    /// Polls a body that is not in [`State::Streaming`].
    #[inline]
    fn poll_unwatched(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<OuterItem<B>> {
        let this = self.as_mut().project();
        match this.state {
            State::Kept(kept) => {
                if let Some(frame) = kept.as_mut().take_only_frame() {
                    *this.state = State::Done;
                    return Poll::Ready(Some(Ok(frame)));
                }
                self.poll_kept(None, cx)
            }
            State::Passing => {
                let polled = match this.inner.as_pin_mut() {
                    Some(inner) => inner.poll_frame(cx),
                    None => Poll::Ready(None),
                };
                if let Poll::Ready(None) = &polled {
                    *this.state = State::Done;
                }
                polled.map_err(BodyError::inner)
            }
            State::Done => Poll::Ready(None),
            State::Streaming(_) | State::Failing(_) => self.poll_kept(None, cx),
        }
    }

    /// Returns whether nothing more is passed on. False while the end is watched.
    fn has_passed_all(&self) -> bool {
        match &self.state {
            State::Passing => has_ended(self.get_ref()),
            State::Kept(kept) => {
                !kept.is_watched() && !kept.ahead().has_items() && has_ended(self.get_ref())
            }
            State::Streaming(_) | State::Failing(_) => false,
            State::Done => true,
        }
    }

    /// Passes on kept items, and items that may end the response. `first`: an item that the inner body has just
    /// returned, which comes before a poll.
    #[inline(never)]
    fn poll_kept(
        self: Pin<&mut Self>,
        mut first: Option<InnerPart<B>>,
        cx: &mut Context<'_>,
    ) -> Poll<OuterItem<B>> {
        let mut this = self.project();
        loop {
            if let State::Failing(failing) = this.state {
                let item = ready!(failing.poll(cx));
                *this.state = State::Done;
                return Poll::Ready(item);
            }
            let (item, part) = match first.take() {
                Some(first) => first,
                None => ready!(poll_next(this.inner.as_mut(), this.state, cx)),
            };
            let has_more = this
                .state
                .kept()
                .is_some_and(|kept| kept.ahead().has_items());
            let body = this.inner.as_ref().get_ref().as_ref();
            let body = body.or_else(|| this.state.kept().and_then(Kept::body));
            let ended = part == Part::End || (!has_more && has_ended(body));
            let Some(Watch { drain, rest }) = this.state.watch_mut() else {
                if item.is_none() {
                    *this.state = State::Done;
                }
                return Poll::Ready(item.map(inner_error));
            };
            let grpc = rest.grpc;
            if !ended && part == Part::Last && drain.must_wait() {
                this.state.withhold(item, part);
                continue;
            }
            // A response that has failed must not reach its length. Over HTTP/2, a gRPC call may reach it: the failure
            // is reported in its trailers, and a status in the inner body's trailers must not be lost.
            let reports_later = grpc && !rest.is_http1;
            if ended || (part == Part::Last && !reports_later && drain.required_failed()) {
                drop_inner(this.inner.as_mut(), this.state);
                // A server drops a body that has ended, without another poll. So the request ends here, where that drop
                // can be distinguished from a disconnect.
                let watch = this.state.watch_mut();
                if watch.is_some_and(|watch| watch.drain.try_finish().is_err()) {
                    // A task was spawned since. Only an item that ends the response waits for it.
                    if part != Part::Middle {
                        this.state.withhold(item, part);
                        continue;
                    }
                } else if this.state.required_failed() {
                    let (item, reports) = failure::in_place_of(item, part, grpc);
                    if reports {
                        *this.state = State::Done;
                    } else {
                        this.state.fail(grpc);
                    }
                    if item.is_none() {
                        continue;
                    }
                    return Poll::Ready(item.map(inner_error));
                } else {
                    *this.state = State::Done;
                }
            } else if part == Part::Last {
                // The server has all of the data. It may drop the body, or poll it for trailers.
                drain.complete();
            }
            return Poll::Ready(item.map(inner_error));
        }
    }
}

/// An item that is passed on.
type OuterItem<B> = Polled<<B as Body>::Data, BodyError>;

/// An item of the inner body.
type InnerItem<B> = Polled<<B as Body>::Data, <B as Body>::Error>;

/// An item of the inner body, and its part of the response.
type InnerPart<B> = (InnerItem<B>, Part);

fn inner_error<D, E>(item: Result<Frame<D>, E>) -> Result<Frame<D>, BodyError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    item.map_err(BodyError::inner)
}

/// Returns the next item: the first kept one if there is one, and otherwise that of the inner body. If the kept item
/// ends the response, this waits for the tasks first.
fn poll_next<B: Body>(
    mut inner: Pin<&mut Option<B>>,
    state: &mut State<B>,
    cx: &mut Context<'_>,
) -> Poll<InnerPart<B>> {
    if let State::Kept(kept) = state {
        match kept.next() {
            Next::Passes if kept.ahead().is_error_next() => {
                // hyper discards its buffer if the error comes in the same poll.
                kept.as_mut().fail_next();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Next::Passes | Next::FailsNow => {}
            Next::Waits(part) => {
                let (body, ahead, watch) = kept.as_mut().parts();
                if let Some(Watch { drain, rest }) = watch {
                    // The body is in one of these two places.
                    let body = if inner.is_some() { inner } else { body };
                    // Before the check of the tasks: a destructor may end a task, or spawn one.
                    ahead.peek_past(body, rest.is_http1, drain, cx);
                    ready!(drain.poll_releasable(cx));
                }
                let Some(item) = state.pop() else {
                    unreachable!("an item is withheld")
                };
                return Poll::Ready((item, part));
            }
        }
    }
    let item = match state.pop() {
        Some(item) => item,
        None => ready!(poll_inner(inner.as_mut(), state, cx)),
    };
    let length = match state.watch_mut() {
        Some(watch) => &mut watch.rest.length,
        None => &mut None,
    };
    let part = Part::of(&item, length);
    Poll::Ready((item, part))
}

/// Polls the inner body in the request's context. The body is in `inner` or in `state`.
fn poll_inner<B: Body>(
    inner: Pin<&mut Option<B>>,
    state: &mut State<B>,
    cx: &mut Context<'_>,
) -> Poll<InnerItem<B>> {
    let (kept, watch) = match state {
        State::Kept(kept) => {
            let (body, _, watch) = kept.as_mut().parts();
            (body.as_pin_mut(), watch)
        }
        State::Streaming(watch) => (None, Some(watch)),
        State::Passing | State::Failing(_) | State::Done => (None, None),
    };
    let _entered = watch.map(|watch| watch.drain.enter());
    match inner.as_pin_mut().or(kept) {
        Some(body) => body.poll_frame(cx),
        None => Poll::Ready(None),
    }
}

/// Drops the inner body in the request's context, so that tasks that its destructor spawns are counted.
fn drop_inner<B: Body>(mut inner: Pin<&mut Option<B>>, state: &mut State<B>) {
    let (kept, watch) = match state {
        State::Kept(kept) => {
            let (body, _, watch) = kept.as_mut().parts();
            (body.is_some().then_some(body), watch)
        }
        State::Streaming(watch) => (None, Some(watch)),
        State::Passing | State::Failing(_) | State::Done => (None, None),
    };
    let Some(watch) = watch.filter(|_| kept.is_some() || inner.is_some()) else {
        return;
    };
    // The body's destructor may call `Tasks::deadline`, which must not return that of a drained window.
    watch.drain.close_drained();
    let entered = watch.drain.enter();
    if let Some(mut kept) = kept {
        kept.set(None);
    }
    inner.set(None);
    drop(entered);
    state.drop_spent();
}
