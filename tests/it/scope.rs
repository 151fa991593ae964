//! The drain without HTTP.

use tokio::time::Instant;
use tower_task_tracker::{DrainReport, Outcome, Tasks, scope, spawn};

use crate::support::{after, assert_adds_up, ms};

#[tokio::test(start_paused = true)]
async fn a_scope_waits_for_what_its_code_has_spawned() {
    let start = Instant::now();
    let (value, report) = scope(|tasks: Tasks| {
        tasks.spawn(after(10));
        async {
            spawn(async {
                spawn(after(30));
            });
            "value"
        }
    })
    .await;
    assert_eq!(value, "value");
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!((report.spawned, report.outcome), (3, Outcome::Drained));
    assert!(report.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_scope_ends_at_its_deadline_and_names_the_stragglers() {
    let (tasks, report) = scope(|tasks| async {
        tasks.set_drain_timeout(ms(20));
        tasks.named("slow").spawn(after(100));
        tasks
    })
    .await;
    assert_adds_up(&report);
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(report.stragglers[0].name, Some("slow"));
    assert_eq!(tasks.len(), 1, "it runs on");
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_spawns_nothing_has_an_empty_report() {
    let ((), report) = scope(|_| async {}).await;
    assert_eq!(*report, DrainReport::default());
}
