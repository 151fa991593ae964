//! A handler on hyper alone, for HTTP/1 and HTTP/2, whose response waits for its task.
//!
//! ```sh
//! cargo run -p hyper-example
//! curl -w '%{time_total} s\n' http://127.0.0.1:3000/tea
//! curl -w '%{time_total} s\n' --http2-prior-knowledge http://127.0.0.1:3000/tea
//! ```
//!
//! Both take 0.2 s. Before each response the server prints `/tea is written down` and
//! `drained: 1 of 1 tasks completed, held 201.3ms`. After Ctrl-C the server ends as soon as no task is alive.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, service_fn};
use tower_task_tracker::TaskTrackerLayer;

/// Writes down the path of each request, on 127.0.0.1.
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

    let tracker = TaskTrackerLayer::new().on_drain(|report| println!("{report}"));
    tokio::select! {
        never = accept(&listener, &tracker) => never?,
        stop = tokio::signal::ctrl_c() => stop?,
    }
    // This does not wait until the responses are sent. hyper-util's `GracefulShutdown` does.
    tracker.handle().wait_idle().await;
    Ok(())
}

async fn accept(listener: &TcpListener, tracker: &TaskTrackerLayer) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, tracker.clone()));
    }
}

async fn serve(stream: TcpStream, tracker: TaskTrackerLayer) {
    let service = TowerToHyperService::new(tracker.layer(service_fn(handle)));
    let connection = Builder::new(TokioExecutor::new());
    let served = connection.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        eprintln!("connection: {error}");
    }
}

async fn handle(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    // The handler passes nothing on: `spawn` finds the request in its context.
    tower_task_tracker::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        println!("{path} is written down");
    });
    Ok(Response::new(Full::from("thank you\n")))
}
