//! A round: thousands of requests, with every kind of ending, are held at once. Then all of them end.

use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_task_tracker::{TaskTrackerLayer, TrackerHandle};

use crate::ending::Ending;
use crate::memory::{TOLERANCE, live_bytes, until, until_equal};
use crate::order::{Order, Phase, WAITING};
use crate::tally::Tally;

/// Requests of each ending.
const OF_EACH: usize = 1_000;
/// One ending is that of a response that is not held.
const HELD: usize = OF_EACH * (Ending::ALL.len() - 1);
const REQUESTS: usize = OF_EACH * Ending::ALL.len();

/// No round begins later than this: one of them is enough to see a leak, two are better.
const LATEST_START: Duration = Duration::from_secs(10);

/// The first round fills what the runtime and the handle keep for good. The others must not need more.
pub(crate) fn several() -> Result<(), Failed> {
    let start = Instant::now();
    let runtime = runtime()?;
    let handle = TrackerHandle::new();
    println!();
    println!("warm-up: {}", Round::run(&runtime, &handle, None));
    let before = live_bytes();
    println!("round 1: {}", Round::run(&runtime, &handle, Some(before)));
    if start.elapsed() < LATEST_START {
        println!("round 2: {}", Round::run(&runtime, &handle, Some(before)));
    } else {
        println!("round 2: left out, this machine is too busy");
    }
    Ok(())
}

pub(crate) fn runtime() -> Result<Runtime, Failed> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        // A thread that came or went between two rounds would look like a leak.
        .max_blocking_threads(4)
        .thread_keep_alive(Duration::from_secs(600))
        .enable_time()
        .build()?;
    Ok(runtime)
}

struct Round {
    handle: TrackerHandle,
    tally: Arc<Tally>,
    phase: watch::Sender<Phase>,
    clients: JoinSet<()>,
}

/// What a round has measured.
struct Figures {
    tasks: usize,
    cut_short: usize,
    took: Duration,
    bytes_held: usize,
    /// Compared with before the first of the rounds that count.
    growth: Option<f64>,
}

impl Round {
    /// `before`: the bytes that there were, and have to be again.
    fn run(runtime: &Runtime, handle: &TrackerHandle, before: Option<usize>) -> Figures {
        let bytes_before = live_bytes();
        let start = Instant::now();
        let mut round = Self {
            handle: handle.clone(),
            tally: Arc::default(),
            phase: watch::Sender::new(Phase::Fill),
            clients: JoinSet::new(),
        };
        round.fill(runtime);
        let bytes_held = live_bytes().saturating_sub(bytes_before) / REQUESTS;
        round.release();
        runtime.block_on(round.end());
        let took = start.elapsed();

        let tally = round.tally.clone();
        drop(round);
        check_idle(handle);
        tally.check();
        let mut figures = Figures {
            tasks: tally.started(),
            cut_short: tally.seen().cut_short,
            took,
            bytes_held,
            growth: None,
        };
        drop(tally);
        if let Some(before) = before {
            figures.growth = Some(wait_for_bytes(before));
        }
        figures
    }

    /// Until every response is held that is to be, and only those tasks are left that wait.
    fn fill(&mut self, runtime: &Runtime) {
        let base = TaskTrackerLayer::new().tracked_by(&self.handle);
        let valve = Arc::new(RwLock::new(()));
        // All of them are in the blocking queue at once, so that it grows as much in each round.
        let shut = valve.write().expect("no panic holds this lock");
        for _ in 0..OF_EACH {
            for ending in Ending::ALL {
                let order = Order {
                    ending,
                    tally: self.tally.clone(),
                    phase: self.phase.subscribe(),
                    valve: valve.clone(),
                    kept: Arc::default(),
                };
                self.clients.spawn_on(order.placed(&base), runtime.handle());
            }
        }
        until_equal("held responses", HELD, || self.tally.held());
        until_equal("live requests", REQUESTS, || self.handle.live_requests());
        drop(shut);
        let waiting = REQUESTS * WAITING;
        until_equal("waiting tasks", waiting, || self.handle.live_tasks());
        assert_eq!(self.handle.live_requests(), REQUESTS);
        assert_eq!(self.handle.snapshot().len(), waiting);
        assert_eq!(self.tally.alive(), waiting);
    }

    /// Waits until all reports are there, and the late tasks were reported.
    fn release(&self) {
        self.phase.send_replace(Phase::Open);
        until_equal("reports", REQUESTS, || self.tally.seen().reports);
        self.phase.send_replace(Phase::Late);
        until_equal("late spawns", REQUESTS, || self.tally.seen().late());
        self.phase.send_replace(Phase::End);
        // `wait_idle` alone would wait for ever.
        until_equal("requests that are left", 0, || self.handle.live_requests());
    }

    async fn end(&mut self) {
        while let Some(client) = self.clients.join_next().await {
            client.expect("no client has failed");
        }
        self.handle.wait_idle().await;
    }
}

/// Every count is back to zero.
pub(crate) fn check_idle(handle: &TrackerHandle) {
    assert_eq!(handle.live_requests(), 0);
    assert_eq!(handle.live_tasks(), 0);
    assert!(handle.snapshot().is_empty());
}

/// What is freed by tasks that have just ended comes a little later. Says by how much it is more.
fn wait_for_bytes(before: usize) -> f64 {
    until("live bytes", || match live_bytes() {
        now if now <= before + TOLERANCE => Ok(()),
        now => Err(format!("{before} before, {now} after")),
    });
    live_bytes() as f64 - before as f64
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        write!(
            f,
            "{REQUESTS} requests ({HELD} held at once), {} tasks in {seconds:.2} s: \
             {:.0} requests/s, {:.0} tasks/s; {} bytes for each request that is there with \
             {WAITING} tasks and its client; {} tasks aborted in time",
            self.tasks,
            REQUESTS as f64 / seconds,
            self.tasks as f64 / seconds,
            self.bytes_held,
            self.cut_short,
        )?;
        match self.growth {
            Some(growth) => write!(f, "; {growth:+.0} bytes since the warm-up"),
            None => Ok(()),
        }
    }
}
