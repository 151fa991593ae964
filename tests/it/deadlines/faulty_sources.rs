//! Faults of a source that do not harm the request.

use std::panic::panic_any;
use std::sync::atomic::Ordering;

use http::request::Parts;
use http::{Method, Request, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::deadline::{DeadlineSource, Source};
use tower_task_tracker::{Limit, TaskTrackerLayer, spawn};

use super::{arrival_plus, counted_plus, hold, layer_from};
use crate::support::deadlines::layer_with;
use crate::support::{after, full, ms, request, timeless_runtime, tracked};

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("in the destructor of a payload")
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_has_no_deadline_and_the_request_is_served() {
    let layer = layer_from(|_| panic!("a bad source"));
    let response = tracked(&layer, || {})
        .oneshot(request())
        .await
        .expect("infallible");
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "done");

    let payload = |_: &Parts| -> Option<Instant> { panic_any(PanicsWhenDropped) };
    for layer in [layer, layer_with(Source::new("tuned", payload))] {
        hold(&layer, request())
            .await
            .is_left_to_the_layer("a panic");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_leaves_the_others_in_force() {
    let layer = layer_with(arrival_plus(60))
        .deadline_from(|_| panic!("a bad source"))
        .deadline_source(Source::new("last", |_| Some(Instant::now() + ms(30))));
    let held = hold(&layer, request()).await;
    held.is_closed_by(Limit::Source("last"), ms(30), "the one after it");
}

#[tokio::test(start_paused = true)]
async fn a_source_whose_name_panics_has_no_deadline() {
    struct Nameless;

    impl DeadlineSource for Nameless {
        fn deadline(&self, _: &Parts) -> Option<Instant> {
            Some(Instant::now() + ms(10))
        }

        fn name(&self) -> &'static str {
            panic!("it has no name")
        }
    }

    hold(&layer_with(Nameless), request())
        .await
        .is_left_to_the_layer("a name that panics");
}

/// The last instant of the clock.
fn farthest() -> Instant {
    let mut at = Instant::now();
    for bit in (0..63).rev() {
        let step = std::time::Duration::from_secs(1 << bit);
        at = at.checked_add(step).unwrap_or(at);
    }
    for bit in (0..30).rev() {
        let step = std::time::Duration::from_nanos(1 << bit);
        at = at.checked_add(step).unwrap_or(at);
    }
    at
}

#[tokio::test(start_paused = true)]
async fn the_last_instant_of_the_clock_is_a_deadline_like_any_other() {
    let at = farthest();
    let layer = layer_from(move |_| Some(at)).drain_timeout(None);
    let service = tracked(&layer, || {
        spawn(after(10));
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(10), "no timer has overflowed");
}

#[tokio::test(start_paused = true)]
async fn the_handler_gets_the_request_as_it_came() {
    let layer = layer_with(arrival_plus(60)).total_timeout(ms(70));
    let service = layer.layer(service_fn(|request: Request<&'static str>| async move {
        let (parts, body) = request.into_parts();
        assert_eq!(parts.method, Method::PUT);
        assert_eq!(parts.uri, Uri::from_static("/path?query"));
        assert_eq!(parts.version, Version::HTTP_2);
        let fields: Vec<_> = parts.headers.get_all("x-field").iter().collect();
        assert_eq!(fields, ["one", "two"]);
        assert_eq!(parts.extensions.get::<u8>(), Some(&7));
        assert_eq!(body, "body");
        Ok::<_, std::convert::Infallible>(full("done"))
    }));
    let request = Request::put("/path?query")
        .version(Version::HTTP_2)
        .header("x-field", "one")
        .header("x-field", "two")
        .extension(7_u8)
        .body("body")
        .expect("a request");
    drop(service.oneshot(request).await);
}

#[test]
fn a_source_is_called_on_a_runtime_without_time_too() {
    let runtime = timeless_runtime();
    let (asked, source) = counted_plus(1000);
    let layer = TaskTrackerLayer::new().deadline_source(source);
    let service = tracked(&layer, || {
        spawn(async {});
    });
    // With tasks that need one turn only there is no timer.
    let Ok(answer) = runtime.block_on(service.oneshot(request()));
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
