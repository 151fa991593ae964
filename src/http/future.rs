//! The future of a tracked response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use http::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

use super::answer::{Answer, Plan};
use super::body::{Peeked, ResponseBody, Watch};
use super::hold::{Exchange, Facts};
use super::passing::{pass_on, wrap_watched};
use super::whole::{Whole, held_length};
use crate::request::context::Context;
use crate::scope::role::{Progress, Role};
use crate::tasks::handler::rests_spawned;

pin_project! {
    /// The future of [`TaskTrackerService`](crate::TaskTrackerService). It runs the inner future. If the head of the
    /// response is held, it then waits for the tasks of the request.
    ///
    /// It stores the response, or the error, while that is held. So it is `Send` if all of these are: the inner future,
    /// the body, the body's data and errors, and the error of the service.
    ///
    /// # Cancel safety
    ///
    /// If this future is dropped before it has ended, the client counts as gone:
    ///
    /// 1. The inner future, or the held response, is dropped.
    /// 2. The policy [`at_disconnect`](crate::TaskTrackerLayer::at_disconnect) applies to the tasks.
    /// 3. The request is reported as [`Dropped`](crate::Outcome::Dropped).
    ///
    /// # Panics
    ///
    /// Panics if it is polled after it has ended, and as
    /// [`DrainSettings::drain_timeout`](crate::DrainSettings::drain_timeout) does.
    pub struct ResponseFuture<F>
    where
        F: Future,
        F::Output: HttpResult,
    {
        #[pin]
        state: State<F, F::Output>,
        role: Role,
        exchange: Exchange,
        progress: Progress,
    }

    impl<F> PinnedDrop for ResponseFuture<F>
    where
        F: Future,
        F::Output: HttpResult,
    {
        fn drop(this: Pin<&mut Self>) {
            // The inner future, or the answer, is dropped before the request's owner, so that tasks that its destructor
            // spawns are counted.
            let mut this = this.project();
            if let StateProj::Done = this.state.as_mut().project() {
                return;
            }
            let is_handling = matches!(this.state.as_mut().project(), StateProj::Handling { .. });
            let before = rests_spawned();
            let entered = this.role.enter();
            this.state.set(State::Done);
            drop(entered);
            if is_handling && rests_spawned() == before {
                this.role.handler_dropped(*this.progress);
            }
        }
    }
}

