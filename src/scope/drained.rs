//! A future with its tasks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use pin_project_lite::pin_project;

use super::role::Role;
use crate::report::DrainReport;

pin_project! {
    /// Runs a future in the context of its request, and then waits for the tasks. A request that
    /// somebody further out holds is not waited for here, and has no report.
    pub(super) struct Drained<F: Future> {
        #[pin]
        state: State<F, F::Output>,
        role: Role,
    }

    impl<F: Future> PinnedDrop for Drained<F> {
        fn drop(this: Pin<&mut Self>) {
            // Before the request's owner: what the destructors spawn is counted.
            let mut this = this.project();
            let _entered = this.role.enter();
            this.state.set(State::Done);
        }
    }
}

pin_project! {
    #[project = StateProj]
    #[project_replace = StateOwn]
    enum State<F, O> {
        Running { #[pin] future: F },
        Draining { output: O },
        Done,
    }
}

impl<F: Future> Drained<F> {
    pub(super) fn new(future: F, role: Role) -> Self {
        Self {
            state: State::Running { future },
            role,
        }
    }
}

impl<F: Future> Future for Drained<F> {
    type Output = (F::Output, Option<Arc<DrainReport>>);

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StateProj::Running { future } = this.state.as_mut().project() {
            let output = {
                let _entered = this.role.enter();
                let output = ready!(future.poll(cx));
                // The future's destructor is part of the request.
                this.state.set(State::Done);
                output
            };
            let Role::Owner(drain) = this.role else {
                return Poll::Ready((output, None));
            };
            drain.await_hooks();
            this.state.set(State::Draining { output });
        }
        let (StateProj::Draining { .. }, Role::Owner(drain)) =
            (this.state.as_mut().project(), this.role)
        else {
            panic!("a scope was polled after it had ended");
        };
        let report = loop {
            ready!(drain.poll_drained(cx));
            // What came up at the last moment is waited for too.
            if let Ok(report) = drain.try_finish() {
                break report;
            }
        };
        match this.state.project_replace(State::Done) {
            StateOwn::Draining { output } => Poll::Ready((output, report)),
            _ => unreachable!("it was in this state above"),
        }
    }
}

impl<F: Future> fmt::Debug for Drained<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
