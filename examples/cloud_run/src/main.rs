//! A shop on Cloud Run: an order is answered when its audit entry is written.
//!
//! With request-based billing an instance has a CPU only while a request is being processed, so what
//! runs on after the answer may not run for a long time, or ever. `README.md` says how to deploy
//! this, and how to see that rule broken and kept, there and on your own machine.

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
    /// The address to listen on. Cloud Run asks for all of them.
    #[arg(long, env = "HOST", default_value = "0.0.0.0")]
    host: IpAddr,
    /// The port to listen on; Cloud Run says which. 0 for any that is free.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    port: u16,
}

/// The request timeout of the service. Cloud Run does not tell a service its timeout: set this
/// variable to the same number of seconds when you deploy.
const REQUEST_TIMEOUT: &str = "CLOUD_RUN_TIMEOUT_SECONDS";

/// The answer has to be on its way before Cloud Run answers 504 in our place.
const MARGIN: Duration = Duration::from_millis(500);

/// Cloud Run sends SIGKILL 10 s after SIGTERM.
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

/// Says whether nothing was lost.
async fn run(Settings { host, port }: Settings) -> Result<bool, Failure> {
    let listener = TcpListener::bind((host, port)).await;
    let listener = listener.map_err(|error| format!("cannot listen on {host}:{port}: {error}"))?;
    // From here on SIGTERM ends the process no more.
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

/// What is done at SIGTERM. `served` ends when everything that was accepted is answered.
async fn shut_down(handle: &TrackerHandle, served: impl Future) -> ShutdownReport {
    let signal = Instant::now();
    // No answer is held past the budget. It also stops the server from accepting.
    handle.begin_shutdown(BUDGET);
    // Answers that were held to the last moment have a little more time to leave.
    if timeout(BUDGET + MARGIN, served).await.is_err() {
        println!("some connections are still open");
    }
    // What no answer waits for: the work of clients that have left.
    let left = BUDGET.saturating_sub(signal.elapsed());
    handle.shutdown(left).await
}
