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

pub(crate) use self::ahead::Looked;
pub use self::error::BodyError;
pub(crate) use self::error::REQUIRED_FAILED;
pub(crate) use self::kept::{Head, Kept};

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
        // `None` where there never was one, once it has ended, and where it lies in `kept`. It is dropped at its
        // end, so that what its destructor spawns is waited for.
        #[pin]
        inner: Option<B>,
        // In a box: what is passed on at once should not pay for it.
        kept: Option<Pin<Box<Kept<B>>>>,
        // What is still to come of a length that the server knows; `None` once that is reached.
        length: Option<u64>,
        // Dropping it before the end means that the client is gone. `None` where nothing is
        // watched: under an outer layer, and after the end.
        drain: Option<Drain>,
        // A failed task is told of in trailers.
        grpc: bool,
        // The server drops a body that has reached its length.
        is_http1: bool,
        done: bool,
    }

    impl<B> PinnedDrop for ResponseBody<B>
    where
        B: Body,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(drain) = this.drain {
                let _entered = drain.enter();
                *this.kept = None;
                this.inner.set(None);
            }
        }
    }
}

/// What is known of the rest of a response that is let go.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rest {
    /// The length after which a server ends the response, if it is known.
    pub(crate) length: Option<u64>,
    pub(crate) grpc: bool,
    pub(crate) is_http1: bool,
}

impl<B: Body> ResponseBody<B> {
    /// A body that is passed through.
    pub(crate) fn new(body: B) -> Self {
        Self {
            inner: Some(body),
            kept: None,
            length: None,
            drain: None,
            grpc: false,
            is_http1: false,
            done: false,
        }
    }

    /// A body of which something was taken before it is asked for.
    #[inline]
    pub(crate) fn of_kept(kept: Pin<Box<Kept<B>>>) -> Self {
        Self {
            inner: None,
            kept: (!kept.is_spent()).then_some(kept),
            length: None,
            drain: None,
            grpc: false,
            is_http1: false,
            done: false,
        }
    }

    /// A body whose end is watched, unless everything was reported already.
    #[inline]
    pub(crate) fn watched(body: B, drain: Option<Drain>, rest: Rest) -> Self {
        let Rest {
            length,
            grpc,
            is_http1,
        } = rest;
        Self {
            inner: Some(body),
            kept: None,
            length,
            drain,
            grpc,
            is_http1,
            done: false,
        }
    }

    /// Asks a body of this length for its first frame, before its head is let go. With a length of zero, which
    /// is reached already, it is asked for what comes after.
    pub(crate) fn look(
        &mut self,
        length: u64,
        is_http1: bool,
        drain: &mut Drain,
        cx: &mut Context<'_>,
    ) -> Looked {
        // It was not polled yet, so that it may still move.
        if let Some(body) = self.inner.take() {
            self.kept = Some(Kept::around(body));
        }
        let Some(kept) = &mut self.kept else {
            return Looked::Whole;
        };
        let looked = kept.as_mut().look(length, is_http1, drain, cx);
        if kept.is_spent() {
            self.kept = None;
        }
        looked
    }

    /// Drops the inner body, and whatever was taken from it.
    pub(crate) fn drop_all(&mut self, drain: &mut Drain) {
        let _entered = drain.enter();
        self.kept = None;
        self.inner = None;
    }

    /// Whether the inner body has nothing more to give, and no end of it is to be passed on.
    pub(crate) fn inner_has_ended(&self) -> bool {
        let has_end = self
            .kept
            .as_ref()
            .is_some_and(|kept| kept.ahead().has_end());
        !has_end && self.get_ref().is_none_or(Body::is_end_stream)
    }

    /// Whether the inner body is there, and may have data to give.
    pub(crate) fn is_streaming(&self) -> bool {
        let kept = self.kept.as_ref();
        self.get_ref().is_some() && kept.is_none_or(|kept| !kept.ahead().has_reached_length())
    }

    /// From now on the end is watched.
    pub(crate) fn watch(&mut self, drain: Drain, rest: Rest) {
        let Rest {
            length,
            grpc,
            is_http1,
        } = rest;
        self.drain = Some(drain);
        self.length = length;
        self.grpc = grpc;
        self.is_http1 = is_http1;
    }

    /// The inner body; `None` if there is none, or none any more.
    pub fn get_ref(&self) -> Option<&B> {
        let kept = || self.kept.as_ref().and_then(|kept| kept.body());
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
        let kept = this.kept.as_mut();
        let kept = || kept.and_then(|kept| kept.as_mut().body_mut().as_pin_mut());
        this.inner.as_pin_mut().or_else(kept)
    }
}

impl<B: Body> Default for ResponseBody<B> {
    fn default() -> Self {
        Self {
            inner: None,
            kept: None,
            length: None,
            drain: None,
            grpc: false,
            is_http1: false,
            done: true,
        }
    }
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("drain", &self.drain)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

/// Whether the inner body has nothing more to give than what is kept of it.
fn has_ended<B: Body>(inner: Option<&B>) -> bool {
    inner.is_none_or(Body::is_end_stream)
}

/// Drops the inner body in the request's context: what its destructor spawns is counted.
fn drop_inner<B: Body>(
    mut inner: Pin<&mut Option<B>>,
    kept: &mut Option<Pin<Box<Kept<B>>>>,
    drain: &mut Drain,
) {
    if let Some(held) = kept.as_mut().filter(|kept| kept.body().is_some()) {
        // As below: its destructor may ask for the deadline.
        drain.close_drained();
        let _entered = drain.enter();
        held.as_mut().body_mut().set(None);
        if held.is_spent() {
            *kept = None;
        }
    }
    if inner.is_some() {
        drain.close_drained();
        let _entered = drain.enter();
        inner.set(None);
    }
}
