//! Each way in which the hold of a head ends.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, Limit, Outcome, TaskState, TaskTrackerLayer, spawn};

use crate::support::{
    Body, Log, Slot, after, current, ms, put, request, runtime, take, told, tracked,
};

#[tokio::test(start_paused = true)]
async fn without_a_task_the_response_is_ready_at_the_first_poll() {
    let (log, layer) = told();
    let layer = layer.report_extension(true);
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
async fn an_aborted_task_is_counted_as_aborted() {
    let (log, layer) = told();
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
    assert_eq!(report.failures[0].state, TaskState::Aborted);
    assert_eq!(report.failures[0].name.as_deref(), Some("doomed"));
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_response_goes_and_stragglers_run_on() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone())
        .report_extension(true);
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
    assert_eq!(report.closed_by, Some(Limit::DrainTimeout));
    assert_eq!((report.spawned, report.completed), (2, 1));
    assert_eq!(report.stragglers.len(), 1);
    assert_eq!(report.stragglers[0].name.as_deref(), Some("slow"));
    assert_eq!(report.stragglers[0].state, TaskState::Running);
    assert_eq!(report.stragglers[0].age, ms(100));

    assert_eq!(layer.handle().live_tasks(), 1, "it was not aborted");
    layer.handle().wait_idle().await;
    assert_eq!(start.elapsed(), ms(250));
    assert!(finished.load(Ordering::SeqCst));
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].name.as_deref(), Some("slow"));
    assert_eq!(ends[0].age, ms(250));
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
async fn a_future_dropped_while_the_handler_runs_is_reported_as_dropped() {
    let (log, layer) = told();
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
    assert_eq!(log.late_ends().len(), 2, "both ran to their ends");
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_while_the_head_is_held_is_reported_as_dropped() {
    let (log, layer) = told();
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
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn two_clones_of_one_service_hold_their_own_requests_only() {
    let (log, layer) = told();
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

#[test]
fn a_waker_that_owns_a_task_of_the_request_can_be_dropped() {
    struct Owns(Mutex<Option<Box<dyn Any + Send>>>);
    impl Wake for Owns {
        fn wake(self: Arc<Self>) {}
    }
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = runtime();
        let _entered = runtime.enter();
        let token = Slot::default();
        let handed_out = token.clone();
        let service = tracked(&TaskTrackerLayer::new(), move || {
            put(&handed_out, current().token());
        });
        let mut held = Box::pin(service.oneshot(request()));
        let owner = Arc::new(Owns(Mutex::new(None)));
        let waker = Waker::from(owner.clone());
        let polled = held.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        *owner.0.lock().expect("unpoisoned") = Some(Box::new(take(&token)));
        // The waker that is stored is the last owner now, and the next poll replaces it.
        drop((waker, owner));
        let polled = held.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(polled);
        done.send(()).expect("the test waits");
    });
    let limit = Duration::from_secs(10);
    wait.recv_timeout(limit)
        .expect("it was dropped under a lock");
}
