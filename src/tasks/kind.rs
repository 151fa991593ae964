//! What a task's output says of the task.

use std::fmt::Display;

/// The kind of a task, in the type of its [`TaskBuilder`](crate::TaskBuilder): [`Plain`] takes any output,
/// [`Fallible`] a `Result` whose error implements `Display`. It is sealed.
#[diagnostic::on_unimplemented(
    message = "a fallible or required task returns a `Result` whose error implements `Display`, and not `{T}`",
    label = "returns `{T}`",
    note = "if the error implements `Debug` alone, a `map_err` in the task can turn it into a text"
)]
pub trait TaskKind<T>: sealed::Sealed<T> {
    /// The message of the failure, if it is one.
    #[doc(hidden)]
    fn failure(output: &T) -> Option<String>;
}

/// In the type of a [`TaskBuilder`](crate::TaskBuilder): the task has completed if it has run to its
/// end.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

/// In the type of a [`TaskBuilder`](crate::TaskBuilder): the task has failed if its output is an `Err`.
#[derive(Debug, Clone, Copy)]
pub struct Fallible;

impl<T> TaskKind<T> for Plain {
    fn failure(_: &T) -> Option<String> {
        None
    }
}

// Without it rustc prints the bound on `E` and where that comes from, instead of what is wrong.
#[diagnostic::do_not_recommend]
impl<T, E: Display> TaskKind<Result<T, E>> for Fallible {
    fn failure(output: &Result<T, E>) -> Option<String> {
        output.as_ref().err().map(E::to_string)
    }
}

mod sealed {
    pub trait Sealed<T> {}

    impl<T> Sealed<T> for super::Plain {}
    impl<T, E> Sealed<Result<T, E>> for super::Fallible {}
}
