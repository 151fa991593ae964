//! What becomes of work that is not done at the deadline: a route for each policy.
//!
//! ```sh
//! cargo run -p deadlines
//! ```
//!
//! The outer layer lets a response wait until 2 s after its request came, and each route has a layer
//! of its own that says what is different there. Below is what `curl` prints, without the headers
//! that have nothing to do with the wait, and after `# the server:` what the server prints: the
//! report of the request, and the ends of tasks that came after it.
//!
//! `/detach` gives its thumbnails 1 s of their 2.5 s. They run on, and are told of once more:
//!
//! ```text
//! $ curl -i -X POST -w '%{time_total} s\n' http://127.0.0.1:3000/detach
//! HTTP/1.1 200 OK
//! server-timing: drain;dur=1001.7
//!
//! uploaded
//! 1.004296 s
//! # the server:
//! deadline exceeded (drain timeout): 0 of 1 tasks completed, held 1.0s; stragglers: thumbnails (running, 1.0s)
//! ended late: thumbnails (completed, 2.5s)
//! ```
//!
//! `/cancel` asks its tasks to stop, 1.5 s before the deadline. The import saves what it has; the
//! export does not watch the token, and is aborted 0.1 s before the deadline:
//!
//! ```text
//! $ curl -i -X POST -w '%{time_total} s\n' http://127.0.0.1:3000/cancel
//! HTTP/1.1 200 OK
//! server-timing: drain;dur=1903.5
//!
//! started
//! 1.905683 s
//! # the server:
//! import: the rows so far are saved
//! deadline exceeded (total timeout): 1 of 2 tasks completed, held 1.9s; asked to stop; failures: export (aborted, 1.9s)
//! ```
//!
//! `/abort` asks nobody. Destructors run all the same, and the client is told by the status:
//!
//! ```text
//! $ curl -i -X POST -w '%{time_total} s\n' http://127.0.0.1:3000/abort
//! HTTP/1.1 504 Gateway Timeout
//! server-timing: drain;dur=902.6
//!
//! 0.904408 s
//! # the server:
//! render: the scratch file is removed
//! deadline exceeded (drain timeout): 0 of 1 tasks completed, held 902.6ms; asked to stop; failures: render (aborted, 902.5ms)
//! ```
//!
//! `/required` says thank you only if the charge goes through:
//!
//! ```text
//! $ curl -i -X POST -w '%{time_total} s\n' 'http://127.0.0.1:3000/required?charge=ok'
//! HTTP/1.1 200 OK
//! server-timing: drain;dur=200.8
//!
//! thank you
//! 0.205209 s
//! # the server:
//! drained: 1 of 1 tasks completed, held 200.8ms
//!
//! $ curl -i -X POST -w '%{time_total} s\n' 'http://127.0.0.1:3000/required?charge=fails'
//! HTTP/1.1 502 Bad Gateway
//! server-timing: drain;dur=200.8
//!
//! 0.202360 s
//! # the server:
//! drained: 0 of 1 tasks completed, held 200.8ms; a required task has failed: charge (failed, 200.7ms: the card was declined)
//!
//! $ curl -i -X POST -w '%{time_total} s\n' 'http://127.0.0.1:3000/required?charge=late'
//! HTTP/1.1 502 Bad Gateway
//! server-timing: drain;dur=1901.3
//!
//! 1.903411 s
//! # the server:
//! deadline exceeded (total timeout): 0 of 1 tasks completed, held 1.9s; a required task has failed: charge (aborted, 1.9s); asked to stop
//! ```
//!
//! `/prefer` gives up to 4 s, and aborts what is late for that. A client may ask for less: it is
//! answered sooner, but what it asks for never ends the work:
//!
//! ```text
//! $ curl -i -X POST -w '%{time_total} s\n' http://127.0.0.1:3000/prefer
//! HTTP/1.1 200 OK
//! server-timing: drain;dur=2501.3
//!
//! indexed
//! 2.505054 s
//! # the server:
//! drained: 1 of 1 tasks completed, held 2.5s
//!
//! $ curl -i -X POST -w '%{time_total} s\n' -H 'Prefer: wait=1' http://127.0.0.1:3000/prefer
//! HTTP/1.1 200 OK
//! server-timing: drain;dur=1000.7
//!
//! indexed
//! 1.003001 s
//! # the server:
//! deadline exceeded (prefer-wait): 0 of 1 tasks completed, held 1.0s; stragglers: index (running, 1.0s)
//! ended late: index (completed, 2.5s)
//! ```
//!
//! Ctrl-C stops it when every task is done, the late ones too.
//!
//! Now start it as a platform does that tells how long a request may take. No response waits longer
//! than that, less 0.2 s for its way to the client:
//!
//! ```sh
//! CLOUD_RUN_TIMEOUT_SECONDS=1 cargo run -p deadlines
//! ```
//!
//! ```text
//! $ curl -i -X POST -w '%{time_total} s\n' http://127.0.0.1:3000/detach
//! HTTP/1.1 200 OK
//! server-timing: drain;dur=801.6
//!
//! uploaded
//! 0.806803 s
//! # the server:
//! deadline exceeded (CLOUD_RUN_TIMEOUT_SECONDS): 0 of 1 tasks completed, held 801.6ms; stragglers: thumbnails (running, 801.6ms)
//! ended late: thumbnails (completed, 2.5s)
//! ```

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::post;
use clap::Parser;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tower_task_tracker::deadline::{from_env, prefer_wait};
use tower_task_tracker::{
    DrainObserver, DrainReport, TaskInfo, TaskTrackerLayer, Tasks, Unfinished,
};

