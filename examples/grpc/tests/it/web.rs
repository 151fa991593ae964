//! gRPC-Web, whose trailers are data of the body. With its layer outside the tracker, they are held, and their status
//! is that of a failed required task. With its layer inside, they are data like any other for the tracker.

use bytes::{Buf, Bytes};
use grpc_example::Receipt;
use grpc_example::orders_server::OrdersServer;
use prost::Message;
use tokio_stream::StreamExt;
use tonic::transport::Server;
use tonic_web::GrpcWebLayer;
use tower_task_tracker::{Outcome, TaskTrackerLayer};

use crate::support::{
    Kind, REQUIRED_FAILED, RawAnswer, Shop, TestServer, Work, call, ready_steps, run,
};

const GRPC_WEB: &str = "application/grpc-web+proto";

/// The flag that distinguishes the trailers from messages.
const TRAILERS: u8 = 0x80;

/// The place of the layer for gRPC-Web.
#[derive(Debug, Clone, Copy)]
enum Web {
    OutsideOfOurs,
    InsideOfOurs,
}

impl Web {
    const BOTH: [Self; 2] = [Self::OutsideOfOurs, Self::InsideOfOurs];

    async fn serve(self, shop: Shop) -> TestServer {
        TestServer::start(TaskTrackerLayer::new(), |layer, incoming| {
            let orders = OrdersServer::new(shop);
            let web = GrpcWebLayer::new();
            let served: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = match self {
                Self::OutsideOfOurs => Box::pin(
                    Server::builder()
                        .layer(web)
                        .layer(layer)
                        .add_service(orders)
                        .serve_with_incoming(incoming),
                ),
                Self::InsideOfOurs => Box::pin(
                    Server::builder()
                        .layer(layer)
                        .layer(web)
                        .add_service(orders)
                        .serve_with_incoming(incoming),
                ),
            };
            served
        })
        .await
    }
}

/// Makes a call as a browser does, and waits for its head.
async fn ask(server: &TestServer, kind: Kind) -> RawAnswer {
    let headers = [("content-type", GRPC_WEB)];
    call(server.address, kind.method(), &headers).await
}

/// A part of the body.
#[derive(Debug, PartialEq)]
enum Part {
    Message(String),
    Trailers(String),
}

impl Part {
    fn message(text: &str) -> Self {
        Self::Message(text.into())
    }

    #[track_caller]
    fn trailers(&self) -> &str {
        match self {
            Self::Trailers(trailers) => trailers,
            Self::Message(message) => panic!("a message: {message}"),
        }
    }
}

/// Returns the next part: a message or the trailers.
async fn next(answer: &mut RawAnswer) -> Part {
    let data = answer.data().await.expect("more is to come");
    let mut data: Bytes = data.expect("it is not reset");
    let kind = data.get_u8();
    let length = data.get_u32() as usize;
    assert_eq!(data.len(), length, "one part for each frame");
    if kind == TRAILERS {
        return Part::Trailers(String::from_utf8(data.into()).expect("text"));
    }
    assert_eq!(kind, 0, "it is not compressed");
    Part::Message(Receipt::decode(data).expect("a whole message").text)
}

#[test]
fn with_the_layer_for_it_outside_the_trailers_of_grpc_web_follow_the_tasks() {
    for kind in Kind::ALL {
        run(async {
            let (work, shop) = kind.audited_later();
            let mut server = Web::OutsideOfOurs.serve(shop).await;
            let mut answer = ask(&server, kind).await;
            assert_eq!(answer.head.headers["content-type"], GRPC_WEB);
            assert_eq!(next(&mut answer).await, Part::message("taken"));
            work.events().add("message");
            work.open_gate();
            let trailers = next(&mut answer).await;
            work.events().add("trailers");
            assert!(
                trailers.trailers().contains("grpc-status:0"),
                "{trailers:?}"
            );
            assert_eq!(work.events().so_far(), ["message", "task", "trailers"]);
            assert!(answer.data().await.is_none(), "nothing follows them");
            assert_eq!(server.report().await.outcome, Outcome::Drained);
        });
    }
}

#[test]
fn with_the_layer_for_it_inside_the_trailers_of_grpc_web_go_out_at_once_and_the_end_is_held() {
    for kind in Kind::ALL {
        run(async {
            let (work, shop) = kind.audited_later();
            let mut server = Web::InsideOfOurs.serve(shop).await;
            let mut answer = ask(&server, kind).await;
            assert_eq!(next(&mut answer).await, Part::message("taken"));
            let trailers = next(&mut answer).await;
            work.events().add("trailers");
            assert!(
                trailers.trailers().contains("grpc-status:0"),
                "{trailers:?}"
            );
            work.open_gate();
            assert!(answer.data().await.is_none(), "nothing follows them");
            work.events().add("end");
            assert_eq!(work.events().so_far(), ["trailers", "task", "end"]);
            assert_eq!(server.report().await.outcome, Outcome::Drained);
        });
    }
}

#[test]
fn a_failed_required_task_is_a_status_of_grpc_web_only_with_the_layer_for_it_outside() {
    for kind in Kind::ALL {
        for web in Web::BOTH {
            run(async {
                let work = Work::new();
                work.open_gate();
                let shop = kind.shop(async move |tasks| {
                    tasks.named("audit").required().spawn(work.fail());
                    Ok(())
                });
                let mut server = web.serve(shop).await;
                let mut answer = ask(&server, kind).await;
                let head = &answer.head;
                match web {
                    Web::OutsideOfOurs => {
                        assert_eq!(head.status, 200);
                        assert_eq!(head.headers["content-type"], GRPC_WEB);
                        assert_eq!(head.headers["grpc-status"], "13");
                        assert_eq!(head.headers["grpc-message"], REQUIRED_FAILED);
                    }
                    Web::InsideOfOurs => {
                        assert_eq!(head.status, 500);
                        assert_eq!(head.headers.get("grpc-status"), None);
                    }
                }
                assert!(answer.data().await.is_none(), "it has no body");
                assert!(server.report().await.required_failed);
            });
        }
    }
}

#[test]
fn a_task_that_fails_while_the_end_is_held_comes_too_late_for_trailers_that_went_out_at_once() {
    for web in Web::BOTH {
        run(async {
            let work = Work::new();
            let task = work.clone();
            let shop = Shop::streaming(async move |_| {
                Ok(ready_steps([Ok("taken")]).map(move |step| {
                    let audit = task.clone().fail();
                    tower_task_tracker::named("audit").required().spawn(audit);
                    step
                }))
            });
            let mut server = web.serve(shop).await;
            let mut answer = ask(&server, Kind::Streaming).await;
            assert_eq!(next(&mut answer).await, Part::message("taken"));
            match web {
                Web::OutsideOfOurs => {
                    work.open_gate();
                    let trailers = next(&mut answer).await;
                    let trailers = trailers.trailers();
                    assert!(trailers.contains("grpc-status:13"), "{trailers}");
                    assert!(answer.data().await.is_none(), "nothing follows them");
                }
                Web::InsideOfOurs => {
                    let trailers = next(&mut answer).await;
                    let trailers = trailers.trailers();
                    assert!(trailers.contains("grpc-status:0"), "a success: {trailers}");
                    work.open_gate();
                    let end = answer.data().await;
                    assert!(matches!(end, Some(Err(_))), "a reset: {end:?}");
                }
            }
            assert!(server.report().await.required_failed);
        });
    }
}
