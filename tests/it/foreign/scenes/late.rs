//! Detached tasks, and tasks that are spawned late or on a runtime that is gone.

use std::convert::Infallible;
use std::thread;

use http::Request;
use tokio::runtime::Handle;
use tower::{Layer, service_fn};
use tower_task_tracker::{named, spawn};

use super::parts::{fails, panics, tracked};
use crate::foreign::stage::Stage;
use crate::support::{Slot, after, current, full, put, take, timeless_runtime};

pub(super) async fn detached_tasks(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        named("completes").detached().spawn(async {
            after(20).await;
            named("its child").spawn(after(5));
        });
        named("fails")
            .fallible()
            .detached()
            .spawn(fails(30, "planned"));
        named("panics").detached().spawn(panics(40));
        named("is aborted").detached().spawn(after(50)).abort();
    });
    stage.serve(service).await;
}

pub(super) async fn a_detached_task_ends_before_the_response(stage: Stage) {
    let inside = stage.clone();
    let service = stage.layer().layer(service_fn(move |_: Request<()>| {
        let inside = inside.clone();
        async move {
            inside.in_request();
            named("cache").detached().spawn(after(10));
            after(20).await;
            let requests = inside.handle.live_requests();
            inside.note(format_args!("the handle sees {requests}"));
            Ok::<_, Infallible>(full("done"))
        }
    }));
    stage.serve(service).await;
}

pub(super) async fn late_spawns(stage: Stage) {
    let kept = Slot::default();
    let keep = kept.clone();
    let service = tracked(&stage, &stage.layer(), move |_| {
        put(&keep, current());
        spawn(after(1));
    });
    stage.serve(service).await;
    let tasks = take(&kept);
    // In a task of no request.
    let late = tokio::spawn(async move {
        tasks.named("completes").spawn(after(10));
        tasks.named("panics").spawn(panics(20));
        tasks.named("fails").required().spawn(fails(30, "full"));
        tasks.named("is aborted").spawn(after(50)).abort();
        drop(tasks.named("token").token());
        let tried = tasks.try_spawn(after(1));
        assert!(tried.is_err(), "it would be late");
    });
    late.await.expect("it goes on");
}

pub(super) async fn spawns_on_a_dead_runtime(stage: Stage) {
    let kept = Slot::default();
    let keep = kept.clone();
    let service = tracked(&stage, &stage.layer(), move |_| {
        put(&keep, current());
        named("at once").spawn_on(after(1), &dead());
        let tasks = current();
        spawn(after(10));
        tokio::spawn(async move {
            after(20).await;
            // While nothing else is alive.
            tasks.named("late").spawn_on(after(1), &dead());
        });
    });
    stage.serve(service).await;
    after(30).await;
    let tasks = take(&kept);
    let late = tokio::spawn(async move {
        tasks
            .named("detached")
            .detached()
            .spawn_on(after(1), &dead());
    });
    late.await.expect("it goes on");
}

/// The handle of a runtime that is gone: it drops what it is to spawn. A runtime is not to be dropped in another one.
fn dead() -> Handle {
    let gone = thread::spawn(|| timeless_runtime().handle().clone());
    gone.join().expect("a handle")
}
