//! What may happen to a request. Each scene is one request, or one run of a scope, from beginning to end.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::{Future, pending};
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use tokio::runtime::Handle;
use tower::{Layer, Service, service_fn};
use tower_task_tracker::{
    Hold, RunToCompletionLayer, TaskScopeLayer, TaskTrackerLayer, TaskTrackerService, Unfinished,
    named, spawn,
};

use super::stage::{Stage, planned};
use crate::support::{
    Act, Body, Frames, Play, Slot, after, current, full, ms, put, request, take, timeless_runtime,
};

pub(super) struct Scene {
    pub(super) name: &'static str,
    /// When something is seen of it, in milliseconds.
    pub(super) times: &'static [u128],
    pub(super) play: fn(Stage) -> Playing,
}

type Playing = Pin<Box<dyn Future<Output = ()>>>;

/// Each scene has its tests.
macro_rules! scenes {
    ($($scene:ident [$($at:literal),*]),* $(,)?) => {
        const ALL: &[Scene] = &[$($scene::SCENE),*];

        $(mod $scene {
            use super::super::{observers, stage, subscribers, wakers};
            use super::{ALL, Scene};

            pub(super) const SCENE: Scene = Scene {
                name: stringify!($scene),
                times: &[$($at),*],
                play: |stage| Box::pin(super::$scene(stage)),
            };

            #[test]
            fn is_the_same_each_time() {
                stage::is_the_same_each_time(&SCENE);
            }

            #[test]
            fn is_the_same_in_the_memory_of_each_other_one() {
                stage::is_the_same_after(ALL, &SCENE);
            }

            #[test]
            fn is_the_same_with_an_observer_that_panics() {
                observers::is_the_same_where_one_panics(&SCENE);
            }

            #[test]
            fn is_the_same_where_the_log_of_an_observer_that_panics_panics_too() {
                observers::is_the_same_where_the_log_of_the_panic_panics(&SCENE);
            }

            #[test]
            fn is_the_same_with_a_subscriber_that_panics() {
                subscribers::is_the_same_where_one_panics(&SCENE);
            }

            #[test]
            fn is_the_same_with_wakers_that_look_at_the_request() {
                wakers::is_the_same_where_they_look(&SCENE);
            }

            #[test]
            fn comes_to_its_end_with_wakers_that_spawn() {
                wakers::comes_to_its_end_where_they_spawn(&SCENE);
            }

            #[test]
            fn is_the_same_with_wakers_that_panic() {
                wakers::is_the_same_where_they_panic(&SCENE);
            }
        })*
    };
}

scenes![
    tasks_of_every_end [70],
    no_task [0],
    one_task [20],
    a_required_task_fails [40],
    a_required_task_fails_at_once [40],
    a_required_task_ends_before_the_others [20, 40],
    a_body_is_there_when_its_required_task_is_done [40],
    only_required_tasks_are_waited_for [20, 40],
    a_tracker_ends_last [40],
    a_token_is_dropped_last [20],
    tasks_outlive_the_deadline [30, 40, 45, 50, 60, 70],
    tasks_are_aborted_at_the_deadline [1000, 1100],
    tasks_are_cancelled_at_the_deadline [900],
    the_deadline_is_moved [120, 210],
    the_client_leaves_a_held_head [10, 20, 700],
    the_client_leaves_and_tasks_are_aborted [10],
    the_client_leaves_and_tasks_are_cancelled [10, 460],
    the_client_leaves_the_handler [10, 20],
    the_client_leaves_the_body [0, 20],
    the_client_leaves_a_held_end [10],
    the_handler_runs_on [10, 25],
    the_handler_panics [0, 20],
    the_service_fails [20],
    a_stream_is_held_at_its_end [0, 30],
    a_stream_fails_at_its_end [0, 20],
    a_stream_outlives_its_tasks [30],
    nothing_is_held [0, 30, 50],
    an_upgrade [0, 20, 40],
    an_answer_to_head [20],
    detached_tasks [0, 20, 25, 30, 40],
    a_detached_task_ends_before_the_response [10, 20],
    late_spawns [1, 11, 21, 31],
    spawns_on_a_dead_runtime [10, 20, 40],
    a_hook_is_awaited [40],
    a_hook_meets_the_deadline [100],
    a_hook_panics [30],
    a_shutdown_begins [60, 100],
    a_shutdown_ends [10, 30, 110],
    the_work_of_the_process [30],
    a_function [30],
    a_function_meets_its_deadline [900],
    an_answer_that_fails [20],
];

