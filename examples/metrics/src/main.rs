//! A shop that exports metrics of its background tasks to Prometheus.
//!
//! ```sh
//! cargo run -p metrics-example
//! ```
//!
//! Each order has three tasks: an audit entry, a receipt and some news. The request states how the audit entry ends. A
//! late entry takes 6 s, and its response waits for 1 s. While three tasks are alive, orders are refused:
//!
//! ```text
//! $ curl -X POST 'http://127.0.0.1:3000/orders?audit=ok'
//! thank you
//! $ curl -X POST 'http://127.0.0.1:3000/orders?audit=fails'
//! thank you
//! $ curl -X POST 'http://127.0.0.1:3000/orders?audit=panics'
//! thank you
//! $ curl -X POST 'http://127.0.0.1:3000/orders?audit=aborted'
//! thank you
//! $ curl -X POST 'http://127.0.0.1:3000/orders?audit=late'
//! thank you
//! $ curl -X POST 'http://127.0.0.1:3000/orders?audit=late'
//! thank you
//! $ curl -X POST 'http://127.0.0.1:3000/orders?audit=late'
//! thank you
//! $ curl -X POST -w '%{http_code}\n' 'http://127.0.0.1:3000/orders?audit=ok'
//! 503
//! ```
//!
//! 6 s later every task has ended. The page then contains these lines, in another order, with `...` for some of the
//! buckets:
//!
//! ```text
//! $ curl http://127.0.0.1:3000/metrics
//! # HELP tower_task_tracker_tasks_total Tasks that have ended.
//! # TYPE tower_task_tracker_tasks_total counter
//! tower_task_tracker_tasks_total{state="aborted",task="audit"} 1
//! tower_task_tracker_tasks_total{state="completed",task="audit"} 4
//! tower_task_tracker_tasks_total{state="completed",task="index"} 3
//! tower_task_tracker_tasks_total{state="completed",task="news"} 7
//! tower_task_tracker_tasks_total{state="completed"} 7
//! tower_task_tracker_tasks_total{state="failed",task="audit"} 1
//! tower_task_tracker_tasks_total{state="panicked",task="audit"} 1
//!
//! # HELP tower_task_tracker_stragglers_total Tasks that were alive when the response was released, or its client had left.
//! # TYPE tower_task_tracker_stragglers_total counter
//! tower_task_tracker_stragglers_total{reason="deadline"} 3
//!
//! # HELP tower_task_tracker_late_spawns_total Tasks that were spawned after their request was released.
//! # TYPE tower_task_tracker_late_spawns_total counter
//! tower_task_tracker_late_spawns_total 3
//!
//! # HELP tower_task_tracker_shed_requests_total Requests that were answered 503 because too many tasks were alive.
//! # TYPE tower_task_tracker_shed_requests_total counter
//! tower_task_tracker_shed_requests_total 1
//!
//! # HELP tower_task_tracker_live_tasks Tasks that are alive now.
//! # TYPE tower_task_tracker_live_tasks gauge
//! tower_task_tracker_live_tasks 0
//!
//! # HELP tower_task_tracker_held_responses Responses that are held now, until their tasks are done.
//! # TYPE tower_task_tracker_held_responses gauge
//! tower_task_tracker_held_responses 0
//!
//! # HELP tower_task_tracker_drain_duration_seconds For how long the tasks of a request ran on after its response was ready.
//! # TYPE tower_task_tracker_drain_duration_seconds histogram
//! ...
//! tower_task_tracker_drain_duration_seconds_bucket{outcome="deadline_exceeded",le="1"} 0
//! tower_task_tracker_drain_duration_seconds_bucket{outcome="deadline_exceeded",le="+Inf"} 3
//! tower_task_tracker_drain_duration_seconds_sum{outcome="deadline_exceeded"} 3.0268858199999995
//! tower_task_tracker_drain_duration_seconds_count{outcome="deadline_exceeded"} 3
//! ...
//! tower_task_tracker_drain_duration_seconds_bucket{outcome="drained",le="0.05"} 3
//! tower_task_tracker_drain_duration_seconds_bucket{outcome="drained",le="0.1"} 3
//! tower_task_tracker_drain_duration_seconds_bucket{outcome="drained",le="0.2"} 4
//! tower_task_tracker_drain_duration_seconds_bucket{outcome="drained",le="0.5"} 4
//! tower_task_tracker_drain_duration_seconds_bucket{outcome="drained",le="1"} 4
//! tower_task_tracker_drain_duration_seconds_bucket{outcome="drained",le="+Inf"} 4
//! tower_task_tracker_drain_duration_seconds_sum{outcome="drained"} 0.19743821
//! tower_task_tracker_drain_duration_seconds_count{outcome="drained"} 4
//! ```

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::routing::{get, post};
use clap::Parser;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::time::{interval, sleep};
use tower_task_tracker::{TaskTrackerLayer, Tasks, Unfinished, describe_metrics};

