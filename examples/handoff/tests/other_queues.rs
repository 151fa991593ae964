//! A hand-off into another queue than that of the example.

#[allow(dead_code, reason = "only `kill_anywhere` crashes the server")]
#[path = "kill_anywhere/postgres.rs"]
mod postgres;

use graphile_worker::{JobKeyMode, JobSpecBuilder, WorkerUtils};
use handoff::mail::Receipt;
use sqlx::PgPool;
use tower_task_tracker::{TaskBuilder, scope};

use self::postgres::Postgres;

/// Spawns the task. If it does not complete, its receipt goes into the queue. The key keeps a second one out.
fn spawn_receipt(task: TaskBuilder, queue: WorkerUtils, receipt: Receipt) {
    let late = receipt.clone();
    let hand_off = move |_| async move {
        let spec = JobSpecBuilder::new()
            .job_key(late.key())
            .job_key_mode(JobKeyMode::Replace)
            .build();
        queue.add_raw_job("receipt", late, spec).await.map(|_| ())
    };
    task.or_hand_off(hand_off).spawn(send(receipt));
}

async fn send(_: Receipt) -> Result<(), &'static str> {
    Err("the mail service is down")
}

#[tokio::test]
async fn a_receipt_that_fails_is_in_the_queue_of_graphile_worker_once() {
    let server = Postgres::new();
    server.start().await;
    let pool = PgPool::connect(&server.create_database("graphile").await).await;
    let pool = pool.expect("the server runs");
    let queue = WorkerUtils::new(pool.clone(), "graphile_worker");
    queue.migrate().await.expect("a new database");
    let receipt = Receipt {
        order: 7,
        item: "tea".to_owned(),
        quantity: 2,
    };
    let ((), report) = scope(|tasks| async move {
        for _ in 0..2 {
            spawn_receipt(tasks.named("receipt"), queue.clone(), receipt.clone());
        }
    })
    .await;
    assert_eq!(report.handed_off, 2, "{report}");
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM graphile_worker.jobs")
        .fetch_one(&pool)
        .await
        .expect("its view");
    assert_eq!(jobs, 1);
    pool.close().await;
    server.stop().await;
}
