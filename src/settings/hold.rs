//! What is held.

/// What is held back of a response until the tasks of its request are done.
///
/// Two things hold in every mode but [`Never`](Hold::Never). A response that has no body (status 204 or
/// 304, the answer to `HEAD`, a length of zero) has its head held, because the server sends the end with
/// it. And the end of a body is held for the tasks that it spawns while it streams. An exchange that goes
/// on as an upgraded stream is held in no mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Hold {
    /// The head, if the whole body is already there, so that nothing is sent before the tasks are
    /// done, or if a [`required`](crate::TaskBuilder::required) task is alive, so that the status
    /// can still say that it has failed. Otherwise the end: the body streams through.
    #[default]
    Auto,
    /// The head, always. A task that feeds the response body then waits for a reader that
    /// is not there yet: the wait ends at its deadline.
    Head,
    /// The end, wherever there is a body: the head is sent at once, and so are the data, but for the frame
    /// that completes a known length. Of a body in one piece that is all of it.
    End,
    /// Nothing. The tasks are tracked and reported, but the response does not wait for them.
    Never,
}
