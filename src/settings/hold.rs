//! Which part of a response is held.

/// Which part of a response is held until the tasks of its request are done.
///
/// In every mode except [`Never`](Hold::Never), and under [`Required`](Hold::Required) only for required tasks:
///
/// * If a response has no body (status 204 or 304, the answer to `HEAD`, a length of zero), its head is held, because
///   the server sends the end with it.
/// * The end of a body is held for the tasks that the body spawns while it streams.
///
/// An exchange that goes on as an upgraded stream is held in no mode.
///
/// # The body during a wait
///
/// Before a wait begins, the layer drops the body if the server would not poll it again. So a task that waits for the
/// end of the body, or for its drop, does not wait for the response itself. There are two exceptions:
///
/// * The head of a stream is held. This is the case under [`Head`](Hold::Head), and under [`Auto`](Hold::Auto) and
///   [`Required`](Hold::Required) while a required task is alive.
/// * The body gives more than its known length. Or, in HTTP/2 and later, it reaches its known length and does not end
///   there.
///
/// An HTTP/1 server does not read past the length of a body. So if a response waits, what would follow is dropped with
/// the body: trailers that are not ready when the last byte is, and errors. This is so even if a layer outside of this
/// one, such as a compressor, would have read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Hold {
    /// Holds the head if the whole body is already there: nothing is sent before the tasks are done. While a
    /// [`required`](crate::TaskBuilder::required) task is alive, holds every head, so that the status can still report
    /// a failure. Otherwise holds the end, and the body streams through.
    #[default]
    Auto,
    /// Holds the head, always. A task that feeds the response body then waits for a reader that is not there yet, until
    /// the deadline.
    Head,
    /// Holds the end of every body. The head is sent at once, and so is the data, except for the frame that completes a
    /// known length. If the body is a single frame, the whole body is held.
    End,
    /// Holds as [`Auto`](Hold::Auto) does while a [`required`](crate::TaskBuilder::required) task is alive, and holds
    /// nothing once none is. This is for a 202 that is sent as soon as the order is stored. The response waits neither
    /// for the other tasks nor for `before_release` hooks: both run as under [`Never`](Hold::Never).
    Required,
    /// Holds nothing. The tasks are tracked and reported, but the response does not wait for them.
    ///
    /// The drain window opens at the end of the response, and its limits apply: after 25 s by default, tasks that are
    /// alive are reported as stragglers, with a WARN. Under [`Unfinished::Abort`](crate::Unfinished::Abort) and
    /// `Cancel` they are stopped. For longer work use a [`detached`](crate::TaskBuilder::detached) task, or a longer
    /// drain timeout.
    Never,
}
