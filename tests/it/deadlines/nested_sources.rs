//! When nested layers call their sources.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;
use http::request::Parts;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Limit, spawn};

use super::arrival_plus;
use super::nested::{base, named, through};
use crate::support::{Slot, full, ms, put, request, take};

#[tokio::test(start_paused = true)]
async fn a_source_that_a_routes_layer_has_from_the_base_counts_from_the_first_arrival() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let base = base().deadline_from(move |_: &Parts| {
        counter.fetch_add(1, Ordering::SeqCst);
        Some(Instant::now() + ms(50))
    });
    // As the design has it: `post(h).layer(base.clone().drain_timeout(..))`.
    let route = base.clone().drain_timeout(ms(5000));
    let closed = through(&base, 30, &route, request()).await;
    assert_eq!(closed, (ms(50), Some(Limit::Source("deadline source"))));
    assert_eq!(asked.load(Ordering::SeqCst), 2, "by each of the layers");
    // Another one is another source, whatever it returns.
    let other = route.deadline_source(named("own", 10));
    let closed = through(&base, 30, &other, request()).await;
    assert_eq!(closed, (ms(40), Some(Limit::Source("own"))));
}

#[tokio::test(start_paused = true)]
async fn sources_are_called_again_if_a_request_carries_the_extensions_of_one_that_is_over() {
    // As one made by a straggler does, or one that is read from an upgraded connection.
    let kept = Slot::default();
    let keep = kept.clone();
    let layer = base().deadline_source(arrival_plus(50));
    let service = layer.layer(service_fn(move |request: Request<()>| {
        put(&keep, request);
        spawn(pending::<()>());
        async { Ok::<_, Infallible>(full("done")) }
    }));
    let mut next = request();
    for time in 0..3 {
        let start = Instant::now();
        drop(service.clone().oneshot(next).await);
        assert_eq!(start.elapsed(), ms(50), "time {time}");
        next = take(&kept);
    }
}
