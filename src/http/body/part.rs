//! An item of the inner body, and what it means to a server.

use bytes::Buf;
use http_body::Frame;

/// The value of a ready `poll_frame`.
pub(crate) type Polled<D, E> = Option<Result<Frame<D>, E>>;

/// The part of a response that an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The response does not end with this item.
    Middle,
    /// This item reaches the known length. An HTTP/1 server ends the response with it, and drops the body.
    Last,
    /// This item is `None`, an error or the trailers.
    End,
}

impl Part {
    /// Subtracts the item from the length that is left, and returns its part of the response. Once the length is
    /// reached, `length` is `None`.
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

/// Returns the number of bytes of a data frame; `None` for other frames.
pub(crate) fn data_len<D: Buf>(frame: &Frame<D>) -> Option<u64> {
    frame.data_ref().map(|data| data.remaining() as u64)
}
