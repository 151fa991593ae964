//! A shutdown from SIGTERM to the exit code, with axum's server or with hyper's.
//!
//! Cloud Run sends SIGTERM, and SIGKILL 10 s later. At SIGTERM this server does the following:
//!
//! 1. It begins the shutdown with a budget of 9 s, and stops accepting.
//! 2. Responses wait for their tasks as before, but not past the budget.
//! 3. Tasks that no response waits for have the rest of the budget.
//! 4. Tasks that are still alive at the end of the budget are aborted, and printed with their names.
//! 5. The exit code is 0 if no task had to be aborted, and 1 otherwise.
//!
//! ```sh
//! cargo run -p graceful-shutdown
//! cargo run -p graceful-shutdown -- --server hyper
//! ```
//!
//! The server prints its process id. Place an order that takes 3 s, and stop the server a second later. The response
//! waits for the order. A copy of the order is a detached task, which takes twice as long:
//!
//! ```text
//! $ curl -i -X POST -w '%{time_total} s\n' 'http://127.0.0.1:3000/orders?id=1&takes=3000' &
//! $ sleep 1; kill 18682
//! $ curl -X POST 'http://127.0.0.1:3000/orders?id=2&takes=3000'
//! curl: (7) Failed to connect to 127.0.0.1 port 3000 after 1 ms: Couldn't connect to server
//! HTTP/1.1 200 OK
//! content-type: text/plain; charset=utf-8
//! content-length: 2
//! connection: close
//! date: Sat, 21 Nov 2026 17:09:06 GMT
//!
//! 1
//! 3.003977 s
//! # the server:
//! listening on http://127.0.0.1:3000
//! to stop it: kill 18682
//! shut down after 5.1s: 3 tasks completed
//! ```
//!
//! The process ended 5 s after the signal, with exit code 0. The last line shows the time since the signal, and counts
//! the tasks that ended since then. The third task is the flusher.
//!
//! With `takes=60000` the response comes at the end of the budget, as a failure:
//!
//! ```text
//! HTTP/1.1 503 Service Unavailable
//! connection: close
//! content-length: 0
//! date: Sat, 21 Nov 2026 17:09:20 GMT
//!
//! 9.969747 s
//! # the server:
//! listening on http://127.0.0.1:3000
//! to stop it: kill 18961
//! shut down (shutdown): 0 of 1 tasks completed, held 10.0s; a required task has failed: held (running, 10.0s)
//! not done: detached (aborted, 10.0s)
//! not done: held (aborted, 10.0s)
//! shut down after 9.0s: 1 tasks completed, 2 aborted; failures: detached (aborted, 10.0s), held (aborted, 10.0s)
//! ```
//!
//! That was 9 s after the signal, and the exit code was 1. With `--server hyper` the output is the same.

use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{io, process};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::Listener;
use clap::{Parser, ValueEnum};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use tokio::fs;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower_task_tracker::{DrainObserver, DrainReport, ShutdownReport, TaskInfo, TaskState};
use tower_task_tracker::{TaskTrackerLayer, Tasks, TrackerHandle};

