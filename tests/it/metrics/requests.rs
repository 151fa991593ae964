//! The gauges of live tasks and held responses, the histogram of drains, and the counter of requests that are refused.

use std::future::pending;

use http::{Response, StatusCode};
use http_body_util::BodyExt;
use metrics_util::debugging::DebuggingRecorder;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer, named, scope, spawn};

use super::meter::{Meter, owned};
use crate::support::{after, full, ms, request, runtime, tracked};

#[tokio::test(start_paused = true)]
async fn live_tasks_and_held_responses_rise_and_come_back_to_zero() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new();
    let service = tracked(&layer, || {
        spawn(after(20));
        named("detached").detached().spawn(after(40));
    });
    let both = async {
        tokio::join!(
            service.clone().oneshot(request()),
            service.oneshot(request())
        )
    };
    let looks = async {
        after(10).await;
        let during = (meter.number("live_tasks"), meter.number("held_responses"));
        after(20).await;
        let released = (meter.number("live_tasks"), meter.number("held_responses"));
        (during, released)
    };
    let (_, (during, released)) = tokio::join!(both, looks);
    assert_eq!(during, (4.0, 2.0));
    assert_eq!(released, (2.0, 0.0), "the detached ones are alive");
    layer.handle().wait_idle().await;
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_response_is_held_no_more_when_its_client_leaves_or_its_deadline_passes() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new().drain_timeout(ms(50));
    let service = tracked(&layer, || drop(spawn(after(100))));
    assert!(
        timeout(ms(10), service.clone().oneshot(request()))
            .await
            .is_err()
    );
    assert_eq!(meter.number("held_responses"), 0.0, "its client has left");
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(meter.number("held_responses"), 0.0, "it was late");
    assert_eq!(meter.number("live_tasks"), 2.0);
    drop(response.into_body().collect().await);
    layer.handle().wait_idle().await;
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_end_waits_is_held_and_one_that_is_not_kept_back_is_not() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    for (hold, held) in [(Hold::End, 1.0), (Hold::Never, 0.0)] {
        let layer = TaskTrackerLayer::new().hold(hold);
        let service = tracked(&layer, || drop(spawn(after(20))));
        let response = service.oneshot(request()).await.expect("infallible");
        let look = async {
            after(10).await;
            meter.number("held_responses")
        };
        let (_, during) = tokio::join!(response.into_body().collect(), look);
        assert_eq!(during, held, "{hold:?}");
        layer.handle().wait_idle().await;
        assert_eq!(meter.number("held_responses"), 0.0, "{hold:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_histogram_has_a_value_by_outcome_for_each_request_that_spawns() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new().drain_timeout(ms(500));
    let spawns = |millis| tracked(&layer, move || drop(spawn(after(millis))));

    drop(tracked(&layer, || ()).oneshot(request()).await);
    assert_eq!(meter.drains(), [], "nothing was spawned");
    drop(spawns(20).oneshot(request()).await);
    drop(spawns(250).oneshot(request()).await);
    let unheld = tracked(&layer.clone().hold(Hold::Never), || drop(spawn(after(75))));
    let response = unheld.oneshot(request()).await.expect("infallible");
    drop(response.into_body().collect().await);
    layer.handle().wait_idle().await;
    drop(spawns(1000).oneshot(request()).await);
    drop(timeout(ms(125), spawns(1000).oneshot(request())).await);
    let upgrade = layer.layer(service_fn(async |_| {
        spawn(after(1000));
        let mut response = full("");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        Ok::<Response<_>, std::convert::Infallible>(response)
    }));
    drop(upgrade.oneshot(request()).await);
    layer.handle().begin_shutdown(ms(75));
    drop(spawns(1000).oneshot(request()).await);

    let values = [
        ("outcome=deadline_exceeded", vec![0.5]),
        ("outcome=drained", vec![0.02, 0.25, 0.075]),
        ("outcome=dropped", vec![0.125]),
        ("outcome=shutdown", vec![0.075]),
        ("outcome=upgraded", vec![0.0]),
    ];
    assert_eq!(meter.drains(), owned(&values));
    let reasons = [
        ("reason=client_gone", 1.0),
        ("reason=deadline", 1.0),
        ("reason=shutdown", 1.0),
        ("reason=upgraded", 1.0),
    ];
    assert_eq!(meter.stragglers(), owned(&reasons), "but for two all were");
    layer.handle().wait_idle().await;
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_for_too_many_tasks_is_counted_as_refused_alone() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new().max_live_tasks(2);
    let service = tracked(&layer, || {
        named("a").detached().spawn(after(100));
        named("b").detached().spawn(after(100));
    });
    let arrived = Instant::now();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let response = service.clone().oneshot(request()).await;
        statuses.push(response.expect("infallible").status());
    }
    assert_eq!(arrived.elapsed(), ms(0));
    use StatusCode as Status;
    let refused = Status::SERVICE_UNAVAILABLE;
    assert_eq!(statuses, [Status::OK, refused, refused, refused]);
    assert_eq!(meter.number("shed_requests_total"), 3.0);
    assert_eq!(meter.number("live_tasks"), 2.0);
    let drains: usize = meter.drains().iter().map(|(_, values)| values.len()).sum();
    assert_eq!(drains, 1, "no drain of those that were refused");
    layer.handle().wait_idle().await;
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_scope_is_recorded_as_a_request_is() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    scope(async |tasks| drop(tasks.named("audit").spawn(after(20)))).await;
    assert_eq!(meter.tasks(), owned(&[("state=completed,task=audit", 1.0)]));
    assert_eq!(meter.drains(), owned(&[("outcome=drained", vec![0.02])]));
    assert_eq!(meter.number("held_responses"), 0.0);
}

#[test]
fn a_runtime_that_shuts_down_leaves_nothing_counted_as_alive_or_held() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let runtime = runtime();
    let service = tracked(&TaskTrackerLayer::new(), || {
        named("endless").spawn(pending::<()>());
    });
    runtime.block_on(async {
        tokio::spawn(service.oneshot(request()));
        while meter.number("held_responses") == 0.0 {
            yield_now().await;
        }
    });
    assert_eq!(meter.number("live_tasks"), 1.0);
    drop(runtime);
    assert_eq!(meter.tasks(), owned(&[("state=aborted,task=endless", 1.0)]));
    assert_eq!(meter.number("live_tasks"), 0.0);
    assert_eq!(meter.number("held_responses"), 0.0);
}
