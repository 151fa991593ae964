//! `BodyError`: which errors of a body it wraps, and how the inner error is found through it.

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use tower_task_tracker::{BodyError, Hold, ResponseBody, TaskTrackerLayer};

use crate::required::{FAILURE, required};
use crate::support::{Frames, after, respond};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// An error with a name of its own.
#[derive(Debug)]
pub(crate) struct Torn;

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("torn")
    }
}

impl Error for Torn {}

/// What `anyhow::Error` is made from.
#[derive(Debug)]
struct Anyhow(BoxError);

impl<E: Error + Send + Sync + 'static> From<E> for Anyhow {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// A body that fails so after its first frame.
pub(crate) fn failing<E>(error: E) -> impl Body<Data = Bytes, Error = E> + use<E> {
    let frames = [Ok(Frame::data(Bytes::from("a"))), Err(error)];
    StreamBody::new(stream::iter(frames))
}

/// What comes of a body behind the layer.
async fn error_of<E: Into<BoxError>>(error: E) -> BodyError {
    let error = std::sync::Mutex::new(Some(error));
    let taken = || error.lock().expect("no panic holds this lock").take();
    let body = || failing(taken().expect("it is asked once"));
    let answer = respond(&TaskTrackerLayer::new(), http::Method::GET, body).await;
    let collected = answer.into_body().collect().await;
    collected.expect_err("it fails")
}

/// A body that a required task has failed.
async fn failed_by_a_task() -> Response<ResponseBody<Frames>> {
    let layer = TaskTrackerLayer::new().hold(Hold::End);
    let start = || {
        required(20, FAILURE);
        Frames::new(["a", "b"])
    };
    let answer = respond(&layer, http::Method::GET, start).await;
    after(100).await;
    answer
}

/// Whether a `T` stands in the chain of sources, which begins with the error itself.
pub(crate) fn finds<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    error.is::<T>() || error.source().is_some_and(finds::<T>)
}

#[tokio::test]
async fn the_source_of_an_error_is_that_of_the_inner_body() {
    let error = error_of(Torn).await;
    let source = error.source().expect("a source");
    assert!(source.is::<Torn>(), "it is the error itself: {source:?}");
    assert!(matches!(&error, BodyError::Inner(inner) if inner.is::<Torn>()));
    assert!(!error.is_required_failed(), "{error}");
    assert_ne!(error.to_string(), "torn", "a printed chain does not repeat");

    // An error in a box is in one box, and a text is an error too.
    let boxed = error_of(BoxError::from(Torn)).await;
    assert!(boxed.source().expect("a source").is::<Torn>());
    let text = error_of("torn").await;
    assert_eq!(text.source().expect("a source").to_string(), "torn");
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_is_an_error_without_a_source() {
    let error = failed_by_a_task().await.into_body().collect().await;
    let error = error.expect_err("it fails");
    assert!(error.is_required_failed(), "{error:?}");
    assert!(error.source().is_none(), "{error:?}");
    assert!(error.to_string().contains("depends on"), "{error}");
}

#[tokio::test]
async fn an_error_in_an_error_is_one() {
    let error = error_of(BodyError::Inner(Torn.into())).await;
    assert!(error.source().expect("a source").is::<Torn>(), "{error:?}");
    let error = error_of(BodyError::RequiredFailed).await;
    assert!(matches!(error, BodyError::RequiredFailed), "{error:?}");
    // As axum passes a body's error on between two layers that do not see each other.
    let error = error_of(axum::Error::new(BodyError::RequiredFailed)).await;
    assert!(finds::<axum::Error>(&error), "it stays: {error:?}");
    assert!(error.is_required_failed(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_collected_body_needs_no_words_where_errors_are_boxed() {
    async fn boxed() -> Result<Bytes, Box<dyn Error>> {
        Ok(failed_by_a_task().await.collect().await?.to_bytes())
    }
    async fn sent() -> Result<Bytes, BoxError> {
        Ok(failed_by_a_task().await.collect().await?.to_bytes())
    }
    async fn anyhow() -> Result<Bytes, Anyhow> {
        Ok(failed_by_a_task().await.collect().await?.to_bytes())
    }
    let boxed = boxed().await.expect_err("it fails");
    let sent = sent().await.expect_err("it fails");
    let Anyhow(anyhow) = anyhow().await.expect_err("it fails");
    for error in [&*boxed, &*sent, &*anyhow] {
        assert!(error.is::<BodyError>(), "{error:?}");
    }
}
