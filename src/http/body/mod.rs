//! The body of a tracked response.

mod ahead;
mod error;
mod failure;
mod frames;
mod kept;
mod part;
mod watch;

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
pub(crate) use self::watch::{Rest, Watch};

pin_project! {
    /// The body of a response that went through [`TaskTrackerService`](crate::TaskTrackerService).
    ///
    /// It passes on every frame of the inner body, in order. If a task is alive, or there is a hook
    /// ([`before_release`](crate::TaskTrackerLayer::before_release)), it holds what ends the response on the wire,
    /// until the tasks of the request are done or the drain window closes. Otherwise it holds nothing. What ends the
    /// response is:
    ///
    /// * the data frame that reaches the length, if the length is known;
    /// * the trailers or the error, if there are any;
    /// * otherwise `None`.
    ///
    /// If a [`required`](crate::TaskBuilder::required) task has failed, the body does not end as a success:
    ///
    /// * In general it ends with [`BodyError::RequiredFailed`]. If the length is known, the frame that would reach it
    ///   is left out.
    /// * If the inner body has failed, its error is passed on instead, as [`BodyError::Inner`].
    /// * A gRPC response ends with trailers that contain `grpc-status: 13`, or the error status of the inner body.
    ///
    /// While something is held, [`is_end_stream`](Body::is_end_stream) is false and [`size_hint`](Body::size_hint)
    /// includes it. A poll after `None` returns `None` again.
    ///
    /// Before a wait begins, the inner body is dropped if a server would not poll it again: [`Hold`](crate::Hold) lists
    /// the cases.
    ///
    /// In an upgraded exchange the body is passed on unchanged, outside of the request, because a server does not poll
    /// it.
    ///
    /// The type is a [`Body`] if the inner body's error converts into a boxed error, as every error and string does. It
    /// is `Send` if the inner body, its data and its errors are, because it may hold any of them. Its default is an
    /// empty body, which middleware such as tower-http's `Timeout` needs.
    ///
    /// There is no `into_inner`: frames that are held would be lost, and the end would not be held.
    ///
    /// # Cancel safety
    ///
    /// If the body is dropped before its end, the client counts as gone, and the policy
    /// [`at_disconnect`](crate::TaskTrackerLayer::at_disconnect) applies to the tasks.
    ///
    /// # Panics
    ///
    /// Panics as [`DrainSettings::drain_timeout`](crate::DrainSettings::drain_timeout) does.
    pub struct ResponseBody<B>
    where
        B: Body,
    {
        // The inner body. `None` if it is in the box of `State::Kept`, because a body that was polled must not move.
        // `None` also once it has ended: it is dropped then, so that tasks that its destructor spawns are waited for.
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

/// The state of a response body.
///
/// ```text
///   Passing ──▶ Done                       the end is not watched
///
///   Streaming ─▶ Kept ─▶ Streaming         an item may end the response: it is kept until the tasks are done
///       │          │
///       ├──────────┴───▶ Failing ─▶ Done   a required task has failed
///       └──────────────▶ Done              the end was passed on, and the request has ended
/// ```
enum State<B: Body> {
    /// The inner body is passed on, and its end is not watched: an outer layer owns the request, or the request has
    /// ended.
    Passing,
    /// The inner body is passed on until an item may end the response.
    Streaming(Watch),
    /// Items were taken from the inner body, or it was polled, before a poll of the server. In a box, so that a body
    /// that is passed on at once stays small.
    Kept(Pin<Box<Kept<B>>>),
    /// A required task has failed, and the next item reports it.
    Failing(Failing),
    /// The body has ended.
    Done,
}

impl<B: Body> ResponseBody<B> {
    /// Returns a body that is passed on unwatched.
    pub(crate) fn new(body: B) -> Self {
        Self {
            inner: Some(body),
            state: State::Passing,
        }
    }

    /// Returns a body from which items were taken before a poll of the server.
    #[inline]
    pub(crate) fn of_kept(kept: Pin<Box<Kept<B>>>) -> Self {
        Self {
            inner: None,
            state: State::Kept(kept),
        }
    }

    /// Returns a body whose end is watched if `watch` is `Some`.
    #[inline]
    pub(crate) fn watched(body: B, watch: Option<Watch>) -> Self {
        Self {
            inner: Some(body),
            state: State::of_stream(watch),
        }
    }

    /// Polls a body of this length for its first frame, before its head goes out. A length of zero is reached already,
    /// so the body is then polled for what follows its data.
    pub(crate) fn peek(
        &mut self,
        length: u64,
        is_http1: bool,
        drain: &mut Drain,
        cx: &mut Context<'_>,
    ) -> Peeked {
        // The body was not polled yet, so it may still move.
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

    /// Drops the inner body, and the items that were taken from it.
    pub(crate) fn drop_all(&mut self, drain: &mut Drain) {
        let _entered = drain.enter();
        self.state = State::Passing;
        self.inner = None;
    }

    /// Returns whether the inner body has ended, and no end of it is among the items to pass on.
    pub(crate) fn inner_has_ended(&self) -> bool {
        let has_end = self.state.kept().is_some_and(|kept| kept.ahead().has_end());
        !has_end && self.get_ref().is_none_or(Body::is_end_stream)
    }

    /// Returns whether there is an inner body that may return more data.
    pub(crate) fn is_streaming(&self) -> bool {
        let kept = self.state.kept();
        self.get_ref().is_some() && kept.is_none_or(|kept| !kept.ahead().has_reached_length())
    }

    /// Watches the end of the body from now on.
    pub(crate) fn watch(&mut self, drain: Drain, rest: Rest) {
        let new = Watch { drain, rest };
        match &mut self.state {
            State::Kept(kept) => *kept.as_mut().watch_mut() = Some(new),
            state => *state = State::Streaming(new),
        }
    }

    /// Returns the inner body. `None` if there is none, or it was dropped.
    pub fn get_ref(&self) -> Option<&B> {
        let kept = || self.state.kept().and_then(|kept| kept.body());
        self.inner.as_ref().or_else(kept)
    }

    /// Returns the inner body. `None` if there is none, or it was dropped. A frame that is taken from it directly does
    /// not wait for any task.
    pub fn get_mut(&mut self) -> Option<&mut B>
    where
        B: Unpin,
    {
        Pin::new(self).get_pin_mut().map(Pin::get_mut)
    }

    /// Returns the inner body, pinned. `None` if there is none, or it was dropped. A frame that is taken from it
    /// directly does not wait for any task.
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

    /// Returns the inner body if it is in the box.
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

    /// Returns whether a required task of the watched request has failed.
    fn required_failed(&mut self) -> bool {
        self.watch_mut()
            .is_some_and(|watch| watch.drain.required_failed())
    }

    /// Drops the box if there is neither a body nor an item in it.
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

    /// Withholds an item that ends the response, in front of the others.
    fn withhold(&mut self, item: Polled<B::Data, B::Error>, part: Part) {
        let mut kept = match std::mem::replace(self, State::Done) {
            State::Kept(kept) => kept,
            State::Streaming(watch) => Kept::watched(watch),
            State::Passing | State::Failing(_) | State::Done => Kept::apart(),
        };
        kept.as_mut().withhold(item, part);
        *self = State::Kept(kept);
    }

    /// Drops all kept items except trailers. The next item reports that a required task has failed.
    fn fail(&mut self, grpc: bool) {
        let trailers = match self {
            State::Kept(kept) => kept.as_mut().ahead_mut().take_trailers(),
            _ => None,
        };
        *self = State::Failing(Failing::new(grpc, trailers));
    }

    /// Drops the kept items and the inner body in the request's context, and then the watch.
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

/// Returns whether there is no inner body, or its `is_end_stream` is true.
fn has_ended<B: Body>(inner: Option<&B>) -> bool {
    inner.is_none_or(Body::is_end_stream)
}
