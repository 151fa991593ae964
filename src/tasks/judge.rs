//! What a task's output says of the task.

use std::fmt::Display;

/// In the type of a [`TaskBuilder`](crate::TaskBuilder): the task has completed if it has run to its
/// end.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

/// In the type of a [`TaskBuilder`](crate::TaskBuilder): the task has failed if its output is an `Err`.
#[derive(Debug, Clone, Copy)]
pub struct Fallible;

/// Reads a task's output. It is not for others to implement.
#[diagnostic::on_unimplemented(
    message = "a fallible or required task returns a `Result` whose error implements `Display`",
    label = "this returns `{T}`"
)]
pub trait Judge<T> {
    /// The message of the failure, if it is one.
    fn failure(output: &T) -> Option<String>;
}

impl<T> Judge<T> for Plain {
    fn failure(_: &T) -> Option<String> {
        None
    }
}

impl<T, E: Display> Judge<Result<T, E>> for Fallible {
    fn failure(output: &Result<T, E>) -> Option<String> {
        output.as_ref().err().map(E::to_string)
    }
}
