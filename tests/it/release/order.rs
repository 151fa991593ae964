//! A task that releases a response has ended before: its future is dropped, and its end is logged and counted.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use http::{Response, StatusCode};
use tokio::sync::oneshot;
use tower::{Service, ServiceExt};
use tower_task_tracker::{ResponseBody, TaskTrackerLayer, named};

use crate::subscribers::lines::Lines;
use crate::support::{Body, Log, Slot, after, ms, observed, put, request, take, tracked};

type Answer = Result<Response<ResponseBody<Body>>, Infallible>;

/// Polls the response within the wake-up: on another thread that may happen at any time after it.
struct AtOnce {
    held: Mutex<Option<Pin<Box<dyn Future<Output = Answer> + Send>>>>,
    seen: Slot<(StatusCode, usize)>,
    lines: Lines,
}

impl Wake for AtOnce {
    fn wake(self: Arc<Self>) {
        let Some(mut held) = self.held.lock().expect("no panic holds it").take() else {
            return;
        };
        let logged = self.lines.count("a tracked task") + self.lines.count("a required task");
        match held.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(answer)) => put(&self.seen, (answer.status(), logged)),
            Poll::Pending => panic!("the last task has ended"),
        }
    }
}

/// How a task ends that does not complete.
type Way = (&'static str, fn(oneshot::Receiver<()>), StatusCode);

const WAYS: [Way; 5] = [
    (
        "it fails",
        |end| {
            named("ends").fallible().spawn(async move {
                let _ = end.await;
                Err::<(), _>("planned")
            });
        },
        StatusCode::OK,
    ),
    (
        "it panics",
        |end| {
            named("ends").spawn(async move {
                let _ = end.await;
                std::panic::resume_unwind(Box::new("planned"));
            });
        },
        StatusCode::OK,
    ),
    (
        "it is aborted",
        |end| {
            let task = named("ends").spawn(std::future::pending::<()>());
            tokio::spawn(async move {
                let _ = end.await;
                task.abort();
            });
        },
        StatusCode::OK,
    ),
    (
        "it is required, and fails",
        |end| {
            named("ends").required().spawn(async move {
                let _ = end.await;
                Err::<(), _>("planned")
            });
        },
        StatusCode::INTERNAL_SERVER_ERROR,
    ),
    (
        "it is required, and dropped elsewhere",
        |end| {
            let future = named("ends")
                .required()
                .track_future(std::future::pending::<Result<(), Infallible>>());
            tokio::spawn(async move {
                let _ = end.await;
                drop(future);
            });
        },
        StatusCode::INTERNAL_SERVER_ERROR,
    ),
];

#[tokio::test(start_paused = true)]
async fn an_end_is_logged_and_counted_before_it_wakes_the_response() {
    for (what, start, status) in WAYS {
        let lines = Lines::default();
        let _recording = lines.record();
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .drain_timeout(None)
            .observer(log.clone());
        let (end, ends) = oneshot::channel();
        let ends = Arc::new(Mutex::new(Some(ends)));
        let mut service = tracked(&layer, move || {
            start(take(&ends));
        });
        let at_once = Arc::new(AtOnce {
            held: Mutex::new(None),
            seen: Slot::default(),
            lines: lines.clone(),
        });
        let waker = Waker::from(at_once.clone());
        let mut held = Box::pin(service.call(request()));
        for _ in 0..2 {
            let polled = held.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending(), "{what}");
            tokio::task::yield_now().await;
        }
        *at_once.held.lock().expect("no panic holds it") = Some(held);
        end.send(()).expect("it waits");
        after(1).await;
        assert_eq!(take(&at_once.seen), (status, 1), "{what}");
        let report = log.report();
        assert_eq!((report.spawned, report.completed), (1, 0), "{what}");
        assert!(log.late_ends().is_empty(), "{what}: the report has it");
        layer.handle().wait_idle().await;
    }
}

/// Has ended at its first poll, and spawns when it is dropped: an async block drops what it holds within the poll.
struct SpawnsAtDrop;

impl Future for SpawnsAtDrop {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Drop for SpawnsAtDrop {
    fn drop(&mut self) {
        named("last will").spawn(after(20));
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_that_has_ended_is_dropped_before_its_task_ends() {
    for elsewhere in [false, true] {
        let (log, layer) = observed();
        let service = tracked(&layer, move || {
            if elsewhere {
                tokio::spawn(named("first").track_future(SpawnsAtDrop));
            } else {
                named("first").spawn(SpawnsAtDrop);
            }
        });
        let begin = tokio::time::Instant::now();
        drop(service.oneshot(request()).await);
        assert_eq!(begin.elapsed(), ms(20), "elsewhere: {elsewhere}");
        assert_eq!(log.report().completed, 2);
    }
}
