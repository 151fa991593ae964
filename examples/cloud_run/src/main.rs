//! A shop on Cloud Run: an order is answered when its audit entry is written.
//!
//! With request-based billing an instance has a CPU only while it processes a request. Work that goes on after the
//! response may be delayed for a long time, or never run. `README.md` describes how to deploy this example, and how to
//! see lost and kept work on Cloud Run and on your own machine.

mod orders;

use std::error::Error;
use std::future::IntoFuture;
use std::net::IpAddr;
use std::pin::pin;
use std::process;
use std::time::Duration;

use axum::http::StatusCode;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout};
use tower_task_tracker::{ShutdownReport, TaskTrackerLayer, TrackerHandle, deadline};

/// Takes orders until SIGTERM.
#[derive(Debug, Parser)]
struct Settings {
    /// The address to listen on. Cloud Run requires all of them.
    #[arg(long, env = "HOST", default_value = "0.0.0.0")]
    host: IpAddr,
    /// The port to listen on, which Cloud Run sets. 0 selects any free port.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    port: u16,
}

/// The variable with the request timeout of the service. Cloud Run does not pass the timeout on: set this
/// variable to the same number of seconds when you deploy.
const REQUEST_TIMEOUT: &str = "CLOUD_RUN_TIMEOUT_SECONDS";

/// The time that a response needs to leave before Cloud Run answers 504 instead.
const MARGIN: Duration = Duration::from_millis(500);

/// The budget of the shutdown. Cloud Run sends SIGKILL 10 s after SIGTERM.
const BUDGET: Duration = Duration::from_secs(9);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() {
    let code = match run(Settings::parse()).await {
        Ok(is_clean) => i32::from(!is_clean),
        Err(error) => {
            eprintln!("error: {error}");
            2
        }
    };
    process::exit(code);
}

/// Serves until SIGTERM. Returns true if no work was lost.
async fn run(Settings { host, port }: Settings) -> Result<bool, Failure> {
    let listener = TcpListener::bind((host, port)).await;
    let listener = listener.map_err(|error| format!("cannot listen on {host}:{port}: {error}"))?;
    // From here on SIGTERM does not end the process.
    let mut sigterm = signal(SignalKind::terminate())?;
    println!("listening on http://{}", listener.local_addr()?);

    let tracker = TaskTrackerLayer::new()
        .deadline_source(deadline::from_env(REQUEST_TIMEOUT).margin(MARGIN))
        .failure_status(StatusCode::SERVICE_UNAVAILABLE)
        .on_drain(|report| println!("{report}"));
    let handle = tracker.handle();
    let stop = handle.process_tasks().cancellation_token();
    let served = axum::serve(listener, orders::routes().layer(tracker))
        .with_graceful_shutdown(stop.cancelled_owned());
    let mut served = pin!(served.into_future());
    tokio::select! {
        early = &mut served => return Err(format!("the server has ended: {early:?}").into()),
        _ = sigterm.recv() => {}
    }
    let report = shut_down(&handle, served).await;
    println!("{report}");
    Ok(report.is_clean())
}

/// Shuts down after SIGTERM. `served` ends when every accepted request is answered.
async fn shut_down(handle: &TrackerHandle, served: impl Future) -> ShutdownReport {
    let signal = Instant::now();
    // Cancels the token on which the server stops accepting. No response is held past the budget.
    handle.begin_shutdown(BUDGET);
    // Responses that are held until the end of the budget need a little more time to leave.
    if timeout(BUDGET + MARGIN, served).await.is_err() {
        println!("some connections are still open");
    }
    // Waits for the tasks that no response waits for: those of clients that have left.
    let left = BUDGET.saturating_sub(signal.elapsed());
    handle.shutdown(left).await
}
