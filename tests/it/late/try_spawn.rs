//! `try_spawn` refuses what would be late, and gives the future back.

use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{TaskState, TaskTrackerLayer, TrySpawnError, named};

use crate::detached::ends;
use crate::support::{Slot, after, current, ms, observed, put, request, take, tracked};

#[tokio::test(start_paused = true)]
async fn try_spawn_refuses_a_straggler_and_in_a_detached_task_a_shutdown_alone_refuses() {
    let (log, layer) = observed();
    let layer = layer.drain_timeout(ms(10));
    let handle = layer.handle();
    let refused = Slot::default();
    let out = refused.clone();
    let service = tracked(&layer, move || {
        let (handle, out) = (handle.clone(), out.clone());
        named("straggler").spawn(async move {
            after(100).await;
            let refused = named("refused").try_spawn(after(10));
            let refused = matches!(refused, Err(TrySpawnError::Released(_)));
            assert!(refused, "no response waits for it");
            named("its child").spawn(async {
                let child = named("child").try_spawn(after(10));
                assert!(child.is_ok(), "it is detached itself");
            });
        });
        named("detached").detached().spawn(async move {
            let child = named("child").try_spawn(after(10));
            assert!(child.is_ok(), "while the request is open");
            after(200).await;
            let child = named("child").try_spawn(after(10));
            assert!(child.is_ok(), "when it is released");
            handle.begin_shutdown(ms(1000));
            put(&out, named("refused").try_spawn(after(10)));
        });
    });
    let arrived = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(arrived.elapsed(), ms(10));
    layer.handle().wait_idle().await;
    let refused = take(&refused);
    assert!(matches!(refused, Err(TrySpawnError::ShuttingDown(_))));
    let all = [
        "child",
        "child",
        "child",
        "detached",
        "its child",
        "straggler",
    ];
    assert_eq!(ends(&log), all, "and nothing panicked");
    let ends = log.late_ends();
    assert!(ends.iter().all(|task| task.state == TaskState::Completed));
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn try_spawn_refuses_what_would_be_late_and_gives_the_future_back() {
    let layer = TaskTrackerLayer::new();
    let (give, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let service = tracked(&layer, move || {
        let in_time = current().try_spawn(after(20));
        assert!(in_time.is_ok());
        let _ = give.send(current());
    });
    let arrived = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(arrived.elapsed(), ms(20), "what it takes is waited for");
    let tasks = taken.recv().await.expect("it was sent");
    let refused = tasks.try_spawn(std::future::ready(7));
    let Err(refused) = refused else {
        panic!("it would be late");
    };
    assert!(matches!(refused, TrySpawnError::Released(_)));
    assert!(refused.to_string().contains("released"), "{refused}");
    assert_eq!(refused.into_inner().await, 7, "the future is whole");
    assert_eq!(layer.handle().live_tasks(), 0);
    let detached = tasks.task().detached().try_spawn(after(10));
    assert!(detached.is_ok(), "that one is never late");
    layer.handle().wait_idle().await;
}

#[tokio::test]
async fn outside_of_a_request_try_spawn_spawns() {
    let spawned = named("outside").try_spawn(std::future::ready(7));
    let handle = spawned.expect("it is not refused");
    assert_eq!(handle.await.expect("no panic"), 7);
}
