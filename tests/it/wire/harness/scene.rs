//! A request whose client leaves, and the stage that the request has reached by then.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tower::{Layer, service_fn};
use tower_task_tracker::{DrainObserver, DrainReport, TaskInfo, TaskTrackerLayer, Unfinished};

use crate::support::{Log, current};
use crate::wire::harness::gate::Gate;
use crate::wire::harness::script::Script;
use crate::wire::harness::script::Step::{Data, Stall, Turn};
use crate::wire::harness::serve::HttpService;

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The handler runs.
    Handling,
    /// The response is whole, and its head is held.
    HeadHeld,
    /// The body has given a frame, and more may come.
    Streaming,
    /// The body has come to its end, which is held.
    EndHeld,
    /// The same where the length is known: the last data is held.
    DataHeld,
}

impl Stage {
    pub(crate) const ALL: [Self; 5] = [
        Self::Handling,
        Self::HeadHeld,
        Self::Streaming,
        Self::EndHeld,
        Self::DataHeld,
    ];

    /// Those that only a task keeps from their end.
    pub(crate) const HELD: [Self; 3] = [Self::HeadHeld, Self::EndHeld, Self::DataHeld];

    pub(crate) async fn response(self) -> Response<Script> {
        let (steps, size): (&[_], _) = match self {
            Self::Handling => pending().await,
            Self::HeadHeld => (&[Data("whole")], Some(5)),
            Self::Streaming => (&[Data("one"), Stall], None),
            Self::EndHeld => (&[Data("one")], None),
            Self::DataHeld => (&[Data("one"), Turn, Data("two")], Some(6)),
        };
        // A complete body is at its end. A server may poll the others for theirs, or not.
        let observed = self == Self::HeadHeld;
        Response::new(Script::new(steps, size, observed, None))
    }
}

/// What a test has at hand. The request has one task, which waits for a gate; the path `/other` is
/// a request whose end is held for the task of another gate.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) log: Log,
    pub(crate) layer: TaskTrackerLayer,
    pub(crate) gate: Gate,
    pub(crate) other: Gate,
    /// There is a second task, which ends when it is cancelled.
    pub(crate) watches_token: bool,
    /// The task keeps the request's body, without reading it. Otherwise the handler drops it.
    pub(crate) keeps_body: bool,
    /// What the task owned was dropped.
    pub(crate) freed: Arc<AtomicBool>,
    pub(crate) observed: mpsc::UnboundedReceiver<bool>,
}

impl Scene {
    pub(crate) fn new(layer: TaskTrackerLayer) -> Self {
        let (log, freed) = (Log::default(), Arc::<AtomicBool>::default());
        let (bell, observed) = mpsc::unbounded_channel();
        let bell = Bell {
            freed: freed.clone(),
            bell,
        };
        let layer = layer.drain_timeout(None).observer(log.clone());
        Self {
            log,
            layer: layer.observer(bell),
            gate: Gate::default(),
            other: Gate::default(),
            watches_token: false,
            keeps_body: false,
            freed,
            observed,
        }
    }

    /// One of default settings, but for this. Where a task is asked to stop there are two: the
    /// second one does as it is asked.
    pub(crate) fn leaving(unfinished: Unfinished) -> Self {
        let mut scene = Self::new(TaskTrackerLayer::new().at_disconnect(unfinished));
        scene.watches_token = matches!(unfinished, Unfinished::Cancel { .. });
        scene
    }

    /// Waits until an observer is called: with the report, or with the end of a task that was
    /// left behind. Says whether what the task owned had been dropped by then.
    pub(crate) async fn observed(&mut self) -> bool {
        self.observed.recv().await.expect("the layer is there")
    }

    pub(crate) fn service(&self, stage: Stage) -> impl HttpService + use<> {
        let (gate, other) = (self.gate.clone(), self.other.clone());
        let (watches_token, keeps_body) = (self.watches_token, self.keeps_body);
        let freed = self.freed.clone();
        self.layer
            .layer(service_fn(move |request: Request<Incoming>| {
                let stage = if request.uri().path() == "/other" {
                    tower_task_tracker::named("other").spawn(other.task());
                    Stage::EndHeld
                } else {
                    let (work, guard) = (gate.task(), Guard(freed.clone()));
                    let kept = keeps_body.then(|| request.into_body());
                    tower_task_tracker::named("work").spawn(async move {
                        let _owned = (guard, kept);
                        work.await;
                    });
                    stage
                };
                if watches_token {
                    let tasks = current();
                    let token = tasks.cancellation_token();
                    tasks.spawn(async move { token.cancelled().await });
                }
                async move { Ok::<_, Infallible>(stage.response().await) }
            }))
    }
}

/// Wakes the test, and records whether what the task owned had been dropped by then.
#[derive(Debug)]
struct Bell {
    freed: Arc<AtomicBool>,
    bell: mpsc::UnboundedSender<bool>,
}

impl Bell {
    fn ring(&self) {
        // Nobody is there to be woken once the test is over.
        let _ = self.bell.send(self.freed.load(Ordering::SeqCst));
    }
}

impl DrainObserver for Bell {
    fn on_drain(&self, _: &DrainReport) {
        self.ring();
    }

    fn on_late_end(&self, _: &TaskInfo) {
        self.ring();
    }
}

/// Something that a task owns.
#[derive(Debug)]
struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
