//! A shutdown: from `begin_shutdown` on every drain window closes by its end, and `try_spawn` refuses tasks.
//! `shutdown` waits for stragglers, late and detached tasks and the work of the process (`TrackerHandle::spawn`,
//! `process_tasks`), and aborts what is left.
//!
//! | module | |
//! |---|---|
//! | `process` | Tasks of the process itself: `TrackerHandle::spawn` and `process_tasks`. |
//! | `responses` | How a shutdown affects new requests and held responses. |
//! | `several_waits` | Several waits for a shutdown: none waits for another, and all end at once. |
//! | `stragglers` | Tasks that no response waits for: a shutdown waits for them, and aborts them in the end. |
//! | `waits_in_handlers` | A handler, a hook or a body that awaits the shutdown does not wait for its own response. |
//! | `waits_in_tasks` | A task that awaits the shutdown does not wait for itself. |

mod process;
mod responses;
mod several_waits;
mod stragglers;
mod waits_in_handlers;
mod waits_in_tasks;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tower_task_tracker::{ShutdownReport, TrackerHandle, named, scope, spawn, untracked};

use crate::support::{DropTime, after, current, ms};

/// A task that takes so long, and is watched.
fn slow(watched: &DropTime, millis: u64) -> impl Fn() + Clone + Send + use<> {
    let watched = watched.clone();
    move || {
        let watch = watched.watch();
        named("slow").spawn(async move {
            let _watch = watch;
            after(millis).await;
        });
    }
}

/// Which waits are over, since when, and with which report, in their order.
#[derive(Clone)]
pub(crate) struct WaitLog {
    pub(crate) began: Instant,
    pub(crate) all: Arc<Mutex<Vec<Entry>>>,
}

/// The name of a wait, when it was over, and the report of a shutdown.
type Entry = (&'static str, Duration, Option<ShutdownReport>);

impl WaitLog {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            all: Arc::default(),
        }
    }

    /// Waits for the shutdown, for a second at most, and writes down what it got.
    pub(crate) fn stop(
        &self,
        name: &'static str,
        handle: &TrackerHandle,
    ) -> impl Future<Output = ()> + use<> {
        let (got, handle) = (self.clone(), handle.clone());
        async move {
            let report = handle.shutdown(ms(1000)).await;
            got.push(name, Some(report));
        }
    }

    pub(crate) fn idle(
        &self,
        name: &'static str,
        handle: &TrackerHandle,
    ) -> impl Future<Output = ()> + use<> {
        let (got, handle) = (self.clone(), handle.clone());
        async move {
            handle.wait_idle().await;
            got.push(name, None);
        }
    }

    pub(crate) fn push(&self, name: &'static str, report: Option<ShutdownReport>) {
        let mut all = self.all.lock().expect("no panic holds this lock");
        all.push((name, self.began.elapsed(), report));
    }

    /// The names, sorted, with the times.
    pub(crate) fn times(&self) -> Vec<(&'static str, Duration)> {
        let all = self.all.lock().expect("no panic holds this lock");
        let mut times: Vec<_> = all.iter().map(|(name, at, _)| (*name, *at)).collect();
        times.sort_unstable();
        times
    }

    #[track_caller]
    pub(crate) fn report(&self, name: &str) -> ShutdownReport {
        let all = self.all.lock().expect("no panic holds this lock");
        let got = all.iter().find(|(other, ..)| *other == name);
        let report = got.and_then(|(_, _, report)| report.clone());
        report.unwrap_or_else(|| panic!("{name} got its report"))
    }
}

/// Runs a wait as code of a request, which has begun with a task of 300 ms.
type Runs = fn(Pin<Box<dyn Future<Output = ()> + Send>>, &TrackerHandle);

pub(crate) const KINDS: [(&str, Runs); 7] = [
    ("spawn", |wait, _| drop(named("wait").spawn(wait))),
    ("detached", |wait, _| {
        drop(named("wait").detached().spawn(wait));
    }),
    ("of the process", |wait, handle| drop(handle.spawn(wait))),
    ("track_future", |wait, _| {
        drop(tokio::spawn(named("wait").track_future(wait)));
    }),
    ("untracked", |wait, _| {
        drop(named("wait").spawn(untracked(wait)));
    }),
    ("scope", |wait, _| {
        drop(named("wait").spawn(async {
            scope(|_| async {
                spawn(after(200));
                wait.await;
            })
            .await;
        }));
    }),
    ("joined", |wait, _| {
        let handle = current();
        let idle = async move { drop(handle) };
        spawn(async { tokio::join!(wait, idle) });
    }),
];
