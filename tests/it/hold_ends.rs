//! Each way in which the hold of a head ends.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{Bound, DrainReport, Outcome, TaskState, TaskTrackerLayer, Tasks, spawn};

use crate::support::{Body, Log, Slot, after, full, ms, put, request, take, tracked};

#[tokio::test(start_paused = true)]
async fn without_a_task_the_response_is_ready_at_the_first_poll() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let mut service = tracked(&layer, || {});

    let mut future = tokio_test::task::spawn(service.call(request()));
    let response = match future.poll() {
        std::task::Poll::Ready(response) => response.expect("the handler is infallible"),
        std::task::Poll::Pending => panic!("a response without tasks was held"),
    };
    assert!(
        response.extensions().get::<Arc<DrainReport>>().is_none(),
        "there is nothing to report"
    );
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "done");
    assert!(log.all().is_empty(), "nothing was spawned: {:?}", log.all());
    assert_eq!(layer.handle().live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_task_holds_the_response_until_it_ends() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        spawn(after(200));
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(200));
    drop(response.into_body().collect().await);

    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!((report.spawned, report.completed), (1, 1));
    assert_eq!(report.held, ms(200));
    assert!(report.is_clean());
    let last = report.last.expect("one task was waited for");
    assert_eq!(last.state, TaskState::Completed);
    assert!(last.location.file().ends_with("hold_ends.rs"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_needs_one_turn_only_holds_without_a_timer() {
    // A runtime without time panics when a timer is made.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without time");
    let answered = std::thread::spawn(move || {
        runtime.block_on(async {
            let service = tracked(&TaskTrackerLayer::new(), || {
                spawn(async {});
            });
            let response = service.oneshot(request()).await.expect("infallible");
            response
                .extensions()
                .get::<Arc<DrainReport>>()
                .map(|report| report.completed)
        })
    });
    assert_eq!(answered.join().expect("no timer was made"), Some(1));
}

#[tokio::test(start_paused = true)]
async fn many_tasks_hold_the_response_until_the_last_one_ends() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        for millis in (1..=100).rev() {
            spawn(after(millis));
        }
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(100));
    drop(response.into_body().collect().await);
    assert_eq!(log.report().completed, 100);
}

#[tokio::test(start_paused = true)]
async fn tasks_of_tasks_hold_the_response() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        spawn(async {
            after(50).await;
            spawn(async {
                after(50).await;
                Tasks::current()
                    .expect("a tracked task runs in its request")
                    .named("innermost")
                    .spawn(after(50));
            });
        });
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(150));
    drop(response);
    let report = log.report();
    assert_eq!(report.spawned, 3);
    assert_eq!(report.last.and_then(|task| task.name), Some("innermost"));
}

#[tokio::test]
async fn a_blocking_closure_and_what_it_spawns_hold_the_response() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(Some(blocked)));
    let mut service = tracked(&layer, move || {
        let blocked = blocked.lock().expect("unpoisoned").take();
        tower_task_tracker::spawn_blocking(move || {
            blocked
                .expect("called once")
                .recv()
                .expect("the test sends");
            spawn(async {});
        });
    });

    let mut future = tokio_test::task::spawn(service.call(request()));
    assert!(future.poll().is_pending(), "the closure has not ended");
    release.send(()).expect("the closure waits");
    let response = future.await.expect("infallible");
    drop(response);
    assert_eq!(log.report().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_holds_the_response_until_it_is_dropped() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        let token = Tasks::current().expect("in a request").token();
        let clone = token.clone();
        // Plain spawns: they are not tracked themselves.
        tokio::spawn(async move {
            after(30).await;
            drop(token);
        });
        tokio::spawn(async move {
            after(70).await;
            drop(clone);
        });
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(70));
    drop(response);
    let report = log.report();
    assert_eq!((report.spawned, report.completed), (2, 2));
    assert!(report.last.is_some(), "the token's end released it");
}

#[tokio::test(start_paused = true)]
async fn a_future_tracked_elsewhere_holds_the_response() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        let tasks = Tasks::current().expect("in a request");
        tokio::spawn(tasks.named("elsewhere").track_future(async {
            after(40).await;
            spawn(after(40));
        }));
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(80));
    drop(response);
    assert_eq!(log.report().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_tokio_util_tracker_holds_the_response() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        let tasks = Tasks::current().expect("in a request");
        tasks.tracker().spawn(after(90));
        spawn(after(30));
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(90));
    drop(response);
    let report = log.report();
    assert_eq!((report.spawned, report.completed), (2, 2));
    let last = report.last.expect("the tracker's task was waited for");
    assert_eq!(last.name, None);
}

#[tokio::test(start_paused = true)]
async fn a_library_function_that_is_handed_no_tasks_holds_the_response() {
    fn library() {
        tower_task_tracker::named("deep inside").spawn(after(25));
    }
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let start = Instant::now();
    let response = tracked(&layer, library).oneshot(request()).await;
    assert_eq!(start.elapsed(), ms(25));
    drop(response);
    let last = log.report().last.expect("one task was waited for");
    assert_eq!(last.name, Some("deep inside"));
}

