//! `server_timing`: a held head states how long it was held.

use std::convert::Infallible;

use http::header::HeaderValue;
use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer, named};

use crate::support::{Frames, after, full, ms, request};

/// The values of `server-timing` in the answer of a handler that sets `own` there itself, and
/// spawns a task.
async fn timings(
    layer: TaskTrackerLayer,
    own: &'static [&'static str],
    task: Option<u64>,
) -> Vec<HeaderValue> {
    let service = layer.layer(service_fn(move |_: Request<()>| async move {
        task.map(|millis| named("audit").spawn(after(millis)));
        let mut answer = full("done");
        for own in own {
            let own = HeaderValue::from_static(own);
            answer.headers_mut().append("server-timing", own);
        }
        Ok::<_, Infallible>(answer)
    }));
    let Ok(answer) = service.oneshot(request()).await;
    let values = answer.headers().get_all("server-timing");
    values.iter().cloned().collect()
}

fn telling() -> TaskTrackerLayer {
    TaskTrackerLayer::new().server_timing(true)
}

#[tokio::test(start_paused = true)]
async fn a_held_head_states_the_time_of_its_hold_in_milliseconds() {
    assert_eq!(timings(telling(), &[], Some(12)).await, ["drain;dur=12.0"]);
    let late = telling().drain_timeout(ms(5));
    assert_eq!(timings(late, &[], Some(12)).await, ["drain;dur=5.0"]);
}

#[tokio::test(start_paused = true)]
async fn it_is_appended_to_the_field_of_the_handler() {
    let values = timings(telling(), &["db;dur=3"], Some(12)).await;
    assert_eq!(values, ["db;dur=3, drain;dur=12.0"]);
    let values = timings(telling(), &["db;dur=3", "cache"], Some(12)).await;
    assert_eq!(values, ["db;dur=3, drain;dur=12.0", "cache"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_hold_or_the_setting_the_head_is_as_it_was() {
    assert!(timings(telling(), &[], None).await.is_empty());
    let silent = TaskTrackerLayer::new();
    assert!(timings(silent, &[], Some(12)).await.is_empty());
    let never = telling().hold(Hold::Never);
    assert!(timings(never, &[], Some(12)).await.is_empty());
    let not_here = telling().server_timing(false);
    assert!(timings(not_here, &[], Some(12)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_stream_is_not_held_and_has_no_such_field() {
    let service = telling().layer(service_fn(|_: Request<()>| async {
        named("audit").spawn(after(12));
        Ok::<_, Infallible>(Response::new(Frames::new(["a"])))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    assert!(!answer.headers().contains_key("server-timing"));
}
