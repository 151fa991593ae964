//! Clients that leave.

use std::convert::Infallible;
use std::future::pending;

use http::{Request, Response};
use tower::{Layer, service_fn};
use tower_task_tracker::{RunToCompletionLayer, TaskTrackerLayer, Unfinished, named, spawn};

use super::parts::{cancellable, panics, streaming, tracked};
use crate::foreign::stage::Stage;
use crate::support::{Body, after, full, ms, request};

pub(super) async fn the_client_leaves_a_held_head(stage: Stage) {
    leaves_a_held_head(&stage, &stage.layer()).await;
}

pub(super) async fn the_client_leaves_and_tasks_are_aborted(stage: Stage) {
    let layer = stage.layer().at_disconnect(Unfinished::Abort);
    leaves_a_held_head(&stage, &layer).await;
}

pub(super) async fn the_client_leaves_and_tasks_are_cancelled(stage: Stage) {
    let policy = Unfinished::Cancel { grace: ms(500) };
    let layer = stage.layer().at_disconnect(policy);
    leaves_a_held_head(&stage, &layer).await;
}

async fn leaves_a_held_head(stage: &Stage, layer: &TaskTrackerLayer) {
    let mut service = tracked(stage, layer, |_| {
        named("watches").spawn(cancellable());
        named("does not").spawn(after(700));
        named("panics").spawn(panics(20));
    });
    let mut held = stage.call(&mut service, request());
    stage.drive_for(10, &mut held).await;
    stage.leave(held);
}

pub(super) async fn the_client_leaves_the_handler(stage: Stage) {
    let mut service = stage.layer().layer(service_fn({
        let stage = stage.clone();
        move |_: Request<()>| {
            stage.in_request();
            spawn(after(20));
            pending::<Result<Response<Body>, Infallible>>()
        }
    }));
    let mut held = stage.call(&mut service, request());
    stage.drive_for(10, &mut held).await;
    stage.leave(held);
}

pub(super) async fn the_client_leaves_the_body(stage: Stage) {
    let mut service = streaming(&stage, &stage.layer(), |_| {
        spawn(after(20));
    });
    let held = stage.call(&mut service, request());
    let answer = stage.drive(held).await.expect("infallible");
    stage.leave(answer);
}

pub(super) async fn the_client_leaves_a_held_end(stage: Stage) {
    let layer = stage.layer().at_disconnect(Unfinished::Abort);
    let mut service = streaming(&stage, &layer, |_| {
        spawn(after(600_000));
    });
    let held = stage.call(&mut service, request());
    let answer = stage.drive(held).await.expect("infallible");
    let mut body = answer.into_body();
    let mut frames = http_body_util::BodyExt::frame(&mut body);
    assert!(stage.drive(&mut frames).await.is_some());
    let mut end = Box::pin(http_body_util::BodyExt::collect(body));
    stage.drive_for(10, &mut end).await;
    stage.leave(end);
}

pub(super) async fn the_handler_runs_on(stage: Stage) {
    let layer = stage.layer().at_disconnect(Unfinished::Abort);
    let handler = RunToCompletionLayer::new().layer(service_fn({
        let stage = stage.clone();
        move |_: Request<()>| {
            let stage = stage.clone();
            async move {
                stage.in_request();
                named("is aborted").spawn(after(600_000));
                after(20).await;
                named("of the handler").spawn(after(5));
                Ok::<_, Infallible>(full("done"))
            }
        }
    }));
    let mut held = stage.call(&mut layer.layer(handler), request());
    stage.drive_for(10, &mut held).await;
    stage.leave(held);
}
