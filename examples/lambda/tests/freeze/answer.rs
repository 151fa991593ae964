//! The answers of an instance, as they are posted to the runtime API.

use std::time::Instant;

use axum::body::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Response,
    Error,
}

/// A posted answer, read to its last byte. The stub confirms it to the instance when the test calls `accept` or drops
/// this value. AWS's emulator also confirms an answer after it has read all of it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The id of the invocation.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// Whether its headers declare it as streamed.
    pub(crate) streamed: bool,
    /// The time at which its last byte was read.
    pub(crate) at: Instant,
    /// The parts, with the times at which they came.
    pub(crate) parts: Vec<(Instant, Bytes)>,
    /// `None` after the answer was accepted. The drop of the sender accepts it.
    accepted: Option<oneshot::Sender<()>>,
}

impl Answer {
    /// Returns the answer and a receiver that completes when the answer is accepted.
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

    /// Returns the status and the body of an HTTP answer. In a streamed answer the body follows the JSON head.
    /// Otherwise the body is a field of the JSON.
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
