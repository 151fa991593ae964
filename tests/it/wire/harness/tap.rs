//! A connection that records every byte that passes through it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// The bytes that were read. Clones are the same record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Record {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("no panic holds this lock").clone()
    }
}

#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) io: DuplexStream,
    pub(crate) record: Record,
}

impl Tap {
    pub(crate) fn new(io: DuplexStream, record: Record) -> Self {
        Self { io, record }
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let mut bytes = self.record.0.lock().expect("no panic holds this lock");
        bytes.extend_from_slice(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
