//! `scope`: a function that waits for its tasks.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use tokio::time::Instant;
use tower_task_tracker::{
    DrainReport, Limit, Outcome, Scope, Tasks, TrackerHandle, Unfinished, named, scope, spawn,
};

use crate::support::{DropTime, LastWords, Log, after, assert_adds_up, current, ms, slow_with};

#[tokio::test(start_paused = true)]
async fn a_scope_waits_for_what_its_code_has_spawned() {
    let start = Instant::now();
    let (value, report) = scope(|tasks: Tasks| {
        tasks.spawn(after(10));
        spawn(after(5));
        async {
            spawn(async {
                spawn(after(30));
            });
            "value"
        }
    })
    .await;
    assert_eq!(value, "value");
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!((report.spawned, report.outcome), (4, Outcome::Drained));
    assert!(report.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_scope_ends_at_its_deadline_and_names_the_stragglers() {
    let (tasks, report) = scope(|tasks| async {
        tasks.set_drain_timeout(ms(20));
        tasks.named("slow").spawn(after(100));
        tasks
    })
    .await;
    assert_adds_up(&report);
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(report.stragglers[0].name.as_deref(), Some("slow"));
    assert_eq!(tasks.len(), 1, "it runs on");
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_spawns_nothing_has_an_empty_report() {
    let ((), report) = scope(|_| async {}).await;
    assert_eq!(*report, DrainReport::default());
}

#[tokio::test(start_paused = true)]
async fn a_scope_s_timeouts_count_from_its_end_and_from_its_beginning() {
    let start = Instant::now();
    let scope = Scope::new().drain_timeout(ms(50));
    let (_, report) = scope.run(|_| spawning_after(100)).await;
    assert_eq!(start.elapsed(), ms(150));
    assert_eq!(report.closed_by, Some(Limit::DrainTimeout));

    let scope = scope.total_timeout(ms(120));
    // It begins when it is first polled.
    let run = scope.run(|_| spawning_after(100));
    after(1000).await;
    let start = Instant::now();
    let (_, report) = run.await;
    assert_eq!(start.elapsed(), ms(120));
    assert_eq!(report.closed_by, Some(Limit::TotalTimeout));
}

async fn spawning_after(millis: u64) {
    after(millis).await;
    spawn(after(600_000));
}

#[tokio::test(start_paused = true)]
async fn a_scope_aborts_at_its_deadline_if_that_is_its_policy() {
    let dropped = DropTime::new();
    let watch = dropped.clone();
    let scope = Scope::new()
        .drain_timeout(ms(500))
        .at_deadline(Unfinished::Abort);
    let ((), report) = scope
        .run(|_| async move {
            let watch = watch.watch();
            slow_with(move || drop(watch));
        })
        .await;
    assert_eq!(dropped.get(), Some(ms(450)));
    assert_eq!((report.spawned, report.aborted), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_is_dropped_applies_its_disconnect_policy() {
    for (unfinished, left) in [(Unfinished::Continue, 1), (Unfinished::Abort, 0)] {
        let (log, handle) = (Log::default(), TrackerHandle::new());
        let scope = Scope::new()
            .at_disconnect(unfinished)
            .tracked_by(&handle)
            .observer(log.clone());
        let mut run = Box::pin(scope.run(|tasks| async move {
            tasks.spawn(after(600_000));
            after(600_000).await;
        }));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(run.as_mut().poll(&mut cx).is_pending());
        assert_eq!(handle.live_tasks(), 1, "{unfinished:?}");
        drop(run);
        after(1).await;
        assert_eq!(handle.live_tasks(), left, "{unfinished:?}");
        assert_eq!(log.report().outcome, Outcome::Dropped, "{unfinished:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_scope_has_hooks_and_observers() {
    let (log, seen) = (Log::default(), Arc::<Mutex<Vec<usize>>>::default());
    let out = seen.clone();
    let scope = Scope::new()
        .observer(log.clone())
        .before_release(move |report| {
            let mut seen = out.lock().expect("no panic holds this lock");
            seen.push(report.completed);
            spawn(after(7));
            after(5)
        });
    let start = Instant::now();
    let ((), report) = scope.run(|_| async { drop(spawn(after(10))) }).await;
    assert_eq!(start.elapsed(), ms(17), "what a hook spawns is waited for");
    assert_eq!(*report, log.report());
    let ((), report) = scope.run(|_| async {}).await;
    assert_eq!(report.spawned, 1, "the hook runs without tasks too");
    assert_eq!(*seen.lock().expect("no panic holds this lock"), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_a_future_spawns_when_it_is_dropped_is_waited_for() {
    let start = Instant::now();
    let (value, report) = scope(|_| {
        let last_words = LastWords::new(|| drop(named("last will").spawn(after(10))));
        std::future::poll_fn(move |_| {
            let _kept = &last_words;
            std::task::Poll::Ready("value")
        })
    })
    .await;
    assert_eq!((value, report.completed), ("value", 1));
    assert_eq!(start.elapsed(), ms(10));
}

#[tokio::test(start_paused = true)]
async fn one_scope_runs_many_times_and_at_once() {
    let handle = TrackerHandle::new();
    let scope = Scope::new().tracked_by(&handle);
    let runs = [10, 20, 30].map(|millis| {
        scope.run(move |_| async move {
            named("work").spawn(after(millis));
            current().len()
        })
    });
    let start = Instant::now();
    for run in runs.map(tokio::spawn) {
        let (own, report) = run.await.expect("no panic");
        assert_eq!((own, report.spawned), (1, 1), "each has its own tasks");
    }
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!(handle.live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_wait_of_a_scope() {
    let handle = TrackerHandle::new();
    let scope = Scope::new().tracked_by(&handle);
    let run = scope.run(|_| async { drop(spawn(after(600_000))) });
    let start = Instant::now();
    let (report, ()) = tokio::join!(run, async {
        after(10).await;
        handle.begin_shutdown(ms(100));
    });
    assert_eq!(report.1.outcome, Outcome::Shutdown);
    assert_eq!(start.elapsed(), ms(110));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_scope_s_code_is_passed_on_and_reported() {
    let log = Log::default();
    let scope = Scope::new().observer(log.clone());
    let run = scope.run(|_| async {
        spawn(after(10));
        panic!("on purpose")
    });
    let joined = tokio::spawn(async {
        let ((), _) = run.await;
    });
    let panic = joined.await.expect_err("it has panicked").into_panic();
    assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
    assert_eq!(log.report().outcome, Outcome::Dropped);
}
