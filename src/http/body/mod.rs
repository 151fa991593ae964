//! The body of a tracked response.

mod ahead;
mod error;
mod failure;
mod frames;
mod kept;
mod part;

use std::fmt;
use std::pin::Pin;
use std::task::Context;

use http_body::Body;
use pin_project_lite::pin_project;

use crate::drain::Drain;

pub(crate) use self::ahead::Peeked;
pub use self::error::BodyError;
pub(crate) use self::error::REQUIRED_FAILED;
use self::failure::Failing;
pub(crate) use self::kept::{Head, Kept};
use self::part::{Part, Polled};

pin_project! {
    /// The body of a response that went through [`TaskTrackerService`](crate::TaskTrackerService).
    ///
    /// It passes every frame of the inner body on, in its order. What ends the response on the
    /// wire is kept back until the tasks of the request are done, or the drain window closes: the
    /// last data frame where the length is known, the trailers or the error where there are some,
    /// and otherwise the end mark. With no task alive, and nothing to be awaited
    /// ([`before_release`](crate::TaskTrackerLayer::before_release)), nothing is kept back.
    ///
    /// If a [`required`](crate::TaskBuilder::required) task has failed, the body ends with
    /// [`BodyError::RequiredFailed`], and where the length is known what would complete it is left out. An
    /// error of the inner body is passed on in its place, as [`BodyError::Inner`], and gRPC gets trailers with
    /// `grpc-status: 13`.
    ///
    /// It is a [`Body`] where the inner body's error turns into a boxed error, as every error and string does.
    ///
    /// While something is kept back, [`is_end_stream`](Body::is_end_stream) is false and
    /// [`size_hint`](Body::size_hint) counts it. Polled after the end mark, it says so again.
    ///
    /// Before a wait begins, the inner body is dropped if a server would not ask for more of it: then a task
    /// that waits for its end, or for its drop, does not wait for the response. This is so once the inner body
    /// has ended, and where no body follows the head. If its length is reached, it is polled once more; if
    /// nothing comes, it is dropped in HTTP/1, and polled on in HTTP/2.
    ///
    /// In an upgraded exchange the body is passed on as it is, outside of the request: a server does not ask
    /// for it.
    ///
    /// Its default is an empty body, which middleware such as tower-http's `Timeout` asks for.
    ///
    /// It is `Send` where the inner body, its data and its errors are: one of them may be kept back.
    ///
    /// There is no `into_inner`: what is kept back would be lost, and the end would not be held.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, it says that the client is gone:
    /// [`at_disconnect`](crate::TaskTrackerLayer::at_disconnect) applies.
    ///
    /// # Panics
    ///
    /// A wait on a runtime without time panics.
    pub struct ResponseBody<B>
    where
        B: Body,
    {
        // The inner body, unless it lies in the box of `State::Kept`: a body that was polled must not move. `None` once
        // it has ended: it is dropped at its end, so that what its destructor spawns is waited for.
        #[pin]
        inner: Option<B>,
        state: State<B>,
    }

    impl<B> PinnedDrop for ResponseBody<B>
    where
        B: Body,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.state.watch_mut().is_some() {
                this.state.drop_watched(this.inner);
            }
        }
    }
}

/// How far a response body is.
///
/// ```text
///   Passing ──▶ Done                    nothing is watched
///
///   Streaming ─▶ Kept ─▶ Streaming      an item may end the response: it is kept until the tasks are done
///       │          │
///       ├──────────┴───▶ Failing ─▶ Done   a required task has failed
///       └──────────────▶ Done              the end was passed on, and the request has ended
/// ```
enum State<B: Body> {
    /// The inner body is passed on, and its end is not watched: under an outer layer, or once everything was reported.
    Passing,
    /// The inner body is passed on until an item may end the response.
    Streaming(Watch),
    /// Items were taken from the inner body, or the body was polled, before the server asked for them. In a box: a body
    /// that is passed on at once does not pay for it.
    Kept(Pin<Box<Kept<B>>>),
    /// A required task has failed, and the next item reports it.
    Failing(Failing),
    /// The body has ended.
    Done,
}