pin_project! {
    #[project = StateProj]
    #[project_replace = StateOwn]
    enum State<F, O>
    where
        O: HttpResult,
    {
        // The inner future runs.
        Handling { #[pin] inner: F },
        // The service is not called, because too many tasks are alive.
        Shed,
        // The service has answered, and the head may be held. In a box, because most futures never reach this state,
        // and futures are moved.
        Draining { answer: Box<Answer<O::Body, O::Error>> },
        // The same, on the short path for a complete body.
        Whole { whole: Whole<O::Body> },
        Done,
    }
}

/// The result of an HTTP service. This trait names the types inside of the `Result`.
pub trait HttpResult {
    /// The body of the response.
    type Body: Body;
    /// The error of the service.
    type Error;
}

impl<B: Body, E> HttpResult for Result<Response<B>, E> {
    type Body = B;
    type Error = E;
}

impl<F, B, E> ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    pub(crate) fn new(inner: F, role: Role, exchange: Exchange) -> Self {
        Self {
            state: State::Handling { inner },
            role,
            exchange,
            progress: Progress::New,
        }
    }

    /// Returns the future of a request that does not reach the service.
    pub(crate) fn shed(exchange: Exchange) -> Self {
        Self {
            state: State::Shed,
            role: Role::Nested(Context::untracked()),
            exchange,
            progress: Progress::New,
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.as_mut().project();
        let StateProj::Handling { inner } = this.state.as_mut().project() else {
            return self.poll_held(cx);
        };
        // The result is used by reference: a response is large, and each move may copy it.
        let entered = this.role.enter();
        *this.progress = Progress::Polled;
        let polled = inner.poll(cx);
        let Poll::Ready(result) = &polled else {
            *this.progress = Progress::Waits;
            return Poll::Pending;
        };
        // The inner future's destructor is part of the request.
        this.state.set(State::Done);
        drop(entered);
        let Role::Owner(drain) = this.role else {
            return polled.map_ok(|response| response.map(ResponseBody::new));
        };
        let exchange = *this.exchange;
        let mut facts = Facts::of(result, exchange);
        // After the call above, because the methods of the body may spawn.
        let is_unused = drain.is_unused();
        let answered = if is_unused { None } else { drain.answered() };
        if is_unused || answered.is_some_and(|answered| answered.is_idle) {
            if let Some(rest) = pass_on(result, &facts, drain) {
                // If the request has ended, there is nothing to watch.
                let rest = if drain.is_over() {
                    None
                } else {
                    this.role.take().map(|drain| Watch { drain, rest })
                };
                return polled.map_ok(|response| wrap_watched(response, rest));
            }
        }
        let answered = answered.or_else(|| drain.answered()).unwrap_or_default();
        let settings = answered.settings;
        facts.hold = settings.hold.unwrap_or_default();
        facts.required = answered.required_unfinished;
        let length = held_length(&facts, &answered);
        match polled {
            Poll::Ready(Ok(response)) if length > 0 => {
                let whole = Whole::new(response, length, settings);
                this.state.set(State::Whole { whole });
                // The body is polled in its final place. If it panics, it is dropped with this future, in the request's
                // context.
                let StateProj::Whole { whole } = this.state.as_mut().project() else {
                    unreachable!("the state was set above")
                };
                match whole.peek(length, exchange.is_http1, drain, cx) {
                    Ok(()) if drain.begin_plain_wait(cx) => return Poll::Pending,
                    Ok(()) => {}
                    Err(peeked) => into_answer(this.state, exchange, peeked),
                }
            }
            Poll::Ready(result) => {
                let plan = Plan::of(&facts, &answered, drain);
                let answer = Box::new(Answer::new(result, plan));
                this.state.set(State::Draining { answer });
            }
            Poll::Pending => {}
        }
        self.poll_held(cx)
    }
}

impl<F, B, E> ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    /// Polls every state other than `Handling`.
    #[inline(never)]
    fn poll_held(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Response<ResponseBody<B>>, E>> {
        let mut this = self.project();
        if let (StateProj::Whole { whole }, Role::Owner(drain)) =
            (this.state.as_mut().project(), &mut *this.role)
        {
            if ready!(whole.poll_released(drain, cx)) {
                if let Some(drain) = this.role.take() {
                    drain.give_back();
                }
                return match this.state.project_replace(State::Done) {
                    StateOwn::Whole { whole } => Poll::Ready(Ok(whole.into_response())),
                    _ => unreachable!("the state was `Whole` above"),
                };
            }
            into_answer(this.state.as_mut(), *this.exchange, Peeked::Whole);
        }
        let (StateProj::Draining { answer }, Role::Owner(drain)) =
            (this.state.as_mut().project(), this.role)
        else {
            if let State::Shed = this.state.as_ref().get_ref() {
                this.state.set(State::Done);
                return Poll::Ready(Ok(shed()));
            }
            panic!("`ResponseFuture` polled after it has ended");
        };
        ready!(answer.poll_released(drain, cx));
        answer.watch(drain);
        match this.state.project_replace(State::Done) {
            StateOwn::Draining { answer } => Poll::Ready(answer.result),
            _ => unreachable!("the state was `Draining` above"),
        }
    }
}

/// Moves from `Whole` to `Draining`, for an answer that needs the longer path. `peeked`: the result of the peek at its
/// body.
#[cold]
fn into_answer<F, B, E>(
    mut state: Pin<&mut State<F, Result<Response<B>, E>>>,
    exchange: Exchange,
    peeked: Peeked,
) where
    B: Body,
{
    if let StateOwn::Whole { whole } = state.as_mut().project_replace(State::Done) {
        let answer = whole.into_answer(exchange, peeked);
        state.set(State::Draining { answer });
    }
}

impl<F> fmt::Debug for ResponseFuture<F>
where
    F: Future,
    F::Output: HttpResult,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Returns a 503 (RFC 9110, section 15.6.4): nothing was done, and the client may try again.
fn shed<B: Body>() -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    // In seconds. Tasks that hold responses rarely take less.
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    // Some CDNs store a 503 for a while.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
