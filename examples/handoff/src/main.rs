//! The shop, its worker, or both. `README.md` beside this file has the commands.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use handoff::args::Args;
use handoff::mail::{Mailer, start_stand_in};
use handoff::store::Store;
use handoff::{Error, shop, worker};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tower_task_tracker::TrackerHandle;
use tracing_subscriber::EnvFilter;

/// The time from the signal to the end.
const BUDGET: Duration = Duration::from_secs(8);

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Error> {
    let store = Store::open(&args.store).await?;
    let url = match &args.mail {
        Some(url) => url.clone(),
        None => start_stand_in(Duration::from_millis(args.mail_ms)).await?,
    };
    let mailer = Mailer::new(url)?;
    let handle = TrackerHandle::new();
    let stop = CancellationToken::new();

    let worker = worker::run(store.clone(), mailer.clone(), handle.clone(), stop.clone());
    let worker = (!args.no_worker).then(|| tokio::spawn(worker));
    if args.worker_only {
        stopped().await?;
        handle.begin_shutdown(BUDGET);
    } else {
        let app = shop::router(&args, store.clone(), mailer, &handle);
        let listener = TcpListener::bind(("127.0.0.1", args.port)).await?;
        println!("listening on http://{}", listener.local_addr()?);
        println!("to kill it: kill -9 {}", std::process::id());
        let at_signal = {
            let (handle, signal) = (handle.clone(), stopped());
            async move {
                if let Err(error) = signal.await {
                    tracing::error!(%error, "no signal can be received");
                }
                handle.begin_shutdown(BUDGET);
            }
        };
        axum::serve(listener, app)
            .with_graceful_shutdown(at_signal)
            .await?;
    }
    stop.cancel();
    // Hands off what no response waits for.
    let report = handle.shutdown(BUDGET).await;
    eprintln!("{report}");
    if let Some(worker) = worker {
        let _ = tokio::time::timeout(BUDGET, worker).await;
    }
    // Last, because a hand-off needs a connection.
    store.close().await;
    Ok(())
}

/// Waits for SIGTERM or for Ctrl-C.
async fn stopped() -> Result<(), Error> {
    let mut sigterm = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = sigterm.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}
