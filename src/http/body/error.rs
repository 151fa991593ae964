//! The error of the body of a tracked response.

use std::error::Error;
use std::fmt;

pub(crate) const REQUIRED_FAILED: &str = "a task that the response depends on has failed";

/// The error of a [`ResponseBody`](crate::ResponseBody).
///
/// The [`source`](Error::source) of [`Inner`](Self::Inner) is the inner body's error itself. So code that walks the
/// chain of sources finds it: hyper finds the reason of an HTTP/2 reset (an `h2::Error`), and tonic finds a `Status`.
/// There is one exception: tonic searches for an `h2::Error` without a `hyper::Error` around it only at the head of the
/// chain. Here such an error becomes `Unknown`.
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// The inner body failed with this error. If the error is a `BodyError` itself, because one layer's body wraps
    /// another's, it is not wrapped again.
    Inner(Box<dyn Error + Send + Sync>),
    /// A [`required`](crate::TaskBuilder::required) task has failed. The body ends with an error, so that no client
    /// takes it for a complete one. Data that a slow client has not read yet may be lost, because a server discards its
    /// buffer at an error.
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

    /// Returns whether the body ended because a [`required`](crate::TaskBuilder::required) task has failed.
    ///
    /// This also searches the chain of sources of an inner error for a `RequiredFailed`, such as one inside of an
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
