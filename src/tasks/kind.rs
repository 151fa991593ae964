//! Whether the output of a task can be a failure.

use std::fmt::Display;

/// The kind of a task, in the type of its [`TaskBuilder`](crate::TaskBuilder). [`Plain`] takes any output, and
/// [`Fallible`] takes a `Result` whose error implements `Display`.
///
/// This trait is sealed: it is for bounds, and cannot be implemented outside of this crate.
#[diagnostic::on_unimplemented(
    message = "a fallible or required task returns a `Result` whose error implements `Display`, and not `{T}`",
    label = "returns `{T}`",
    note = "if the error implements `Debug` alone, a `map_err` in the task can turn it into a text"
)]
pub trait TaskKind<T>: sealed::Sealed<T> {
    /// Returns the message of the error, if the output is an error.
    #[doc(hidden)]
    fn failure(output: &T) -> Option<String>;
}

/// The type parameter of a [`TaskBuilder`](crate::TaskBuilder) whose task has completed when it has run to its end,
/// whatever its output is.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

/// The type parameter of a [`TaskBuilder`](crate::TaskBuilder) whose task has failed if its output is an `Err`.
#[derive(Debug, Clone, Copy)]
pub struct Fallible;

impl<T> TaskKind<T> for Plain {
    fn failure(_: &T) -> Option<String> {
        None
    }
}

// Without this attribute, rustc reports the bound on `E` and where it comes from, in place of the message above.
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
