//! Sends the receipts that are in the queue.

use std::process;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apalis::prelude::{
    Attempt, BackendExt, Data, Event, EventListenerExt, WorkerBuilder, WorkerBuilderExt,
    WorkerError,
};
use tokio_util::sync::CancellationToken;
use tower_task_tracker::{TaskScopeLayer, TrackerHandle};

use crate::Error;
use crate::mail::{Mailer, Receipt};
use crate::store::{Store, either};

/// How often a worker shows that it is alive. The queue counts in whole seconds.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// If a worker misses so many of them, others take its jobs.
const MISSED: usize = 3;

/// How often a worker looks for jobs.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How many receipts are sent at once.
const CONCURRENCY: usize = 32;

/// The longest time between two attempts.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// What a job needs.
#[derive(Debug, Clone)]
struct Context {
    store: Store,
    mailer: Mailer,
}

/// Runs a worker until `stop` is cancelled. If its store is not reachable, it starts anew.
pub async fn run(store: Store, mailer: Mailer, handle: TrackerHandle, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let (store, mailer) = (store.clone(), mailer.clone());
        if let Err(error) = run_once(store, mailer, &handle, stop.clone()).await {
            tracing::warn!(%error, "the worker has failed, and starts again in a second");
            let _ = tokio::time::timeout(Duration::from_secs(1), stop.cancelled()).await;
        }
    }
}

async fn run_once(
    store: Store,
    mailer: Mailer,
    handle: &TrackerHandle,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    // A new name for each start: a name that was in use shortly before is refused.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since_epoch.unwrap_or_default().as_micros();
    let name = format!("worker-{}-{now}", process::id());
    let context = Context {
        store: store.clone(),
        mailer,
    };
    let layer = TaskScopeLayer::new().tracked_by(handle);
    let stopped = async move {
        stop.cancelled().await;
        Ok::<(), WorkerError>(())
    };
    either!(&store, store => {
        let queue = store.queue(HEARTBEAT, MISSED).poll_with_interval(POLL_INTERVAL);
        WorkerBuilder::new(name)
            .backend(queue)
            .data(context)
            .concurrency(CONCURRENCY)
            .layer(layer)
            .on_event(|_, event| {
                if let Event::Start = event {
                    println!("worker ready");
                }
            })
            .build(send)
            .run_until(stopped)
            .await
    })
}

/// Sends one receipt. If that fails, the queue keeps it, and a worker takes it again after the back-off.
async fn send(receipt: Receipt, context: Data<Context>, attempt: Attempt) -> Result<(), Error> {
    let Err(error) = context.mailer.send(&receipt).await else {
        context.store.sent(&receipt).await?;
        tracing::info!(order = receipt.order, "the receipt was sent");
        return Ok(());
    };
    let back_off = back_off(attempt.current());
    tracing::info!(order = receipt.order, %error, ?back_off, "the receipt was not sent");
    // The queue has no back-off of its own, so the job's time is set before its failure is recorded.
    context.store.postpone(&receipt, back_off).await?;
    Err(error)
}

/// Returns the time until the next attempt: 1 s, 2 s, 4 s, and so on.
fn back_off(attempt: usize) -> Duration {
    let exponent = attempt.saturating_sub(1).min(6) as u32;
    Duration::from_secs(1 << exponent).min(LONGEST_BACK_OFF)
}
