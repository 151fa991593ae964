//! Polls a body before the server does. So a body that the server would not poll again can be dropped before a wait.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::part::{Part, Polled, data_len};
use crate::drain::Drain;

/// The most frames that are taken ahead after a body has reached its length. Before its end it may return empty frames.
const MAX_EMPTY: usize = 16;

/// Items that were taken from the inner body, and are not passed on yet.
pub(super) struct Ahead<D, E> {
    /// The first item. It has a field of its own, because there is rarely more than one.
    first: Option<Polled<D, E>>,
    /// `Some` if there are more items, or a `size_hint` to restore. Both are rare.
    more: Option<Box<More<D, E>>>,
    position: Position,
}

struct More<D, E> {
    /// The items after the first, in their order.
    rest: Vec<Polled<D, E>>,
    /// The `size_hint` from before the first item was taken, until that item is passed on. Without it, the hint of a
    /// body whose length was not exact could become exact. `None` if the length was exact and the items are the last.
    before: Option<SizeHint>,
}

/// The position of the body relative to its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// It has not reached its length.
    Below,
    /// It has reached its length, and the next peek polls it.
    At,
    /// It was polled after its length, and is not polled again before its items are passed on.
    Past,
}

/// The result of a peek at a body of known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peeked {
    /// All data was taken: the length is reached, or the body's `is_end_stream` is true.
    Whole,
    /// A part of the data was taken; or the end, trailers or an error came in place of data.
    Part,
    /// The body is pending.
    Pending,
}

impl<D: Buf, E> Ahead<D, E> {
    pub(super) fn has_items(&self) -> bool {
        self.first.is_some()
    }

    /// Returns whether the first item is an error.
    pub(super) fn is_error_next(&self) -> bool {
        matches!(self.first, Some(Some(Err(_))))
    }

    /// Returns whether an end is among the items: `None`, an error or trailers.
    pub(super) fn has_end(&self) -> bool {
        self.items().any(is_end)
    }

    pub(super) fn has_reached_length(&self) -> bool {
        self.position != Position::Below
    }

    /// Takes the first item. The caller passes it on, or withholds it.
    pub(super) fn pop(&mut self) -> Option<Polled<D, E>> {
        let mut next = None;
        if let Some(more) = &mut self.more {
            more.before = None;
            next = (!more.rest.is_empty()).then(|| more.rest.remove(0));
        }
        std::mem::replace(&mut self.first, next)
    }

    #[inline]
    pub(super) fn is_only_frame(&self) -> bool {
        self.more.is_none() && matches!(self.first, Some(Some(Ok(_))))
    }

    /// Takes the first item, if it is a frame and the only one.
    #[inline]
    pub(super) fn take_only_frame(&mut self) -> Option<Frame<D>> {
        if self.more.is_some() {
            return None;
        }
        match self.first.take() {
            Some(Some(Ok(frame))) => Some(frame),
            other => {
                self.first = other;
                None
            }
        }
    }

    /// Puts an item back in front of the others.
    pub(super) fn withhold(&mut self, item: Polled<D, E>, part: Part) {
        if let Some(next) = self.first.replace(item) {
            self.more().rest.insert(0, next);
        }
        if part == Part::Last && self.position == Position::Below {
            self.position = Position::At;
        }
    }