async fn tasks_of_every_end(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        named("completes").spawn(after(10));
        named("fails").fallible().spawn(fails(20, "planned"));
        named("panics").spawn(panics(30));
        named("never runs").spawn(after(600_000)).abort();
        let aborted = named("is aborted").spawn(after(600_000));
        spawn(async move {
            after(40).await;
            aborted.abort();
        });
        let token = named("token").token();
        let clone = token.clone();
        tokio::spawn(async move {
            after(50).await;
            drop(token);
            after(10).await;
            drop(clone);
        });
        tokio::spawn(named("elsewhere").track_future(after(70)));
        named("blocking").spawn_blocking(|| {});
    });
    stage.serve(service).await;
}

async fn no_task(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {});
    stage.serve(service).await;
}

async fn one_task(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        spawn(after(20));
    });
    stage.serve(service).await;
}

async fn a_required_task_fails(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        named("store").required().spawn(fails(20, "full"));
        spawn(after(40));
    });
    stage.serve(service).await;
}

async fn a_required_task_fails_at_once(stage: Stage) {
    let service = streaming(&stage, &stage.layer(), |_| {
        named("store")
            .required()
            .spawn(async { Err::<(), _>("full") });
        spawn(after(40));
    });
    stage.serve(service).await;
}

/// Its head is held again, now that it is known to be its end.
async fn a_body_is_there_when_its_required_task_is_done(stage: Stage) {
    let inside = stage.clone();
    let service = stage.layer().layer(service_fn(move |_: Request<()>| {
        inside.in_request();
        named("store")
            .required()
            .spawn(async { Ok::<_, Infallible>(()) });
        spawn(after(40));
        let (body, _) = Play::new(&[Act::Turn, Act::Data("ab")]);
        async { Ok::<_, Infallible>(Response::new(body.hints(2).knows_its_end())) }
    }));
    stage.serve(service).await;
}

async fn a_required_task_ends_before_the_others(stage: Stage) {
    let service = streaming(&stage, &stage.layer(), |_| {
        named("store").required().spawn(succeeds(20));
        spawn(after(40));
    });
    stage.serve(service).await;
}

async fn only_required_tasks_are_waited_for(stage: Stage) {
    let layer = stage.layer().hold(Hold::Required);
    let service = tracked(&stage, &layer, |_| {
        named("store").required().spawn(succeeds(20));
        spawn(after(40));
    });
    stage.serve(service).await;
}

async fn a_tracker_ends_last(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        spawn(after(20));
        current().tracker().spawn(after(40));
    });
    stage.serve(service).await;
}

async fn a_token_is_dropped_last(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        let token = current().token();
        tokio::spawn(async move {
            after(20).await;
            drop(token);
        });
    });
    stage.serve(service).await;
}

async fn tasks_outlive_the_deadline(stage: Stage) {
    let layer = stage.layer().drain_timeout(ms(30));
    let service = tracked(&stage, &layer, |_| {
        named("slow").spawn(after(50));
        named("slow and broken").spawn(panics(60));
        named("store").required().spawn(fails(70, "full"));
        let tasks = current();
        tokio::spawn(async move {
            after(40).await;
            tasks.named("late").spawn(after(5));
        });
    });
    stage.serve(service).await;
}

async fn tasks_are_aborted_at_the_deadline(stage: Stage) {
    let layer = stage
        .layer()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort);
    let service = tracked(&stage, &layer, |_| {
        named("slow").spawn(after(600_000));
        let token = named("cannot be aborted").token();
        tokio::spawn(async move {
            after(1100).await;
            drop(token);
        });
    });
    stage.serve(service).await;
}

async fn tasks_are_cancelled_at_the_deadline(stage: Stage) {
    let policy = Unfinished::Cancel { grace: ms(500) };
    let layer = stage.layer().drain_timeout(ms(1000)).at_deadline(policy);
    let service = tracked(&stage, &layer, |_| {
        named("listens").spawn(listens());
        named("does not").spawn(after(600_000));
    });
    stage.serve(service).await;
}

