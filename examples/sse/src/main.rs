//! Server-sent events from a tracked task, with a summary that is stored before the stream ends.
//!
//! ```sh
//! cargo run -p sse
//! curl -N -w '%{time_starttransfer} s to the first byte, %{time_total} s to the end\n' \
//!     http://127.0.0.1:3000/events; curl http://127.0.0.1:3000/summary
//! ```
//!
//! The first event comes at once and the fifth one after 1.2 s. The stream ends 0.1 s later, when the summary is
//! stored. So the second request finds the summary. The server prints `drained: 2 of 2 tasks completed, held 101.3ms`.
//!
//! The channel has room for one event, so the producer ends only if the client reads. A layer that held every head
//! until all tasks are done would wait for a task that waits for the layer. `Hold::Auto`, the default, lets the head
//! and the data of a streaming body pass, and holds its end.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};
use tower_task_tracker::{TaskTrackerLayer, Tasks};

/// Streams five readings on 127.0.0.1, and stores a summary of them.
#[derive(Debug, Parser)]
struct Args {
    /// The port to listen on. 0 selects any free port.
    #[arg(long, default_value_t = 3000)]
    port: u16,
}

#[derive(Clone, Default, Serialize)]
struct Summary {
    readings: u32,
    total: u32,
}

/// The summary of the last stream.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Option<Summary>>>);

impl Store {
    fn get(&self) -> Option<Summary> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, summary: Summary) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(summary);
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", Args::parse().port)).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let tracker = TaskTrackerLayer::new().on_drain(|report| println!("{report}"));
    let handle = tracker.handle();
    let router = Router::new()
        .route("/events", get(events))
        .route("/summary", get(summary))
        .with_state(Store::default())
        .layer(tracker);
    axum::serve(listener, router)
        .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await?;
    handle.wait_idle().await;
    Ok(())
}

async fn events(
    State(store): State<Store>,
    tasks: Tasks,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, mut receiver) = mpsc::channel(1);
    tasks.named("readings").spawn(produce(sender, store));
    Sse::new(stream::poll_fn(move |cx| {
        receiver.poll_recv(cx).map(|event| event.map(Ok))
    }))
}

/// Sends the readings. If the client leaves, it ends early, and the summary contains the readings sent until then.
async fn produce(sender: mpsc::Sender<Event>, store: Store) {
    let mut ticks = interval(Duration::from_millis(300));
    let mut summary = Summary::default();
    for reading in 1..=5 {
        ticks.tick().await;
        let event = Event::default().data(reading.to_string());
        if sender.send(event).await.is_err() {
            break;
        }
        summary.readings += 1;
        summary.total += reading;
    }
    // A task that a task spawns belongs to the same request.
    tower_task_tracker::named("summary").spawn(async move {
        sleep(Duration::from_millis(100)).await;
        store.set(summary);
    });
}

/// Returns the summary of the last stream, or `null` before the first one has ended.
async fn summary(State(store): State<Store>) -> Json<Option<Summary>> {
    Json(store.get())
}
