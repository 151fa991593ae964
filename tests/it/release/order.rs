//! The order of events at the end of a task: if the end releases a response, the log, the counts and the report of that
//! task are complete by then.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use http::{Response, StatusCode};
use tokio::sync::oneshot;
use tower::{Service, ServiceExt};
use tower_task_tracker::{
    DrainObserver, DrainReport, ResponseBody, TaskInfo, TaskState, TaskTrackerLayer, Tasks,
    Unfinished, named, spawn,
};

use crate::subscribers::lines::Lines;
use crate::support::{Body, Log, Slot, after, current, ms, put, request, take, told, tracked};

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
        let _listening = lines.listen();
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

/// A response that is dropped has what was alive then, also in a tracker that has got more since it was looked at.
#[tokio::test(start_paused = true)]
async fn a_dropped_response_counts_what_its_tracker_has_got_meanwhile() {
    let (log, layer) = told();
    let mut service = tracked(&layer, || {
        let tasks = current();
        tasks.tracker().spawn(after(100));
        tokio::spawn(async move {
            after(5).await;
            tasks.tracker().spawn(after(100));
            tasks.tracker().spawn(after(100));
        });
    });
    let mut held = Box::pin(service.call(request()));
    for _ in 0..2 {
        assert!(futures_util::poll!(&mut held).is_pending());
    }
    after(10).await;
    drop(held);
    let report = log.report();
    assert_eq!(
        (report.spawned, report.stragglers.len()),
        (3, 3),
        "{report}"
    );
}

/// Its request announces the ends of tasks, for the wait: that is no reason to report them twice.
#[tokio::test(start_paused = true)]
async fn beside_a_task_that_waits_for_the_handle_an_end_is_told_of_once() {
    let (log, layer) = told();
    let handle = layer.handle();
    let service = tracked(&layer, move || {
        let handle = handle.clone();
        named("waits").spawn(async move { handle.wait_idle().await });
        named("completes").spawn(after(20));
        named("fails").fallible().spawn(async {
            after(30).await;
            Err::<(), _>("planned")
        });
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!((report.completed, report.failed), (2, 1), "{report}");
    assert!(log.late_ends().is_empty(), "{:?}", log.late_ends());
}

#[tokio::test(start_paused = true)]
async fn what_destructors_spawn_at_the_deadline_is_reported_as_alive_and_then_aborted() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone());
    let service = tracked(&layer, || {
        spawn_at_drop(current());
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!(
        (report.aborted, report.stragglers.len()),
        (1, 1),
        "{report}"
    );
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].state, TaskState::Aborted, "{}", ends[0]);
}

fn spawn_at_drop(tasks: Tasks) {
    let last_words = crate::support::LastWords::new(move || {
        drop(tasks.named("last will").spawn(after(600_000)));
    });
    spawn(async move {
        let _last_words = last_words;
        after(600_000).await;
    });
}

/// What was in the log when each callback was called.
struct Reads {
    lines: Lines,
    read: Arc<Mutex<Vec<(&'static str, bool)>>>,
}

impl Reads {
    fn read(&self, callback: &'static str, event: &str) {
        let is_logged = self.lines.count(event) > 0;
        self.read
            .lock()
            .expect("no panic holds it")
            .push((callback, is_logged));
    }
}

impl DrainObserver for Reads {
    fn on_drain(&self, _: &DrainReport) {
        self.read("drain", "the drain window closed");
    }
    fn on_late_spawn(&self, _: &TaskInfo) {
        self.read("late spawn", "was spawned after its request");
    }
    fn on_late_end(&self, _: &TaskInfo) {
        self.read("late end", "a tracked task failed");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_observer_is_called_for_is_logged_already() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let read = Arc::<Mutex<Vec<_>>>::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(Reads {
            lines: lines.clone(),
            read: read.clone(),
        });
    let service = tracked(&layer, || {
        let tasks = current();
        named("slow").fallible().spawn(async {
            after(30).await;
            Err::<(), _>("planned")
        });
        tokio::spawn(async move {
            after(20).await;
            drop(tasks.token());
        });
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    let read = read.lock().expect("no panic holds it");
    // The token has completed: that is not logged.
    let expected = [
        ("drain", true),
        ("late spawn", true),
        ("late end", false),
        ("late end", true),
    ];
    assert_eq!(*read, expected);
}

#[tokio::test(start_paused = true)]
async fn the_task_that_lets_a_response_go_is_named_with_what_became_of_it() {
    for (fails, state, message) in [
        (true, TaskState::Failed, Some("planned")),
        (false, TaskState::Completed, None),
    ] {
        let (log, layer) = told();
        let service = tracked(&layer, move || {
            named("first").spawn(after(10));
            named("last").fallible().spawn(async move {
                after(20).await;
                if fails { Err("planned") } else { Ok(()) }
            });
        });
        drop(service.oneshot(request()).await);
        let last = log.report().last.expect("it was waited for");
        assert_eq!((last.name.as_deref(), last.state), (Some("last"), state));
        assert_eq!(last.message.as_deref(), message);
        assert_eq!(last.age, ms(20));
    }
}

/// Drops the response within the wake-up.
struct Leaves<F>(Mutex<Option<Pin<Box<F>>>>);

impl<F: Send> Wake for Leaves<F> {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().expect("no panic holds it").take());
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_dropped_by_the_end_of_its_last_task_has_no_straggler() {
    let (log, layer) = told();
    let mut service = tracked(&layer, || drop(spawn(after(20))));
    let leaves = Arc::new(Leaves(Mutex::new(None)));
    let waker = Waker::from(leaves.clone());
    let mut held = Box::pin(service.call(request()));
    for _ in 0..2 {
        let polled = held.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        tokio::task::yield_now().await;
    }
    *leaves.0.lock().expect("no panic holds it") = Some(held);
    after(30).await;
    let report = log.report();
    assert_eq!(
        (report.completed, report.stragglers.len()),
        (1, 0),
        "{report}"
    );
    assert!(log.late_ends().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_has_its_tasks_asked_to_stop_at_once() {
    for policy in [Unfinished::Abort, Unfinished::Cancel { grace: ms(100) }] {
        let (_, layer) = told();
        let kept = Slot::default();
        let keep = kept.clone();
        let mut service = tracked(&layer.at_disconnect(policy), move || {
            put(&keep, current().cancellation_token());
            spawn(after(600_000));
        });
        let mut held = Box::pin(service.call(request()));
        assert!(futures_util::poll!(&mut held).is_pending());
        drop(held);
        assert!(take(&kept).is_cancelled(), "{policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_destructors_spawn_when_the_client_has_left_is_reported_and_then_aborted() {
    let (log, layer) = told();
    let mut service = tracked(&layer.at_disconnect(Unfinished::Abort), || {
        spawn_at_drop(current());
    });
    let left = tokio::time::timeout(ms(10), service.call(request())).await;
    assert!(left.is_err(), "it is held");
    let begin = tokio::time::Instant::now();
    after(200).await;
    let report = log.report();
    assert_eq!(
        (report.aborted, report.stragglers.len()),
        (1, 1),
        "{report}"
    );
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1, "after {:?}", begin.elapsed());
    assert_eq!(ends[0].state, TaskState::Aborted, "{}", ends[0]);
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
        let (log, layer) = told();
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
