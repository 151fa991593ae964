//! What is held.

/// What is held back of a response until the tasks of its request are done.
///
/// In every mode but [`Never`](Hold::Never), and under [`Required`](Hold::Required) for required tasks alone:
///
/// * A response that has no body (status 204 or 304, the answer to `HEAD`, a length of zero) has its head held,
///   because the server sends the end with it.
/// * The end of a body is held for the tasks that it spawns while it streams.
///
/// An exchange that goes on as an upgraded stream is held in no mode.
///
/// Before a wait begins, the layer drops the body if the server would not ask for more of it. So a task that
/// waits for the end of the body, or for its drop, does not wait for the response itself, with two exceptions:
///
/// * the head of a stream is held, which is so under [`Head`](Hold::Head), and under [`Auto`](Hold::Auto) and
///   [`Required`](Hold::Required) while a required task is alive;
/// * the body reaches its known length and does not end there, in HTTP/2 and later, or gives more than its
///   length.
///
/// An HTTP/1 server does not read past the length of a body. So while a response waits, what would come behind the
/// length later (trailers, an error) is dropped with the body, also where a layer outside of this one, such as a
/// compressor, would have read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Hold {
    /// The head, if the whole body is already there, so that nothing is sent before the tasks are
    /// done. While a [`required`](crate::TaskBuilder::required) task is alive, every head, so that the status
    /// can still report its failure. Otherwise the end: the body streams through.
    #[default]
    Auto,
    /// The head, always. A task that feeds the response body then waits for a reader that
    /// is not there yet: the wait ends at its deadline.
    Head,
    /// The end, wherever there is a body: the head is sent at once, and so are the data, but for the frame
    /// that completes a known length. Of a body in one piece that is all of it.
    End,
    /// The same as [`Auto`](Hold::Auto) while a [`required`](crate::TaskBuilder::required) task is alive, and
    /// nothing once none is: for a 202 that is sent as soon as the order is stored, whatever else is still to be
    /// done. The response does not wait for the other tasks: they are tracked and reported as under
    /// [`Never`](Hold::Never), and so is what is awaited before the release.
    Required,
    /// Nothing. The tasks are tracked and reported, but the response does not wait for them.
    Never,
}
