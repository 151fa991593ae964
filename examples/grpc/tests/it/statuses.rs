//! Every call ends with exactly one `grpc-status`, that of the handler: with and without tasks, in time and late.

use std::time::Duration;

use http::HeaderMap;
use tonic::Status;
use tower_task_tracker::{Outcome, TaskTrackerLayer};

use crate::support::{Kind, RawAnswer, Seen, Shop, Work, ask, ready_steps, run, serve};

#[derive(Debug, Clone, Copy)]
enum Tasks {
    None,
    InTime,
    Late,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Succeeds,
    FailsAtOnce,
    FailsInTheMiddle,
}

#[test]
fn a_call_without_tasks_keeps_its_status() {
    check_all(Tasks::None);
}

#[test]
fn a_call_whose_tasks_are_in_time_keeps_its_status() {
    check_all(Tasks::InTime);
}

#[test]
fn a_call_whose_tasks_are_late_keeps_its_status() {
    check_all(Tasks::Late);
}

fn check_all(tasks: Tasks) {
    check(tasks, Kind::Unary, Answer::Succeeds, "0");
    check(tasks, Kind::Unary, Answer::FailsAtOnce, "5");
    check(tasks, Kind::Streaming, Answer::Succeeds, "0");
    check(tasks, Kind::Streaming, Answer::FailsAtOnce, "5");
    check(tasks, Kind::Streaming, Answer::FailsInTheMiddle, "5");
}

fn check(tasks: Tasks, kind: Kind, answer: Answer, expected: &str) {
    run(async {
        let work = Work::new();
        if let Tasks::InTime = tasks {
            work.open_gate();
        }
        let task = work.clone();
        let spawn = move |request: &tower_task_tracker::Tasks| match tasks {
            Tasks::None => {}
            Tasks::InTime | Tasks::Late => drop(request.spawn(task.complete())),
        };
        let shop = match answer {
            Answer::Succeeds => kind.shop(async move |tasks| {
                spawn(&tasks);
                Ok(())
            }),
            Answer::FailsAtOnce => kind.shop(async move |tasks| {
                spawn(&tasks);
                Err(Status::not_found("sold out"))
            }),
            Answer::FailsInTheMiddle => Shop::streaming(async move |tasks| {
                spawn(&tasks);
                Ok(ready_steps([
                    Ok("taken"),
                    Err(Status::not_found("sold out")),
                ]))
            }),
        };
        let layer = TaskTrackerLayer::new().drain_timeout(match tasks {
            Tasks::None | Tasks::InTime => Duration::from_secs(10),
            Tasks::Late => Duration::from_millis(20),
        });
        let mut server = serve(layer, shop).await;

        let whole = ask(&server, kind).await;
        let statuses = statuses(whole).await;
        assert_eq!(statuses, [expected], "{tasks:?} {kind:?} {answer:?}");
        let outcome = match tasks {
            // A request without tasks has no report.
            Tasks::None => return,
            Tasks::InTime => Outcome::Drained,
            Tasks::Late => Outcome::DeadlineExceeded,
        };
        let report = server.report().await;
        assert_eq!(report.outcome, outcome, "{kind:?}");
        assert!(report.held > Duration::ZERO, "{kind:?} {report}");
    });
}

/// Returns every `grpc-status` in the head and the trailers, up to the end of the stream.
async fn statuses(mut answer: RawAnswer) -> Vec<String> {
    let mut statuses = Vec::new();
    let mut read = |headers: &HeaderMap| {
        let values = headers.get_all("grpc-status").iter();
        statuses.extend(values.map(|value| value.to_str().expect("a number").to_owned()));
    };
    read(&answer.head.headers);
    for seen in answer.rest().await {
        match seen {
            Seen::Messages(_) => {}
            Seen::Trailers(trailers) => read(&trailers),
            Seen::End | Seen::Reset(_) => panic!("it ends with a status, and not with {seen:?}"),
        }
    }
    statuses
}
