//! `Hold::Required`, where the body spawns a required task while it streams.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Method;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower_task_tracker::named;

use super::required::{finish, layer, store_and_more};
use crate::support::{Frames, ms, respond};

/// Spawns these with its last frame.
pub(crate) struct Spawns<F: FnMut()> {
    pub(crate) frames: Frames,
    pub(crate) spawn: F,
}

impl<F: FnMut() + Unpin> Body for Spawns<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.frames.left() == 1 {
            (self.spawn)();
        }
        Pin::new(&mut self.frames).poll_frame(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_the_body_spawns_while_it_streams_holds_its_end() {
    for has_task in [false, true] {
        let (log, layer) = layer();
        let arrived = Instant::now();
        let response = respond(&layer, Method::GET, || {
            if has_task {
                named("before").spawn(async {});
            }
            Spawns {
                frames: Frames::new(["a", "b"]),
                spawn: || store_and_more(Ok(())),
            }
        })
        .await;
        let times = finish(arrived, &layer, response).await;
        assert_eq!(times, [ms(0), ms(20), ms(80)]);
        assert_eq!(log.report().held, ms(20), "{}", log.report());
    }
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_the_body_spawns_and_that_fails_ends_it_as_an_error() {
    let (log, layer) = layer();
    let response = respond(&layer, Method::GET, || Spawns {
        frames: Frames::new(["a", "b"]),
        spawn: || store_and_more(Err("the disk is full")),
    })
    .await;
    let read = response.into_body().collect().await;
    assert!(read.is_err_and(|error| error.is_required_failed()));
    layer.handle().wait_idle().await;
    assert!(log.report().required_failed);
}
