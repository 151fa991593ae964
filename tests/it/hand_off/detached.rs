//! Detached tasks with a hand-off.

use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{
    DrainSettings, NotDone, TaskState, TaskTrackerLayer, Unfinished, named, spawn,
};

use super::{Queue, full_queue, work};
use crate::subscribers::lines::Lines;
use crate::support::{Log, after, held, ms, request, tracked};

fn layer(log: &Log) -> TaskTrackerLayer {
    let settings = DrainSettings::new()
        .drain_timeout(ms(1000))
        .hand_off_grace(ms(300));
    TaskTrackerLayer::new()
        .settings(settings)
        .observer(log.clone())
}

#[tokio::test(start_paused = true)]
async fn no_deadline_and_no_disconnect_hands_a_detached_task_off() {
    for leaves in [false, true] {
        for policy in [Unfinished::Abort, Unfinished::Cancel { grace: ms(100) }] {
            let (log, queue) = (Log::default(), Queue::new());
            let layer = layer(&log).at_deadline(policy).at_disconnect(policy);
            let service = {
                let queue = queue.clone();
                tracked(&layer, move || {
                    queue.task().detached().spawn(work(5000));
                    spawn(after(600_000));
                })
            };
            let leaves_after = if leaves { ms(100) } else { ms(2000) };
            let left = tokio::time::timeout(leaves_after, service.oneshot(request())).await;
            assert_eq!(left.is_err(), leaves);
            let begun = Instant::now();
            layer.handle().wait_idle().await;
            assert!(begun.elapsed() > ms(3000), "it ran to its end");
            assert_eq!(queue.entries(), [], "{policy:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_is_handed_off_if_it_panics_or_is_aborted() {
    for why in [NotDone::Panicked, NotDone::Aborted] {
        let (log, queue) = (Log::default(), Queue::new());
        let layer = layer(&log);
        let held = held(&layer, {
            let queue = queue.clone();
            move || {
                let task = queue.task().detached().spawn(async move {
                    after(100).await;
                    if why == NotDone::Panicked {
                        std::panic::resume_unwind(Box::new("no stock"));
                    }
                    work(600_000).await
                });
                tokio::spawn(async move {
                    after(100).await;
                    task.abort();
                });
            }
        })
        .await;
        assert_eq!(held, ms(0));
        layer.handle().wait_idle().await;
        assert_eq!(queue.entry(), (why, ms(100)));
    }
}

#[tokio::test(start_paused = true)]
async fn no_response_depends_on_the_hand_off_of_a_detached_task_and_its_failure_is_logged() {
    for detached_last in [true, false] {
        let log = Log::default();
        let layer = layer(&log);
        let lines = Lines::default();
        let _recording = lines.record();
        let service = tracked(&layer, move || {
            let task = if detached_last {
                named("late").or_hand_off(full_queue).detached()
            } else {
                named("late").detached().or_hand_off(full_queue)
            };
            task.spawn(async { Err::<(), _>("no mail") });
            spawn(after(100));
        });
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), 200);
        layer.handle().wait_idle().await;
        let report = log.report();
        assert!(!report.required_failed && report.is_clean(), "{report}");
        assert_eq!((report.spawned, report.failed), (1, 0), "{report}");
        let late = &log.late_ends()[0];
        assert_eq!(late.state, TaskState::Failed);
        assert_eq!(late.message.as_deref(), Some("the queue is full"));
        let line = lines.with("the hand-off of a task failed: its work may be lost");
        assert!(line.starts_with("ERROR "), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_is_counted_once_by_the_report_of_the_shutdown() {
    for fails in [false, true] {
        let (log, queue) = (Log::default(), Queue::slow(100));
        let layer = layer(&log);
        held(&layer, move || {
            let task = if fails {
                named("late").or_hand_off(full_queue)
            } else {
                queue.task()
            };
            task.detached().spawn(work(600_000));
        })
        .await;
        let report = layer.handle().shutdown(ms(1000)).await;
        assert_eq!(report.handed_off, usize::from(!fails), "{report}");
        assert_eq!(report.aborted, usize::from(fails), "{report}");
        assert_eq!((report.completed, report.failed), (0, 0), "{report}");
        assert_eq!(report.is_clean(), !fails, "{report}");
        let failures: Vec<_> = report.failures.iter().map(|task| &task.message).collect();
        if fails {
            assert_eq!(failures, [&Some("the queue is full".to_owned())]);
        } else {
            assert_eq!(failures, [] as [&Option<String>; 0]);
        }
        assert_eq!(log.report().handed_off, 0, "{}", log.report());
    }
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_may_be_made_required_again() {
    let (log, queue) = (Log::default(), Queue::new());
    let held = held(&layer(&log), {
        let queue = queue.clone();
        move || drop(queue.task().detached().required().spawn(work(600_000)))
    })
    .await;
    assert_eq!(held, ms(700));
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(700)));
}
