//! Hand-offs in every kind of response, layer and scope.

use std::convert::Infallible;

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainSettings, Hold, NotDone, RunToCompletionLayer, Scope, TaskScopeLayer, TaskState,
    TaskTrackerLayer, named,
};

use super::{Queue, full_queue, work};
use crate::support::{Log, after, full, ms, request, tracked};

fn layer(log: &Log) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .settings(
            DrainSettings::new()
                .drain_timeout(ms(1000))
                .hand_off_grace(ms(300)),
        )
        .observer(log.clone())
}

#[tokio::test(start_paused = true)]
async fn a_held_head_is_a_success_after_the_hand_off_and_a_failure_without() {
    for fails in [false, true] {
        let (log, queue) = (Log::default(), Queue::slow(100));
        let service = {
            let queue = queue.clone();
            tracked(&layer(&log).hold(Hold::Head), move || {
                let task = named("late");
                if fails {
                    task.or_hand_off(full_queue).spawn(work(600_000));
                } else {
                    queue.after(task).spawn(work(600_000));
                }
            })
        };
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), if fails { 500 } else { 200 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_end_comes_after_the_hand_off_and_is_an_error_without() {
    for fails in [false, true] {
        let (log, queue) = (Log::default(), Queue::slow(100));
        let service = {
            let queue = queue.clone();
            layer(&log)
                .hold(Hold::End)
                .layer(service_fn(move |_: Request<()>| {
                    let task = named("late");
                    if fails {
                        task.or_hand_off(full_queue).spawn(work(600_000));
                    } else {
                        queue.after(task).spawn(work(600_000));
                    }
                    async { Ok::<_, Infallible>(full("done")) }
                }))
        };
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await;
        assert_eq!(body.is_err(), fails);
        assert_eq!(log.report().required_failed, fails);
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_response_gets_an_error_status_if_the_hand_off_fails() {
    let log = Log::default();
    let service = layer(&log).layer(service_fn(|_: Request<()>| async {
        named("late").or_hand_off(full_queue).spawn(work(600_000));
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let body = full("")
            .into_body()
            .with_trailers(async { Some(Ok(trailers)) });
        let mut response = Response::new(body);
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", grpc);
        Ok::<_, Infallible>(response)
    }));
    let response = service.oneshot(request()).await.expect("infallible");
    let head = response.headers().get("grpc-status").cloned();
    let body = response.into_body().collect().await.expect("no error");
    let trailers = body.trailers().and_then(|t| t.get("grpc-status").cloned());
    assert_eq!(head.or(trailers).expect("a status"), "13");
}

#[tokio::test(start_paused = true)]
async fn a_scope_waits_for_the_hand_off() {
    let queue = Queue::slow(100);
    let tasks = queue.clone();
    let ((), report) = Scope::new()
        .settings(
            DrainSettings::new()
                .drain_timeout(ms(1000))
                .hand_off_grace(ms(300)),
        )
        .run(|_| async move { drop(tasks.task().spawn(work(600_000))) })
        .await;
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(700)));
    assert_eq!((report.handed_off, report.drain), (1, ms(800)), "{report}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_scope_layer_is_a_success_after_the_hand_off_and_a_failure_without() {
    for fails in [false, true] {
        let queue = Queue::slow(100);
        let service = {
            let queue = queue.clone();
            TaskScopeLayer::new()
                .settings(DrainSettings::new().drain_timeout(ms(1000)))
                .fail_with(|_| "not done")
                .layer(service_fn(move |_: ()| {
                    let task = named("late");
                    if fails {
                        task.or_hand_off(full_queue).spawn(work(600_000));
                    } else {
                        queue.after(task).spawn(work(600_000));
                    }
                    async { Ok::<_, &str>("done") }
                }))
        };
        let answer = service.oneshot(()).await;
        assert_eq!(answer, if fails { Err("not done") } else { Ok("done") });
    }
}

#[tokio::test(start_paused = true)]
async fn under_hold_never_the_task_is_handed_off_and_the_response_does_not_wait() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log).hold(Hold::Never);
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 200);
    drop(response.into_body().collect().await.expect("no error"));
    layer.handle().wait_idle().await;
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(700)));
    assert_eq!(log.report().handed_off, 1, "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn hold_required_holds_for_a_task_with_a_hand_off() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log).hold(Hold::Required);
    let held = crate::support::held(&layer, {
        let queue = queue.clone();
        move || {
            queue.task().spawn(work(600_000));
            named("plain").spawn(after(900));
        }
    })
    .await;
    assert_eq!(held, ms(700));
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_is_handed_off_if_it_fails_and_not_at_a_deadline() {
    for detached_last in [true, false] {
        let (log, queue) = (Log::default(), Queue::new());
        let layer = layer(&log);
        let held = crate::support::held(&layer, {
            let queue = queue.clone();
            move || {
                let task = if detached_last {
                    queue.after(named("late")).detached()
                } else {
                    queue.after(named("late").detached())
                };
                task.spawn(async {
                    after(5000).await;
                    Err::<(), _>("late")
                });
            }
        })
        .await;
        assert_eq!(held, ms(0));
        layer.handle().wait_idle().await;
        assert_eq!(queue.entry(), (NotDone::Failed, ms(5000)));
        let report = log.report();
        assert_eq!((report.spawned, report.handed_off), (0, 0), "{report}");
        assert_eq!(log.late_ends()[0].state, TaskState::HandedOff);
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_upgrade_only_its_own_end_hands_a_task_off() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    let service = {
        let queue = queue.clone();
        layer.layer(service_fn(move |_: Request<()>| {
            queue.task().spawn(async {
                after(5000).await;
                Err::<(), _>("late")
            });
            let mut response = full("");
            *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
            async { Ok::<_, Infallible>(response) }
        }))
    };
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 101);
    layer.handle().wait_idle().await;
    assert_eq!(queue.entry(), (NotDone::Failed, ms(5000)));
    assert_eq!(log.late_ends()[0].state, TaskState::HandedOff);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_runs_to_completion_may_spawn_a_task_with_a_hand_off() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    let service = {
        let queue = queue.clone();
        layer.layer(
            RunToCompletionLayer::new().layer(service_fn(move |_: Request<()>| {
                let queue = queue.clone();
                async move {
                    after(500).await;
                    queue.task().spawn(async { Err::<(), _>("at once") });
                    Ok::<_, Infallible>(full("done"))
                }
            })),
        )
    };
    let left = tokio::time::timeout(ms(100), service.oneshot(request()));
    assert!(left.await.is_err(), "the client left");
    layer.handle().wait_idle().await;
    assert_eq!(queue.entry(), (NotDone::Failed, ms(500)));
}

#[tokio::test(start_paused = true)]
async fn a_nested_layer_sets_the_grace() {
    let (log, queue) = (Log::default(), Queue::new());
    let inner = TaskTrackerLayer::new().settings(DrainSettings::new().hand_off_grace(ms(600)));
    let service = {
        let queue = queue.clone();
        layer(&log).layer(inner.layer(service_fn(move |_: Request<()>| {
            queue.task().spawn(work(600_000));
            async { Ok::<_, Infallible>(full("done")) }
        })))
    };
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(400)));
}
