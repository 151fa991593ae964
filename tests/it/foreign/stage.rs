//! The setting of a scene: a layer, an observer that records its calls, and foreign code that misbehaves.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};
use tower::Service;
use tower_task_tracker::{
    DrainObserver, DrainReport, Scope, TaskInfo, TaskTrackerLayer, Tasks, TrackerHandle,
};
use tracing::{Level, info_span};
use tracing_subscriber::layer::SubscriberExt;

use super::observers::{self, Callback};
use super::scenes::Scene;
use super::subscribers::{Hook, Interfering};
use super::wakers::Wakers;
use crate::subscribers::lines::subscribe;
use crate::support::{Slot, assert_adds_up, current, paused_runtime, put, request};

/// More than a scene takes, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(60);

/// What misbehaves; nothing by default.
#[derive(Debug, Clone, Default)]
pub(super) struct Hostile {
    /// The call of the subscriber that panics.
    pub(super) subscriber: Option<Hook>,
    /// The callback of an observer that panics.
    pub(super) observer: Option<Callback>,
    /// What the wakers do.
    pub(super) wakers: Wakers,
}

/// Clones are the same stage.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) handle: TrackerHandle,
    hostile: Hostile,
    armed: Arc<AtomicBool>,
    begin: Instant,
    notes: Arc<Mutex<Vec<Note>>>,
    tasks: Slot<Tasks>,
}

/// What was seen, and when.
pub(super) type Note = (Duration, String);

/// Plays a scene, and returns what was seen of it.
pub(super) fn play(scene: &'static Scene, hostile: Hostile) -> Vec<Note> {
    println!("{}: {hostile:?}", scene.name);
    let (send, seen) = mpsc::channel();
    // In a thread of its own: a lock that is taken twice hangs it.
    let player = thread::spawn(move || {
        let notes = play_here(scene, hostile);
        send.send(notes).expect("the test waits");
    });
    match seen.recv_timeout(LIMIT) {
        Ok(notes) => notes,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{}: it hangs", scene.name),
        Err(mpsc::RecvTimeoutError::Disconnected) => match player.join() {
            Err(payload) => resume_unwind(payload),
            Ok(()) => unreachable!("it has sent nothing"),
        },
    }
}

/// Without anything foreign.
pub(super) fn is_the_same_each_time(scene: &'static Scene) {
    let seen = play(scene, Hostile::default());
    let mut times: Vec<_> = seen.iter().map(|(at, _)| at.as_millis()).collect();
    times.dedup();
    assert_eq!(times, scene.times, "{seen:#?}");
    assert_eq!(play(scene, Hostile::default()), seen);
}

/// A thread serves a request in the memory of the one before.
pub(super) fn is_the_same_after(others: &'static [Scene], scene: &'static Scene) {
    let alone = play(scene, Hostile::default());
    let player = thread::spawn(move || {
        for other in others {
            play_here(other, Hostile::default());
            let seen = play_here(scene, Hostile::default());
            assert_eq!(seen, alone, "after {}", other.name);
        }
    });
    if let Err(payload) = player.join() {
        resume_unwind(payload);
    }
}

fn play_here(scene: &Scene, hostile: Hostile) -> Vec<Note> {
    let armed = Arc::<AtomicBool>::default();
    let _subscribed = hostile
        .subscriber
        .map(|hook| tracing_subscriber::registry().with(Interfering::new(hook, armed.clone())))
        .map(|subscriber| subscribe(subscriber, Level::TRACE));
    let runtime = paused_runtime();
    runtime.block_on(async {
        let stage = Stage {
            handle: TrackerHandle::new(),
            hostile,
            armed,
            begin: Instant::now(),
            notes: Arc::default(),
            tasks: Slot::default(),
        };
        (scene.play)(stage.clone()).await;
        stage.is_over().await;
        let notes = stage.notes.lock().expect("no panic holds this lock");
        notes.clone()
    })
}

impl Stage {
    /// The layer of the scene, which waits for as long as it takes unless the scene sets a timeout.
    pub(super) fn layer(&self) -> TaskTrackerLayer {
        let layer = TaskTrackerLayer::new().tracked_by(&self.handle);
        layer.observer(self.foreign()).observer(self.clone())
    }

