//! The crate panics where it is misused: a future that is polled after its end, a runtime without time.

use std::convert::Infallible;
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};

use tower::{Layer, Service, service_fn};
use tower_task_tracker::{
    RunToCompletionLayer, TaskScopeLayer, TaskTrackerLayer, TrackerHandle, spawn,
};

use crate::support::{request, timeless_runtime, tracked};

/// The message of the panic of this.
#[track_caller]
fn message_of(panics: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(panics)).expect_err("it panics");
    let formatted = payload.downcast_ref::<String>().cloned();
    let message = formatted.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
    message.expect("a string")
}

/// The message of a future that panics after a few polls.
fn polled(future: impl Future) -> String {
    let mut future = Box::pin(future);
    message_of(|| {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            drop(future.as_mut().poll(&mut cx));
        }
    })
}

/// The message of a future that is polled once more after it has ended.
async fn polled_again(future: impl Future) -> String {
    let mut future = Box::pin(future);
    drop(future.as_mut().await);
    polled(future)
}

#[tokio::test]
async fn each_future_that_is_polled_after_its_end_panics_with_its_name() {
    let answers = |(): ()| ready(Ok::<_, Infallible>(()));
    let tasks = TrackerHandle::new().process_tasks();
    for (said, name) in [
        (
            polled_again(tracked(&TaskTrackerLayer::new(), || {}).call(request())).await,
            "`ResponseFuture` polled after it has ended",
        ),
        (
            polled_again(TaskScopeLayer::new().layer(service_fn(answers)).call(())).await,
            "a scope was polled after it had ended",
        ),
        (
            polled_again(
                RunToCompletionLayer::new()
                    .layer(service_fn(answers))
                    .call(()),
            )
            .await,
            "`RunToCompletionFuture` polled after it has ended",
        ),
        (
            polled_again(tasks.track_future(ready(()))).await,
            "`TrackedFuture` polled after it has ended",
        ),
        (
            polled_again(tasks.within(ready(()))).await,
            "a future in a request's context was polled after it had ended",
        ),
    ] {
        assert_eq!(said, name);
    }
}

#[test]
fn a_wait_on_a_runtime_without_time_panics() {
    let runtime = timeless_runtime();
    let _entered = runtime.enter();
    let waits = || drop(spawn(pending::<()>()));
    let mut response = tracked(&TaskTrackerLayer::new(), waits);
    let mut answer = TaskScopeLayer::new().layer(service_fn(move |(): ()| {
        waits();
        ready(Ok::<_, Infallible>(()))
    }));
    for said in [polled(response.call(request())), polled(answer.call(()))] {
        assert!(said.contains("timers are disabled"), "{said}");
    }
}
