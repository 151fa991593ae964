//! An HTTP service with axum, on one thread. Its background work takes 10 ms.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use clap::{Parser, ValueEnum};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tower_task_tracker::{TaskTrackerLayer, Tasks};

/// Takes orders on 127.0.0.1.
#[derive(Debug, Parser)]
struct Settings {
    #[arg(long, env = "PORT")]
    port: u16,
    #[arg(long, env = "MODE")]
    mode: Mode,
    /// The file to which the work of an order appends the order's id.
    #[arg(long, env = "ORDERS")]
    orders: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// The work is a tracked task, and the layer holds the response for it.
    Awaited,
    /// The handler awaits the work itself. There is no layer.
    Inline,
    /// The work is an untracked task. There is no layer.
    After,
}

type Orders = Arc<Option<PathBuf>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let Settings { port, mode, orders } = Settings::parse();
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, app(mode).with_state(Arc::new(orders))).await
}

fn app(mode: Mode) -> Router<Orders> {
    let path = "/orders/{id}";
    match mode {
        Mode::Awaited => Router::new()
            .route(path, post(tracked))
            .layer(TaskTrackerLayer::new()),
        Mode::Inline => Router::new().route(path, post(inline)),
        Mode::After => Router::new().route(path, post(after)),
    }
}

const THANKS: &str = "thank you\n";

async fn tracked(State(orders): State<Orders>, Path(id): Path<u32>, tasks: Tasks) -> &'static str {
    tasks.spawn(work(orders, id));
    THANKS
}

async fn inline(State(orders): State<Orders>, Path(id): Path<u32>) -> &'static str {
    work(orders, id).await;
    THANKS
}

async fn after(State(orders): State<Orders>, Path(id): Path<u32>) -> &'static str {
    tokio::spawn(work(orders, id));
    THANKS
}

async fn work(orders: Orders, id: u32) {
    sleep(Duration::from_millis(10)).await;
    if let Some(file) = &*orders {
        append(file, id).expect("the file of orders can be written");
    }
}

/// Appends a line. The write is short, so it blocks this thread instead of using another.
fn append(file: &PathBuf, id: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(format!("{id}\n").as_bytes())
}
