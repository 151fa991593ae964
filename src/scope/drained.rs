//! Runs a future in a request, and waits for the request's tasks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use pin_project_lite::pin_project;

use super::failure_policy::FailurePolicy;
use super::role::{Progress, Role};
use crate::drain::Drain;
use crate::drain::release::Releasable;
use crate::report::DrainReport;
use crate::request::context::Context;
use crate::tasks::handler::rests_spawned;

pin_project! {
    /// Runs a future in the context of its request, and then waits for the tasks. If an enclosing layer or scope holds
    /// the request, this neither waits nor has a report.
    pub(super) struct Drained<F: Future, Failure: FailurePolicy<F::Output>> {
        #[pin]
        state: State<F, Answer<F::Output, Failure>>,
        role: Role,
        failure: Failure,
        progress: Progress,
    }

    impl<F: Future, Failure: FailurePolicy<F::Output>> PinnedDrop for Drained<F, Failure> {
        fn drop(this: Pin<&mut Self>) {
            // Before `role`, which owns the request, is dropped: the tasks that these destructors spawn are counted.
            let mut this = this.project();
            let is_running = matches!(this.state.as_mut().project(), StateProj::Running { .. });
            let before = rests_spawned();
            let entered = this.role.enter();
            this.state.set(State::Done);
            drop(entered);
            if is_running && rests_spawned() == before {
                this.role.handler_dropped(*this.progress);
            }
        }
    }
}

pin_project! {
    #[project = StateProj]
    #[project_replace = StateOwn]
    enum State<F, A> {
        Running { #[pin] future: F },
        Draining { answer: Option<A> },
        Done,
    }
}

/// The output of the future, or what is left of it once it was discarded because a required task has failed.
type Answer<O, Failure> = Result<O, <Failure as FailurePolicy<O>>::Discarded>;

impl<F: Future, Failure: FailurePolicy<F::Output>> Drained<F, Failure> {
    pub(super) fn new(future: F, role: Role, failure: Failure) -> Self {
        Self {
            state: State::Running { future },
            role,
            failure,
            progress: Progress::New,
        }
    }
}

impl<F: Future, Failure: FailurePolicy<F::Output>> Future for Drained<F, Failure> {
    type Output = (F::Output, Option<Arc<DrainReport>>);

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StateProj::Running { future } = this.state.as_mut().project() {
            let output = {
                let _entered = this.role.enter();
                *this.progress = Progress::Polled;
                let Poll::Ready(output) = future.poll(cx) else {
                    *this.progress = Progress::Waits;
                    return Poll::Pending;
                };
                // The destructor of the future runs inside of the request too.
                this.state.set(State::Done);
                output
            };
            let Role::Owner(drain) = this.role else {
                return Poll::Ready((output, None));
            };
            drain.await_hooks();
            if Failure::READS_REPORT {
                drain.want_report();
            }
            let answer = Some(Ok(output));
            this.state.set(State::Draining { answer });
        }
        let (StateProj::Draining { answer }, Role::Owner(drain)) =
            (this.state.as_mut().project(), this.role)
        else {
            panic!("a scope was polled after it had ended");
        };
        let mut held = HeldAnswer {
            answer,
            failure: &*this.failure,
        };
        let report = ready!(drain.poll_released(&mut held, cx));
        let StateOwn::Draining { answer } = this.state.project_replace(State::Done) else {
            unreachable!("it was in this state above");
        };
        Poll::Ready(match answer {
            Some(Ok(answer)) => (answer, report),
            Some(Err(discarded)) => {
                // The callback runs outside of any request, and so do the tasks that it spawns.
                let mut outside = Context::untracked();
                let _entered = outside.enter();
                let failed = report.unwrap_or_default();
                (this.failure.replace(discarded, &failed), Some(failed))
            }
            None => unreachable!("it is taken out only to be put back"),
        })
    }
}

impl<F: Future, Failure: FailurePolicy<F::Output>> fmt::Debug for Drained<F, Failure> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// An answer that is held.
struct HeldAnswer<'a, O, Failure: FailurePolicy<O>> {
    answer: &'a mut Option<Answer<O, Failure>>,
    failure: &'a Failure,
}

impl<O, Failure: FailurePolicy<O>> Releasable for HeldAnswer<'_, O, Failure> {
    fn fail(&mut self, drain: &mut Drain) -> bool {
        if !drain.required_failed() {
            return false;
        }
        let Some(Ok(answer)) = self.answer.take_if(|answer| answer.is_ok()) else {
            return false;
        };
        // Its destructor may read the deadline, which must not count from a window that has drained.
        drain.close_drained();
        let _entered = drain.enter();
        let answer = self.failure.discard(answer);
        let was_dropped = answer.is_err();
        *self.answer = Some(answer);
        was_dropped
    }
}
