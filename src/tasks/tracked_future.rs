//! A future that counts as a task.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

use super::kind::{Plain, TaskKind};
use crate::panics;
use crate::request::abandoned::abandon;
use crate::request::guard::TaskGuard;

pin_project! {
    /// A future that its request waits for, made by [`Tasks::track_future`](crate::Tasks::track_future).
    ///
    /// It counts from the moment it is made until it has ended or is dropped. Dropped before its
    /// end, it counts as aborted. It is polled, and dropped, in the request's context.
    ///
    /// # Panics
    ///
    /// When polled after it has ended.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TrackedFuture<F, OutputKind = Plain> {
        // `None` once it has ended. It is dropped in the task's context, before the task ends.
        #[pin]
        future: Option<F>,
        guard: TaskGuard,
        kind: PhantomData<fn() -> OutputKind>,
    }

    impl<F, OutputKind> PinnedDrop for TrackedFuture<F, OutputKind> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.future.is_some() {
                drop_early(this.future, this.guard);
            }
        }
    }
}

impl<F, OutputKind> TrackedFuture<F, OutputKind> {
    pub(crate) fn new(future: F, guard: TaskGuard) -> Self {
        Self {
            future: Some(future),
            guard,
            kind: PhantomData,
        }
    }
}

/// Drops a future before its end.
#[cold]
fn drop_early<F>(mut future: Pin<&mut Option<F>>, guard: &mut TaskGuard) {
    abandon(|| {
        if guard.has_ended() {
            return future.set(None);
        }
        match guard.try_run(|| future.set(None)) {
            // A second panic would end the process.
            Err(payload) if thread::panicking() => {
                let _ = panics::caught(|| drop(payload));
            }
            Err(payload) => resume_unwind(payload),
            Ok(()) => {}
        }
    });
}

/// Drops a future that has panicked, and goes on with that panic.
#[cold]
fn drop_panicked<F>(
    mut future: Pin<&mut Option<F>>,
    guard: &mut TaskGuard,
    payload: Box<dyn Any + Send>,
) -> ! {
    // Dropped now: while the panic unwinds, a panic of the future's destructor would end the process.
    abandon(|| {
        let _ = panics::caught(|| guard.run(|| future.set(None)));
    });
    resume_unwind(payload)
}

impl<F, OutputKind> Future for TrackedFuture<F, OutputKind>
where
    F: Future,
    OutputKind: TaskKind<F::Output>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let guard = this.guard;
        let mut future = this.future.as_mut();
        let mut poll = move || {
            let Some(running) = future.as_mut().as_pin_mut() else {
                panic!("`TrackedFuture` polled after it has ended");
            };
            let Poll::Ready(output) = running.poll(cx) else {
                return Polled::Pending;
            };
            let failure = OutputKind::failure(&output);
            future.set(None);
            match failure {
                None => Polled::Completed(output),
                Some(message) => Polled::Failed(output, Box::new(Message(message))),
            }
        };
        if guard.has_ended() {
            return poll().into_output();
        }
        match guard.try_run(poll) {
            Ok(Polled::Pending) => {
                guard.stamp();
                Poll::Pending
            }
            Ok(Polled::Completed(output)) => {
                guard.end_of_run(None);
                Poll::Ready(output)
            }
            Ok(Polled::Failed(output, message)) => {
                guard.end_of_run(Some(message.0));
                Poll::Ready(output)
            }
            Err(payload) => drop_panicked(this.future, guard, payload),
        }
    }
}

/// What came of a poll. The future is dropped unless it is pending.
enum Polled<T> {
    Pending,
    Completed(T),
    /// In a box, because each poll returns one of these.
    Failed(T, Box<Message>),
}

/// Of the error that a task has failed with.
struct Message(String);

impl<T> Polled<T> {
    fn into_output(self) -> Poll<T> {
        match self {
            Polled::Pending => Poll::Pending,
            Polled::Completed(output) | Polled::Failed(output, _) => Poll::Ready(output),
        }
    }
}
