//! One request of the soak test: its tasks, its response and its client.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock, RwLock};
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{FutureExt, poll, stream};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::sync::watch;
use tokio::task::yield_now;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, Tasks, named};

use crate::ending::Ending;
use crate::tally::{Observer, Tally};

/// What everybody of a round waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Requests arrive, and are held.
    Fill,
    /// Whatever ends a request happens.
    Open,
    /// All were released: what is spawned now is late.
    Late,
    /// What has outlived its request ends.
    End,
}

/// How many tasks of an order wait for a phase.
pub(crate) const WAITING: usize = 3;

/// The request's body: the service gets it whole.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) ending: Ending,
    pub(crate) tally: Arc<Tally>,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Locked while blocking closures are to stay in the queue.
    pub(crate) valve: Arc<RwLock<()>>,
    /// Where the handler leaves its tasks for the client.
    pub(crate) kept: Arc<OnceLock<Tasks>>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Order {
    /// Arrives at its own layer, and does what its client does.
    pub(crate) fn placed(self, base: &TaskTrackerLayer) -> impl Future<Output = ()> + Send + use<> {
        let observer = Observer {
            ending: self.ending,
            tally: self.tally.clone(),
        };
        let layer = self.ending.layer(base).observer(observer);
        let service = layer.layer(service_fn(|request: Request<Order>| async {
            let order = request.into_body();
            order.spawn();
            Ok::<_, Infallible>(order.answer())
        }));
        self.client(service)
    }

    async fn client<S, B>(self, service: S)
    where
        S: Service<Request<Order>, Response = Response<B>, Error = Infallible>,
        B: http_body::Body<Data = Bytes>,
    {
        let since = Instant::now();
        let request = Request::new(self.clone());
        let mut exchange = Box::pin(async {
            let Ok(response) = service.oneshot(request).await;
            let status = response.status();
            (status, response.into_body().collect().await.is_ok())
        });
        let ended = match poll!(&mut exchange) {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => {
                self.tally.hold();
                let leaves = async {
                    self.reached(Phase::Open).await;
                    if let (Some(deadline), Some(tasks)) = (self.ending.deadline(), self.kept.get())
                    {
                        tasks.set_drain_timeout(since.elapsed() + deadline);
                    }
                    if !self.ending.is_dropped() {
                        pending::<()>().await;
                    }
                };
                tokio::select! {
                    ended = &mut exchange => Some(ended),
                    () = leaves => None,
                }
            }
        };
        drop(exchange);
        self.check(ended);

        self.reached(Phase::Late).await;
        let work = self.tally.start();
        if let Some(tasks) = self.kept.get() {
            tasks.named("late").spawn(async move { drop(work) });
        }
    }

    fn check(&self, ended: Option<(StatusCode, bool)>) {
        let status = match self.ending {
            Ending::RequiredFails => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::OK,
        };
        let wanted = (!self.ending.is_dropped()).then_some((status, true));
        assert_eq!(ended, wanted, "{:?}", self.ending);
    }

    /// One task of every sort.
    fn spawn(&self) {
        let tasks = Tasks::current().expect("in a request");
        let work = self.tally.start();
        tasks.named("fails").fallible().spawn(async move {
            let _work = work;
            yield_now().await;
            Err::<(), _>("on purpose")
        });
        let work = self.tally.start();
        tasks.named("panics").spawn(async move {
            let _work = work;
            yield_now().await;
            // `panic!` would have the hook print a hundred thousand lines.
            resume_unwind(Box::new("on purpose"))
        });
        let work = self.tally.start();
        let endless = tasks.named("aborted").spawn(async move {
            let _work = work;
            pending::<()>().await;
        });
        endless.abort();
        let valve = self.valve.clone();
        let work = self.tally.start();
        tasks.named("blocks").spawn_blocking(move || {
            let _work = work;
            drop(valve.read().expect("no panic holds this lock"));
        });
        self.spawn_nested(&tasks);
        self.spawn_waiting(&tasks);
        self.kept.set(tasks).expect("it is called once");
    }

    fn spawn_nested(&self, tasks: &Tasks) {
        let (parent, tally) = (self.tally.start(), self.tally.clone());
        tasks.named("parent").spawn(async move {
            yield_now().await;
            let child = tally.start();
            named("child").spawn(async move {
                let grandchild = tally.start();
                named("grandchild").spawn(async move {
                    yield_now().await;
                    drop(grandchild);
                });
                drop(child);
            });
            drop(parent);
        });
    }

    /// What keeps the response until the round goes on.
    fn spawn_waiting(&self, tasks: &Tasks) {
        let phase = if self.ending.leaves_work() || self.ending.cancels() {
            Phase::End
        } else {
            Phase::Open
        };
        let until_its_time = || {
            // Otherwise no task watches it.
            let stop = self.ending.cancels().then(|| tasks.cancellation_token());
            let reached = self.reached(phase);
            async move {
                match stop {
                    Some(stop) => drop(stop.run_until_cancelled(reached).await),
                    None => reached.await,
                }
            }
        };
        let (work, wait) = (self.tally.start(), until_its_time());
        let waits = tasks.named("waits");
        if self.ending == Ending::RequiredFails {
            waits.required().spawn(async move {
                let _work = work;
                wait.await;
                Err::<(), _>("on purpose")
            });
        } else {
            waits.spawn(async move {
                let _work = work;
                wait.await;
            });
        }
        let (work, wait) = (self.tally.start(), until_its_time());
        let token = tasks.named("token").token();
        tokio::spawn(async move {
            wait.await;
            drop((work, token));
        });
        let (work, wait) = (
            self.tally.start_detached("detached"),
            self.reached(Phase::Open),
        );
        tasks.named("detached").detached().spawn(async move {
            let _work = work;
            wait.await;
        });
    }

    fn answer(&self) -> Response<Body> {
        if !self.ending.is_stream() {
            return Response::new(Full::from("done").boxed_unsync());
        }
        let tally = self.tally.clone();
        let spawns = async move {
            let work = tally.start();
            named("streamed").spawn(async move { drop(work) });
            Ok(Frame::data(Bytes::from("done")))
        };
        let body = StreamBody::new(stream::once(spawns.boxed()));
        Response::new(body.boxed_unsync())
    }

    /// Keeps nothing of the order: a task may wait for it.
    fn reached(&self, phase: Phase) -> impl Future<Output = ()> + Send + use<> {
        let mut now = self.phase.clone();
        async move {
            // A round that has failed is gone: then the wait is over.
            drop(now.wait_for(|now| *now >= phase).await.ok());
        }
    }
}
