//! A server whose spans are exported before a response ends, so that a platform that freezes the instance then
//! takes none of them along. `lib.rs` has the order of layers that makes it so.
//!
//! ```text
//! $ cargo run -p telemetry-example -- --port 8080
//! listening on http://127.0.0.1:8080
//! ```
//!
//! Each order is answered when its audit task is done and both spans have left. Where a collector would get
//! them, this exporter prints them:
//!
//! ```text
//! $ curl -d '' http://127.0.0.1:8080/orders
//! thank you
//! # the server, before that:
//! exported task
//! exported request
//! ```
//!
//! A request without tasks has its one span exported in the same way:
//!
//! ```text
//! $ curl http://127.0.0.1:8080/
//! welcome
//! # the server, before that:
//! exported request
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use telemetry_example::{routes, subscriber, with_layers};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_task_tracker::TaskTrackerLayer;

/// Takes orders until SIGTERM.
#[derive(Debug, Parser)]
struct Settings {
    /// The port to listen on. 0 for any that is free.
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

/// How long the end may take.
const BUDGET: Duration = Duration::from_secs(9);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Settings::parse()).await {
        Ok(is_clean) => ExitCode::from(u8::from(!is_clean)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Says whether nothing was lost.
async fn run(Settings { port }: Settings) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut sigterm = signal(SignalKind::terminate())?;
    println!("listening on http://{}", listener.local_addr()?);

    let spans = SdkTracerProvider::builder()
        .with_batch_exporter(Stdout)
        .build();
    tracing::subscriber::set_global_default(subscriber(&spans))?;

    let tracker = TaskTrackerLayer::new();
    let (handle, at_signal) = (tracker.handle(), tracker.handle());
    axum::serve(listener, with_layers(routes(), tracker, &spans))
        .with_graceful_shutdown(async move {
            sigterm.recv().await;
            at_signal.begin_shutdown(BUDGET);
        })
        .await?;
    let report = handle.shutdown(BUDGET).await;
    // What no flush has exported: spans of clients that have left, and of tasks that were late.
    spans.shutdown()?;
    Ok(report.is_clean())
}

/// Stands for the exporter to a collector.
#[derive(Debug)]
struct Stdout;

impl SpanExporter for Stdout {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        for span in spans {
            println!("exported {}", span.name);
        }
        Ok(())
    }
}
