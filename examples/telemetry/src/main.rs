//! A server that exports the spans of a request before its response ends. So no span is lost if a platform freezes the
//! instance then. `lib.rs` contains the layers, whose order ensures this.
//!
//! ```text
//! $ cargo run -p telemetry-example -- --port 8080
//! listening on http://127.0.0.1:8080
//! ```
//!
//! Each order is answered when its audit task is done and both spans are exported. Instead of sending them to a
//! collector, this exporter prints them:
//!
//! ```text
//! $ curl -d '' http://127.0.0.1:8080/orders
//! thank you
//! # the server, before that:
//! exported task
//! exported request
//! ```
//!
//! The one span of a request without tasks is exported in the same way:
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
    /// The port to listen on. 0 selects any free port.
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

/// The budget of the shutdown.
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

/// Serves until SIGTERM. Returns true if no work was lost.
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
    // Exports the spans that no flush has exported: those of clients that have left, and of late tasks.
    spans.shutdown()?;
    Ok(report.is_clean())
}

/// Stands in for the exporter to a collector.
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
