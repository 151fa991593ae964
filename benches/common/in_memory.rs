//! What is counted: a server and its client in one process.

use std::env;
use std::path::Path;

use axum::Router;
use clap::Subcommand;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;

use crate::BoxError;
use crate::app::App;
use crate::callgrind::{self, Requests};

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Asked {
    /// Serves some requests and ends: what is run under valgrind.
    Serve {
        requests: usize,
        /// None has the client write and read alone.
        app: Option<App>,
    },
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n";

/// As long as a server's: the date of an answer is always as long.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n\
    content-length: 5\r\ndate: Sat, 21 Nov 2026 17:09:20 GMT\r\n\r\nhello";

/// More than there is ever on the way.
const BUFFER: usize = 4096;

const REQUESTS: Requests = Requests {
    few: 1_000,
    many: 6_000,
};

/// Has this program serve under callgrind. Without an app it is the client that costs.
pub(crate) fn instructions_a_request(app: Option<App>) -> Result<f64, BoxError> {
    REQUESTS.instructions_of_one(|requests| {
        let mut command = callgrind::command(Path::new("/dev/null"));
        command
            .arg(env::current_exe()?)
            .args(["serve", &requests.to_string()])
            .args(app.map(App::argument));
        Ok(command)
    })
}

pub(crate) fn serve(asked: Asked) -> Result<(), BoxError> {
    let Asked::Serve { requests, app } = asked;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (near, far) = duplex(BUFFER);
        match app {
            Some(app) => tokio::spawn(answer(far, app.router())),
            None => tokio::spawn(answer_always_the_same(far)),
        };
        // Not here: to wake the root of `block_on` costs more.
        tokio::spawn(ask(near, requests)).await?
    })
}

async fn ask(mut server: DuplexStream, requests: usize) -> Result<(), BoxError> {
    let mut answer = [0; ANSWER.len()];
    for _ in 0..requests {
        server.write_all(REQUEST).await?;
        server.read_exact(&mut answer).await?;
        if !(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nhello")) {
            return Err(String::from_utf8_lossy(&answer).into());
        }
    }
    Ok(())
}

async fn answer(client: DuplexStream, app: Router) -> Result<(), BoxError> {
    // As `axum::serve` does: without it each request makes its route, and calls the layer.
    let app = app.with_state(());
    let service = TowerToHyperService::new(app);
    let connection = http1::Builder::new().serve_connection(TokioIo::new(client), service);
    Ok(connection.await?)
}

async fn answer_always_the_same(mut client: DuplexStream) -> Result<(), BoxError> {
    let mut request = [0; REQUEST.len()];
    loop {
        client.read_exact(&mut request).await?;
        client.write_all(ANSWER).await?;
    }
}
