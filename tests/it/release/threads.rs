//! Spawns and aborts on other threads while a response is released.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http_body_util::BodyExt;
use tokio::runtime::Builder;
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    Hold, TaskScopeLayer, TaskToken, TaskTrackerLayer, Tasks, Unfinished, named,
};

use crate::support::{Log, Slot, after, current, ms, put, request, take, told, tracked};

/// Under `Abort` no task of the report outlives the deadline, but for what cannot be aborted.
#[test]
fn no_straggler_slips_through_between_the_abort_and_the_release() {
    for round in 0..5 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .drain_timeout(ms(30))
            .at_deadline(Unfinished::Abort)
            .observer(log.clone());
        let service =
            tracked(&layer, || {
                let tasks = current();
                tasks.clone().spawn_blocking(move || {
                    while let Ok(_task) = tasks.try_spawn(pending::<()>()) {}
                });
            });
        runtime.block_on(async {
            drop(tokio::spawn(service.oneshot(request())).await);
            after(300).await;
        });
        let report = log.reports().remove(0);
        // `try_spawn` makes no late tasks, but one that is listed too late to be reported counts as one.
        let (late, alive) = (log.late_spawns().len(), layer.handle().live_tasks());
        assert!(
            alive <= late,
            "round {round}: {alive} tasks run on, {late} of them late, stragglers: {}, spawned: {}",
            report.stragglers.len(),
            report.spawned,
        );
        runtime.shutdown_background();
    }
}

/// Threads, tasks, subtasks, policies, drops: every task is told of once, and the handle ends idle.
#[test]
fn stress_every_task_is_told_of_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    let started = Arc::new(AtomicUsize::new(0));
    let log = Log::default();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    fn grow(started: &Arc<AtomicUsize>, depth: u64, r: u64) {
        for child in 0..2 {
            started.fetch_add(1, Ordering::SeqCst);
            let (started, r) = (started.clone(), r.rotate_left(7 + child) ^ u64::from(child));
            let build = named("grow").fallible();
            let build = if r % 13 == 0 { build.detached() } else { build };
            let work = move || {
                if depth > 0 {
                    grow(&started, depth - 1, r);
                }
                match r % 7 {
                    0 => Err("planned"),
                    1 => std::panic::resume_unwind(Box::new("planned")),
                    _ => Ok(()),
                }
            };
            match r % 5 {
                0 => drop(build.spawn_blocking(move || {
                    std::thread::sleep(Duration::from_micros(r % 3000));
                    work()
                })),
                1 => {
                    let future = build.track_future(async move { work() });
                    tokio::spawn(future);
                }
                2 => {
                    let handle = build.spawn(async move {
                        tokio::time::sleep(Duration::from_micros(r % 5000)).await;
                        work()
                    });
                    if r % 3 == 0 {
                        handle.abort();
                    }
                }
                _ => drop(build.spawn(async move {
                    tokio::task::yield_now().await;
                    work()
                })),
            }
        }
    }
    let handle = tower_task_tracker::TrackerHandle::new();
    let mut requests = 0;
    let begin = std::time::Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        let policies = [
            Unfinished::Continue,
            Unfinished::Abort,
            Unfinished::Cancel {
                grace: ms(random(6)),
            },
        ];
        let holds = [Hold::Auto, Hold::Head, Hold::End, Hold::Never];
        let layer = TaskTrackerLayer::new()
            .hold(holds[random(4) as usize])
            .drain_timeout(ms(random(12)))
            .at_deadline(policies[random(3) as usize])
            .at_disconnect(policies[random(3) as usize])
            .tracked_by(&handle)
            .observer(log.clone());
        let layer = if random(3) == 0 {
            layer.before_release(|_| async {
                tokio::task::yield_now().await;
            })
        } else {
            layer
        };
        let (started, r) = (started.clone(), random(u64::MAX));
        let depth = random(5);
        let service = tracked(&layer, move || grow(&started, depth, r));
        let patience = Duration::from_micros(random(20_000));
        requests += 1;
        runtime.spawn(async move {
            let _ = timeout(patience, async {
                let Ok(answer) = service.oneshot(request()).await;
                let _ = answer.into_body().collect().await;
            })
            .await;
        });
        // So many at once, however fast the machine is.
        while handle.live_requests() > 200 {
            std::thread::yield_now();
        }
    }
    let idle =
        runtime.block_on(async { timeout(Duration::from_secs(20), handle.wait_idle()).await });
    assert!(idle.is_ok(), "{handle:?}");
    let reports = log.reports();
    let mut in_reports = 0;
    let mut stragglers = 0;
    for report in &reports {
        crate::support::assert_adds_up(report);
        in_reports += report.completed + report.failed + report.panicked + report.aborted;
        stragglers += report.stragglers.len();
    }
    let (ends, started) = (log.late_ends().len(), started.load(Ordering::SeqCst));
    println!(
        "{requests} requests, {} reports, {started} tasks: {in_reports} in reports, {ends} ends told, \
         {stragglers} stragglers, {} late",
        reports.len(),
        log.late_spawns().len(),
    );
    assert!(reports.len() <= requests, "nothing is reported twice");
    // A straggler may have ended in the instant of the report: then no end is told.
    let told = in_reports + ends;
    assert!(told <= started, "told of twice: {told} of {started}");
    assert!(
        told + stragglers >= started,
        "lost: {told} and {stragglers} of {started}"
    );
    println!("stragglers whose end was not told: {}", started - told);
}

