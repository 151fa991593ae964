//! A shop of warp's filters, whose responses wait for their audit entries.
//!
//! ```sh
//! cargo run --package warp-example
//! curl -X POST -w '%{time_total} s\n' http://127.0.0.1:3000/orders/tea
//! curl -X POST -w '%{http_code}, %{time_total} s\n' http://127.0.0.1:3000/orders/ink
//! curl -N -w '%{time_total} s\n' http://127.0.0.1:3000/items
//! ```
//!
//! Each takes 0.2 s. The first two responses, an order and a rejection, are held from their head on. The items of the
//! third one come at once, and its end is held. After Ctrl-C the server ends as soon as no task is alive.

use std::io;

use tokio::net::TcpListener;
use tower_task_tracker::TaskTrackerLayer;
use warp_example::serve;

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 3000)).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let tracker = TaskTrackerLayer::new().on_drain(|report| println!("{report}"));
    tokio::select! {
        never = accept(&listener, &tracker) => never?,
        stop = tokio::signal::ctrl_c() => stop?,
    }
    tracker.handle().wait_idle().await;
    Ok(())
}

async fn accept(listener: &TcpListener, tracker: &TaskTrackerLayer) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let tracker = tracker.clone();
        tokio::spawn(async move { serve(stream, &tracker).await });
    }
}
