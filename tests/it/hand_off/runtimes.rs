//! Each way to spawn, and the runtime on which the hand-off runs.

use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, yield_now};
use tower::ServiceExt;
use tower_task_tracker::{HandOffBuilder, NotDone, TaskTrackerLayer, named, scope};

use super::{Queue, work};
use crate::support::{Log, Slot, held, ms, paused_runtime, put, request, runtime, take, tracked};

/// A runtime whose threads are named `elsewhere`.
fn elsewhere() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("elsewhere")
        .enable_time()
        .build()
        .expect("a runtime")
}

/// A task whose hand-off records the name of its thread: when its closure is called, and when its future runs.
fn recorded(called: &Slot<String>, polled: &Slot<String>) -> HandOffBuilder {
    fn this_thread() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }
    let (called, polled) = (called.clone(), polled.clone());
    named("late").or_hand_off(move |_| {
        put(&called, this_thread());
        async move {
            put(&polled, this_thread());
            Ok::<_, &str>(())
        }
    })
}

#[test]
fn the_hand_off_runs_on_the_runtime_on_which_the_task_ended() {
    for blocking in [false, true] {
        let (here, elsewhere) = (runtime(), elsewhere());
        let log = Log::default();
        let layer = TaskTrackerLayer::new().observer(log.clone());
        let (called, polled) = (Slot::default(), Slot::default());
        here.block_on(held(&layer, {
            let (called, polled) = (called.clone(), polled.clone());
            let other = elsewhere.handle().clone();
            move || {
                let task = recorded(&called, &polled);
                if blocking {
                    task.spawn_blocking_on(|| Err::<(), _>("at once"), &other);
                } else {
                    task.spawn_on(async { Err::<(), _>("at once") }, &other);
                }
            }
        }));
        assert_eq!(take(&called), "elsewhere", "blocking: {blocking}");
        assert_eq!(take(&polled), "elsewhere", "blocking: {blocking}");
        assert_eq!(log.report().handed_off, 1, "{}", log.report());
    }
}

#[test]
fn a_task_that_is_stopped_on_another_runtime_is_handed_off_there() {
    let (here, elsewhere) = (runtime(), elsewhere());
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(200))
        .observer(log.clone());
    let (called, polled) = (Slot::default(), Slot::default());
    let service = {
        let (called, polled) = (called.clone(), polled.clone());
        let other = elsewhere.handle().clone();
        tracked(&layer, move || {
            recorded(&called, &polled).spawn_on(work(600_000), &other);
        })
    };
    let response = here.block_on(service.oneshot(request()));
    assert_eq!(response.expect("infallible").status(), 200);
    assert_eq!(
        (take(&called), take(&polled)),
        ("elsewhere".into(), "elsewhere".into())
    );
}

#[test]
fn a_task_that_its_runtime_refuses_is_handed_off_on_the_current_one() {
    for blocking in [false, true] {
        let here = runtime();
        let gone = runtime().handle().clone();
        let (log, queue) = (Log::default(), Queue::new());
        let layer = TaskTrackerLayer::new().observer(log.clone());
        here.block_on(held(&layer, {
            let queue = queue.clone();
            move || {
                if blocking {
                    queue.task().spawn_blocking_on(|| Ok::<_, &str>(()), &gone);
                } else {
                    queue.task().spawn_on(work(0), &gone);
                }
            }
        }));
        assert_eq!(queue.entry().0, NotDone::Aborted, "blocking: {blocking}");
        assert_eq!(log.report().handed_off, 1, "{}", log.report());
    }
}

#[test]
fn a_runtime_that_shuts_down_drops_a_hand_off_that_has_begun_and_this_is_its_failure() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let runtime = paused_runtime();
    let dropped = Arc::new(());
    let service = {
        let dropped = dropped.clone();
        tracked(&layer, move || {
            let held = dropped.clone();
            let hand_off = move |_| async move {
                let _held = held;
                work(1000).await
            };
            let late = named("late").or_hand_off(hand_off);
            late.spawn(async { Err::<(), _>("no mail") });
        })
    };
    let mut response = Box::pin(service.oneshot(request()));
    runtime.block_on(async {
        assert!(tokio::time::timeout(ms(10), &mut response).await.is_err());
    });
    drop(runtime);
    drop(response);
    assert_eq!(Arc::strong_count(&dropped), 1, "nothing is kept");
    let report = log.report();
    assert_eq!((report.failed, report.handed_off), (1, 0), "{report}");
    let message = report.failures[0].message.as_deref();
    assert_eq!(
        message,
        Some("the hand-off was dropped before its end: its runtime shut down, or there is none")
    );
}

#[tokio::test(start_paused = true)]
async fn a_local_task_is_handed_off() {
    for on_a_set in [false, true] {
        for stopped in [false, true] {
            let queue = Queue::new();
            let local = LocalSet::new();
            let ((), report) = local
                .run_until(scope(async |tasks| {
                    let here = Rc::new(());
                    let work = async move {
                        yield_now().await;
                        if stopped {
                            work(600_000).await?;
                        }
                        drop(here);
                        Err::<(), _>("no mail")
                    };
                    let task = queue.after(tasks.named("late"));
                    if on_a_set {
                        task.spawn_local_on(work, &local);
                    } else {
                        task.spawn_local(work);
                    }
                }))
                .await;
            let entry = if stopped {
                (NotDone::Deadline, ms(23_000))
            } else {
                (NotDone::Failed, ms(0))
            };
            assert_eq!(queue.entry(), entry, "on a set: {on_a_set}");
            assert_eq!((report.spawned, report.handed_off), (1, 1), "{report}");
        }
    }
}

async fn declined() -> Result<(), &'static str> {
    Err("the card was refused")
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_spawn_may_have_a_hand_off() {
    let queue = Queue::new();
    let tasks = queue.clone();
    let local = tokio::task::LocalSet::new();
    let ((), report) = local
        .run_until(scope(|_| async move {
            let runtime = tokio::runtime::Handle::current();
            let other = tokio::task::LocalSet::new();
            tasks.task().spawn(declined());
            tasks.task().spawn_on(declined(), &runtime);
            tasks.task().spawn_local(declined());
            let on_other = tasks.task().spawn_local_on(declined(), &other);
            assert!(other.run_until(on_other).await.expect("no panic").is_err());
            let closure = || Err::<(), _>("no stock");
            tasks.task().spawn_blocking(closure);
            tasks.task().spawn_blocking_on(closure, &runtime);
        }))
        .await;
    assert_eq!((report.spawned, report.handed_off), (6, 6), "{report}");
    assert_eq!(queue.entries().len(), 6);
}
