//! Nested layers: the innermost limits win, and sources add up.

use std::future::pending;
use std::time::Duration;

use http::Request;
use http::request::Parts;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::deadline::{self, Source};
use tower_task_tracker::{Limit, TaskTrackerLayer, scope, spawn};

use super::{OWN, arrival_plus};
use crate::support::{
    Log, Slot, after, current, held, ms, put, request, take, tracked, with_field,
};

const TOTAL: Limit = Limit::TotalTimeout;

pub(crate) fn base() -> TaskTrackerLayer {
    TaskTrackerLayer::new().drain_timeout(OWN)
}

/// A source with a name.
pub(crate) fn named(name: &'static str, millis: u64) -> Source {
    Source::new(name, move |_| Some(Instant::now() + ms(millis)))
}

/// Serves a request through both layers, with something between them that takes so long: how long it
/// took from the arrival, and what closed the window.
pub(crate) async fn through(
    outer: &TaskTrackerLayer,
    between: u64,
    inner: &TaskTrackerLayer,
    request: Request<()>,
) -> (Duration, Option<Limit>) {
    let log = Log::default();
    let route = tracked(inner, || {
        spawn(pending::<()>());
    });
    let middle = service_fn(move |request| {
        let route = route.clone();
        async move {
            if between > 0 {
                after(between).await;
            }
            route.oneshot(request).await
        }
    });
    let start = Instant::now();
    let service = outer.clone().observer(log.clone()).layer(middle);
    drop(service.oneshot(request).await);
    (start.elapsed(), log.report().closed_by)
}

