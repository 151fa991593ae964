//! `DrainSettings`: what a layer and a scope share, and how two of them merge.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainSettings, Outcome, Scope, TaskScopeLayer, TaskTrackerLayer, Unfinished, spawn,
};

use crate::support::{Log, after, ms, request, tracked};

/// For how long each of the three waits for a task of 500 ms.
async fn waits(settings: &DrainSettings) -> [Duration; 3] {
    let layer = TaskTrackerLayer::new().settings(settings.clone());
    let route = tracked(&layer, || drop(spawn(after(500))));
    let over_http = took(async { drop(route.oneshot(request()).await) }).await;
    let layer = TaskScopeLayer::new().settings(settings.clone());
    let mut service = layer.layer(service_fn(|(): ()| async {
        spawn(after(500));
        Ok::<_, Infallible>(())
    }));
    let over_anything = took(async { assert_eq!(service.call(()).await, Ok(())) }).await;
    let scope = Scope::new().settings(settings.clone());
    let of_a_function = took(async {
        scope
            .run(|tasks| async move { drop(tasks.spawn(after(500))) })
            .await;
    })
    .await;
    [over_http, over_anything, of_a_function]
}

async fn took(work: impl Future<Output = ()>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_two_layers_and_a_scope_take_the_same_settings() {
    let log = Log::default();
    let settings = DrainSettings::new()
        .drain_timeout(ms(50))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone());
    assert_eq!(waits(&settings).await, [ms(45); 3], "aborted a tenth early");
    let reports = log.reports();
    assert_eq!(reports.len(), 3);
    for report in &reports {
        let found = (report.outcome, report.aborted);
        assert_eq!(found, (Outcome::DeadlineExceeded, 1), "{report}");
    }
    let total = DrainSettings::new().total_timeout(ms(30));
    assert_eq!(waits(&total).await, [ms(30); 3]);
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_the_later_wins_for_each_setting_alone() {
    let first = DrainSettings::new()
        .drain_timeout(ms(50))
        .total_timeout(ms(400));
    let second = DrainSettings::new().drain_timeout(ms(70));
    let layers = [
        (
            TaskTrackerLayer::new()
                .settings(first.clone())
                .settings(second.clone()),
            70,
        ),
        (
            TaskTrackerLayer::new()
                .settings(second.clone())
                .settings(first.clone()),
            50,
        ),
        (
            TaskTrackerLayer::new()
                .drain_timeout(ms(20))
                .settings(second.clone()),
            70,
        ),
        (
            TaskTrackerLayer::new()
                .settings(second)
                .drain_timeout(ms(20)),
            20,
        ),
        (
            TaskTrackerLayer::new().settings(first.drain_timeout(None)),
            400,
        ),
    ];
    for (layer, millis) in layers {
        let route = tracked(&layer, || drop(spawn(after(500))));
        let waited = took(async { drop(route.oneshot(request()).await) }).await;
        assert_eq!(waited, ms(millis), "{layer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn callbacks_of_two_calls_add_up_and_one_that_comes_twice_runs_once() {
    let (first_log, second_log) = (Log::default(), Log::default());
    let first = DrainSettings::new().observer(first_log.clone());
    let second = DrainSettings::new().observer(second_log.clone());
    let layer = TaskTrackerLayer::new()
        .settings(first.clone())
        .settings(second)
        .settings(first);
    let route = tracked(&layer, || drop(spawn(after(5))));
    drop(route.oneshot(request()).await);
    assert_eq!(first_log.reports().len(), 1);
    assert_eq!(second_log.reports().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_is_not_set_is_inherited_from_the_layer_further_out() {
    let route = TaskTrackerLayer::new().settings(DrainSettings::new().total_timeout(ms(400)));
    let outer = TaskTrackerLayer::new().settings(DrainSettings::new().drain_timeout(ms(50)));
    let service = outer.layer(tracked(&route, || drop(spawn(after(500)))));
    let waited = took(async { drop(service.oneshot(request()).await) }).await;
    assert_eq!(waited, ms(50));
}
