//! Closures and types as sources of deadlines, one at a time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::request::Parts;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::deadline::{DeadlineSource, Source};
use tower_task_tracker::{Limit, spawn};

use super::{NOW, counted_plus, hold, hold_after, layer_from, layer_with};
use crate::support::{after, ms, request, tracked, with_field};

const CLOSURE: Limit = Limit::Source("deadline source");

#[tokio::test(start_paused = true)]
async fn a_closure_is_a_source() {
    let millis = |parts: &Parts| parts.headers.get("x-millis")?.to_str().ok()?.parse().ok();
    let layer = layer_from(move |parts| Some(Instant::now() + ms(millis(parts)?)));
    let held = hold(&layer, with_field("x-millis", "40")).await;
    assert_eq!(held.known, Some(ms(40)));
    held.is_closed_by(CLOSURE, ms(40), "it returned an instant");
    let held = hold_after(ms(30), &layer, with_field("x-millis", "40")).await;
    held.is_closed_by(CLOSURE, ms(40), "it counts from the arrival");
    hold(&layer, request())
        .await
        .is_left_to_the_layer("it returned none");
}

#[tokio::test(start_paused = true)]
async fn a_type_of_ones_own_is_a_source() {
    struct Fixed(Instant);

    impl DeadlineSource for Fixed {
        fn deadline(&self, _: &Parts) -> Option<Instant> {
            Some(self.0)
        }

        fn name(&self) -> &'static str {
            "fixed"
        }

        fn at_least(&self) -> Duration {
            ms(20)
        }
    }

    let layer = layer_with(Fixed(Instant::now() + ms(50)));
    let bound = Limit::Source("fixed");
    let held = hold(&layer, request()).await;
    held.is_closed_by(bound, ms(50), "50 ms after the layer was made");
    let layer = layer_with(Fixed(Instant::now() + ms(50)));
    let held = hold_after(ms(40), &layer, request()).await;
    held.is_closed_by(bound, ms(60), "20 ms after the answer");
}

#[tokio::test(start_paused = true)]
async fn an_instant_that_was_past_at_the_arrival_is_ignored() {
    let start = Instant::now();
    let fixed = move |_: &Parts| Some(start + ms(10));
    let layers = [
        layer_from(fixed),
        layer_with(Source::new("tuned", fixed)),
        layer_with(Source::new("tuned", fixed).margin(ms(5))),
        layer_with(Source::new("tuned", fixed).at_least(ms(5)).from_client()),
    ];
    after(11).await;
    for (index, layer) in layers.iter().enumerate() {
        hold(layer, request()).await.is_left_to_the_layer(index);
    }
}

#[tokio::test(start_paused = true)]
async fn the_instant_of_the_arrival_is_not_past() {
    for layer in [
        layer_from(|_| Some(Instant::now())),
        layer_with(Source::new("deadline source", |_| Some(Instant::now()))),
    ] {
        let held = hold_after(ms(4), &layer, request()).await;
        assert_eq!(held.known, Some(NOW));
        held.is_closed_by(CLOSURE, ms(4), "it passes while the handler runs");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_is_called_once_for_each_request_when_it_arrives() {
    let (asked, source) = counted_plus(50);
    let layer = layer_with(source);
    let service = tracked(&layer, || {
        spawn(after(10));
    });
    for request_number in 1..=3 {
        let future = service.clone().oneshot(request());
        let mut future = tokio_test::task::spawn(future);
        assert!(future.poll().is_pending(), "the task is alive");
        let now = asked.load(Ordering::SeqCst);
        assert_eq!(now, request_number, "asked before the handler answers");
        let response = future.await.expect("infallible");
        drop(response.into_body().collect().await);
        assert_eq!(asked.load(Ordering::SeqCst), request_number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_is_called_also_if_nothing_is_spawned_and_nothing_is_held() {
    let (asked, source) = counted_plus(0);
    let layer = layer_with(source);
    let mut future = tokio_test::task::spawn(tracked(&layer, || {}).oneshot(request()));
    assert!(future.poll().is_ready(), "there is nothing to wait for");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
