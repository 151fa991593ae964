//! One exchange over TCP.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::wire::harness::gate::Gate;
use crate::wire::harness::pipe::CLOSED;
use crate::wire::harness::serve::{HttpService, serve_http1};

/// The path of a request that the handler spawns nothing for, and answers `pong`.
pub(crate) const PING: &str = "/ping";

/// The service on a loopback socket, until the runtime ends.
pub(crate) async fn listen(service: impl HttpService) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve_http1(socket, service.clone()));
        }
    });
    address
}

/// `first` arrives while the gate is shut, and not a byte more; `rest` once the task is through.
pub(crate) async fn exchange(
    server: SocketAddr,
    gate: &Gate,
    request: &str,
    first: &str,
    rest: &str,
) {
    let mut client = TcpStream::connect(server).await.expect("it listens");
    let sent = client.write_all(request.as_bytes()).await;
    sent.expect("the server reads");
    expect(&mut client, first).await;

    // What the server can do without the task it has done before it answers this.
    ping(server).await;
    let early = client.try_read(&mut [0; 1]);
    let nothing = early.as_ref().err().map(std::io::Error::kind);
    assert_eq!(nothing, Some(ErrorKind::WouldBlock), "{early:?} came early");

    gate.open();
    if !rest.is_empty() {
        client.readable().await.expect("the rest comes");
        assert!(gate.was_passed(), "the rest came before the task's end");
        expect(&mut client, rest).await;
    }
    ping(server).await;
}

/// Reads what is wanted, and no more.
pub(crate) async fn expect(client: &mut (impl AsyncRead + Unpin), wanted: &str) {
    let bytes = wanted.replace('\n', "\r\n");
    let (bytes, is_closed) = match bytes.strip_suffix(CLOSED) {
        Some(bytes) => (bytes, true),
        None => (bytes.as_str(), false),
    };
    let mut arrived = vec![0; bytes.len()];
    let read = client.read_exact(&mut arrived).await;
    read.expect("all that is wanted comes");
    assert_eq!(String::from_utf8_lossy(&arrived), bytes);
    if is_closed {
        let more = client.read(&mut [0; 1]).await.expect("it ends in order");
        assert_eq!(more, 0, "the connection ends here");
    }
}

/// A whole exchange on a connection of its own, with no task.
async fn ping(server: SocketAddr) {
    let mut client = TcpStream::connect(server).await.expect("it listens");
    let request = format!("GET {PING} HTTP/1.1\r\nhost: here\r\n\r\n");
    let sent = client.write_all(request.as_bytes()).await;
    sent.expect("the server reads");
    let pong = "HTTP/1.1 200 OK\ncontent-length: 4\n\npong";
    expect(&mut client, pong).await;
}