async fn the_deadline_is_moved(stage: Stage) {
    let layer = stage.layer().drain_timeout(ms(100));
    let service = tracked(&stage, &layer, |_| {
        let tasks = current();
        spawn(async move {
            after(10).await;
            tasks.set_drain_timeout(ms(200));
            after(100).await;
            tasks.set_drain_timeout(ms(120));
            after(100).await;
        });
    });
    stage.serve(service).await;
}

async fn the_client_leaves_a_held_head(stage: Stage) {
    leaves_a_held_head(&stage, &stage.layer()).await;
}

async fn the_client_leaves_and_tasks_are_aborted(stage: Stage) {
    let layer = stage.layer().at_disconnect(Unfinished::Abort);
    leaves_a_held_head(&stage, &layer).await;
}

async fn the_client_leaves_and_tasks_are_cancelled(stage: Stage) {
    let policy = Unfinished::Cancel { grace: ms(500) };
    let layer = stage.layer().at_disconnect(policy);
    leaves_a_held_head(&stage, &layer).await;
}

async fn leaves_a_held_head(stage: &Stage, layer: &TaskTrackerLayer) {
    let mut service = tracked(stage, layer, |_| {
        named("listens").spawn(listens());
        named("does not").spawn(after(700));
        named("panics").spawn(panics(20));
    });
    let mut held = stage.call(&mut service, request());
    stage.drive_for(10, &mut held).await;
    stage.leave(held);
}

