//! A layer inside of another one.

use std::convert::Infallible;

use http::{Request, StatusCode};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    Hold, Outcome, TaskState, TaskTrackerLayer, Tasks, Unfinished, named, scope, spawn,
};

use crate::support::{Log, Slot, after, current, full, ms, put, request, take, tracked};

#[tokio::test(start_paused = true)]
async fn an_inner_layer_makes_no_second_tracker_and_adds_its_callbacks() {
    let (outer_log, inner_log) = (Log::default(), Log::default());
    let outer = TaskTrackerLayer::new().observer(outer_log.clone());
    let inner = TaskTrackerLayer::new().observer(inner_log.clone());
    let service = outer.layer(tracked(&inner, || {
        spawn(after(30));
    }));

    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!(outer_log.report(), inner_log.report());
    assert_eq!(outer_log.report().spawned, 1);
    assert_eq!(inner.handle().live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_route_tunes_its_own_timeout() {
    let log = Log::default();
    let base = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .observer(log.clone());
    let route = tracked(&base.clone().drain_timeout(ms(50)), || {
        spawn(after(500));
    });
    let service = base.layer(route);

    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(50));
    assert_eq!(
        log.report().outcome,
        Outcome::DeadlineExceeded,
        "called once, although the route's layer was made from the base"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_handler_sets_wins_over_every_layer() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(50));
    let service = layer.layer(tracked(&layer, || {
        let tasks = current();
        tasks.set_drain_timeout(ms(70));
        tasks.spawn(after(500));
    }));
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(70));
}

#[tokio::test(start_paused = true)]
async fn a_layer_finds_the_outer_one_by_the_context_alone() {
    // The middle rebuilds the request, so that its extensions are lost.
    let log = Log::default();
    let outer = TaskTrackerLayer::new().observer(log.clone());
    let inner = tracked(&TaskTrackerLayer::new(), || {
        spawn(after(10));
    });
    let service = outer.layer(service_fn(move |_: Request<()>| {
        let inner = inner.clone();
        async move { inner.oneshot(request()).await }
    }));
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(10));
    assert_eq!(log.report().spawned, 1);
}

#[tokio::test(start_paused = true)]
async fn a_layer_finds_the_outer_one_by_the_extensions_alone() {
    // The middle calls the inner service in a task of its own, as tower's `Buffer` does.
    let log = Log::default();
    let outer = TaskTrackerLayer::new().observer(log.clone());
    let inner = tracked(&TaskTrackerLayer::new(), || {
        assert!(
            Tasks::current().is_some(),
            "the inner layer brings the context back"
        );
        spawn(after(10));
    });
    let service = outer.layer(service_fn(move |request: Request<()>| {
        let inner = inner.clone();
        async move {
            let response = tokio::spawn(inner.oneshot(request)).await;
            response
                .expect("no panic")
                .map_err(|never: Infallible| never)
        }
    }));
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().spawned, 1);
}

#[tokio::test(start_paused = true)]
async fn layers_that_share_a_handle_are_seen_by_it() {
    let handle = tower_task_tracker::TrackerHandle::new();
    let one = TaskTrackerLayer::new().tracked_by(&handle);
    let two = TaskTrackerLayer::new().tracked_by(&handle);
    let start = || {
        spawn(after(30));
    };
    let first = tokio::spawn(tracked(&one, start).oneshot(request()));
    let second = tokio::spawn(tracked(&two, start).oneshot(request()));
    after(10).await;
    assert_eq!((handle.live_requests(), handle.live_tasks()), (2, 2));
    drop((first.await, second.await));
    handle.wait_idle().await;
    assert_eq!((handle.live_requests(), handle.live_tasks()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_route_chooses_its_own_policies_and_statuses_and_leaves_the_rest() {
    let log = Log::default();
    let base = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .deadline_status(StatusCode::GATEWAY_TIMEOUT)
        .failure_status(StatusCode::BAD_GATEWAY)
        .observer(log.clone());
    let route = base
        .clone()
        .at_deadline(Unfinished::Abort)
        .deadline_status(StatusCode::ACCEPTED)
        .server_timing(true);
    let slow = base.layer(tracked(&route, || {
        spawn(after(500));
    }));
    let Ok(answer) = slow.oneshot(request()).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(answer.headers()["server-timing"], "drain;dur=90.0");
    assert_eq!(log.report().aborted, 1);
    let failing = base.layer(tracked(&route, || {
        named("order")
            .required()
            .spawn(async { Err::<(), _>("no stock") });
    }));
    let Ok(answer) = failing.oneshot(request()).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let route = route.failure_status(StatusCode::CONFLICT);
    let failing = base.layer(tracked(&route, || {
        named("order")
            .required()
            .spawn(async { Err::<(), _>("no stock") });
    }));
    let Ok(answer) = failing.oneshot(request()).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
}

#[tokio::test(start_paused = true)]
async fn a_route_chooses_what_becomes_of_its_tasks_when_the_client_leaves() {
    let log = Log::default();
    let base = TaskTrackerLayer::new()
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let route = base.clone().at_disconnect(Unfinished::Continue);
    let service = base.layer(tracked(&route, || {
        spawn(after(500));
    }));
    let held = tokio::time::timeout(ms(20), service.oneshot(request())).await;
    assert!(held.is_err());
    assert_eq!(log.report().stragglers.len(), 1);
    base.handle().wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_scope_around_a_route_with_a_layer_has_its_tasks() {
    let route = TaskTrackerLayer::new().layer(service_fn(|_: Request<()>| async {
        spawn(after(10));
        Ok::<_, Infallible>(full("done"))
    }));
    let service = TaskTrackerLayer::new().layer(service_fn(move |request: Request<()>| {
        let route = route.clone();
        async move {
            let (response, report) = scope(|_| route.oneshot(request)).await;
            assert_eq!(report.spawned, 1, "what its future has spawned");
            response
        }
    }));
    drop(service.oneshot(request()).await);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_the_context_of_a_released_one_is_held_by_itself() {
    let kept = Slot::default();
    let keep = kept.clone();
    let outer = TaskTrackerLayer::new();
    let service = tracked(&outer, move || {
        put(&keep, current());
        spawn(async {});
    });
    drop(service.oneshot(request()).await);
    let tasks = take(&kept);
    assert!(tasks.is_released());

    // As over an upgraded connection.
    let inner = tracked(&TaskTrackerLayer::new(), || {
        spawn(after(30));
    });
    let start = Instant::now();
    let mut with_extension = request();
    with_extension.extensions_mut().insert(tasks.clone());
    drop(tasks.within(inner.oneshot(with_extension)).await);
    assert_eq!(start.elapsed(), ms(30));
}

#[tokio::test(start_paused = true)]
async fn inside_of_a_layer_that_holds_nothing_a_route_has_to_set_its_hold() {
    let outer = TaskTrackerLayer::new().hold(Hold::Never);
    for (route, waits) in [
        (TaskTrackerLayer::new(), 0),
        (TaskTrackerLayer::new().hold(Hold::Auto), 30),
    ] {
        let service = outer.layer(tracked(&route, || {
            spawn(after(30));
        }));
        let start = Instant::now();
        drop(service.oneshot(request()).await);
        assert_eq!(start.elapsed(), ms(waits), "{route:?}");
    }
}
