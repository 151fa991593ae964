//! What becomes of an answer that a required task has failed.

use std::fmt;
use std::sync::Arc;

use crate::report::DrainReport;

/// Makes the error of a request that a required task has failed: see
/// [`TaskScopeLayer::fail_with`](crate::TaskScopeLayer::fail_with).
pub struct FailWith<E>(Arc<dyn Fn(&DrainReport) -> E + Send + Sync>);

/// Turns an answer into a failure: `()` does not, [`FailWith`] does.
pub trait Fails<O> {
    /// Called once, with the last report of a request that a required task has failed.
    fn fail(&self, answer: O, report: &DrainReport) -> O;
}

impl<E> FailWith<E> {
    pub(super) fn new(error: impl Fn(&DrainReport) -> E + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl<O> Fails<O> for () {
    fn fail(&self, answer: O, _: &DrainReport) -> O {
        answer
    }
}

impl<T, E> Fails<Result<T, E>> for FailWith<E> {
    fn fail(&self, answer: Result<T, E>, report: &DrainReport) -> Result<T, E> {
        answer.and_then(|_| Err((self.0)(report)))
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