#[tokio::test(start_paused = true)]
async fn a_handler_error_waits_for_its_tasks() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(60));
        Err::<Response<Body>, &str>("refused")
    }));

    let start = Instant::now();
    let error = service
        .oneshot(request())
        .await
        .expect_err("it is an error");
    assert_eq!(error, "refused");
    assert_eq!(start.elapsed(), ms(60));
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn an_error_status_waits_for_its_tasks() {
    let layer = TaskTrackerLayer::new();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(60));
        let mut response = full("broken");
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        Ok::<_, Infallible>(response)
    }));

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), http::StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(start.elapsed(), ms(60));
}

#[tokio::test(start_paused = true)]
async fn a_panicking_task_touches_neither_its_siblings_nor_the_response() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let finished = Arc::new(AtomicUsize::new(0));
    let counter = finished.clone();
    let service = tracked(&layer, move || {
        for index in 0..4 {
            let counter = counter.clone();
            tower_task_tracker::named("sibling").spawn(async move {
                after(10 * index).await;
                assert_ne!(index, 1, "task {index} fails");
                counter.fetch_add(1, Ordering::SeqCst);
            });
        }
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(30));
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "done");
    assert_eq!(finished.load(Ordering::SeqCst), 3);

    let report = log.report();
    assert_eq!((report.completed, report.panicked), (3, 1));
    assert!(!report.is_clean());
    let troubled = &report.troubled[0];
    assert_eq!(troubled.state, TaskState::Panicked);
    assert_eq!(troubled.name, Some("sibling"));
    assert_eq!(troubled.age, ms(10));
    let message = troubled.message.as_deref().unwrap_or_default();
    assert!(message.contains("task 1 fails"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn an_aborted_task_is_counted_as_aborted() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        let handle = tower_task_tracker::named("doomed").spawn(pending::<()>());
        spawn(async move {
            after(15).await;
            handle.abort();
        });
    });

    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(15));
    let report = log.report();
    assert_eq!((report.completed, report.aborted), (1, 1));
    assert_eq!(report.troubled[0].state, TaskState::Aborted);
    assert_eq!(report.troubled[0].name, Some("doomed"));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_in_call_is_reported_as_dropped() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let mut service = layer.layer(service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<Body>, Infallible>> {
            tower_task_tracker::named("orphan").spawn(after(5));
            panic!("in call")
        },
    ));

    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(service.call(request()));
    }));
    assert!(panicked.is_err(), "the panic is passed on");
    assert!(Tasks::current().is_none(), "the context was left");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.stragglers[0].name, Some("orphan"));

    layer.handle().wait_idle().await;
    assert_eq!(log.detached_ends().len(), 1, "the orphan ran to its end");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_when_polled_is_reported_as_dropped() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        spawn(after(5));
        panic!("when polled")
    });

    let panic = tokio::spawn(service.oneshot(request()))
        .await
        .expect_err("the panic is passed on");
    assert!(panic.is_panic());
    assert_eq!(log.report().outcome, Outcome::Dropped);
    layer.handle().wait_idle().await;
    assert_eq!(log.detached_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_response_goes_and_stragglers_run_on() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .on_drain(log.clone());
    let finished = Arc::new(AtomicBool::new(false));
    let flag = finished.clone();
    let service = tracked(&layer, move || {
        let flag = flag.clone();
        tower_task_tracker::named("quick").spawn(after(20));
        tower_task_tracker::named("slow").spawn(async move {
            after(250).await;
            flag.store(true, Ordering::SeqCst);
        });
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(100));
    let in_extensions = response.extensions().get::<Arc<DrainReport>>().cloned();
    drop(response.into_body().collect().await);

    let report = log.report();
    assert_eq!(in_extensions.as_deref(), Some(&report));
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(report.closed_by, Some(Bound::DrainTimeout));
    assert_eq!((report.spawned, report.completed), (2, 1));
    assert_eq!(report.stragglers.len(), 1);
    assert_eq!(report.stragglers[0].name, Some("slow"));
    assert_eq!(report.stragglers[0].state, TaskState::Running);
    assert_eq!(report.stragglers[0].age, ms(100));

    assert_eq!(layer.handle().live_tasks(), 1, "it was not aborted");
    layer.handle().wait_idle().await;
    assert_eq!(start.elapsed(), ms(250));
    assert!(finished.load(Ordering::SeqCst));
    let ends = log.detached_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].name, Some("slow"));
    assert_eq!(ends[0].age, ms(250));
}

#[tokio::test(start_paused = true)]
async fn a_straggler_that_panics_is_told_of() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .on_drain(log.clone());
    let service = tracked(&layer, || {
        spawn(async {
            after(20).await;
            panic!("too late");
        });
    });

    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    assert_eq!(log.report().stragglers.len(), 1);
    let ends = log.detached_ends();
    assert_eq!(ends[0].state, TaskState::Panicked);
    assert_eq!(ends[0].message.as_deref(), Some("too late"));
}

