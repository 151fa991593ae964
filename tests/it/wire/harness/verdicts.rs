//! What is reported of a request whose client has left, and of its tasks.

use std::time::Duration;

use tokio::time::Instant;
use tower_task_tracker::{DrainReport, Outcome, TaskInfo, TaskState, Unfinished};

use crate::support::{after, ms};
use crate::wire::harness::clock::soon;
use crate::wire::harness::scene::Scene;

/// Long enough for a task to stop by itself, in paused time.
pub(crate) const CANCEL: Unfinished = Unfinished::Cancel {
    grace: Duration::from_secs(1),
};

impl Scene {
    /// The client is there, or the server has not noticed yet that it is not.
    #[track_caller]
    pub(crate) fn assert_goes_on(&self) {
        let observed = self.log.all();
        assert!(observed.is_empty(), "nothing has happened: {observed:?}");
        let tasks = 1 + usize::from(self.watches_token);
        assert_eq!(self.layer.handle().live_tasks(), tasks, "nothing has ended");
    }

    /// The request was dropped, and its task runs on: it ends by itself.
    pub(crate) async fn check_left_behind(&mut self) {
        let was_freed = self.observed().await;
        assert!(!was_freed, "the task was not dropped");
        let report = self.dropped();
        assert_eq!((report.spawned, report.completed), (1, 0), "{report}");
        let left = [(Some("work"), TaskState::Running)];
        assert_eq!(states(&report.stragglers), left, "{report}");

        self.gate.open();
        self.observed().await;
        assert!(self.gate.was_passed(), "it was not aborted");
        let ended = [(Some("work"), TaskState::Completed)];
        assert_eq!(states(&self.log.late_ends()), ended);
        assert_eq!(self.log.reports().len(), 1, "it was reported once");
    }

    /// The request was dropped, and its task with it.
    pub(crate) async fn check_aborted(&mut self) {
        let was_freed = self.observed().await;
        assert!(was_freed, "the destructor ran before the report");
        let report = self.dropped();
        assert_eq!((report.spawned, report.aborted), (1, 1), "{report}");
        self.assert_no_work_left(&report).await;
    }

    /// The same, and no time has passed. In paused time only.
    pub(crate) async fn check_aborted_at_once(&mut self) {
        soon(self.check_aborted()).await;
    }

    /// The request was dropped. One task has ended when it was asked to, and the other one was
    /// aborted when the time was up. In paused time only.
    pub(crate) async fn check_cancelled(&mut self) {
        let left = Instant::now();
        self.assert_asked().await;
        let was_freed = self.observed().await;
        assert!(was_freed, "the destructor ran before the report");
        let waited = left.elapsed();
        assert!((ms(800)..=ms(1000)).contains(&waited), "after {waited:?}");
        let report = self.dropped();
        let counts = (report.spawned, report.completed, report.aborted);
        assert_eq!(counts, (2, 1, 1), "{report}");
        self.assert_no_work_left(&report).await;
    }

    /// The request was dropped. Both tasks end before their time is up, and nothing waits on. In
    /// paused time only.
    pub(crate) async fn check_ended_in_time(&mut self) {
        let left = Instant::now();
        self.assert_asked().await;
        self.gate.open();
        self.observed().await;
        let waited = left.elapsed();
        assert!(waited < ms(10), "after {waited:?}");
        let report = self.dropped();
        assert_eq!((report.spawned, report.completed), (2, 2), "{report}");
        assert!(self.gate.was_passed(), "it was not aborted");
        after(2000).await;
        assert_eq!(self.log.all().len(), 1, "there is no more to say");
    }

    /// The response came to its end, and its task before it.
    pub(crate) async fn check_drained(&mut self) {
        self.observed().await;
        let report = self.log.report();
        assert_eq!(report.outcome, Outcome::Drained, "{report}");
        assert_eq!((report.spawned, report.completed), (1, 1), "{report}");
        assert!(self.gate.was_passed(), "the task came to its end");
        assert_eq!(self.layer.handle().live_requests(), 0, "nothing is left");
    }

    #[track_caller]
    fn dropped(&self) -> DrainReport {
        let report = self.log.report();
        assert_eq!(report.outcome, Outcome::Dropped, "{report}");
        report
    }

    /// One task has ended when it was cancelled, and there is time for the other one.
    async fn assert_asked(&self) {
        after(1).await;
        let observed = self.log.all();
        assert!(observed.is_empty(), "its time is not up: {observed:?}");
        assert_eq!(self.layer.handle().live_tasks(), 1, "one has listened");
    }

    /// The task was aborted, and only the report has it.
    async fn assert_no_work_left(&self, report: &DrainReport) {
        let aborted = [(Some("work"), TaskState::Aborted)];
        assert_eq!(states(&report.failures), aborted, "{report}");
        assert!(report.stragglers.is_empty(), "{report}");
        self.layer.handle().wait_idle().await;
        assert_eq!(self.log.all().len(), 1, "there is no more to say");
    }
}

fn states(tasks: &[TaskInfo]) -> Vec<(Option<&str>, TaskState)> {
    tasks
        .iter()
        .map(|task| (task.name.as_deref(), task.state))
        .collect()
}
