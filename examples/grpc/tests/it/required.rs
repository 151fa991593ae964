//! If a required task does not complete, the call fails with `INTERNAL`, whatever its own answer is. While such a task
//! is alive, the head is held, so that nothing of the answer has been sent.

use std::time::Duration;

use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tower_task_tracker::{DrainReport, TaskTrackerLayer, Tasks};

use crate::support::{Kind, REQUIRED_FAILED, Seen, Shop, Work, ask, order, run, serve};

#[test]
fn a_task_that_fails_before_the_answer_fails_the_call() {
    check(|_, tasks| {
        let audit = async { Err::<(), _>("the book is locked") };
        Some(tasks.named("audit").required().spawn(audit))
    });
}

#[test]
fn a_task_that_fails_after_the_answer_fails_the_call() {
    check(|work, tasks| {
        tasks.named("audit").required().spawn(work.fail());
        None
    });
}

#[test]
fn a_task_that_panics_fails_the_call() {
    check(|work, tasks| {
        let lost = async || -> Result<(), &'static str> {
            work.complete().await;
            panic!("the book is lost")
        };
        tasks.named("audit").required().spawn(lost());
        None
    });
}

#[test]
fn a_task_that_is_late_fails_the_call() {
    check(|_, tasks| {
        tasks.set_drain_timeout(Duration::from_millis(20));
        let audit = std::future::pending::<Result<(), &str>>();
        tasks.named("audit").required().spawn(audit);
        None
    });
}

#[test]
fn a_call_that_fails_by_itself_keeps_its_status() {
    for kind in Kind::ALL {
        run(async {
            let work = Work::new();
            work.open_gate();
            let shop = kind.shop(async move |tasks| {
                tasks.named("audit").required().spawn(work.fail());
                Err(Status::not_found("sold out"))
            });
            let mut server = serve(TaskTrackerLayer::new(), shop).await;
            let answer = ask(&server, kind).await;
            assert_eq!(answer.head.headers["grpc-status"], "5");
            assert_eq!(answer.head.headers["grpc-message"], "sold%20out");
            assert!(server.report().await.required_failed);
        });
    }
}

#[test]
fn a_task_that_completes_changes_nothing_but_when_the_answer_comes() {
    for kind in Kind::ALL {
        run(async {
            let work = Work::new();
            work.open_gate();
            let task = work.clone();
            let shop = kind.shop(async move |tasks| {
                tasks.named("audit").required().spawn(async {
                    task.complete().await;
                    Ok::<_, &str>(())
                });
                Ok(())
            });
            let server = serve(TaskTrackerLayer::new(), shop).await;
            let mut answer = ask(&server, kind).await;
            work.events().add("head");
            assert_eq!(work.events().so_far(), ["task", "head"], "{kind:?}");
            assert_eq!(answer.next().await, Seen::message("taken"));
            let trailers = answer.trailers().await;
            assert_eq!(trailers["grpc-status"], "0");
        });
    }
}

type Spawn = fn(Work, &Tasks) -> Option<JoinHandle<Result<(), &'static str>>>;

/// Checks that the call fails. If `spawn` returns a handle, the handler awaits it before it answers.
fn check(spawn: Spawn) {
    for kind in Kind::ALL {
        run(check_raw(kind, spawn));
        run(check_client(kind, spawn));
    }
}

async fn check_raw(kind: Kind, spawn: Spawn) {
    let mut server = serve(TaskTrackerLayer::new(), shop(kind, spawn)).await;
    let mut answer = ask(&server, kind).await;
    assert_eq!(answer.head.status, 200, "{kind:?}");
    assert_eq!(answer.head.headers["content-type"], "application/grpc");
    assert_eq!(answer.head.headers["grpc-status"], "13");
    assert_eq!(answer.head.headers["grpc-message"], REQUIRED_FAILED);
    assert_eq!(answer.rest().await, [], "nothing follows the head");
    assert_failed(&server.report().await);
}

async fn check_client(kind: Kind, spawn: Spawn) {
    let mut server = serve(TaskTrackerLayer::new(), shop(kind, spawn)).await;
    let mut client = server.client().await;
    let status = match kind {
        Kind::Unary => client.place(order()).await.map(drop),
        Kind::Streaming => client.follow(order()).await.map(drop),
    };
    let status = status.expect_err("it has failed");
    assert_eq!(status.code(), Code::Internal, "{kind:?}");
    assert_eq!(status.message(), REQUIRED_FAILED);
    assert_failed(&server.report().await);
}

fn shop(kind: Kind, spawn: Spawn) -> Shop {
    let work = Work::new();
    work.open_gate();
    kind.shop(async move |tasks| {
        if let Some(audit) = spawn(work, &tasks) {
            audit.await.expect("it ends").expect_err("it fails");
        }
        Ok(())
    })
}

fn assert_failed(report: &DrainReport) {
    assert!(report.required_failed, "{report}");
    let named = report.failures.iter().chain(&report.stragglers);
    let names: Vec<_> = named.map(|task| task.name.as_deref()).collect();
    assert_eq!(names, [Some("audit")], "{report}");
}
