//! Frame by frame: what passes, and what is withheld.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};

use super::error::BodyError;
use super::part::{Kept, Part, data_len};
use super::{ResponseBody, drop_inner, has_ended};
use crate::drain::Drain;

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = BodyError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        loop {
            let (item, part) = match std::mem::replace(this.kept, Kept::Nothing) {
                Kept::Withheld(item, part) => {
                    if let Some(drain) = this.drain {
                        if drain.poll_drained(cx).is_pending() {
                            *this.kept = Kept::Withheld(item, part);
                            return Poll::Pending;
                        }
                    }
                    (item, part)
                }
                Kept::First(item, _) => Part::of(item, this.length),
                Kept::Nothing => {
                    let _entered = this.drain.as_mut().map(Drain::enter);
                    let item = match this.inner.as_mut().as_pin_mut() {
                        Some(inner) => ready!(inner.poll_frame(cx)),
                        None => None,
                    };
                    Part::of(item, this.length)
                }
            };
            let Some(drain) = this.drain else {
                *this.done = item.is_none();
                return Poll::Ready(item.map(inner_error));
            };
            if part == Part::End || has_ended(&this.inner) {
                drop_inner(this.inner.as_mut(), drain);
                // A server that sees an end after a frame drops the body there: only here can its
                // drop be told from an end.
                if drain.try_finish().is_ok() {
                    *this.done = true;
                    *this.drain = None;
                } else if part != Part::Middle {
                    *this.kept = Kept::Withheld(item, part);
                    continue;
                }
            } else if part == Part::Last {
                if drain.must_wait() {
                    *this.kept = Kept::Withheld(item, part);
                    continue;
                }
                // The server has all it needs. It may drop the body, or ask on for trailers.
                drain.complete();
            }
            return Poll::Ready(item.map(inner_error));
        }
    }

    fn is_end_stream(&self) -> bool {
        // While the end is watched, or something is kept, it has not come.
        self.drain.is_none()
            && matches!(self.kept, Kept::Nothing)
            && (self.done || self.inner_has_ended())
    }

    // A hint is `Copy` since http-body 1.1 only.
    #[allow(clippy::clone_on_copy)]
    fn size_hint(&self) -> SizeHint {
        let mut hint = match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        };
        match &self.kept {
            Kept::First(_, before) => hint = before.clone(),
            Kept::Withheld(Some(Ok(frame)), _) => {
                let kept = data_len(frame).unwrap_or(0);
                let lower = hint.lower().saturating_add(kept);
                // The upper bound goes first: the hint panics if the lower one passes it.
                if let Some(upper) = hint.upper() {
                    hint.set_upper(upper.saturating_add(kept));
                }
                hint.set_lower(lower);
            }
            Kept::Nothing | Kept::Withheld(..) => {}
        }
        hint
    }
}

fn inner_error<D, E>(item: Result<Frame<D>, E>) -> Result<Frame<D>, BodyError<E>> {
    item.map_err(BodyError::Inner)
}