/// The upper limits of the buckets, in seconds. The last one is the drain timeout.
const BUCKETS: [f64; 7] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// While this many tasks are alive, new orders are refused.
const MAX_LIVE_TASKS: usize = 3;

/// Takes orders on 127.0.0.1, and exports metrics.
#[derive(Debug, Parser)]
struct Args {
    /// The port to listen on. 0 selects any free port.
    #[arg(long, default_value_t = 3000)]
    port: u16,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = record_metrics()?;
    let listener = TcpListener::bind(("127.0.0.1", Args::parse().port)).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let tracker = TaskTrackerLayer::new()
        .drain_timeout(seconds(1.0))
        .at_deadline(Unfinished::Continue)
        .max_live_tasks(MAX_LIVE_TASKS);
    let handle = tracker.handle();
    let router = Router::new()
        .route("/orders", post(place_order))
        .layer(tracker)
        // Outside the layer, so that the metrics of an overloaded server can still be read.
        .route("/metrics", get(async move || metrics.render()));
    axum::serve(listener, router)
        .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await?;
    handle.wait_idle().await;
    Ok(())
}

/// Installs the recorder. This comes first, because metrics that are recorded before it are lost.
fn record_metrics() -> Result<PrometheusHandle, Box<dyn Error>> {
    // Without buckets the metric would be a summary, which cannot be added up over several instances.
    let drain = "tower_task_tracker_drain_duration_seconds".to_owned();
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(drain), &BUCKETS)?
        .install_recorder()?;
    describe_metrics();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        // Values stay in memory until the page is requested or `run_upkeep` is called.
        let mut tick = interval(seconds(5.0));
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

#[derive(Deserialize)]
struct Order {
    audit: Audit,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Audit {
    Ok,
    Fails,
    Panics,
    Aborted,
    Late,
}

/// Spawns an audit entry that ends as the request states, a receipt, and some news.
async fn place_order(tasks: Tasks, Query(order): Query<Order>) -> &'static str {
    let audit = tasks.named("audit").fallible().spawn(audit(order.audit));
    if let Audit::Aborted = order.audit {
        audit.abort();
    }
    if let Audit::Late = order.audit {
        tokio::spawn(index(tasks.clone()));
    }
    // The receipt. A task without a name has no label `task`.
    tasks.spawn(sleep(seconds(0.03)));
    // No response waits for a detached task, but it is counted like any other.
    tasks.named("news").detached().spawn(sleep(seconds(0.02)));
    "thank you\n"
}

/// Runs outside the request, but keeps its `Tasks`. The response has long been released when this spawns.
async fn index(tasks: Tasks) {
    sleep(seconds(5.0)).await;
    tasks.named("index").spawn(async {});
}

async fn audit(audit: Audit) -> Result<(), &'static str> {
    match audit {
        Audit::Ok => sleep(seconds(0.1)).await,
        Audit::Fails => return Err("the disk is full"),
        Audit::Panics => panic!("the audit entry is too long"),
        Audit::Aborted => std::future::pending().await,
        Audit::Late => {
            sleep(seconds(6.0)).await;
        }
    }
    Ok(())
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