#[test]
fn a_task_that_comes_while_its_client_leaves_does_not_delay_the_report() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");
    let grace = Duration::from_secs(600);
    for round in 0..12_000 {
        let log = Log::default();
        let layer = TaskScopeLayer::new()
            .at_disconnect(Unfinished::Cancel { grace })
            .observer(log.clone());
        let kept = Slot::<(Tasks, TaskToken)>::default();
        let out = kept.clone();
        let service = layer.layer(service_fn(move |(): ()| {
            put(&out, (current(), current().token()));
            pending::<Result<(), Infallible>>()
        }));
        let entered = runtime.enter();
        assert!(service.oneshot(()).now_or_never().is_none());
        drop(entered);
        let (tasks, token) = take(&kept);
        // The request is left, and waits for its last task, while others come and go.
        drop(token);
        let started = Instant::now();
        while log.reports().is_empty() {
            drop(tasks.token());
            // Nothing is alive, for longer and longer.
            let pause = started.elapsed() / 4;
            let paused = Instant::now();
            while log.reports().is_empty() && paused.elapsed() < pause {
                std::hint::spin_loop();
            }
            assert!(started.elapsed() < Duration::from_secs(20), "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spawn_that_races_the_release_is_either_waited_for_or_told_of_as_late() {
    let (log, layer) = told();
    let ended = Arc::new(AtomicUsize::new(0));
    let rounds = 500;
    for _ in 0..rounds {
        let counter = ended.clone();
        let (send, tasks) = std::sync::mpsc::channel::<Tasks>();
        // A thread that knows nothing of the response's progress.
        let racer = std::thread::spawn({
            let runtime = tokio::runtime::Handle::current();
            move || {
                let tasks = tasks.recv().expect("the handler sends");
                let counter = counter.clone();
                tasks.spawn_on(
                    async move {
                        tokio::task::yield_now().await;
                        counter.fetch_add(1, Ordering::SeqCst);
                    },
                    &runtime,
                );
            }
        });
        let send = Arc::new(Mutex::new(send));
        let service = tracked(&layer, move || {
            let tasks = current();
            tasks.spawn(async {});
            let send = send.lock().expect("unpoisoned");
            send.send(tasks.clone()).expect("the racer waits");
        });
        let response = service.oneshot(request()).await.expect("infallible");
        drop(response.into_body().collect().await);
        racer.join().expect("no panic");
    }
    layer.handle().wait_idle().await;
    assert_eq!(ended.load(Ordering::SeqCst), rounds, "every task ran");
    let in_time: usize = log.reports().iter().map(|report| report.spawned).sum();
    let late = log.late_spawns().len();
    assert_eq!(
        in_time + late,
        2 * rounds,
        "each is told of once: {late} late"
    );
    assert_eq!(log.late_ends().len(), late, "only late ones end detached");
}
