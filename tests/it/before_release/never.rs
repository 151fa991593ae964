//! Under `Hold::Never` a hook runs after the response.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer, named};

use super::{Calls, held_whole, layer};
use crate::support::{Frames, after, ms, request, tracked};

/// A layer that holds nothing, and when its hook, which takes 30 ms, was through.
fn never_with_hook() -> (TaskTrackerLayer, Arc<Mutex<Vec<Instant>>>) {
    let through = Arc::new(Mutex::new(Vec::new()));
    let ends = through.clone();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Never)
        .before_release(move |_| {
            let ends = ends.clone();
            async move {
                after(30).await;
                ends.lock().expect("unpoisoned").push(Instant::now());
            }
        });
    (layer, through)
}

/// "Under `Hold::Never` it runs after the response."
#[tokio::test(start_paused = true)]
async fn under_never_a_hook_runs_after_an_answer_to_head() {
    let (layer, through) = never_with_hook();
    let mut head = request();
    *head.method_mut() = Method::HEAD;
    let start = Instant::now();
    let Ok(answer) = tracked(&layer, || {}).oneshot(head).await;
    // HTTP/1 never polls the body of an answer to HEAD.
    drop(answer);
    assert_eq!(start.elapsed(), ms(0), "the response does not wait for it");
    after(100).await;
    assert_eq!(*through.lock().expect("unpoisoned"), [start + ms(30)]);
}

/// The same where a server drops the body with the last byte of a known length.
#[tokio::test(start_paused = true)]
async fn under_never_a_hook_runs_after_a_body_of_known_length() {
    let (layer, through) = never_with_hook();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Frames::new(["a", "b"]).always_hints(2)))
    }));
    let start = Instant::now();
    let Ok(answer) = service.oneshot(request()).await;
    let mut body = answer.into_body();
    for _ in 0..2 {
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    }
    drop(body);
    assert_eq!(start.elapsed(), ms(0), "the response does not wait for it");
    after(100).await;
    assert_eq!(*through.lock().expect("unpoisoned"), [start + ms(30)]);
}

#[tokio::test(start_paused = true)]
async fn under_never_a_hook_runs_after_the_response() {
    let calls = Calls::default();
    let layer = layer(&calls, 30).hold(Hold::Never);
    let took = held_whole(&layer, || drop(named("audit").spawn(after(20)))).await;
    assert_eq!(took, ms(0));
    after(20).await;
    tokio::task::yield_now().await;
    assert_eq!(calls.all().len(), 1);
    layer.handle().wait_idle().await;
}
