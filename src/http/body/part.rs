//! What is taken from the inner body, and what it means to a server.

use bytes::Buf;
use http_body::Frame;

/// One answer of `poll_frame`.
pub(crate) type Polled<D, E> = Option<Result<Frame<D>, E>>;

/// What the end of an item means to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// More may come, and nothing ends with it.
    Middle,
    /// It fills the known length: an HTTP/1 server ends the response with it, and drops the body.
    Last,
    /// The end mark, an error or the trailers.
    End,
}

impl Part {
    /// Counts the item off the length, and says what part of the response it is.
    pub(crate) fn of<D: Buf, E>(item: &Polled<D, E>, length: &mut Option<u64>) -> Self {
        match item {
            None | Some(Err(_)) => Part::End,
            Some(Ok(frame)) if frame.is_trailers() => Part::End,
            Some(Ok(frame)) => match (data_len(frame), *length) {
                (Some(len @ 1..), Some(left)) if len >= left => {
                    *length = None;
                    Part::Last
                }
                (Some(len), Some(left)) => {
                    *length = Some(left.saturating_sub(len));
                    Part::Middle
                }
                _ => Part::Middle,
            },
        }
    }
}

/// The bytes of a data frame; `None` for other frames.
pub(crate) fn data_len<D: Buf>(frame: &Frame<D>) -> Option<u64> {
    frame.data_ref().map(|data| data.remaining() as u64)
}
