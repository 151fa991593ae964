//! The server: tonic's own, with the layer around all of its services.

use std::pin::pin;
use std::time::Duration;

use grpc_example::orders_server::OrdersServer;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower_task_tracker::{TaskTrackerLayer, deadline};

use super::Failure;
use super::shop::Shop;

/// For what is still held or running at Ctrl-C.
const BUDGET: Duration = Duration::from_secs(9);

pub(crate) async fn serve(port: u16) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);

    // tonic's own timer for a `grpc-timeout` is further out, and cuts a held head: the margin lets the
    // answer go before that, and before the client gives up.
    let source = deadline::grpc_timeout().margin(Duration::from_millis(200));
    let tracker = TaskTrackerLayer::new()
        .deadline_source(source)
        .on_drain(|report| println!("{report}"));
    let handle = tracker.handle();
    let stop = handle.process_tasks().cancellation_token();

    // Or else the first message waits for the client's acknowledgement of the head.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let served = Server::builder()
        .layer(tracker)
        .add_service(OrdersServer::new(Shop))
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned());
    let mut served = pin!(served);
    tokio::select! {
        early = &mut served => return Ok(early?),
        stop = tokio::signal::ctrl_c() => stop?,
    }
    let signal = Instant::now();
    // It cancels the token that the server stops on, and no call is held past the budget.
    handle.begin_shutdown(BUDGET);
    // A moment more, for what was held to the last to reach its clients.
    match timeout(BUDGET + Duration::from_millis(500), served).await {
        Ok(served) => served?,
        Err(_) => println!("some connections are still open"),
    }
    let rest = BUDGET.saturating_sub(signal.elapsed());
    println!("{}", handle.shutdown(rest).await);
    Ok(())
}
