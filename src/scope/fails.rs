//! What becomes of an answer that a required task has failed.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use crate::report::DrainReport;

/// Makes the error of a request that a required task has failed: see
/// [`TaskScopeLayer::fail_with`](crate::TaskScopeLayer::fail_with).
pub struct FailWith<E>(Arc<dyn Fn(&DrainReport) -> E + Send + Sync>);

/// Turns an answer into a failure: `()` does not, [`FailWith`] does. It is not
/// for others to implement.
pub trait Fails<O> {
    /// In the place of an answer.
    type Gap;

    /// Whether it reads the report.
    const READS_REPORT: bool;

    /// Drops an answer that must not be given, in its request, while that is open.
    fn discard(&self, answer: O) -> Result<O, Self::Gap>;

    /// What is given in its place, after the last report.
    fn fill(&self, gap: Self::Gap, report: &DrainReport) -> O;
}

impl<E> FailWith<E> {
    pub(super) fn new(error: impl Fn(&DrainReport) -> E + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl<O> Fails<O> for () {
    type Gap = Infallible;

    const READS_REPORT: bool = false;

    fn discard(&self, answer: O) -> Result<O, Infallible> {
        Ok(answer)
    }

    fn fill(&self, gap: Infallible, _: &DrainReport) -> O {
        match gap {}
    }
}

impl<T, E> Fails<Result<T, E>> for FailWith<E> {
    type Gap = ();

    const READS_REPORT: bool = true;

    fn discard(&self, answer: Result<T, E>) -> Result<Result<T, E>, ()> {
        match answer {
            Ok(_) => Err(()),
            // It claims no success.
            Err(error) => Ok(Err(error)),
        }
    }

    fn fill(&self, (): (), report: &DrainReport) -> Result<T, E> {
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