    pub(super) fn scope(&self) -> Scope {
        let scope = Scope::new().tracked_by(&self.handle);
        scope.observer(self.foreign()).observer(self.clone())
    }

    pub(super) fn foreign(&self) -> observers::Interfering {
        observers::Interfering(self.hostile.observer)
    }

    pub(super) fn note(&self, what: impl std::fmt::Display) {
        let at = self.begin.elapsed();
        let mut notes = self.notes.lock().expect("no panic holds this lock");
        notes.push((at, what.to_string()));
    }

    /// Called by handlers: wakers use the request that is current here.
    pub(super) fn in_request(&self) {
        if self.hostile.wakers.need_tasks() {
            put(&self.tasks, current());
        }
    }

    /// Calls a service in a span that nothing but the layer keeps. From now on the foreign code misbehaves.
    pub(super) fn call<S, R>(&self, service: &mut S, request: R) -> Pin<Box<S::Future>>
    where
        S: Service<R>,
    {
        let answer = info_span!("request").in_scope(|| service.call(request));
        self.arm();
        Box::pin(answer)
    }

    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
        let (handle, tasks) = (self.handle.clone(), self.tasks.clone());
        self.hostile.wakers.arm(handle, tasks);
    }

    /// Polls a future until it is ready, by the stage's wakers alone.
    pub(super) async fn drive<F: Future>(&self, future: F) -> F::Output {
        self.hostile.wakers.drive(std::pin::pin!(future)).await
    }

    /// Polls it for this time.
    pub(super) async fn drive_for<F: Future + Unpin>(&self, millis: u64, future: &mut F) {
        let driven = self.hostile.wakers.drive(Pin::new(future));
        let driven = timeout(Duration::from_millis(millis), driven).await;
        assert!(driven.is_err(), "it waits for longer");
    }

    /// Drops a future or a body that may hold a hostile waker.
    pub(super) fn leave<T>(&self, what: T) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(what)));
        self.note("left");
    }

    /// Serves a request to the end of its body.
    pub(super) async fn serve<S, B>(&self, mut service: S)
    where
        S: Service<Request<()>, Response = Response<B>>,
        S::Error: std::fmt::Debug,
        B: Body<Error: std::fmt::Debug> + Unpin,
    {
        let answer = self.call(&mut service, request());
        self.read(answer).await;
    }

    pub(super) async fn read<F, B, E>(&self, answer: F)
    where
        F: Future<Output = Result<Response<B>, E>>,
        B: Body<Error: std::fmt::Debug> + Unpin,
        E: std::fmt::Debug,
    {
        match self.drive(answer).await {
            Ok(answer) => {
                self.note(answer.status());
                let mut body = answer.into_body();
                while let Some(frame) = self.drive(body.frame()).await {
                    match frame {
                        Ok(frame) => self.note(if frame.is_data() { "data" } else { "trailers" }),
                        Err(error) => self.note(format_args!("{error:?}")),
                    }
                }
                self.note("end");
            }
            Err(error) => self.note(format_args!("{error:?}")),
        }
    }

    /// Nothing is left, and the handle sees that.
    async fn is_over(&self) {
        let idle = self.drive(timeout(
            Duration::from_secs(86_400),
            self.handle.wait_idle(),
        ));
        assert!(idle.await.is_ok(), "something is left: {:?}", self.handle);
        self.note("idle");
        // The last waker of the wait may have spawned when it was dropped.
        self.hostile.wakers.disarm();
        self.handle.wait_idle().await;
        let live = (self.handle.live_tasks(), self.handle.live_requests());
        assert_eq!(live, (0, 0));
    }
}

impl DrainObserver for Stage {
    fn on_drain(&self, report: &DrainReport) {
        assert_adds_up(report);
        self.note(report);
    }

    fn on_late_spawn(&self, task: &TaskInfo) {
        self.note(format_args!("late spawn: {task}"));
    }

    fn on_late_end(&self, task: &TaskInfo) {
        self.note(format_args!("late end: {task}"));
    }
}

/// A panic that is a part of the test, and does not speak.
pub(super) fn planned() {
    resume_unwind(Box::new("planned"));
}