/// The end of a response that is watched. Dropping it before the end means that the client has left.
pub(crate) struct Watch {
    pub(crate) drain: Drain,
    pub(crate) rest: Rest,
}

/// What is known of the rest of a response that is let go.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rest {
    /// What is still to come of a length that the server knows; `None` if it knows none, or once that is reached.
    pub(crate) length: Option<u64>,
    /// A failed task is reported in trailers.
    pub(crate) grpc: bool,
    /// The server drops a body that has reached its length.
    pub(crate) is_http1: bool,
}

impl<B: Body> ResponseBody<B> {
    /// A body that is passed through.
    pub(crate) fn new(body: B) -> Self {
        Self {
            inner: Some(body),
            state: State::Passing,
        }
    }

    /// A body of which something was taken before it is asked for.
    #[inline]
    pub(crate) fn of_kept(kept: Pin<Box<Kept<B>>>) -> Self {
        Self {
            inner: None,
            state: State::Kept(kept),
        }
    }

    /// A body whose end may be watched.
    #[inline]
    pub(crate) fn watched(body: B, watch: Option<Watch>) -> Self {
        Self {
            inner: Some(body),
            state: State::of_stream(watch),
        }
    }

    /// Polls a body of this length for its first frame, before its head is let go. With a length of zero, which is
    /// reached already, it is polled for what comes after.
    pub(crate) fn peek(
        &mut self,
        length: u64,
        is_http1: bool,
        drain: &mut Drain,
        cx: &mut Context<'_>,
    ) -> Peeked {
        // It was not polled yet, so it may still move.
        if let Some(body) = self.inner.take() {
            self.state = State::Kept(Kept::around(body));
        }
        let State::Kept(kept) = &mut self.state else {
            return Peeked::Whole;
        };
        let peeked = kept.as_mut().peek(length, is_http1, drain, cx);
        self.state.drop_spent();
        peeked
    }

    /// Drops the inner body, and whatever was taken from it.
    pub(crate) fn drop_all(&mut self, drain: &mut Drain) {
        let _entered = drain.enter();
        self.state = State::Passing;
        self.inner = None;
    }

    /// Whether the inner body has nothing more to give, and no end of it is to be passed on.
    pub(crate) fn inner_has_ended(&self) -> bool {
        let has_end = self.state.kept().is_some_and(|kept| kept.ahead().has_end());
        !has_end && self.get_ref().is_none_or(Body::is_end_stream)
    }

    /// Whether the inner body is there, and may have data to give.
    pub(crate) fn is_streaming(&self) -> bool {
        let kept = self.state.kept();
        self.get_ref().is_some() && kept.is_none_or(|kept| !kept.ahead().has_reached_length())
    }

    /// From now on the end is watched.
    pub(crate) fn watch(&mut self, drain: Drain, rest: Rest) {
        let new = Watch { drain, rest };
        match &mut self.state {
            State::Kept(kept) => *kept.as_mut().watch_mut() = Some(new),
            state => *state = State::Streaming(new),
        }
    }

    /// The inner body; `None` if there is none, or none any more.
    pub fn get_ref(&self) -> Option<&B> {
        let kept = || self.state.kept().and_then(|kept| kept.body());
        self.inner.as_ref().or_else(kept)
    }

    /// The inner body; `None` if there is none, or none any more. A frame taken from it directly
    /// is not held for.
    pub fn get_mut(&mut self) -> Option<&mut B>
    where
        B: Unpin,
    {
        Pin::new(self).get_pin_mut().map(Pin::get_mut)
    }

    /// The inner body, pinned; `None` if there is none, or none any more. A frame taken from it
    /// directly is not held for.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Option<Pin<&mut B>> {
        let this = self.project();
        this.inner.as_pin_mut().or_else(|| this.state.body_mut())
    }
}