async fn the_client_leaves_the_handler(stage: Stage) {
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

async fn the_client_leaves_the_body(stage: Stage) {
    let mut service = streaming(&stage, &stage.layer(), |_| {
        spawn(after(20));
    });
    let held = stage.call(&mut service, request());
    let answer = stage.drive(held).await.expect("infallible");
    stage.leave(answer);
}

async fn the_client_leaves_a_held_end(stage: Stage) {
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

async fn the_handler_runs_on(stage: Stage) {
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

async fn the_handler_panics(stage: Stage) {
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

async fn the_service_fails(stage: Stage) {
    let inside = stage.clone();
    let service = stage.layer().layer(service_fn(move |_: Request<()>| {
        inside.in_request();
        spawn(after(20));
        async { Err::<Response<Body>, _>("no") }
    }));
    stage.serve(service).await;
}

async fn a_stream_is_held_at_its_end(stage: Stage) {
    let service = streaming(&stage, &stage.layer(), |_| {
        spawn(after(20));
        spawn(panics(30));
    });
    stage.serve(service).await;
}

async fn a_stream_fails_at_its_end(stage: Stage) {
    let layer = stage.layer().hold(Hold::End);
    let service = streaming(&stage, &layer, |_| {
        named("store").required().spawn(fails(20, "full"));
    });
    stage.serve(service).await;
}

async fn a_stream_outlives_its_tasks(stage: Stage) {
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

async fn nothing_is_held(stage: Stage) {
    let layer = stage.layer().hold(Hold::Never).drain_timeout(ms(30));
    let service = tracked(&stage, &layer, |_| {
        spawn(after(20));
        named("slow").spawn(after(50));
    });
    stage.serve(service).await;
}

async fn an_upgrade(stage: Stage) {
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

async fn an_answer_to_head(stage: Stage) {
    let mut service = tracked(&stage, &stage.layer(), |_| {
        spawn(after(20));
    });
    let mut request = request();
    *request.method_mut() = Method::HEAD;
    let answer = stage.call(&mut service, request);
    stage.read(answer).await;
}

async fn detached_tasks(stage: Stage) {
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

async fn a_detached_task_ends_before_the_response(stage: Stage) {
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

async fn late_spawns(stage: Stage) {
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

async fn spawns_on_a_dead_runtime(stage: Stage) {
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

async fn a_hook_is_awaited(stage: Stage) {
    let layer = stage.layer().before_release(|_| async {
        after(10).await;
        named("of the hook").spawn(after(10));
    });
    let service = tracked(&stage, &layer, |_| {
        spawn(after(20));
    });
    stage.serve(service).await;
}

async fn a_hook_meets_the_deadline(stage: Stage) {
    let layer = stage
        .layer()
        .drain_timeout(ms(100))
        .before_release(|_| after(600_000));
    let service = tracked(&stage, &layer, |_| {
        spawn(after(20));
    });
    stage.serve(service).await;
}

async fn a_hook_panics(stage: Stage) {
    let layer = stage.layer().before_release(|_| async {
        after(10).await;
        planned();
    });
    let service = tracked(&stage, &layer, |_| {
        spawn(after(20));
    });
    stage.serve(service).await;
}

async fn a_shutdown_begins(stage: Stage) {
    let handle = stage.handle.clone();
    let service = tracked(&stage, &stage.layer(), move |_| {
        let (handle, tasks) = (handle.clone(), current());
        spawn(after(100));
        tokio::spawn(async move {
            after(10).await;
            handle.begin_shutdown(ms(50));
            assert!(tasks.try_spawn(after(1)).is_err(), "it is refused");
        });
    });
    stage.serve(service).await;
}

async fn a_shutdown_ends(stage: Stage) {
    let layer = stage.layer().drain_timeout(ms(10));
    let service = tracked(&stage, &layer, |_| {
        named("slow").spawn(after(600_000));
        named("detached").detached().spawn(after(600_000));
        named("ends in time").spawn(after(30));
    });
    stage.serve(service).await;
    stage.handle.spawn(after(600_000));
    let report = stage.drive(stage.handle.shutdown(ms(100))).await;
    stage.note(report);
}

async fn the_work_of_the_process(stage: Stage) {
    stage.arm();
    stage.handle.spawn(after(20));
    stage.handle.spawn(panics(30));
    stage.drive(stage.handle.wait_idle()).await;
    stage.note("idle");
    let report = stage.drive(stage.handle.shutdown(ms(100))).await;
    stage.note(report);
}

async fn a_function(stage: Stage) {
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

async fn a_function_meets_its_deadline(stage: Stage) {
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

async fn an_answer_that_fails(stage: Stage) {
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

/// A handler that runs `start` and answers with a whole body.
fn tracked<F>(
    stage: &Stage,
    layer: &TaskTrackerLayer,
    start: F,
) -> TaskTrackerService<
    impl Service<
        Request<()>,
        Response = Response<Body>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Body>, Infallible>> + use<F>,
    > + use<F>,
>
where
    F: Fn(&Stage) + Clone + 'static,
{
    let stage = stage.clone();
    layer.layer(service_fn(move |_: Request<()>| {
        let (stage, start) = (stage.clone(), start.clone());
        async move {
            stage.in_request();
            start(&stage);
            Ok(full("done"))
        }
    }))
}

/// A handler that runs `start` and answers with a body of two frames, whose length is not known.
fn streaming<F>(
    stage: &Stage,
    layer: &TaskTrackerLayer,
    start: F,
) -> TaskTrackerService<
    impl Service<
        Request<()>,
        Response = Response<Frames>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Frames>, Infallible>> + use<F>,
    > + use<F>,
>
where
    F: Fn(&Stage) + Clone + 'static,
{
    let stage = stage.clone();
    layer.layer(service_fn(move |_: Request<()>| {
        let (stage, start) = (stage.clone(), start.clone());
        async move {
            stage.in_request();
            start(&stage);
            Ok(Response::new(Frames::new(["a", "b"])))
        }
    }))
}

async fn succeeds(millis: u64) -> Result<(), Infallible> {
    after(millis).await;
    Ok(())
}

async fn fails<E: Display>(millis: u64, error: E) -> Result<(), E> {
    after(millis).await;
    Err(error)
}

async fn panics(millis: u64) {
    after(millis).await;
    planned();
}

/// Ends when it is asked to.
fn listens() -> impl Future<Output = ()> + Send {
    let token = current().cancellation_token();
    async move {
        let _ = tokio::time::timeout(Duration::from_millis(700), token.cancelled()).await;
    }
}

/// The handle of a runtime that is gone: it drops what it is to spawn. A runtime is not to be dropped in another one.
fn dead() -> Handle {
    let gone = thread::spawn(|| timeless_runtime().handle().clone());
    gone.join().expect("a handle")
}
