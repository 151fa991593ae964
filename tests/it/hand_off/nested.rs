//! Hand-offs under several layers.

use std::convert::Infallible;

use http::Request;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainSettings, NotDone, TaskScopeLayer, TaskTrackerLayer, Unfinished, named, scope,
};

use super::{Queue, full_queue, work};
use crate::support::{Log, after, full, ms, request, tracked};

fn settings(timeout: u64, grace: u64) -> DrainSettings {
    DrainSettings::new()
        .drain_timeout(ms(timeout))
        .hand_off_grace(ms(grace))
}

fn layer(log: &Log) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .settings(settings(1000, 300))
        .observer(log.clone())
}

#[tokio::test(start_paused = true)]
async fn in_nested_layers_one_report_counts_the_hand_off_and_one_response_depends_on_it() {
    for fails in [false, true] {
        let (outer_log, inner_log) = (Log::default(), Log::default());
        let queue = Queue::slow(100);
        let inner = TaskTrackerLayer::new().observer(inner_log.clone());
        let service = layer(&outer_log).layer(tracked(&inner, {
            let queue = queue.clone();
            move || {
                let task = if fails {
                    named("late").or_hand_off(full_queue)
                } else {
                    queue.task()
                };
                task.spawn(work(600_000));
            }
        }));
        let arrived = Instant::now();
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), if fails { 500 } else { 200 });
        assert_eq!(arrived.elapsed(), ms(if fails { 700 } else { 800 }));
        for log in [outer_log, inner_log] {
            let report = log.report();
            assert_eq!(report.handed_off, usize::from(!fails), "{report}");
            assert_eq!(report.required_failed, fails, "{report}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_earliest_limit_of_nested_layers_decides_the_point() {
    for (outer, inner) in [(2000, 1000), (1000, 2000)] {
        let (log, queue) = (Log::default(), Queue::new());
        let timeout = |timeout| TaskTrackerLayer::new().total_timeout(ms(timeout));
        let service = timeout(outer)
            .settings(DrainSettings::new().hand_off_grace(ms(300)))
            .observer(log.clone())
            .layer(tracked(&timeout(inner), {
                let queue = queue.clone();
                move || drop(queue.task().spawn(work(600_000)))
            }));
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), 200);
        // The setting of the inner layer wins, as for any setting.
        assert_eq!(queue.entry(), (NotDone::Deadline, ms(inner - 300)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_scope_layer_inside_a_layer_leaves_the_hand_off_to_the_response() {
    let (log, queue) = (Log::default(), Queue::slow(100));
    let inner = TaskScopeLayer::new().fail_with::<Infallible>(|_| unreachable!("it is nested"));
    let service = layer(&log).layer(inner.layer(service_fn({
        let queue = queue.clone();
        move |_: Request<()>| {
            queue.task().spawn(work(600_000));
            async { Ok::<_, Infallible>(full("done")) }
        }
    })));
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(700)));
    assert_eq!(log.report().handed_off, 1, "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn a_scope_inside_a_request_has_hand_offs_of_its_own() {
    let (log, queue) = (Log::default(), Queue::new());
    let service = layer(&log).layer(service_fn({
        let queue = queue.clone();
        move |_: Request<()>| {
            let queue = queue.clone();
            async move {
                let ((), report) = scope(async |tasks| {
                    let task = queue.after(tasks.named("late"));
                    task.spawn(async {
                        after(10).await;
                        Err::<(), _>("no mail")
                    });
                })
                .await;
                assert_eq!(report.handed_off, 1, "{report}");
                Ok::<_, Infallible>(full("done"))
            }
        }
    }));
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(queue.entry(), (NotDone::Failed, ms(10)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_scope_layer_is_handed_off_before_the_end_of_a_shutdown() {
    for policy in [Unfinished::Continue, Unfinished::Abort] {
        for fails in [false, true] {
            let queue = Queue::slow(100);
            let layer = TaskScopeLayer::new()
                .settings(settings(60_000, 300).at_deadline(policy))
                .fail_with(|_| "not done");
            let service = {
                let queue = queue.clone();
                layer.clone().layer(service_fn(move |_: ()| {
                    let task = if fails {
                        named("late").or_hand_off(full_queue)
                    } else {
                        queue.task()
                    };
                    task.spawn(work(600_000));
                    async { Ok::<_, &str>("done") }
                }))
            };
            let handle = layer.handle();
            let (answer, report) = tokio::join!(service.oneshot(()), handle.shutdown(ms(1000)));
            assert_eq!(answer, if fails { Err("not done") } else { Ok("done") });
            assert_eq!(report.handed_off, usize::from(!fails), "{report}");
            assert_eq!(report.aborted, usize::from(fails), "{report}");
            if !fails {
                assert_eq!(queue.entry(), (NotDone::Shutdown, ms(700)));
            }
        }
    }
}
