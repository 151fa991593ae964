//! The watch on the end of a response body.

use std::fmt;

use crate::drain::Drain;

/// The watch on the end of a response. If it is dropped before the end, the client has gone.
pub(crate) struct Watch {
    pub(crate) drain: Drain,
    pub(crate) rest: Rest,
}

/// What is known of the rest of a response whose head goes out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rest {
    /// The number of bytes that are left of a known length. `None` if no length is known, or once it is reached.
    pub(crate) length: Option<u64>,
    /// The response is gRPC: a failed task is reported in trailers.
    pub(crate) grpc: bool,
    /// HTTP/1.x: the server drops a body that has reached its length.
    pub(crate) is_http1: bool,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.drain.fmt(f)
    }
}
