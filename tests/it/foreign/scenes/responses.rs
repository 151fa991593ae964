//! Handlers that fail, and every kind of response.

use std::convert::Infallible;

use http::{Method, Request, Response, StatusCode};
use tower::{Layer, service_fn};
use tower_task_tracker::{Hold, named, spawn};

use super::parts::{fails, panics, streaming, tracked};
use crate::foreign::stage::{Stage, planned};
use crate::support::{Body, after, current, full, ms, request};

pub(super) async fn the_handler_panics(stage: Stage) {
    let mut service = tracked(&stage, &stage.layer(), |_| {
        spawn(after(20));
        planned();
    });
    let mut held = stage.call(&mut service, request());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        held.as_mut().poll(&mut cx).is_ready()
    }));
    stage.note(format_args!("panicked: {}", polled.is_err()));
    stage.leave(held);
}

pub(super) async fn the_service_fails(stage: Stage) {
    let inside = stage.clone();
    let service = stage.layer().layer(service_fn(move |_: Request<()>| {
        inside.in_request();
        spawn(after(20));
        async { Err::<Response<Body>, _>("no") }
    }));
    stage.serve(service).await;
}

pub(super) async fn a_stream_is_held_at_its_end(stage: Stage) {
    let service = streaming(&stage, &stage.layer(), |_| {
        spawn(after(20));
        spawn(panics(30));
    });
    stage.serve(service).await;
}

pub(super) async fn a_stream_fails_at_its_end(stage: Stage) {
    let layer = stage.layer().hold(Hold::End);
    let service = streaming(&stage, &layer, |_| {
        named("store").required().spawn(fails(20, "full"));
    });
    stage.serve(service).await;
}

pub(super) async fn a_stream_outlives_its_tasks(stage: Stage) {
    let mut service = streaming(&stage, &stage.layer(), |_| {
        spawn(after(20));
    });
    let answer = stage.call(&mut service, request());
    let answer = stage.drive(answer).await.expect("infallible");
    after(30).await;
    let (tasks, requests) = (stage.handle.live_tasks(), stage.handle.live_requests());
    stage.note(format_args!("{tasks} tasks of {requests} requests"));
    stage.read(async { Ok::<_, Infallible>(answer) }).await;
}

pub(super) async fn nothing_is_held(stage: Stage) {
    let layer = stage.layer().hold(Hold::Never).drain_timeout(ms(30));
    let service = tracked(&stage, &layer, |_| {
        spawn(after(20));
        named("slow").spawn(after(50));
    });
    stage.serve(service).await;
}

pub(super) async fn an_upgrade(stage: Stage) {
    let inside = stage.clone();
    let service = stage.layer().layer(service_fn(move |_: Request<()>| {
        inside.in_request();
        let tasks = current();
        tasks.named("socket").spawn(after(20));
        tokio::spawn(async move {
            after(30).await;
            tasks.named("of the socket").spawn(panics(10));
        });
        let mut response = full("");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        async { Ok::<_, Infallible>(response) }
    }));
    stage.serve(service).await;
    after(35).await;
}

pub(super) async fn an_answer_to_head(stage: Stage) {
    let mut service = tracked(&stage, &stage.layer(), |_| {
        spawn(after(20));
    });
    let mut request = request();
    *request.method_mut() = Method::HEAD;
    let answer = stage.call(&mut service, request);
    stage.read(answer).await;
}