    /// Drops all items, and returns the trailers if there are some.
    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        let rest = self
            .more
            .as_mut()
            .map(|more| std::mem::take(&mut more.rest));
        let items = self
            .first
            .take()
            .into_iter()
            .chain(rest.into_iter().flatten());
        let mut frames = items.filter_map(|item| item?.ok());
        frames.find_map(|frame| frame.into_trailers().ok())
    }

    /// Returns the `size_hint` of the items and of what follows them. `body`: the hint of the inner body.
    // `SizeHint` is not `Copy` before http-body 1.1.
    #[allow(clippy::clone_on_copy)]
    pub(super) fn size_hint(&self, body: &SizeHint) -> SizeHint {
        if let Some(before) = self.more.as_ref().and_then(|more| more.before.as_ref()) {
            return before.clone();
        }
        let kept = self.items().map(bytes).fold(0, u64::saturating_add);
        let mut hint = SizeHint::new();
        // The upper bound is set first, because `set_lower` panics if the lower bound is above it.
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(kept));
        }
        hint.set_lower(body.lower().saturating_add(kept));
        hint
    }

    /// Polls a body of this length for its first frame, in the request's context. Drops it if the server would not poll
    /// it again.
    // `SizeHint` is not `Copy` before http-body 1.1.
    #[allow(clippy::clone_on_copy)]
    pub(super) fn peek<B>(
        &mut self,
        mut body: Pin<&mut Option<B>>,
        length: u64,
        is_http1: bool,
        drain: &mut Drain,
        cx: &mut Context<'_>,
    ) -> Peeked
    where
        B: Body<Data = D, Error = E>,
    {
        if self.has_reached_length() {
            self.peek_past(body, is_http1, drain, cx);
            return Peeked::Whole;
        }
        if self.has_items() {
            return Peeked::Part;
        }
        let before = body.as_ref().as_pin_ref().map(|body| body.size_hint());
        if length > 0 {
            let _entered = drain.enter();
            let Some(polled) = body.as_mut().as_pin_mut().map(|body| body.poll_frame(cx)) else {
                return Peeked::Whole;
            };
            let Poll::Ready(item) = polled else {
                return Peeked::Pending;
            };
            let (item_ends, len) = (is_end(&item), bytes(&item));
            self.first = Some(item);
            let ends = item_ends || has_ended(body.as_ref());
            if ends {
                body.set(None);
            }
            let is_exact = || before.as_ref().and_then(SizeHint::exact) == Some(len);
            if item_ends || !ends || !is_exact() {
                self.more().before = before.clone();
            }
            if ends || len < length {
                return if item_ends || !ends {
                    Peeked::Part
                } else {
                    Peeked::Whole
                };
            }
        }
        self.position = Position::At;
        self.peek_past(body, is_http1, drain, cx);
        if self.has_items() {
            self.more().before = before;
        }
        Peeked::Whole
    }

    /// Polls a body that has reached its length, in the request's context. Items that it returns are kept, and it is
    /// dropped once it has ended. If it is pending:
    ///
    /// * in HTTP/1 it is dropped, because the server would drop it there without another poll;
    /// * in HTTP/2 it is polled again at each peek, because the server waits for its end.
    pub(super) fn peek_past<B>(
        &mut self,
        mut body: Pin<&mut Option<B>>,
        is_http1: bool,
        drain: &mut Drain,
        cx: &mut Context<'_>,
    ) where
        B: Body<Data = D, Error = E>,
    {
        if self.position != Position::At {
            return;
        }
        let _entered = drain.enter();
        if self.read_past(body.as_mut(), is_http1, cx) {
            body.set(None);
        }
    }

    /// Returns whether the body is not polled again, so that it can be dropped.
    fn read_past<B>(
        &mut self,
        mut body: Pin<&mut Option<B>>,
        is_http1: bool,
        cx: &mut Context<'_>,
    ) -> bool
    where
        B: Body<Data = D, Error = E>,
    {
        self.position = Position::Past;
        for _ in 0..MAX_EMPTY {
            if has_ended(body.as_ref()) {
                return true;
            }
            let polled = body.as_mut().as_pin_mut().map(|body| body.poll_frame(cx));
            let item = match polled {
                Some(Poll::Ready(item)) => item,
                Some(Poll::Pending) if !is_http1 => {
                    self.position = Position::At;
                    return false;
                }
                Some(Poll::Pending) | None => return true,
            };
            let (ends, len) = (is_end(&item), bytes(&item));
            // An HTTP/1 server would not poll for an error there.
            if !is_http1 || !matches!(item, Some(Err(_))) {
                self.push(item);
            }
            if ends || len > 0 {
                return ends || has_ended(body.as_ref());
            }
        }
        // An HTTP/1 server would not poll for more empty frames either.
        is_http1
    }

    fn push(&mut self, item: Polled<D, E>) {
        match self.first {
            None => self.first = Some(item),
            Some(_) => self.more().rest.push(item),
        }
    }

    fn items(&self) -> impl Iterator<Item = &Polled<D, E>> {
        let rest = self.more.iter().flat_map(|more| &more.rest);
        self.first.iter().chain(rest)
    }

    #[cold]
    fn more(&mut self) -> &mut More<D, E> {
        self.more.get_or_insert_with(|| {
            Box::new(More {
                rest: Vec::new(),
                before: None,
            })
        })
    }
}

impl<D, E> Default for Ahead<D, E> {
    #[inline(always)]
    fn default() -> Self {
        Self {
            first: None,
            more: None,
            position: Position::Below,
        }
    }
}

/// Returns whether there is no body, or its `is_end_stream` is true.
fn has_ended<B: Body>(body: Pin<&Option<B>>) -> bool {
    body.as_pin_ref().is_none_or(|body| body.is_end_stream())
}

fn is_end<D: Buf, E>(item: &Polled<D, E>) -> bool {
    Part::of(item, &mut None) == Part::End
}

/// Returns the number of data bytes in an item.
fn bytes<D: Buf, E>(item: &Polled<D, E>) -> u64 {
    match item {
        Some(Ok(frame)) => data_len(frame).unwrap_or(0),
        None | Some(Err(_)) => 0,
    }
}
