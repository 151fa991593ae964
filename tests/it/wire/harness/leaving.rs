//! The ways in which a client leaves, and the connection that it leaves.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::after;
use crate::wire::harness::clock::{paused, real};

/// One end of a connection.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nobody reads or writes the other end of the pipe any more: what is written fails at once.
    PipeClosed,
    PipeHalfClosed,
    /// The server's kernel learns that no more will come, and takes what is written all the same.
    TcpClosed,
    /// The server's next read fails.
    TcpReset,
    TcpHalfClosed,
}

impl Way {
    /// Those in which a server notices that nothing more will come. One that does not allow a
    /// connection to be half closed takes all of them for the same.
    pub(crate) const ALL: [Self; 5] = [
        Self::PipeClosed,
        Self::PipeHalfClosed,
        Self::TcpClosed,
        Self::TcpReset,
        Self::TcpHalfClosed,
    ];

    /// Those that run in paused time.
    pub(crate) const IN_MEMORY: [Self; 2] = [Self::PipeClosed, Self::PipeHalfClosed];

    /// Those in which no reader is left.
    pub(crate) const FOR_GOOD: [Self; 3] = [Self::PipeClosed, Self::TcpClosed, Self::TcpReset];

    pub(crate) fn is_tcp(self) -> bool {
        matches!(self, Self::TcpClosed | Self::TcpReset | Self::TcpHalfClosed)
    }

    /// Runs a test by the clock that its connection needs. One that waits for what never comes
    /// fails.
    pub(crate) fn run<F: Future>(self, test: F) -> F::Output {
        if self.is_tcp() {
            return real(test);
        }
        let limited = paused(async { timeout(Duration::from_secs(3600), test).await });
        limited.expect("something that has to happen did not")
    }

    /// A connection that is left in this way: the client's end and the server's.
    pub(crate) async fn connect(self) -> (Box<dyn Io>, Box<dyn Io>) {
        if !self.is_tcp() {
            let (client, server) = tokio::io::duplex(64 * 1024);
            return (Box::new(client), Box::new(server));
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let client = TcpStream::connect(address).await.expect("it listens");
        let (server, _) = listener.accept().await.expect("the client has come");
        if self == Self::TcpReset {
            client.set_zero_linger().expect("a socket that can do so");
        }
        (Box::new(client), Box::new(server))
    }

    /// A connection in memory with room for less than a head: the client's end and the server's.
    pub(crate) fn narrow() -> (Box<dyn Io>, Box<dyn Io>) {
        let (client, server) = tokio::io::duplex(16);
        (Box::new(client), Box::new(server))
    }

    /// Gives the server time to see what has arrived.
    pub(crate) async fn settle(self) {
        if !self.is_tcp() {
            return after(1).await;
        }
        // A task that yields while no other one is ready lets the runtime look at the sockets. Too
        // few turns would only make a test see less.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    /// Leaves. What is given back is still open to be read.
    pub(crate) async fn leave(self, mut client: Box<dyn Io>) -> Option<Box<dyn Io>> {
        if matches!(self, Self::PipeHalfClosed | Self::TcpHalfClosed) {
            client.shutdown().await.expect("it is open");
            return Some(client);
        }
        None
    }
}
