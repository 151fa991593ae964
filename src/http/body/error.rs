//! Why the body of a tracked response ended early.

use std::error::Error;
use std::fmt;

pub(crate) const REQUIRED_FAILED: &str = "a task that the response depends on has failed";

/// The error of a [`ResponseBody`](crate::ResponseBody).
///
/// Its [`source`](Error::source) is the inner body's error itself, so that code which walks the chain of
/// sources finds what it looks for: hyper finds the reason of an HTTP/2 reset (an `h2::Error`), tonic a
/// `Status`. The exception is an `h2::Error` without a `hyper::Error` around it: tonic looks for that one at the
/// head of the chain alone, and makes `Unknown` of it here.
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// The inner body failed, with this error. If that is a `BodyError` itself, as where one layer's body is
    /// wrapped by another's, it takes the place of this variant.
    Inner(Box<dyn Error + Send + Sync>),
    /// A [`required`](crate::TaskBuilder::required) task has failed: the body ends as an error, so
    /// that no client takes it for a whole one. What a slow reader has not taken yet may be lost with
    /// it: a server discards what it has buffered.
    RequiredFailed,
}

impl BodyError {
    /// Wraps the error of an inner body. A nested `BodyError` is not wrapped again.
    pub(super) fn inner(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        match error.into().downcast() {
            Ok(nested) => *nested,
            Err(error) => Self::Inner(error),
        }
    }

    /// Returns whether the body ended because a [`required`](crate::TaskBuilder::required) task has failed: also
    /// if a `BodyError` in the chain of sources of an inner error is `RequiredFailed`, such as one in an
    /// `axum::Error`.
    #[must_use]
    pub fn is_required_failed(&self) -> bool {
        let mut next: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = next {
            if let Some(Self::RequiredFailed) = error.downcast_ref() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BodyError::Inner(_) => "the body of the response has failed",
            BodyError::RequiredFailed => REQUIRED_FAILED,
        })
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BodyError::Inner(error) => Some(&**error),
            BodyError::RequiredFailed => None,
        }
    }
}