/// Takes orders on 127.0.0.1 until SIGTERM.
#[derive(Debug, Parser)]
struct Args {
    /// The port to listen on. 0 selects any free port.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// How long work may go on after SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value = "9", value_parser = seconds)]
    budget: Duration,
    /// The folder that the orders are written to. It is created if it does not exist.
    #[arg(long, value_name = "FOLDER", default_value_os_t = default_folder())]
    data: PathBuf,
    /// The server that serves the connections.
    #[arg(long, value_enum, default_value_t = Server::Axum)]
    server: Server,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Server {
    Axum,
    Hyper,
}

fn seconds(text: &str) -> Result<Duration, Failure> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

fn default_folder() -> PathBuf {
    std::env::temp_dir().join("tower-task-tracker-graceful-shutdown")
}

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() {
    let code = match run(Args::parse()).await {
        Ok(is_clean) => i32::from(!is_clean),
        Err(error) => {
            eprintln!("error: {error}");
            2
        }
    };
    // A return would drop the runtime, and that waits for blocking closures, which cannot be aborted.
    process::exit(code);
}

/// Serves until SIGTERM and shuts down. Returns true if no work was lost.
async fn run(args: Args) -> Result<bool, Failure> {
    fs::create_dir_all(&args.data).await?;
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await?;
    // From here on SIGTERM does not end the process.
    let mut sigterm = signal(SignalKind::terminate())?;
    println!("listening on http://{}", listener.local_addr()?);
    println!("to stop it: kill {}", process::id());

    let shop = Arc::new(Shop {
        folder: args.data,
        written: AtomicUsize::new(0),
    });
    let tracker = TaskTrackerLayer::new()
        .failure_status(StatusCode::SERVICE_UNAVAILABLE)
        .observer(Printer);
    let handle = tracker.handle();
    let own = handle.process_tasks();
    own.named("flusher")
        .spawn(flush_now_and_then(shop.clone(), own.cancellation_token()));

    let app = routes(shop.clone()).layer(tracker);
    let mut served = pin!(serve(args.server, listener, app, own.cancellation_token()));
    tokio::select! {
        early = &mut served => return Err(format!("the server has ended: {early:?}").into()),
        _ = sigterm.recv() => {}
    }
    let report = stop(&handle, args.budget, served).await;
    println!("{report}");
    shop.flush().await?;
    Ok(report.is_clean())
}

/// Shuts down after the signal, with any server. `served` ends when every accepted request is answered.
async fn stop<S: Future>(handle: &TrackerHandle, budget: Duration, served: S) -> ShutdownReport {
    let signal = Instant::now();
    // Cancels the token of the process, on which the server stops accepting. No response is held past the budget.
    handle.begin_shutdown(budget);
    // Await the server before `shutdown`, because the handle does not count tasks that a handler has yet to spawn.
    // Responses that are held until the end of the budget need a little more time to reach their clients.
    let for_answers = budget.saturating_add(Duration::from_millis(500));
    if timeout(for_answers, served).await.is_err() {
        println!("some connections are still open");
    }
    // Waits for the tasks that no response waits for: detached tasks, and those of clients that have left.
    handle
        .shutdown(budget.saturating_sub(signal.elapsed()))
        .await
}

/// Serves until `stop` is cancelled and every request that was accepted before is answered.
async fn serve(
    server: Server,
    listener: TcpListener,
    app: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    match server {
        Server::Axum => {
            axum::serve(listener, app)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
        }
        Server::Hyper => {
            serve_with_hyper(listener, app, stop).await;
            Ok(())
        }
    }
}

async fn serve_with_hyper(mut listener: TcpListener, app: Router, stop: CancellationToken) {
    let connections = GracefulShutdown::new();
    // axum's `accept` retries after errors.
    while let Some((stream, _)) = stop
        .run_until_cancelled(Listener::accept(&mut listener))
        .await
    {
        let service = TowerToHyperService::new(app.clone());
        let connection = Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async {
            if let Err(error) = connection.await {
                eprintln!("connection: {error}");
            }
        });
    }
    // While the listener is open, the kernel accepts connections.
    drop(listener);
    connections.shutdown().await;
}

fn routes(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/orders", post(place_order))
        .with_state(shop)
}

#[derive(Deserialize)]
struct Order {
    id: u32,
    /// The duration of the work, in milliseconds.
    takes: u64,
}

/// The response waits until the order is written, and fails if the write fails. So an acknowledged order is on disk.
/// Only the shutdown waits for the copy.
async fn place_order(
    State(shop): State<Arc<Shop>>,
    Query(Order { id, takes }): Query<Order>,
    tasks: Tasks,
) -> String {
    let takes = Duration::from_millis(takes);
    let held = shop.clone().write(format!("held-{id}"), takes);
    tasks.named("held").required().spawn(held);
    // The copy takes twice as long.
    let detached = shop.write(format!("detached-{id}"), takes.saturating_mul(2));
    tasks
        .named("detached")
        .fallible()
        .detached()
        .spawn(detached);
    format!("{id}\n")
}

struct Shop {
    folder: PathBuf,
    written: AtomicUsize,
}

impl Shop {
    async fn write(self: Arc<Self>, name: String, takes: Duration) -> io::Result<()> {
        sleep(takes).await;
        fs::write(self.folder.join(&name), name).await?;
        self.written.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn flush(&self) -> io::Result<()> {
        let written = self.written.load(Ordering::Relaxed);
        fs::write(self.folder.join("written"), written.to_string()).await
    }
}

/// A task of the process itself, which `shutdown` also waits for. It ends at the signal, before other tasks end. So
/// [`run`] does the last flush.
async fn flush_now_and_then(shop: Arc<Shop>, stop: CancellationToken) {
    let pause = || sleep(Duration::from_millis(200));
    while stop.run_until_cancelled(pause()).await.is_some() {
        if let Err(error) = shop.flush().await {
            eprintln!("flush: {error}");
        }
    }
}

/// Prints each report that is not clean, and each late task that has not completed.
struct Printer;

impl DrainObserver for Printer {
    fn on_drain(&self, report: &DrainReport) {
        if !report.is_clean() {
            println!("{report}");
        }
    }

    fn on_late_end(&self, task: &TaskInfo) {
        if task.state != TaskState::Completed {
            println!("not done: {task}");
        }
    }
}
