//! `DrainReport::last`: the task that the release waited for.

use std::convert::Infallible;
use std::pin::pin;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, TaskState, TaskTrackerLayer, named};

use crate::support::{
    Frames, Log, Slot, after, current, ms, observed, put, request, take, tracked,
};

#[tokio::test(start_paused = true)]
async fn the_task_that_lets_a_response_go_is_named_with_what_became_of_it() {
    for (fails, state, message) in [
        (true, TaskState::Failed, Some("planned")),
        (false, TaskState::Completed, None),
    ] {
        let (log, layer) = observed();
        let service = tracked(&layer, move || {
            named("first").spawn(after(10));
            named("last").fallible().spawn(async move {
                after(20).await;
                if fails { Err("planned") } else { Ok(()) }
            });
        });
        drop(service.oneshot(request()).await);
        let last = log.report().last.expect("it was waited for");
        assert_eq!((last.name.as_deref(), last.state), (Some("last"), state));
        assert_eq!(last.message.as_deref(), message);
        assert_eq!(last.age, ms(20));
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_task_has_its_age_at_its_end_however_long_the_body_streams_after_it() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .observer(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        current().spawn(after(100));
        let frames = futures_util::stream::once(async {
            after(5000).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from("a")))
        });
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    }));
    let Ok(response) = service.oneshot(request()).await;
    let body = pin!(response.into_body());
    drop(body.collect().await);
    let last = log.report().last.expect("there was one");
    assert_eq!(last.age, ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_while_the_response_goes_on_is_not_the_one_that_let_its_head_go() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .observer(log.clone());
    let tasks = Slot::default();
    let kept = tasks.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        put(&kept, current());
        async {
            named("head").spawn(after(20));
            Ok::<_, Infallible>(Response::new(Frames::new(["a"])))
        }
    }));
    let Ok(answer) = service.oneshot(request()).await;
    let tasks = take(&tasks);
    // The head is out, and nothing waits until the body ends.
    drop(tasks.named("while it streams").spawn(after(5)).await);
    drop(answer.into_body().collect().await);
    let report = log.report();
    assert_eq!(report.completed, 2);
    let last = report.last.expect("one task was waited for");
    assert_eq!(last.name.as_deref(), Some("head"));
}
