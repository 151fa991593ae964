//! How long the request's span is open.

use std::convert::Infallible;
use std::pin::pin;

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer, Unfinished, named};
use tracing::info_span;

use super::{Kept, serve};
use crate::subscribers::closed::Closed;
use crate::support::{Frames, after, current, ms, put, request, tracked};

#[tokio::test(start_paused = true)]
async fn while_a_head_is_held_the_span_is_open() {
    let (closed, kept) = (Closed::default(), Kept::default());
    let _watching = closed.watch();
    let to_keep = kept.clone();
    let service = tracked(&TaskTrackerLayer::new(), move || {
        put(&to_keep, Box::new(current()));
        // In a span of no parent: it is the response that keeps the request's.
        let task = info_span!(parent: None, "elsewhere");
        let _entered = task.enter();
        named("audit").spawn(after(20));
    });
    let mut held = pin!(serve(service, request()));
    assert!(futures_util::poll!(&mut held).is_pending());
    after(19).await;
    assert!(futures_util::poll!(&mut held).is_pending());
    assert_eq!(closed.count("request"), 0, "the head is held");
    let answer = held.await;
    assert_eq!(closed.count("request"), 1);
    drop(answer);
}

#[tokio::test(start_paused = true)]
async fn until_the_end_of_a_body_the_span_is_open() {
    for spawns in [false, true] {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
            put(&to_keep, Box::new(current()));
            if spawns {
                named("audit").spawn(after(20));
            }
            async { Ok::<_, Infallible>(Response::new(Frames::new(["a", "b"]))) }
        }));
        let answer = serve(service, request()).await.expect("infallible");
        let mut body = answer.into_body();
        for _ in 0..2 {
            assert!(body.frame().await.is_some());
            assert_eq!(closed.count("request"), 0, "the body streams");
        }
        assert!(body.frame().await.is_none());
        assert_eq!(closed.count("request"), 1, "with tasks: {spawns}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_client_leaves_the_span_closes() {
    for (policy, open_for) in [
        (Unfinished::Continue, 0),
        (Unfinished::Cancel { grace: ms(50) }, 30),
    ] {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let layer = TaskTrackerLayer::new().at_disconnect(policy);
        let service = tracked(&layer, move || {
            put(&to_keep, Box::new(current()));
            let task = info_span!(parent: None, "elsewhere");
            let _entered = task.enter();
            named("audit").spawn(after(40));
        });
        let left = tokio::time::timeout(ms(10), serve(service, request())).await;
        assert!(left.is_err(), "it was held");
        if open_for > 0 {
            assert_eq!(closed.count("request"), 0, "its tasks have time to stop");
            after(open_for).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(closed.count("request"), 1, "{policy:?}");
        layer.handle().wait_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn under_never_the_span_is_open_until_the_tasks_are_done() {
    let (closed, kept) = (Closed::default(), Kept::default());
    let _watching = closed.watch();
    let to_keep = kept.clone();
    let layer = TaskTrackerLayer::new().hold(Hold::Never);
    let service = tracked(&layer, move || {
        put(&to_keep, Box::new(current()));
        let task = info_span!(parent: None, "elsewhere");
        let _entered = task.enter();
        named("audit").spawn(after(20));
    });
    let answer = serve(service, request()).await.expect("infallible");
    drop(answer.into_body().collect().await);
    assert_eq!(closed.count("request"), 0, "a task is waited for");
    layer.handle().wait_idle().await;
    assert_eq!(closed.count("request"), 1);
}
