//! What becomes of work that is not done at the deadline, with one route for each policy.
//!
//! ```sh
//! cargo run -p deadlines
//! ```
//!
//! The outer layer holds a response for at most 2 s after the arrival of its request. Each route has a layer of its own
//! with the settings that differ. Below is the output of `curl`, without the headers that do not concern the wait.
//! After `# the server:` comes the output of the server: the report of the request, and the ends of tasks that end
//! later.
//!
//! `/detach` waits 1 s for its thumbnails, which take 2.5 s. They run on, and their late end is printed:
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
//! `/cancel` requests its tasks to stop, 1.5 s before the deadline. The import saves the rows that it has. The export
//! does not watch the token, and is aborted 0.1 s before the deadline:
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
//! `/abort` aborts its tasks without a grace. Their destructors still run. The status shows the deadline to the client:
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
//! `/required` answers `thank you` only if the charge succeeds:
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
//! `/prefer` waits for up to 4 s, and then aborts late tasks. A client may request a shorter wait. Then it is answered
//! sooner, but its request never ends the work:
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
//! After Ctrl-C the server ends when every task is done, including late ones.
//!
//! Now start the server as a platform does that sets a request timeout. No response waits longer than this timeout,
//! less 0.2 s for its way to the client:
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

/// Serves routes whose work is late, on 127.0.0.1.
#[derive(Debug, Parser)]
struct Args {
    /// The port to listen on. 0 selects any free port.
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
    // The process does not end before the tasks that run on.
    base.handle().wait_idle().await;
    Ok(())
}

/// Returns the routes. The outer layer holds the response, and the layer of a route sets only what differs.
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
    // Aborted, so that a client whose order has failed is not charged later.
    let required = base
        .clone()
        .at_deadline(Unfinished::Abort)
        .failure_status(StatusCode::BAD_GATEWAY);
    // Waits longer than the other routes, unless the client prefers less.
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

/// Prints each report, and what no report contains: the ends of stragglers.
struct Printer;

impl DrainObserver for Printer {
    fn on_drain(&self, report: &DrainReport) {
        println!("{report}");
    }

    fn on_late_end(&self, task: &TaskInfo) {
        println!("ended late: {task}");
    }
}

/// Thumbnails may be late: the client does not need them.
async fn upload(tasks: Tasks) -> &'static str {
    tasks.named("thumbnails").spawn(sleep(seconds(2.5)));
    "uploaded\n"
}

async fn import_and_export(tasks: Tasks) -> &'static str {
    tasks.named("import").spawn(import(tasks.clone()));
    // The export cannot stop half-way.
    tasks.named("export").spawn(sleep(seconds(5.0)));
    "started\n"
}

/// Stops when the token is cancelled, and saves its rows within the grace.
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

/// The answer is replaced by a failure if the charge fails.
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