impl<B: Body> State<B> {
    fn of_stream(watch: Option<Watch>) -> Self {
        match watch {
            Some(watch) => State::Streaming(watch),
            None => State::Passing,
        }
    }

    fn kept(&self) -> Option<&Kept<B>> {
        match self {
            State::Kept(kept) => Some(kept),
            _ => None,
        }
    }

    /// The inner body, if it lies in the box.
    fn body_mut(&mut self) -> Option<Pin<&mut B>> {
        match self {
            State::Kept(kept) => kept.as_mut().body_mut().as_pin_mut(),
            _ => None,
        }
    }

    #[inline]
    fn watch_mut(&mut self) -> Option<&mut Watch> {
        match self {
            State::Streaming(watch) => Some(watch),
            State::Kept(kept) => kept.as_mut().watch_mut().as_mut(),
            State::Passing | State::Failing(_) | State::Done => None,
        }
    }

    /// Whether a required task of the watched request has failed.
    fn required_failed(&mut self) -> bool {
        self.watch_mut()
            .is_some_and(|watch| watch.drain.required_failed())
    }

    /// Drops the box once nothing is left in it.
    fn drop_spent(&mut self) {
        if let State::Kept(kept) = self {
            if kept.is_spent() {
                *self = Self::of_stream(kept.as_mut().watch_mut().take());
            }
        }
    }

    /// Takes the first of the kept items, if there is one.
    fn pop(&mut self) -> Option<Polled<B::Data, B::Error>> {
        let State::Kept(kept) = self else {
            return None;
        };
        let item = kept.as_mut().pop();
        self.drop_spent();
        item
    }

    /// Keeps an item that ends the response, before the others.
    fn withhold(&mut self, item: Polled<B::Data, B::Error>, part: Part) {
        let mut kept = match std::mem::replace(self, State::Done) {
            State::Kept(kept) => kept,
            State::Streaming(watch) => Kept::watched(watch),
            State::Passing | State::Failing(_) | State::Done => Kept::apart(),
        };
        kept.as_mut().withhold(item, part);
        *self = State::Kept(kept);
    }

    /// Drops what is kept, but for trailers: the next item reports that a required task has failed.
    fn fail(&mut self, grpc: bool) {
        let trailers = match self {
            State::Kept(kept) => kept.as_mut().ahead_mut().take_trailers(),
            _ => None,
        };
        *self = State::Failing(Failing::new(grpc, trailers));
    }

    /// Drops everything, and the inner body, in the request's context.
    #[cold]
    fn drop_watched(&mut self, mut inner: Pin<&mut Option<B>>) {
        let (watch, kept) = match std::mem::replace(self, State::Done) {
            State::Streaming(watch) => (Some(watch), None),
            State::Kept(mut kept) => (kept.as_mut().watch_mut().take(), Some(kept)),
            State::Passing | State::Failing(_) | State::Done => (None, None),
        };
        if let Some(Watch { mut drain, .. }) = watch {
            let _entered = drain.enter();
            drop(kept);
            inner.set(None);
        }
    }
}

impl<B: Body> Default for ResponseBody<B> {
    fn default() -> Self {
        Self {
            inner: None,
            state: State::Done,
        }
    }
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<B: Body> fmt::Debug for State<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Passing => f.write_str("Passing"),
            State::Streaming(watch) => f.debug_tuple("Streaming").field(watch).finish(),
            State::Kept(kept) => f.debug_tuple("Kept").field(kept).finish(),
            State::Failing(_) => f.write_str("Failing"),
            State::Done => f.write_str("Done"),
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.drain.fmt(f)
    }
}

/// Whether the inner body has nothing more to give than what is kept of it.
fn has_ended<B: Body>(inner: Option<&B>) -> bool {
    inner.is_none_or(Body::is_end_stream)
}
