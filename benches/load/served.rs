//! The server, in a process of its own.

use std::net::Ipv4Addr;

use axum::serve::ListenerExt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::BoxError;
use crate::app::App;

/// Says its port on stdout, and serves until stdin ends: with the parent, at the latest.
pub(crate) fn serve(app: App, threads: usize) -> Result<(), BoxError> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        let listener = listener.tap_io(|stream| {
            // Without it the server is slower, not wrong.
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
