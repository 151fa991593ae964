//! The server, in a process of its own.

use std::net::Ipv4Addr;

use axum::serve::ListenerExt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::BoxError;
use crate::app::App;

/// Prints the port to stdout and serves until stdin ends, which is when the parent ends at the latest.
pub(crate) fn serve(app: App, threads: usize) -> Result<(), BoxError> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        let listener = listener.tap_io(|stream| {
            // If this fails, the server is slower, but works.
            let _ = stream.set_nodelay(true);
        });
        let mut parent = tokio::io::stdin();
        tokio::select! {
            served = axum::serve(listener, app.router()) => served,
            _ = parent.read_u8() => Ok(()),
        }
    });
    runtime.shutdown_background();
    Ok(served?)
}
