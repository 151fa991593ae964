//! Scopes: functions, and services that are not HTTP.

use tower::{Layer, service_fn};
use tower_task_tracker::{TaskScopeLayer, Unfinished, named};

use super::parts::{fails, panics};
use crate::foreign::stage::Stage;
use crate::support::{after, ms};

pub(super) async fn a_function(stage: Stage) {
    stage.arm();
    let inside = stage.clone();
    let run = stage.scope().run(move |tasks| async move {
        inside.in_request();
        tasks.named("completes").spawn(after(10));
        tasks.named("fails").required().spawn(fails(20, "full"));
        tasks.named("panics").spawn(panics(30));
    });
    let ((), report) = stage.drive(Box::pin(run)).await;
    stage.note(report);
}

pub(super) async fn a_function_meets_its_deadline(stage: Stage) {
    stage.arm();
    let inside = stage.clone();
    let scope = stage.scope().drain_timeout(ms(1000));
    let run = scope
        .at_deadline(Unfinished::Abort)
        .run(move |tasks| async move {
            inside.in_request();
            tasks.named("slow").spawn(after(600_000));
        });
    let ((), report) = stage.drive(Box::pin(run)).await;
    stage.note(report);
}

pub(super) async fn an_answer_that_fails(stage: Stage) {
    let layer = TaskScopeLayer::new()
        .tracked_by(&stage.handle)
        .observer(stage.foreign())
        .observer(stage.clone())
        .fail_with(|report: &_| format!("failed: {report}"));
    let inside = stage.clone();
    let mut service = layer.layer(service_fn(move |(): ()| {
        let inside = inside.clone();
        async move {
            inside.in_request();
            named("store").required().spawn(fails(20, "full"));
            Ok::<_, String>("stored")
        }
    }));
    let answer = stage.call(&mut service, ());
    let answer = stage.drive(answer).await;
    stage.note(format_args!("{answer:?}"));
}
