//! A body of any kind, and tasks that wait for its drop.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::LastWords;

/// What the body does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Data(&'static str),
    /// The field `cost: 7`.
    Trailers,
    Fail,
    /// Nothing yet: it wakes the reader for the next act.
    Turn,
    /// Nothing, for ever.
    Stall,
}

/// A body that copies its data into a channel, and closes that when it is dropped. It panics when it is polled
/// after its end.
pub(crate) struct Play {
    acts: VecDeque<Act>,
    hint: Option<u64>,
    shows_its_end: bool,
    has_ended: bool,
    polls: Arc<AtomicUsize>,
    copies: Copies,
    _last_words: Option<LastWords<Box<dyn FnOnce() + Send + Sync>>>,
}

type Copies = mpsc::UnboundedSender<Bytes>;

/// The other end of the channel.
pub(crate) type Copied = mpsc::UnboundedReceiver<Bytes>;

impl Play {
    pub(crate) fn new(acts: &[Act]) -> (Self, Copied) {
        let (copies, copied) = mpsc::unbounded_channel();
        let play = Self {
            acts: acts.iter().copied().collect(),
            hint: None,
            shows_its_end: false,
            has_ended: false,
            polls: Arc::default(),
            copies,
            _last_words: None,
        };
        (play, copied)
    }

    /// It has an exact `size_hint`: of this length, less what it has given.
    pub(crate) fn hints(mut self, length: u64) -> Self {
        self.hint = Some(length);
        self
    }

    /// With its last data its `is_end_stream` is true.
    pub(crate) fn shows_its_end(mut self) -> Self {
        self.shows_its_end = true;
        self
    }

    /// It does this when it is dropped.
    pub(crate) fn at_drop(mut self, say: impl FnOnce() + Send + Sync + 'static) -> Self {
        self._last_words = Some(LastWords::new(Box::new(say)));
        self
    }

    /// How often it was polled.
    pub(crate) fn polls(&self) -> Arc<AtomicUsize> {
        self.polls.clone()
    }
}

impl Body for Play {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        assert!(!self.has_ended, "polled after its end");
        self.polls.fetch_add(1, Ordering::SeqCst);
        let act = self.acts.pop_front();
        self.has_ended = matches!(act, None | Some(Act::Trailers | Act::Fail));
        Poll::Ready(match act {
            None => None,
            Some(Act::Data(data)) => {
                self.hint = self.hint.map(|left| left.saturating_sub(data.len() as u64));
                // The task that reads them may have ended before.
                let _ = self.copies.send(Bytes::from(data));
                Some(Ok(Frame::data(Bytes::from(data))))
            }
            Some(Act::Trailers) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("cost", HeaderValue::from_static("7"));
                Some(Ok(Frame::trailers(trailers)))
            }
            Some(Act::Fail) => Some(Err("broken")),
            Some(Act::Turn) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Act::Stall) => {
                self.acts.push_front(Act::Stall);
                return Poll::Pending;
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.shows_its_end && self.acts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Reads until the body is dropped, and gives the number of bytes.
pub(crate) async fn read_all(mut copied: Copied) -> usize {
    let mut bytes = 0;
    while let Some(copy) = copied.recv().await {
        bytes += copy.len();
    }
    bytes
}
