//! Plays one request with one task through the layer.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, TaskTrackerLayer, Tasks, spawn};

use super::plan::Plan;
use super::request::{FIELDS, Millis};
use tower_task_tracker_requests::clock::ms;

const BODY: &str = "done";

/// What was seen. Times are counted from the arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) head: Duration,
    /// The deadline that the handler read, before the window was open.
    pub(super) known: Option<Duration>,
    /// When the task had ended, if nothing stopped it.
    pub(super) task: Option<Duration>,
    pub(super) report: DrainReport,
}

pub(super) async fn run(plan: &Plan, request: &http::request::Parts) -> Run {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::new(Mutex::new((None, None)));
    let arrived = Instant::now();
    let layer = layer(plan, &reports);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        let tasks = Tasks::current().expect("in a request");
        seen.lock().expect("no panic holds it").0 = tasks.deadline();
        let (takes, seen) = (plan.settings.task_takes, seen.clone());
        spawn(async move {
            take(takes).await;
            seen.lock().expect("no panic holds it").1 = Some(Instant::now());
        });
        take(plan.settings.handler_takes).await;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(BODY)))
    }));
    let Ok(response) = service.oneshot(copied(request)).await;
    let head = arrived.elapsed();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await;
    assert!(
        body.is_ok_and(|body| body.to_bytes() == BODY),
        "the body is as it was"
    );
    assert_eq!(
        arrived.elapsed(),
        head,
        "a head was held: its body is there"
    );
    layer.handle().wait_idle().await;
    let (known, task) = *seen.lock().expect("no panic holds it");
    let mut reports = std::mem::take(&mut *reports.lock().expect("no panic holds it"));
    assert_eq!(reports.len(), 1, "one report: {reports:?}");
    Run {
        head,
        known: known.map(|at| at - arrived),
        task: task.map(|at| at - arrived),
        report: reports.remove(0),
    }
}

fn layer(plan: &Plan, reports: &Arc<Mutex<Vec<DrainReport>>>) -> TaskTrackerLayer {
    let reports = reports.clone();
    let mut layer = TaskTrackerLayer::new()
        .at_deadline(plan.settings.at_deadline)
        .on_drain(move |report: &DrainReport| {
            reports
                .lock()
                .expect("no panic holds it")
                .push(report.clone());
        });
    if let Some(timeout) = plan.settings.drain_timeout {
        layer = layer.drain_timeout(timeout.0);
    }
    for field in FIELDS {
        layer = layer.deadline_source(plan.source(field));
    }
    layer
}

/// A sleep of zero is no turn of the scheduler, but may be one tick of the timer.
async fn take(millis: u64) {
    if millis > 0 {
        sleep(ms(millis)).await;
    }
}

fn copied(parts: &http::request::Parts) -> Request<()> {
    let mut request = Request::new(());
    request.headers_mut().clone_from(&parts.headers);
    let millis: Option<&Millis> = parts.extensions.get();
    if let Some(millis) = millis {
        request.extensions_mut().insert(*millis);
    }
    request
}