#[tokio::test(start_paused = true)]
async fn the_default_drain_timeout_is_25_seconds() {
    let service = tracked(&TaskTrackerLayer::new(), || {
        spawn(pending::<()>());
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_the_response_waits_for_as_long_as_it_takes() {
    let layer = TaskTrackerLayer::new().drain_timeout(None);
    let service = tracked(&layer, || {
        spawn(after(86_400_000));
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(86_400_000));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_gives_the_tasks_one_turn() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(0))
        .on_drain(log.clone());
    let service = tracked(&layer, || {
        spawn(async {});
        spawn(after(1));
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(0));
    let report = log.report();
    assert_eq!((report.completed, report.stragglers.len()), (1, 1));
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_huge_timeout_is_no_limit_and_no_panic() {
    let layer = TaskTrackerLayer::new().drain_timeout(std::time::Duration::MAX);
    let service = tracked(&layer, || {
        spawn(after(10));
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(10));
}

#[tokio::test(start_paused = true)]
async fn a_request_may_move_its_deadline_while_it_is_held() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(50));
    let service = tracked(&layer, || {
        let tasks = Tasks::current().expect("in a request");
        assert_eq!(tasks.deadline(), None, "no window is open yet");
        spawn(async move {
            after(40).await;
            let before = tasks.deadline().expect("the window is open");
            tasks.set_drain_timeout(ms(200));
            let moved = tasks.deadline().expect("the window is open");
            assert_eq!(moved - before, ms(150));
            pending::<()>().await;
        });
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(200));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_moved_to_the_past_ends_the_hold_at_once() {
    let service = tracked(&TaskTrackerLayer::new(), || {
        let tasks = Tasks::current().expect("in a request");
        // Not a task of the request: only the setter can wake the wait.
        tokio::spawn(async move {
            after(40).await;
            tasks.set_drain_timeout(ms(10));
        });
        spawn(pending::<()>());
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(40));
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_while_the_handler_runs_is_reported_as_dropped() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let mut service = layer.layer(service_fn(|_: Request<()>| async {
        struct SpawnsWhenDropped;
        impl Drop for SpawnsWhenDropped {
            fn drop(&mut self) {
                tower_task_tracker::named("last will").spawn(after(5));
            }
        }
        let _guard = SpawnsWhenDropped;
        spawn(after(10));
        pending::<Result<Response<Body>, Infallible>>().await
    }));

    let mut future = tokio_test::task::spawn(service.call(request()));
    assert!(future.poll().is_pending());
    drop(future);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.spawned, 2, "the destructor's task is counted");
    assert_eq!(report.stragglers.len(), 2);
    assert!(log.late_spawns().is_empty(), "it was not late");
    layer.handle().wait_idle().await;
    assert_eq!(log.detached_ends().len(), 2, "both ran to their ends");
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_while_the_head_is_held_is_reported_as_dropped() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let mut service = tracked(&layer, || {
        spawn(after(100));
    });

    {
        let held = service.call(request());
        let left = tokio::time::timeout(ms(30), held).await;
        assert!(left.is_err(), "it is held for longer");
    }
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.held, ms(30));
    assert_eq!(report.stragglers.len(), 1);
    layer.handle().wait_idle().await;
    assert_eq!(log.detached_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn two_clones_of_one_service_hold_their_own_requests_only() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let next = Arc::new(AtomicUsize::new(1));
    let service = tracked(&layer, move || {
        let millis = 100 * next.fetch_add(1, Ordering::SeqCst) as u64;
        spawn(after(millis));
    });

    let start = Instant::now();
    let first = tokio::spawn(service.clone().oneshot(request()));
    let second = tokio::spawn(service.oneshot(request()));
    drop(first.await.expect("no panic"));
    assert_eq!(start.elapsed(), ms(100));
    assert_eq!(layer.handle().live_requests(), 1);
    drop(second.await.expect("no panic"));
    assert_eq!(start.elapsed(), ms(200));
    let spawned: Vec<_> = log.reports().iter().map(|report| report.spawned).collect();
    assert_eq!(spawned, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_held_response_is_woken_by_the_last_end_alone() {
    let (end_first, first) = tokio::sync::oneshot::channel::<()>();
    let (end_last, last) = tokio::sync::oneshot::channel::<()>();
    let ends = Slot::default();
    put(&ends, [first, last]);
    let layer = TaskTrackerLayer::new().drain_timeout(None);
    let mut service = tracked(&layer, move || {
        for end in take(&ends) {
            spawn(async { drop(end.await) });
        }
    });
    let mut future = tokio_test::task::spawn(service.call(request()));
    assert!(future.poll().is_pending());
    assert!(future.is_woken(), "the first poll asks for one turn");
    tokio::task::yield_now().await;
    assert!(future.poll().is_pending());
    assert!(!future.is_woken());
    tokio::task::yield_now().await;
    assert!(!future.is_woken(), "nothing has happened");
    end_first.send(()).expect("the task waits");
    tokio::task::yield_now().await;
    assert_eq!(layer.handle().live_tasks(), 1, "one has ended");
    assert!(!future.is_woken(), "another one is alive");
    end_last.send(()).expect("the task waits");
    tokio::task::yield_now().await;
    assert!(future.is_woken(), "the end of the last task wakes it");
    assert!(future.poll().is_ready());
}
