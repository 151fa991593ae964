//! Why the body of a tracked response ended early.

use std::error::Error;
use std::fmt;

pub(crate) const REQUIRED_FAILED: &str = "a task that the response depends on has failed";

/// The error of a [`ResponseBody`](crate::ResponseBody).
///
/// It does not implement [`std::error::Error`] itself: it turns into a boxed error, and a type
/// that is an error already could not do so around an inner body whose error is boxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError<E> {
    /// The inner body failed.
    Inner(E),
    /// A [`required`](crate::TaskBuilder::required) task has failed: the body ends as an error, so
    /// that no client takes it for a whole one. What a slow reader has not taken yet may be lost with
    /// it: a server discards what it has buffered.
    RequiredFailed,
}

impl<E: fmt::Display> fmt::Display for BodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Inner(error) => error.fmt(f),
            BodyError::RequiredFailed => f.write_str(REQUIRED_FAILED),
        }
    }
}

impl<E> From<BodyError<E>> for Box<dyn Error + Send + Sync>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn from(error: BodyError<E>) -> Self {
        match error {
            BodyError::Inner(error) => error.into(),
            BodyError::RequiredFailed => REQUIRED_FAILED.into(),
        }
    }
}
