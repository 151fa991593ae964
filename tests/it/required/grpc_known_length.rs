//! A failed gRPC call whose body is of known length, and was polled before the wait.

use http::Version;
use tower_task_tracker::{Hold, TaskTrackerLayer, named};

use crate::bodies::case::{Case, End, read, ten};
use crate::support::Act::{Data, Trailers, Turn};
use crate::support::after;

#[tokio::test(start_paused = true)]
async fn a_failed_grpc_call_of_known_length_gets_the_trailers_that_were_kept() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let case = Case {
            version,
            is_grpc: true,
            ..ten(&[Data("0123456789"), Trailers])
        };
        let (body, _) = case.body();
        let layer = TaskTrackerLayer::new().hold(Hold::End);
        let fails = || {
            named("order").required().spawn(async {
                after(10).await;
                Err::<(), _>("out of stock")
            });
        };
        let response = case.respond(&layer, body, fails).await;
        let (data, end) = read(response.into_body()).await;
        assert_eq!(data, "0123456789");
        let End::Trailers(trailers) = end else {
            panic!("no trailers: {end:?}");
        };
        assert_eq!(trailers["grpc-status"], "13");
        assert_eq!(trailers["cost"], "7", "those of the inner body");
    }
}

/// The last data do not end a call: its status comes behind them.
#[tokio::test(start_paused = true)]
async fn a_grpc_call_that_failed_before_its_last_data_keeps_what_its_trailers_have() {
    let case = Case {
        version: Version::HTTP_2,
        is_grpc: true,
        ..ten(&[Data("01234"), Turn, Data("56789"), Trailers])
    };
    let (body, _) = case.body();
    let layer = TaskTrackerLayer::new().hold(Hold::End);
    let fails = || {
        let order = named("order").required();
        order.spawn(async { Err::<(), _>("out of stock") });
    };
    let response = case.respond(&layer, body, fails).await;
    after(10).await;
    let (data, end) = read(response.into_body()).await;
    assert_eq!(data, "0123456789");
    let End::Trailers(trailers) = end else {
        panic!("no trailers: {end:?}");
    };
    assert_eq!(trailers["grpc-status"], "13");
    assert_eq!(trailers["cost"], "7", "those of the inner body");
}
