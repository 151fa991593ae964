//! The data of a stream goes out at once, and its end or its trailers are held.

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use tokio::time::Instant;
use tower_task_tracker::{TaskTrackerLayer, spawn};

use crate::support::{Frames, after, ms, respond};

#[tokio::test(start_paused = true)]
async fn a_data_frame_of_a_stream_passes_and_its_end_is_held() {
    // The inner body is at its end with its only frame. The frame passes all the same.
    let response = respond(&TaskTrackerLayer::new(), Method::GET, || {
        spawn(after(100));
        Frames::new(["x"]).shows_its_end()
    })
    .await;
    let start = Instant::now();
    let mut body = response.into_body();
    assert!(body.frame().await.is_some());
    assert_eq!(start.elapsed(), ms(0));
    assert!(
        !body.is_end_stream(),
        "a server would end the response here"
    );
    assert!(body.frame().await.is_none());
    assert_eq!(start.elapsed(), ms(100));
}

#[tokio::test(start_paused = true)]
async fn trailers_behind_a_length_of_zero_are_held_and_not_lost() {
    let start = Instant::now();
    let layer = TaskTrackerLayer::new();
    let response = respond(&layer, Method::GET, || {
        spawn(after(30));
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        Empty::<Bytes>::new().with_trailers(std::future::ready(Some(Ok(trailers))))
    })
    .await;
    let collected = response.into_body().collect().await.expect("no error");
    let trailers = collected.trailers().expect("they are there");
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(start.elapsed(), ms(30), "they were held");
}
