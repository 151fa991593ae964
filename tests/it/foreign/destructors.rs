//! Tasks whose futures panic when they are dropped.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use tokio::runtime::Handle;
use tower::{Service, ServiceExt};
use tower_task_tracker::{Outcome, TaskBuilder, TaskState, TaskTrackerLayer, Unfinished, named};

use super::stage::planned;
use crate::support::{
    LastWords, Log, Slot, after, current, ms, put, request, take, timeless_runtime, tracked,
};

/// Takes so long, and panics when it is dropped.
fn breaks(millis: u64) -> impl Future<Output = ()> + Send {
    let last_words = LastWords::new(planned);
    async move {
        let _last_words = last_words;
        after(millis).await;
    }
}

/// The handle of a runtime that is gone.
fn dead() -> Handle {
    let gone = thread::spawn(|| timeless_runtime().handle().clone());
    gone.join().expect("a handle")
}

/// How a task comes to its end, and with it to its destructor.
type Way = (&'static str, fn(TaskBuilder, &Handle));

const WAYS: &[Way] = &[
    ("it completes", |task, _| drop(task.spawn(breaks(20)))),
    ("it is aborted before it runs", |task, _| {
        task.spawn(breaks(20)).abort();
    }),
    ("it is aborted while it waits", |task, _| {
        let handle = task.spawn(breaks(600_000));
        tokio::spawn(async move {
            after(20).await;
            handle.abort();
        });
    }),
    ("it is dropped by a spawn", |task, dead| {
        task.spawn_on(breaks(20), dead);
    }),
    ("a closure is dropped by a spawn", |task, dead| {
        let last_words = LastWords::new(planned);
        task.spawn_blocking_on(move || drop(last_words), dead);
    }),
    ("a closure is run", |task, _| {
        let last_words = LastWords::new(planned);
        task.spawn_blocking(move || drop(last_words));
    }),
    ("it is driven elsewhere to its end", |task, _| {
        tokio::spawn(task.track_future(breaks(20)));
    }),
    ("it is dropped elsewhere", |task, _| {
        let mut future = Box::pin(task.track_future(breaks(600_000)));
        tokio::spawn(async move {
            assert!(futures_util::poll!(&mut future).is_pending());
            after(20).await;
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
            assert!(dropped.is_err(), "its owner sees the panic");
        });
    }),
];

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_is_a_panic_of_its_task_however_that_ends() {
    let dead = dead();
    for (what, end) in WAYS {
        let log = Log::default();
        let layer = TaskTrackerLayer::new().observer(log.clone());
        let runtime = dead.clone();
        let service = tracked(&layer, move || {
            end(named("breaks"), &runtime);
            named("sibling").spawn(after(30));
        });
        let begin = tokio::time::Instant::now();
        drop(service.oneshot(request()).await);
        assert_eq!(begin.elapsed(), ms(30), "{what}");
        let report = log.report();
        assert_eq!(
            (report.completed, report.panicked, report.aborted),
            (1, 1, 0),
            "{what}: {report}"
        );
        layer.handle().wait_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_wakes_the_response_where_it_is_the_last() {
    let dead = dead();
    for (what, end) in WAYS {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .drain_timeout(None)
            .observer(log.clone());
        let runtime = dead.clone();
        let service = tracked(&layer, move || end(named("breaks"), &runtime));
        let begin = tokio::time::Instant::now();
        drop(service.oneshot(request()).await);
        assert!(begin.elapsed() <= ms(20), "{what}");
        assert_eq!(log.report().panicked, 1, "{what}");
        layer.handle().wait_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_reported_where_no_response_waits_for_the_task() {
    let dead = dead();
    for (what, end) in WAYS {
        for detached in [true, false] {
            let log = Log::default();
            let layer = TaskTrackerLayer::new().observer(log.clone());
            let kept = Slot::default();
            let keep = kept.clone();
            let service = tracked(&layer, move || put(&keep, current()));
            let mut service = service;
            let answer = service.call(request()).await;
            let tasks = take(&kept);
            let task = || tasks.named("breaks");
            if detached {
                end(task().detached(), &dead);
                drop(answer);
            } else {
                drop(answer);
                end(task(), &dead);
            }
            layer.handle().wait_idle().await;
            let ends = log.late_ends();
            assert_eq!(ends.len(), 1, "{what}, detached: {detached}");
            assert_eq!(ends[0].state, TaskState::Panicked, "{what}: {}", ends[0]);
            assert_eq!(log.late_spawns().len(), usize::from(!detached), "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_makes_a_required_task_fail() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let service = tracked(&layer, || {
        named("store").required().spawn(async {
            breaks(20).await;
            Ok::<_, std::convert::Infallible>(())
        });
    });
    let Ok(answer) = service.oneshot(request()).await;
    assert!(answer.status().is_server_error());
    assert!(log.report().required_failed);
}

#[tokio::test(start_paused = true)]
async fn what_is_aborted_for_a_client_that_left_may_panic() {
    for policy in [Unfinished::Abort, Unfinished::Cancel { grace: ms(100) }] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .at_disconnect(policy)
            .observer(log.clone());
        let mut service = tracked(&layer, || {
            named("breaks").spawn(breaks(600_000));
            named("breaks too").spawn(breaks(600_000));
        });
        let left = tokio::time::timeout(ms(10), service.call(request())).await;
        assert!(left.is_err(), "it is held");
        layer.handle().wait_idle().await;
        let report = log.report();
        assert_eq!(
            (report.outcome, report.panicked),
            (Outcome::Dropped, 2),
            "{policy:?}: {report}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_end_of_a_shutdown_aborts_may_panic() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(log.clone());
    let service = tracked(&layer, || {
        named("breaks").spawn(breaks(600_000));
        named("breaks too").detached().spawn(breaks(600_000));
    });
    drop(service.oneshot(request()).await);
    let report = layer.handle().shutdown(ms(100)).await;
    assert_eq!(report.panicked, 2, "{report}");
    assert!(report.still_running.is_empty(), "{report}");
    assert_eq!(log.late_ends().len(), 2);
    layer.handle().wait_idle().await;
}

#[test]
fn what_a_runtime_drops_at_its_end_may_panic() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let mut service = tracked(&layer, || {
        named("breaks").spawn(breaks(600_000));
        named("breaks too").detached().spawn(breaks(600_000));
    });
    let runtime = crate::support::paused_runtime();
    runtime.block_on(async {
        let left = tokio::time::timeout(ms(10), service.call(request())).await;
        assert!(left.is_err(), "it is held");
    });
    drop(runtime);
    let ends = log.late_ends();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|end| end.state == TaskState::Panicked));
    let handle = layer.handle();
    assert_eq!((handle.live_tasks(), handle.live_requests()), (0, 0));
}

/// Ends after so long, and panics when it is dropped after that.
struct DroppedLater(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Future for DroppedLater {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Drop for DroppedLater {
    fn drop(&mut self) {
        planned();
    }
}

/// What is awaited before the release is dropped at its end, at the deadline, or when the client leaves.
#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_when_it_is_dropped_keeps_nothing_from_its_end() {
    for (takes, leaves, held) in [(20, false, 20), (600_000, false, 100), (600_000, true, 10)] {
        let layer = TaskTrackerLayer::new()
            .drain_timeout(ms(100))
            .before_release(move |_| DroppedLater(Box::pin(after(takes))));
        let mut service = tracked(&layer, || drop(named("store").spawn(async {})));
        let begin = tokio::time::Instant::now();
        let answer =
            tokio::time::timeout(ms(if leaves { 10 } else { 1000 }), service.call(request()));
        assert_eq!(answer.await.is_err(), leaves);
        assert_eq!(begin.elapsed(), ms(held));
        layer.handle().wait_idle().await;
    }
}

/// Panics when it is polled, and again when it is dropped.
struct Twice;

impl Future for Twice {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        planned();
        Poll::Ready(())
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        planned();
    }
}

/// tokio drops a future that has panicked while it unwinds: a second panic must not come that far.
#[tokio::test(start_paused = true)]
async fn a_task_that_panics_and_whose_destructor_panics_too_is_one_panic() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let service = tracked(&layer, || {
        named("breaks").spawn(Twice);
        named("breaks too").detached().spawn(Twice);
        named("store").spawn(after(20));
    });
    let begin = tokio::time::Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(begin.elapsed(), ms(20));
    let report = log.report();
    assert_eq!((report.completed, report.panicked), (1, 1), "{report}");
    assert_eq!(log.late_ends()[0].state, TaskState::Panicked);
    layer.handle().wait_idle().await;
}
