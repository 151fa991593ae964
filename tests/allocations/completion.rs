//! What `RunToCompletionLayer` allocates while no client leaves.

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use libtest_mimic::Failed;
use stats_alloc::Stats;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, service_fn};
use tower_task_tracker::{RunToCompletionLayer, TaskTrackerLayer, spawn};

use crate::allocated;

/// What the handler keeps while it waits.
const STATE: usize = 300;

/// A handler that waits once, and then answers.
async fn handler(spawns: bool) -> Result<Response<Full<Bytes>>, Infallible> {
    let state = std::hint::black_box([1_u8; STATE]);
    if spawns {
        spawn(async {});
    }
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    std::hint::black_box(&state);
    Ok(Response::new(Full::default()))
}

pub(crate) fn costs_one_box() -> Result<(), Failed> {
    let runtime = runtime()?;
    for spawns in [false, true] {
        let inner = service_fn(move |_: Request<()>| handler(spawns));
        let completed = RunToCompletionLayer::new().layer(inner);
        let plain = count(&runtime, TaskTrackerLayer::new().layer(inner));
        let boxed = count(&runtime, TaskTrackerLayer::new().layer(completed));
        let size = size_of_val(&handler(spawns));
        assert!(size >= STATE, "the handler has a state of its own");
        assert_eq!(
            boxed.allocations,
            plain.allocations + 1,
            "one box more, spawning: {spawns}"
        );
        assert_eq!(
            boxed.bytes_allocated,
            plain.bytes_allocated + size,
            "and that holds the handler alone, spawning: {spawns}"
        );
    }
    Ok(())
}

/// What one request allocates, after some others.
fn count<S>(runtime: &Runtime, mut service: S) -> Stats
where
    S: Service<Request<()>, Error = Infallible>,
{
    let mut serve = || {
        let answer = service.call(Request::new(()));
        drop(runtime.block_on(answer));
    };
    for _ in 0..10 {
        serve();
    }
    allocated(serve)
}

pub(crate) fn is_not_spawned() -> Result<(), Failed> {
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let mut service = RunToCompletionLayer::new().layer(service_fn(|(): ()| handler(false)));
    let mut answer = service.call(());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Future::poll(std::pin::Pin::new(&mut answer), &mut cx).is_pending());
    let alive = || runtime.metrics().num_alive_tasks();
    assert_eq!(alive(), 0, "while it is waited for it is no task");
    // The control: this counts what is spawned.
    drop(answer);
    assert_eq!(alive(), 1, "when nothing waits any more it is one");
    Ok(())
}

fn runtime() -> Result<Runtime, Failed> {
    Ok(Builder::new_current_thread().enable_time().build()?)
}