#[tokio::test(start_paused = true)]
async fn a_routes_own_timeouts_win_whether_they_are_shorter_or_longer() {
    for (outer, inner, millis) in [(50, 20, 20), (20, 50, 50)] {
        let drain = |millis| base().drain_timeout(ms(millis));
        let closed = through(&drain(outer), 0, &drain(inner), request()).await;
        let which = (outer, inner);
        assert_eq!(closed, (ms(millis), Some(Limit::DrainTimeout)), "{which:?}");
        let total = |millis| base().total_timeout(ms(millis));
        let closed = through(&total(outer), 0, &total(inner), request()).await;
        assert_eq!(closed, (ms(millis), Some(TOTAL)), "{which:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_may_lift_either_timeout() {
    let (outer, inner) = (base().total_timeout(ms(50)), base().total_timeout(None));
    let closed = through(&outer, 0, &inner, request()).await;
    assert_eq!(closed, (OWN, Some(Limit::DrainTimeout)), "the total one");
    let outer = base().drain_timeout(ms(50)).total_timeout(ms(60));
    let inner = TaskTrackerLayer::new().drain_timeout(None);
    let closed = through(&outer, 0, &inner, request()).await;
    assert_eq!(closed, (ms(60), Some(TOTAL)), "the drain timeout");
}

#[tokio::test(start_paused = true)]
async fn a_route_that_sets_one_timeout_inherits_the_other() {
    let outer = base().drain_timeout(ms(40)).total_timeout(ms(60));
    let inner = TaskTrackerLayer::new();
    let closed = through(&outer, 0, &inner.clone().total_timeout(ms(50)), request()).await;
    assert_eq!(closed, (ms(40), Some(Limit::DrainTimeout)));
    let closed = through(&outer, 0, &inner.clone().drain_timeout(ms(70)), request()).await;
    assert_eq!(closed, (ms(60), Some(TOTAL)));
    let source = inner.deadline_source(arrival_plus(500));
    let closed = through(&outer, 10, &source, request()).await;
    assert_eq!(closed, (ms(50), Some(Limit::DrainTimeout)));
}

#[tokio::test(start_paused = true)]
async fn of_three_layers_the_innermost_that_sets_a_timeout_wins() {
    let layer = |drain, total| base().drain_timeout(ms(drain)).total_timeout(ms(total));
    let outer = layer(10, 1000);
    for (middle, inner, closed) in [
        (
            layer(20, 900),
            layer(30, 800),
            (ms(30), Limit::DrainTimeout),
        ),
        (layer(40, 900), layer(500, 25), (ms(25), TOTAL)),
        (
            layer(40, 900),
            TaskTrackerLayer::new(),
            (ms(40), Limit::DrainTimeout),
        ),
    ] {
        let log = Log::default();
        let route = middle.layer(tracked(&inner, || {
            spawn(pending::<()>());
        }));
        let service = outer.clone().observer(log.clone()).layer(route);
        let start = Instant::now();
        drop(service.oneshot(request()).await);
        let (took, bound) = closed;
        let closed_by = log.report().closed_by;
        let which = format!("{middle:?} {inner:?}");
        assert_eq!((start.elapsed(), closed_by), (took, Some(bound)), "{which}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_total_timeout_of_an_outer_layer_counts_from_the_arrival_there() {
    let outer = base().total_timeout(ms(50));
    for inner in [
        TaskTrackerLayer::new(),
        TaskTrackerLayer::new().deadline_source(arrival_plus(500)),
    ] {
        let closed = through(&outer, 30, &inner, request()).await;
        assert_eq!(closed, (ms(50), Some(TOTAL)), "not 30 ms later");
    }
}

#[tokio::test(start_paused = true)]
async fn sources_of_both_layers_count_and_the_earliest_closes_the_window() {
    for (outer, inner, millis, name) in [(20, 50, 20, "outer"), (50, 20, 20, "inner")] {
        let outermost = base().deadline_source(named("outer", outer));
        let innermost = TaskTrackerLayer::new().deadline_source(named("inner", inner));
        let closed = through(&outermost, 0, &innermost, request()).await;
        let earliest = (ms(millis), Some(Limit::Source(name)));
        assert_eq!(closed, earliest, "{outer} and {inner} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_of_a_route_looks_at_the_request_as_it_arrives_there() {
    let inner = base().deadline_source(deadline::grpc_timeout());
    let request = with_field("grpc-timeout", "50m");
    let closed = through(&base(), 30, &inner, request).await;
    assert_eq!(closed, (ms(80), Some(Limit::Source("grpc-timeout"))));
}

#[tokio::test(start_paused = true)]
async fn in_a_scope_a_layers_limits_are_the_scopes() {
    let layer = base().deadline_source(arrival_plus(50));
    let start = Instant::now();
    let (_, report) = scope(|_| {
        tracked(&layer, || {
            spawn(pending::<()>());
        })
        .oneshot(request())
    })
    .await;
    assert_eq!(start.elapsed(), ms(50), "it is the scope that waits");
    assert_eq!(report.closed_by, Some(Limit::Source("deadline source")));
}

/// Every source bounds the window: `Tasks::deadline` has it, and the drain ends at it.
#[tokio::test(start_paused = true)]
async fn a_source_of_a_nested_layer_that_is_called_during_the_drain_counts() {
    let inner = TaskTrackerLayer::new()
        .deadline_from(|_: &Parts| Some(Instant::now() + Duration::from_secs(1)));
    let known = Slot::default();
    let read = known.clone();
    let took = held(&TaskTrackerLayer::new(), move || {
        let (inner, read) = (tracked(&inner, || {}), read.clone());
        spawn(async move {
            after(100).await;
            drop(inner.oneshot(request()).await);
            put(
                &read,
                current()
                    .deadline()
                    .expect("known")
                    .duration_since(Instant::now()),
            );
            after(60_000).await;
        });
    })
    .await;
    assert_eq!(take(&known), ms(1000), "`Tasks::deadline` has it");
    assert_eq!(took, ms(1100));
}

/// "It counts from the moment the request reaches this layer."
#[tokio::test(start_paused = true)]
async fn a_total_timeout_counts_from_its_own_layer_whatever_sources_the_outer_one_has() {
    for asks in [false, true] {
        let mut outer = TaskTrackerLayer::new();
        if asks {
            outer = outer.deadline_from(|_: &Parts| None);
        }
        let inner = tracked(&TaskTrackerLayer::new().total_timeout(ms(2000)), || {
            spawn(after(60_000));
        });
        let service = outer.layer(service_fn(move |request: Request<()>| {
            let inner = inner.clone();
            async move {
                // Such as an authentication.
                after(1000).await;
                inner.oneshot(request).await
            }
        }));
        let arrived = Instant::now();
        drop(service.oneshot(request()).await);
        assert_eq!(arrived.elapsed(), ms(3000), "the outer one asks: {asks}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_total_timeout_counts_from_the_arrival_at_the_outermost_layer_that_has_one() {
    let layer = TaskTrackerLayer::new().total_timeout(ms(1000));
    let route = tracked(&layer.clone().total_timeout(ms(100)), || {
        spawn(after(500));
    });
    let service = layer.layer(service_fn(move |request: Request<()>| {
        let route = route.clone();
        async move {
            after(70).await;
            route.oneshot(request).await
        }
    }));
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(100));
}