/// Starts work that is late, on 127.0.0.1.
#[derive(Debug, Parser)]
struct Args {
    /// The port to listen on; 0 for any that is free.
    #[arg(long, default_value_t = 3000)]
    port: u16,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", Args::parse().port)).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let base = TaskTrackerLayer::new()
        .total_timeout(seconds(2.0))
        .deadline_source(from_env("CLOUD_RUN_TIMEOUT_SECONDS").margin(seconds(0.2)))
        .server_timing(true)
        .observer(Printer);
    axum::serve(listener, router(&base))
        .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await?;
    // What was detached is not lost when the server stops.
    base.handle().wait_idle().await;
    Ok(())
}

/// The outer layer holds, and each route says only what is different there.
fn router(base: &TaskTrackerLayer) -> Router {
    let detach = base.clone().drain_timeout(seconds(1.0));
    let cancel = base.clone().at_deadline(Unfinished::Cancel {
        grace: seconds(1.5),
    });
    let abort = base
        .clone()
        .drain_timeout(seconds(1.0))
        .at_deadline(Unfinished::Abort)
        .deadline_status(StatusCode::GATEWAY_TIMEOUT);
    // Aborted as well: who is told that it failed must not pay for it later.
    let required = base
        .clone()
        .at_deadline(Unfinished::Abort)
        .failure_status(StatusCode::BAD_GATEWAY);
    // More patient than the others, as long as the client is.
    let prefer = base
        .clone()
        .total_timeout(seconds(4.0))
        .deadline_source(prefer_wait())
        .at_deadline(Unfinished::Abort);
    Router::new()
        .route("/detach", post(upload).layer(detach))
        .route("/cancel", post(import_and_export).layer(cancel))
        .route("/abort", post(render).layer(abort))
        .route("/required", post(order).layer(required))
        .route("/prefer", post(index).layer(prefer))
        .layer(base.clone())
}

/// Prints each report, and what no report can tell: the ends of tasks that it calls stragglers.
struct Printer;

impl DrainObserver for Printer {
    fn on_drain(&self, report: &DrainReport) {
        println!("{report}");
    }

    fn on_late_end(&self, task: &TaskInfo) {
        println!("ended late: {task}");
    }
}

/// Thumbnails may be late: nobody has to wait for them.
async fn upload(tasks: Tasks) -> &'static str {
    tasks.named("thumbnails").spawn(sleep(seconds(2.5)));
    "uploaded\n"
}

async fn import_and_export(tasks: Tasks) -> &'static str {
    tasks.named("import").spawn(import(tasks.clone()));
    // It does not know how to stop half-way.
    tasks.named("export").spawn(sleep(seconds(5.0)));
    "started\n"
}

/// Stops when it is asked to. Saving is part of its grace.
async fn import(tasks: Tasks) {
    let stop = tasks.cancellation_token();
    let all_rows = sleep(seconds(5.0));
    if stop.run_until_cancelled(all_rows).await.is_none() {
        sleep(seconds(0.1)).await;
        println!("import: the rows so far are saved");
    }
}

async fn render(tasks: Tasks) -> &'static str {
    tasks.named("render").spawn(async {
        let _scratch = ScratchFile;
        sleep(seconds(5.0)).await;
    });
    "rendered\n"
}

struct ScratchFile;

impl Drop for ScratchFile {
    fn drop(&mut self) {
        println!("render: the scratch file is removed");
    }
}

#[derive(Deserialize)]
struct Order {
    charge: Charge,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Charge {
    Ok,
    Fails,
    Late,
}

/// The answer is taken back if the money does not come.
async fn order(tasks: Tasks, Query(order): Query<Order>) -> &'static str {
    tasks.named("charge").required().spawn(charge(order.charge));
    "thank you\n"
}

async fn charge(charge: Charge) -> Result<(), &'static str> {
    let (takes, result) = match charge {
        Charge::Ok => (0.2, Ok(())),
        Charge::Fails => (0.2, Err("the card was declined")),
        Charge::Late => (5.0, Ok(())),
    };
    sleep(seconds(takes)).await;
    result
}

async fn index(tasks: Tasks) -> &'static str {
    tasks.named("index").spawn(sleep(seconds(2.5)));
    "indexed\n"
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
