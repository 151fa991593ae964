//! A request with very many tasks: lists have a bound.

use std::future::pending;

use tower::ServiceExt;
use tower_task_tracker::{TaskTrackerLayer, named, spawn};

use crate::support::{Log, after, current, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_long_list_of_tasks_is_compacted_and_no_task_is_lost() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone());
    let service = tower::Layer::layer(
        &layer,
        tower::service_fn(|_: http::Request<()>| async {
            let tasks = current();
            let tokens: Vec<_> = (0..50).map(|_| tasks.named("kept").token()).collect();
            for _ in 0..1000 {
                spawn(async {});
                spawn(async { panic!("one of many") });
                tokio::task::yield_now().await;
            }
            for _ in 0..50 {
                named("waiting").spawn(std::future::pending::<()>());
            }
            tokio::spawn(async move {
                after(10).await;
                drop(tokens);
            });
            Ok::<_, std::convert::Infallible>(crate::support::full("ok"))
        }),
    );
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert_eq!((report.spawned, report.completed), (2100, 1050));
    assert_eq!(report.panicked, 1000);
    assert_eq!(report.stragglers.len(), 50);
    assert!(
        report
            .stragglers
            .iter()
            .all(|task| task.name.as_deref() == Some("waiting"))
    );
    assert!(report.stragglers.iter().all(|task| task.age == ms(100)));
}

#[tokio::test(start_paused = true)]
async fn the_list_of_failures_has_a_bound() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        spawn(async {
            for _ in 0..10_000 {
                spawn(pending::<()>()).abort();
                tokio::task::yield_now().await;
            }
        });
    });
    drop(service.oneshot(request()).await);
    let report = log.reports().remove(0);
    assert_eq!((report.spawned, report.aborted), (10_001, 10_000));
    assert_eq!(report.failures.len(), 1024);
}
