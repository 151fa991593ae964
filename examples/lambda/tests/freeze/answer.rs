//! The answers of an instance, as the runtime API is told of them.

use std::time::Instant;

use axum::body::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Response,
    Error,
}

/// What was posted, to its last byte. The instance is told that it is accepted when the test says so, or
/// drops this: AWS's emulator, too, tells it when it has read all of it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The id of the invocation.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// Whether it was said to be streamed.
    pub(crate) streamed: bool,
    /// When its last byte was read.
    pub(crate) at: Instant,
    /// With the times at which they came.
    pub(crate) parts: Vec<(Instant, Bytes)>,
    /// `None` when it was accepted.
    accepted: Option<oneshot::Sender<()>>,
}

impl Answer {
    /// The other value ends when it is accepted.
    pub(crate) fn new(
        id: String,
        kind: Kind,
        streamed: bool,
        parts: Vec<(Instant, Bytes)>,
    ) -> (Self, oneshot::Receiver<()>) {
        let (accepted, handled) = oneshot::channel();
        let answer = Self {
            id,
            kind,
            streamed,
            at: Instant::now(),
            parts,
            accepted: Some(accepted),
        };
        (answer, handled)
    }

    pub(crate) fn accept(&mut self) {
        self.accepted = None;
    }

    pub(crate) fn text(&self) -> String {
        let parts = self.parts.iter().flat_map(|(_, part)| part.iter().copied());
        String::from_utf8(parts.collect()).expect("it is text")
    }

    /// The status and the body of an answer over HTTP. Streamed, the body follows what there is to say of
    /// it; otherwise it is a part of that.
    pub(crate) fn http(&self) -> (u64, String) {
        let text = self.text();
        let (head, streamed) = match text.split_once("\0\0\0\0\0\0\0\0") {
            Some((head, body)) => (head, Some(body)),
            None => (&*text, None),
        };
        assert_eq!(streamed.is_some(), self.streamed, "{self:?}");
        let head: Value = serde_json::from_str(head).expect("it is JSON");
        let status = head["statusCode"].as_u64().expect("it has a status");
        let body = streamed.or(head["body"].as_str()).unwrap_or_default();
        (status, body.to_owned())
    }
}
