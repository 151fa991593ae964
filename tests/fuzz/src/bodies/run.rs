//! Plays one plan through the real layer.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tower::{Layer, Service, service_fn};
use tower_task_tracker::{TaskTrackerLayer, deadline};

use super::exchange::exchange;
use super::log::{Log, Told};
use super::plan::{Client, DrainTimeout, Plan};
use super::scripted::Scripted;
use super::view::View;
use super::world::{Answered, Facts, World};
use crate::clock::ms;

/// Longer than anything that a plan can do: who waits for so long was not woken.
const NEVER: Duration = Duration::from_secs(10 * 24 * 3600);

/// What no handler answers by itself.
pub(super) const FAILURE: StatusCode = StatusCode::IM_A_TEAPOT;

/// What was seen from outside.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) facts: Facts,
    pub(super) told: Told,
    pub(super) arrived: Instant,
    pub(super) view: View,
}

/// Through the layer.
pub(super) async fn run(plan: &Plan) -> Run {
    let world = World::default();
    let log = Log::new(&world);
    let layer = layer(plan, &world).observer(log.clone());
    let (arrived, view) = play(plan, &world, layer.layer(handler(plan, &world))).await;
    let idle = timeout(NEVER, layer.handle().wait_idle()).await;
    assert!(idle.is_ok(), "the handle is never idle");
    assert_eq!(layer.handle().live_tasks(), 0, "the handle is idle");
    let facts = world.facts().clone();
    assert_eq!(facts.alive, 0, "a task was left over");
    assert_eq!(facts.detached_alive, 0, "a detached task was left over");
    Run {
        facts,
        told: log.told(),
        arrived,
        view,
    }
}

/// The handler alone. When it was called, and what was seen of it.
pub(super) async fn run_bare(plan: &Plan) -> (Instant, View) {
    let world = World::default();
    play(plan, &world, handler(plan, &world)).await
}

async fn play<S, B>(plan: &Plan, world: &World, service: S) -> (Instant, View)
where
    S: Service<Request<()>, Response = Response<B>, Error = &'static str>,
    B: http_body::Body<Data = bytes::Bytes, Error: super::item::Told>,
{
    let view = RefCell::new(View::default());
    let arrived = Instant::now();
    let exchange = exchange(plan, world, service, &view);
    match plan.client {
        Client::LeavesAt(millis) => {
            let _left = timeout_at(arrived + ms(millis), exchange).await;
        }
        Client::LeavesAfterPolls(polls) => {
            let at_most = at_most(polls, exchange);
            let ended = timeout(NEVER, at_most).await;
            assert!(ended.is_ok(), "a wake-up was lost: it was not polled on");
        }
        Client::ReadsOn | Client::IsServer | Client::IsSlow(_) | Client::LeavesAfter(_) => {
            let ended = timeout(NEVER, exchange).await;
            assert!(ended.is_ok(), "a wake-up was lost: it never ended");
        }
    }
    (arrived, view.into_inner())
}

/// Drops the future after so many polls, if it is not ready by then.
async fn at_most(mut polls: usize, future: impl Future<Output = ()>) {
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
    let at_least = plan.window.client_timeout.map_or(0, |(_, least)| least);
    let mut layer = TaskTrackerLayer::new()
        .hold(plan.hold)
        .total_timeout(plan.window.total_timeout.map(|millis| ms(millis.into())))
        .deadline_source(deadline::grpc_timeout().at_least(ms(at_least.into())))
        .at_deadline(plan.window.at_deadline)
        .at_disconnect(plan.window.at_disconnect)
        .failure_status(FAILURE);
    if let DrainTimeout::Set(timeout) = plan.window.drain_timeout {
        layer = layer.drain_timeout(timeout.map(ms));
    }
    let Some(hook) = plan.hook else {
        return layer;
    };
    let world = world.clone();
    layer.before_release(move |_| {
        let world = world.clone();
        async move {
            sleep(ms(hook.takes)).await;
            world.facts().hooked = Some(Instant::now());
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
        if let Some(takes) = plan.anonymous {
            world.start_anonymous(takes);
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
        let mut facts = world.facts();
        facts.answered = Some(Answered {
            at: Instant::now(),
            alive: facts.alive,
            required_alive: facts.required_alive > 0,
            required_failed: facts.required_failed,
            spawned: facts.spawned,
        });
        drop(facts);
        if plan.handler_fails {
            return Err("planned");
        }
        Ok(response)
    })
}
