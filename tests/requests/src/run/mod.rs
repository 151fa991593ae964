//! Plays one plan, with the real layer or without it.

mod calls;
mod client;
mod view;

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tower::{Layer, Service, service_fn};
use tower_task_tracker::{DrainSettings, TaskTrackerLayer, deadline};

use self::calls::Observer;
use crate::clock::ms;
use crate::plan::{Client, DrainTimeout, Plan};
use crate::world::{BodyFailure, Record, Scripted, World};

pub(crate) use self::calls::Calls;
pub(crate) use self::view::{Forecast, Read, View};

/// Longer than anything that a plan can do. If a wait takes so long, a wake-up was lost.
const NEVER: Duration = Duration::from_secs(3600);

/// No handler answers with it.
const FAILURE: StatusCode = StatusCode::IM_A_TEAPOT;

/// What was observed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) arrived: Instant,
    pub(crate) view: View,
    pub(crate) record: Record,
    pub(crate) calls: Calls,
}

pub(crate) async fn with_layer(plan: &Plan) -> Run {
    let world = World::default();
    let observer = Observer::new(&world);
    let layer = layer(plan, &world).observer(observer.clone());
    let (arrived, view) = play(plan, &world, layer.layer(handler(plan, &world))).await;
    let idle = timeout(NEVER, layer.handle().wait_idle()).await;
    assert!(idle.is_ok(), "the handle is never idle");
    assert_eq!(layer.handle().live_tasks(), 0, "the handle is idle");
    let run = Run {
        arrived,
        view,
        record: std::mem::take(&mut *world.record()),
        calls: observer.calls(),
    };
    let facts = &run.record.facts;
    assert_eq!(facts.alive, 0, "a task was left over");
    assert_eq!(facts.detached_alive, 0, "a detached task was left over");
    run
}

pub(crate) async fn without_layer(plan: &Plan) -> Run {
    let world = World::default();
    let (arrived, view) = play(plan, &world, handler(plan, &world)).await;
    Run {
        arrived,
        view,
        record: std::mem::take(&mut *world.record()),
        calls: Calls::default(),
    }
}

async fn play<S, B>(plan: &Plan, world: &World, service: S) -> (Instant, View)
where
    S: Service<Request<()>, Response = Response<B>, Error = &'static str>,
    B: Body<Data = Bytes, Error: BodyFailure>,
{
    let view = RefCell::new(View::default());
    let arrived = Instant::now();
    let exchange = client::exchange(plan, world, service, &view);
    let ended = match plan.client {
        Client::LeavesAt(millis) => {
            let _left = timeout_at(arrived + ms(millis), exchange).await;
            Ok(())
        }
        Client::LeavesAfterPolls(polls) => timeout(NEVER, at_most(polls, exchange)).await,
        Client::ReadsAll
        | Client::ReadsAsServer
        | Client::ReadsSlowly(_)
        | Client::LeavesAfterFrames(_) => timeout(NEVER, exchange).await,
    };
    assert!(ended.is_ok(), "a wake-up was lost: the exchange never ends");
    (arrived, view.into_inner())
}

/// Drops the future after so many polls, if it is not ready by then.
async fn at_most(mut polls: u64, future: impl Future<Output = ()>) {
    if polls == 0 {
        return;
    }
    let mut future = pin!(future);
    let poll = |cx: &mut std::task::Context<'_>| {
        polls -= 1;
        match future.as_mut().poll(cx) {
            Poll::Pending if polls > 0 => Poll::Pending,
            Poll::Pending | Poll::Ready(()) => Poll::Ready(()),
        }
    };
    std::future::poll_fn(poll).await;
}

fn layer(plan: &Plan, world: &World) -> TaskTrackerLayer {
    let window = &plan.window;
    let at_least = window.client_timeout.map_or(0, |(_, at_least)| at_least);
    let mut layer = TaskTrackerLayer::new()
        .hold(plan.hold)
        .total_timeout(window.total_timeout.map(ms))
        .deadline_source(deadline::grpc_timeout().at_least(ms(at_least)))
        .at_deadline(window.at_deadline)
        .at_disconnect(window.at_disconnect)
        .failure_status(FAILURE);
    if let DrainTimeout::Set(timeout) = window.drain_timeout {
        layer = layer.drain_timeout(timeout.map(ms));
    }
    if let Some(grace) = window.hand_off_grace {
        layer = layer.settings(DrainSettings::new().hand_off_grace(ms(grace)));
    }
    let Some(hook) = plan.hook else {
        return layer;
    };
    let world = world.clone();
    layer.before_release(move |_| {
        let world = world.clone();
        async move {
            sleep(ms(hook.takes)).await;
            world.record().facts.hooked = Some(Instant::now());
            if hook.panics {
                resume_unwind(Box::new("planned"));
            }
        }
    })
}

fn handler(
    plan: &Plan,
    world: &World,
) -> impl Service<Request<()>, Response = Response<Scripted>, Error = &'static str> {
    service_fn(move |_| async move {
        let guard = world.body_guard();
        for task in &plan.tasks {
            world.start(task);
        }
        if let Some(takes) = plan.tracker_task {
            world.start_in_tracker(takes);
        }
        sleep(ms(plan.handler_takes)).await;
        let mut response = Response::new(Scripted::new(&plan.body, world.clone(), guard));
        *response.status_mut() = plan.status;
        let headers = response.headers_mut();
        for length in plan.body.headers() {
            headers.append(CONTENT_LENGTH, length.into());
        }
        if plan.is_grpc {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        }
        let answered = world.now();
        world.record().answered = Some(answered);
        if plan.handler_fails {
            return Err("planned");
        }
        Ok(response)
    })
}
