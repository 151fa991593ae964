//! What happens to an answer if a required task of its request has failed.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use crate::report::DrainReport;

/// What a [`TaskScopeLayer`](crate::TaskScopeLayer) does with an answer if a [`required`](crate::TaskBuilder::required)
/// task of its request has failed: `()` keeps the answer, [`FailWith`] replaces it.
///
/// This trait is sealed: it is for bounds, and cannot be implemented outside of this crate.
pub trait FailurePolicy<Answer>: sealed::Sealed {
    /// What is kept of a discarded answer until it is replaced.
    #[doc(hidden)]
    type Discarded;

    /// True if the policy reads the report.
    #[doc(hidden)]
    const READS_REPORT: bool;

    /// Drops an answer that claims a success. Returns an answer that claims none. It is called in the request's
    /// context, before the request is released.
    #[doc(hidden)]
    fn discard(&self, answer: Answer) -> Result<Answer, Self::Discarded>;

    /// Returns the answer that replaces the discarded one. It is called after the report.
    #[doc(hidden)]
    fn replace(&self, discarded: Self::Discarded, report: &DrainReport) -> Answer;
}

/// Replaces an answer by an error if a required task of its request has failed.
/// [`TaskScopeLayer::fail_with`](crate::TaskScopeLayer::fail_with) sets it.
pub struct FailWith<E>(Arc<dyn Fn(&DrainReport) -> E + Send + Sync>);

impl<E> FailWith<E> {
    pub(super) fn new(error: impl Fn(&DrainReport) -> E + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl<Answer> FailurePolicy<Answer> for () {
    type Discarded = Infallible;

    const READS_REPORT: bool = false;

    fn discard(&self, answer: Answer) -> Result<Answer, Infallible> {
        Ok(answer)
    }

    fn replace(&self, discarded: Infallible, _: &DrainReport) -> Answer {
        match discarded {}
    }
}

impl<T, E> FailurePolicy<Result<T, E>> for FailWith<E> {
    type Discarded = ();

    const READS_REPORT: bool = true;

    fn discard(&self, answer: Result<T, E>) -> Result<Result<T, E>, ()> {
        match answer {
            Ok(_) => Err(()),
            // An error claims no success.
            Err(error) => Ok(Err(error)),
        }
    }

    fn replace(&self, (): (), report: &DrainReport) -> Result<T, E> {
        Err((self.0)(report))
    }
}

impl<E> Clone for FailWith<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> fmt::Debug for FailWith<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailWith(..)")
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for () {}
    impl<E> Sealed for super::FailWith<E> {}
}
