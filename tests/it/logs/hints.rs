//! The field `hint` of a warning names the likely cause of a missed deadline.

use http::StatusCode;
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer, spawn};

use crate::bodies::case::{Case, read, ten};
use crate::subscribers::lines::Lines;
use crate::support::Act::{Data, Turn};
use crate::support::{Log, after, ms};

/// By contract, and as `TaskBuilder::required` documents it.
#[tokio::test(start_paused = true)]
async fn a_required_task_that_reads_a_stream_waits_for_itself_under_auto_and_the_log_names_the_cause()
 {
    for (hold, seconds, status) in [
        (Hold::Auto, 25, StatusCode::INTERNAL_SERVER_ERROR),
        (Hold::Required, 25, StatusCode::INTERNAL_SERVER_ERROR),
        (Hold::Head, 25, StatusCode::INTERNAL_SERVER_ERROR),
        (Hold::End, 0, StatusCode::OK),
    ] {
        let lines = Lines::default();
        let _recording = lines.record();
        let case = Case {
            required: true,
            ..Case::new("a stream", &[Data("01234"), Turn, Data("56789")])
        };
        let played = case.play(TaskTrackerLayer::new().hold(hold)).await;
        assert_eq!(played.took.as_secs(), seconds, "{hold:?}: {played:?}");
        assert_eq!(played.status, status, "{hold:?}");
        if hold != Hold::End {
            let line = lines.with("a task that the response depends on has failed");
            assert!(line.starts_with("ERROR"), "{line}");
            assert!(line.contains("Hold::End"), "it names the way out: {line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_warning_of_a_held_stream_names_the_likely_cause_and_no_other_does() {
    for (hold, acts, has_hint) in [
        (Hold::Head, &[Data("01234"), Turn][..], true),
        (Hold::Auto, &[Data("01234"), Turn], false),
        (Hold::Auto, &[Data("0123456789")], false),
    ] {
        let lines = Lines::default();
        let _recording = lines.record();
        let case = ten(acts);
        let (body, _) = case.body();
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .hold(hold)
            .drain_timeout(ms(50))
            .observer(log.clone());
        let response = case.respond(&layer, body, || drop(spawn(after(100)))).await;
        read(response.into_body()).await;
        assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);
        let line = lines.with("the drain window closed before everything was done");
        assert_eq!(
            line.contains("Hold::End"),
            has_hint,
            "{hold:?}, {acts:?}: {line}"
        );
        layer.handle().wait_idle().await;
    }
}
