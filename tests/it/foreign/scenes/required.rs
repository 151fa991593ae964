//! Required tasks.

use std::convert::Infallible;

use http::{Request, Response};
use tower::{Layer, service_fn};
use tower_task_tracker::{Hold, named, spawn};

use super::parts::{fails, streaming, succeeds, tracked};
use crate::foreign::stage::Stage;
use crate::support::{Act, Play, after};

pub(super) async fn a_required_task_fails(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        named("store").required().spawn(fails(20, "full"));
        spawn(after(40));
    });
    stage.serve(service).await;
}

pub(super) async fn a_required_task_fails_at_once(stage: Stage) {
    let service = streaming(&stage, &stage.layer(), |_| {
        named("store")
            .required()
            .spawn(async { Err::<(), _>("full") });
        spawn(after(40));
    });
    stage.serve(service).await;
}

/// Its head is held again, now that it is known to be its end.
pub(super) async fn a_body_is_there_when_its_required_task_is_done(stage: Stage) {
    let inside = stage.clone();
    let service = stage.layer().layer(service_fn(move |_: Request<()>| {
        inside.in_request();
        named("store")
            .required()
            .spawn(async { Ok::<_, Infallible>(()) });
        spawn(after(40));
        let (body, _) = Play::new(&[Act::Turn, Act::Data("ab")]);
        async { Ok::<_, Infallible>(Response::new(body.hints(2).shows_its_end())) }
    }));
    stage.serve(service).await;
}

pub(super) async fn a_required_task_ends_before_the_others(stage: Stage) {
    let service = streaming(&stage, &stage.layer(), |_| {
        named("store").required().spawn(succeeds(20));
        spawn(after(40));
    });
    stage.serve(service).await;
}

pub(super) async fn only_required_tasks_are_waited_for(stage: Stage) {
    let layer = stage.layer().hold(Hold::Required);
    let service = tracked(&stage, &layer, |_| {
        named("store").required().spawn(succeeds(20));
        spawn(after(40));
    });
    stage.serve(service).await;
}
