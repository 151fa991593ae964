//! A body whose frames and hints the test sets.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::after;

/// A body that gives its frames one by one, and panics when it is polled after its end.
pub(crate) struct Frames {
    frames: VecDeque<Bytes>,
    shows_its_end: bool,
    hint: Option<u64>,
    spawns_at_drop: Option<u64>,
    ended: bool,
}

impl Frames {
    pub(crate) fn new<const N: usize>(frames: [&'static str; N]) -> Self {
        Self {
            frames: frames.into_iter().map(Bytes::from).collect(),
            shows_its_end: false,
            hint: None,
            spawns_at_drop: None,
            ended: false,
        }
    }

    /// With its last frame it shows that it is at its end.
    pub(crate) fn shows_its_end(mut self) -> Self {
        self.shows_its_end = true;
        self
    }

    /// It has this exact length as its hint, whatever was read of it.
    pub(crate) fn always_hints(mut self, length: u64) -> Self {
        self.hint = Some(length);
        self
    }

    /// When it is dropped it spawns a task that takes so many milliseconds.
    pub(crate) fn spawns_at_drop(mut self, millis: u64) -> Self {
        self.spawns_at_drop = Some(millis);
        self
    }

    pub(crate) fn left(&self) -> usize {
        self.frames.len()
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        assert!(!self.ended, "polled after its end");
        let data = self.frames.pop_front();
        self.ended = data.is_none();
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.shows_its_end && self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some(millis) = self.spawns_at_drop {
            tower_task_tracker::named("last will").spawn(after(millis));
        }
    }
}
