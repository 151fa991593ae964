//! The body of a tracked response.

mod error;
mod failure;
mod frames;
mod inner;
mod part;

use std::fmt;
use std::pin::Pin;
use std::task::Context;

use http_body::Body;
use pin_project_lite::pin_project;

use self::inner::InnerBody;
use self::part::Kept;
use crate::drain::Drain;

pub use self::error::BodyError;
pub(crate) use self::error::REQUIRED_FAILED;

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
        // `None` where there never was one, and once it has ended: it is dropped there, so that
        // what its destructor spawns is waited for.
        #[pin]
        inner: Option<InnerBody<B>>,
        // In a box: what is passed on at once should not pay for it.
        kept: Option<Box<Kept<B::Data, B::Error>>>,
        // What is still to come of a length that the server knows; `None` once that is reached.
        length: Option<u64>,
        // Dropping it before the end means that the client is gone. `None` where nothing is
        // watched: under an outer layer, and after the end.
        drain: Option<Drain>,
        // A failed task is told of in trailers.
        grpc: bool,
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

impl<B: Body> ResponseBody<B> {
    /// A body that is passed through.
    pub(crate) fn new(body: B) -> Self {
        Self {
            inner: Some(InnerBody::Inline { body }),
            kept: None,
            length: None,
            drain: None,
            grpc: false,
            done: false,
        }
    }

    /// A body whose end is watched, unless it was reported already.
    #[inline]
    pub(crate) fn watched(body: B, drain: Drain, length: Option<u64>, grpc: bool) -> Self {
        Self {
            inner: Some(InnerBody::Inline { body }),
            kept: None,
            length,
            drain: (!drain.is_over()).then_some(drain),
            grpc,
            done: false,
        }
    }

    /// Asks the body for its first frame, and says whether that is there and all there is.
    pub(crate) fn look(&mut self, length: u64, drain: &mut Drain, cx: &mut Context<'_>) -> bool {
        // It was not polled yet, so that it may still move.
        let body = match self.inner.take() {
            Some(InnerBody::Inline { body }) => body,
            looked_at => {
                self.inner = looked_at;
                return false;
            }
        };
        let _entered = drain.enter();
        let (inner, is_whole) = InnerBody::look(body, length, cx);
        self.inner = Some(inner);
        is_whole
    }

    /// Drops the inner body, and whatever was taken from it.
    pub(crate) fn drop_all(&mut self, drain: &mut Drain) {
        let _entered = drain.enter();
        self.kept = None;
        self.inner = None;
    }

    /// Drops the inner body, where the server will never ask for it: whoever feeds it can end. Its
    /// length is still told.
    pub(crate) fn drop_unsent(&mut self, drain: &mut Drain) {
        let size_hint = self.rest_hint();
        let _entered = drain.enter();
        self.kept = None;
        self.inner = Some(InnerBody::Gone { size_hint });
    }

    /// Whether the inner body has nothing more to say than what it was asked for already.
    pub(crate) fn inner_has_ended(&self) -> bool {
        has_ended(&self.inner)
    }

    /// From now on the end is watched, unless it was reported already.
    pub(crate) fn watch(&mut self, drain: Drain, length: Option<u64>, grpc: bool) {
        self.drain = (!drain.is_over()).then_some(drain);
        self.length = length;
        self.grpc = grpc;
    }

    /// The inner body; `None` if there is none, or none any more.
    pub fn get_ref(&self) -> Option<&B> {
        self.inner.as_ref().and_then(InnerBody::get_ref)
    }

    /// The inner body; `None` if there is none, or none any more. A frame taken from it directly
    /// is not held for.
    pub fn get_mut(&mut self) -> Option<&mut B>
    where
        B: Unpin,
    {
        self.inner.as_mut().and_then(InnerBody::get_mut)
    }

    /// The inner body, pinned; `None` if there is none, or none any more. A frame taken from it
    /// directly is not held for.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Option<Pin<&mut B>> {
        self.project()
            .inner
            .as_pin_mut()
            .and_then(InnerBody::get_pin_mut)
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

fn has_ended<B: Body>(inner: &Option<InnerBody<B>>) -> bool {
    inner.as_ref().is_none_or(InnerBody::rest_has_ended)
}

/// Drops the inner body in the request's context: what its destructor spawns is counted.
fn drop_inner<B: Body>(mut inner: Pin<&mut Option<InnerBody<B>>>, drain: &mut Drain) {
    if inner.is_some() {
        let _entered = drain.enter();
        inner.set(None);
    }
}
