//! Plays one plan through the real layer.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{ResponseBody, TaskTrackerLayer, deadline};

use super::check;
use super::plan::{Client, Length, Plan};
use super::world::{Answered, Item, Scripted, World, item};
use crate::support::{Log, ms, request};

/// Longer than anything that a plan can do: who waits for so long was not woken.
const NEVER: Duration = Duration::from_secs(3600);

/// What no handler answers by itself.
pub(super) const FAILURE: StatusCode = StatusCode::IM_A_TEAPOT;

/// What was seen from outside.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) world: World,
    pub(super) log: Log,
    pub(super) arrived: Instant,
    /// `None` if the client left before.
    pub(super) head: Option<Seen>,
    /// The head says that a required task has failed.
    pub(super) head_failed: bool,
    /// The service failed instead of answering.
    pub(super) failed: bool,
    pub(super) items: Vec<(Seen, Item)>,
    /// The client has read the end.
    pub(super) finished: bool,
}

/// The moment at which something was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) alive: usize,
    pub(super) none_alive_since: Option<Instant>,
    pub(super) hooked: Option<Instant>,
    pub(super) no_required_since: Option<Instant>,
    pub(super) required_alive: bool,
    pub(super) required_failed: bool,
    pub(super) body_gone: Option<Instant>,
}

pub(super) async fn run(plan: &Plan) -> Result<Run, TestCaseError> {
    let world = World::default();
    let log = Log::default();
    let layer = layer(plan, &world).observer(log.clone());
    let run = Arc::new(Mutex::new(Run {
        world: world.clone(),
        log,
        arrived: Instant::now(),
        head: None,
        head_failed: false,
        failed: false,
        items: Vec::new(),
        finished: false,
    }));
    let start = Instant::now();
    let exchange = exchange(plan, &world, &layer, &run);
    if let Client::LeavesAt(millis) = plan.client {
        if let Ok(exchanged) = timeout_at(start + ms(millis), exchange).await {
            exchanged?;
        }
    } else {
        let exchanged = timeout(NEVER, exchange).await;
        exchanged.map_err(|_| TestCaseError::fail("a wake-up was lost: it never ended"))??;
    }
    let idle = timeout(NEVER, layer.handle().wait_idle()).await;
    prop_assert!(idle.is_ok(), "the handle is never idle");
    prop_assert_eq!(layer.handle().live_tasks(), 0);
    prop_assert_eq!(world.facts().alive, 0, "a task was left over");
    prop_assert_eq!(world.facts().detached_alive, 0, "a detached one was");
    let run = run.lock().expect("no panic holds this lock").clone();
    Ok(run)
}

fn layer(plan: &Plan, world: &World) -> TaskTrackerLayer {
    let at_least = plan.client_timeout.map_or(0, |(_, at_least)| at_least);
    let layer = TaskTrackerLayer::new()
        .hold(plan.hold)
        .drain_timeout(plan.drain_timeout.map(ms))
        .total_timeout(plan.total_timeout.map(ms))
        .deadline_source(deadline::grpc_timeout().at_least(ms(at_least)))
        .at_deadline(plan.at_deadline)
        .at_disconnect(plan.at_disconnect)
        .failure_status(FAILURE);
    let Some(takes) = plan.hook else {
        return layer;
    };
    let world = world.clone();
    layer.before_release(move |_| {
        let world = world.clone();
        async move {
            sleep(ms(takes)).await;
            world.facts().hooked = Some(Instant::now());
        }
    })
}

/// The service and its client.
async fn exchange(
    plan: &Plan,
    world: &World,
    layer: &TaskTrackerLayer,
    run: &Mutex<Run>,
) -> Result<(), TestCaseError> {
    let service = layer.layer(service_fn(|_: Request<()>| async {
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
        if plan.body.length == Length::Header {
            let length = plan.body.total().into();
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        let mut facts = world.facts();
        facts.answered = Some(Answered {
            at: Instant::now(),
            alive: facts.alive,
            required_alive: facts.required_alive > 0,
            required_failed: facts.required_failed,
        });
        if plan.handler_fails {
            return Err("planned");
        }
        Ok(response)
    }));
    let mut request = request();
    *request.method_mut() = plan.method.clone();
    *request.version_mut() = plan.version;
    if let Some((millis, _)) = plan.client_timeout {
        let timeout = HeaderValue::try_from(format!("{millis}m")).expect("ASCII");
        request.headers_mut().insert("grpc-timeout", timeout);
    }
    let result = service.oneshot(request).await;
    {
        let mut run = run.lock().expect("no panic holds this lock");
        run.head = Some(Seen::now(world));
        run.failed = result.is_err();
        run.head_failed = result.as_ref().is_ok_and(|head| head.status() == FAILURE);
        run.finished = result.is_err();
    }
    match result {
        Ok(response) if response.status() == FAILURE => {
            let body = response.into_body();
            prop_assert!(body.is_end_stream(), "a failed head has no body");
            run.lock().expect("no panic holds this lock").finished = true;
            Ok(())
        }
        Ok(response) => read(plan, world, response.into_body(), run).await,
        Err(_) => Ok(()),
    }
}

async fn read(
    plan: &Plan,
    world: &World,
    body: ResponseBody<Scripted>,
    run: &Mutex<Run>,
) -> Result<(), TestCaseError> {
    let mut body = pin!(body);
    let mut left = plan.body.total();
    let server = plan.client == Client::IsServer;
    let mut unsent = check::server_length(plan);
    if server && (unsent == Some(0) || body.is_end_stream()) {
        run.lock().expect("no panic holds this lock").finished = true;
        return Ok(());
    }
    for frame in 0.. {
        match plan.client {
            Client::LeavesAfter(frames) if frame >= frames => return Ok(()),
            Client::IsSlow(millis) => sleep(ms(millis)).await,
            _ => {}
        }
        let says_end = body.is_end_stream();
        let hint = body.size_hint();
        let read = item(body.frame().await);
        if says_end {
            prop_assert_eq!(&read, &Item::End, "`is_end_stream` was true before");
        }
        let truthful = !matches!(plan.body.length, Length::WrongHint(_));
        if truthful && !matches!(read, Item::End | Item::Failed) {
            prop_assert!(hint.lower() <= left, "{:?} with {} left", hint, left);
            prop_assert!(hint.upper().is_none_or(|upper| upper >= left), "{:?}", hint);
        }
        if let Item::Data(data) = &read {
            left -= data.len() as u64;
        }
        let mut run = run.lock().expect("no panic holds this lock");
        run.items.push((Seen::now(world), read.clone()));
        if !matches!(read, Item::Data(_)) {
            run.finished = true;
            break;
        }
        if let (Item::Data(data), Some(unsent)) = (&read, &mut unsent) {
            *unsent = unsent.saturating_sub(data.len() as u64);
        }
        if server && (unsent == Some(0) || body.is_end_stream()) {
            run.finished = true;
            return Ok(());
        }
    }
    for _ in 0..2 {
        let after = timeout(NEVER, body.frame()).await;
        prop_assert!(matches!(after, Ok(None)), "after its end the body says so");
        prop_assert!(body.is_end_stream());
    }
    Ok(())
}

impl Seen {
    fn now(world: &World) -> Self {
        let facts = world.facts();
        Self {
            at: Instant::now(),
            alive: facts.alive,
            none_alive_since: facts.none_alive_since,
            hooked: facts.hooked,
            no_required_since: facts.no_required_since,
            required_alive: facts.required_alive > 0,
            required_failed: facts.required_failed,
            body_gone: facts.body_gone,
        }
    }
}
