//! An acknowledged order is done, or it is in a queue on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tower::ServiceExt;
use tower_task_tracker::{DrainSettings, NotDone, TaskTrackerLayer, named};

use super::work;
use crate::support::{after, ms, request, tracked};

/// A file that is deleted at the end.
struct Deleted(PathBuf);

impl Deleted {
    fn new(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }
}

impl Drop for Deleted {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Appends a line, and returns once it is on the disk.
fn push(path: &Path, line: &str) -> io::Result<()> {
    let mut file = File::options().create(true).append(true).open(path)?;
    writeln!(file, "{line}")?;
    file.sync_all()
}

async fn queue_order(path: PathBuf, order: usize, why: NotDone) -> io::Result<()> {
    let line = format!("order {order}: {why}");
    let pushed = tokio::task::spawn_blocking(move || push(&path, &line)).await;
    pushed.map_err(io::Error::other)?
}

#[tokio::test(start_paused = true)]
async fn at_the_response_an_order_is_done_or_is_in_the_file_of_the_queue() {
    let file = Deleted::new("orders-of-the-hand-off-test");
    let settings = DrainSettings::new()
        .drain_timeout(ms(1000))
        .hand_off_grace(ms(300));
    let layer = TaskTrackerLayer::new().settings(settings);
    let mut lines = String::new();
    for (order, (millis, fails, line)) in [
        (100, false, ""),
        (100, true, "order 1: failed\n"),
        (600_000, false, "order 2: deadline\n"),
        (699, false, ""),
        (701, false, "order 4: deadline\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = file.0.clone();
        let service = tracked(&layer, move || {
            let path = path.clone();
            let task = named("order").or_hand_off(move |why| queue_order(path, order, why));
            task.spawn(async move {
                work(millis).await?;
                if fails { Err("no mail") } else { Ok(()) }
            });
        });
        let response = service.oneshot(request()).await.expect("infallible");
        lines.push_str(line);
        assert_eq!(response.status(), 200, "order {order}");
        assert_eq!(file.text(), lines, "order {order}");
    }
}

#[tokio::test(start_paused = true)]
async fn if_the_file_cannot_be_written_the_response_fails() {
    let path = Deleted::new("no-such-folder").0.join("queue");
    let service = tracked(&TaskTrackerLayer::new(), move || {
        let path = path.clone();
        let task = named("order").or_hand_off(move |why| queue_order(path, 1, why));
        task.spawn(async {
            after(10).await;
            Err::<(), _>("no mail")
        });
    });
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 500);
}
