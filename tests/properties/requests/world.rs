//! The tasks and the body of a plan, and what the harness observes of them from outside the crate.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep};
use tower_task_tracker::BodyError;

use super::plan::{Ending, Kind, Length, Script, Step, Task, TaskEnd};
use crate::support::{current, ms};

/// What goes over the border of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Data(Bytes),
    Trailers,
    Error,
    /// The body says that a required task has failed.
    Failed,
    End,
}

/// How things stood when the handler answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) at: Instant,
    pub(super) alive: usize,
    pub(super) required_alive: bool,
    pub(super) required_failed: bool,
}

/// What happened, on the test's own count.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) spawned: usize,
    pub(super) alive: usize,
    /// When the number of tasks alive last became zero.
    pub(super) none_alive_since: Option<Instant>,
    /// Those that nobody waits for.
    pub(super) detached: usize,
    pub(super) detached_alive: usize,
    pub(super) required_alive: usize,
    pub(super) no_required_since: Option<Instant>,
    pub(super) required_failed: bool,
    /// How many were stopped by somebody who was not asked to by the plan.
    pub(super) killed: usize,
    pub(super) answered: Option<Answered>,
    /// When that had ended which is awaited before the release.
    pub(super) hooked: Option<Instant>,
    /// What the inner body gave, and when.
    pub(super) given: Vec<(Instant, Item)>,
    /// When it was dropped.
    pub(super) body_gone: Option<Instant>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct World {
    facts: Arc<Mutex<Facts>>,
    body_gone: Arc<Notify>,
}

/// Whatever holds this is, or becomes, the body.
pub(super) struct BodyGuard(World);

impl Drop for BodyGuard {
    fn drop(&mut self) {
        self.0.facts().body_gone = Some(Instant::now());
        self.0.body_gone.notify_waiters();
    }
}

impl World {
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().expect("no panic holds this lock")
    }

    /// Starts a task through the free functions, as code without a handle does.
    pub(super) fn start(&self, task: &Task) {
        self.start_as(task, task.kind);
    }

    /// The same, where what it becomes may be another kind than what it is spawned as.
    fn start_as(&self, task: &Task, becomes: Kind) {
        let mut alive = Alive::new(self, becomes);
        alive.killed = task.end != TaskEnd::Aborted;
        let (world, plan) = (self.clone(), task.clone());
        let work = async move {
            // As a whole: the block would take its fields alone.
            let mut alive = alive;
            world.run(&plan, becomes).await;
            alive.killed = false;
            if plan.end == TaskEnd::Panics {
                // Past the panic hook, which would print thousands of these.
                std::panic::resume_unwind(Box::new("planned"));
            }
            if plan.end == TaskEnd::Fails {
                return Err("planned");
            }
            alive.failed = false;
            Ok(())
        };
        let builder = tower_task_tracker::named("planned");
        let handle = match task.kind {
            Kind::Plain => builder.fallible().spawn(work),
            Kind::Required => builder.required().spawn(work),
            Kind::Detached => builder.fallible().detached().spawn(work),
        };
        if task.end == TaskEnd::Aborted {
            handle.abort();
        }
    }

    pub(super) fn body_guard(&self) -> BodyGuard {
        BodyGuard(self.clone())
    }

    async fn wait_for_body(&self) {
        let gone = self.body_gone.notified();
        if self.facts().body_gone.is_none() {
            gone.await;
        }
    }

    async fn run(&self, plan: &Task, kind: Kind) {
        let half = plan.takes / 2;
        let tasks = current();
        let work = async {
            sleep(ms(half)).await;
            for child in &plan.children {
                // What a detached task or a straggler spawns is detached itself.
                let is_detached = kind == Kind::Detached || tasks.is_released();
                let becomes = if is_detached {
                    Kind::Detached
                } else {
                    child.kind
                };
                self.start_as(child, becomes);
            }
            sleep(ms(plan.takes - half)).await;
            if plan.waits_for_body {
                self.wait_for_body().await;
            }
        };
        if plan.end == TaskEnd::Heeds {
            tasks.cancellation_token().run_until_cancelled(work).await;
        } else {
            work.await;
        }
    }

    /// Starts a task in the request's tokio-util tracker. It is alive like any other, but of its
    /// spawn and its end nobody is told.
    pub(super) fn start_anonymous(&self, takes: u64) {
        let mut alive = Alive::new(self, Kind::Plain);
        alive.failed = false;
        self.facts().spawned -= 1;
        let tasks = current();
        tasks.tracker().spawn(async move {
            let _alive = alive;
            sleep(ms(takes)).await;
        });
    }
}

/// Counts a task for as long as its future lives.
struct Alive {
    world: World,
    kind: Kind,
    /// How it ends if it is dropped now.
    killed: bool,
    failed: bool,
}

impl Alive {
    fn new(world: &World, kind: Kind) -> Self {
        let mut facts = world.facts();
        match kind {
            Kind::Detached => {
                facts.detached += 1;
                facts.detached_alive += 1;
            }
            Kind::Plain | Kind::Required => {
                facts.spawned += 1;
                facts.alive += 1;
                facts.required_alive += usize::from(kind == Kind::Required);
            }
        }
        drop(facts);
        Self {
            world: world.clone(),
            kind,
            killed: false,
            failed: true,
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let mut facts = self.world.facts();
        facts.killed += usize::from(self.killed);
        if self.kind == Kind::Detached {
            facts.detached_alive -= 1;
            return;
        }
        if self.kind == Kind::Required {
            facts.required_alive -= 1;
            facts.required_failed |= self.failed;
            if facts.required_alive == 0 {
                facts.no_required_since = Some(Instant::now());
            }
        }
        facts.alive -= 1;
        if facts.alive == 0 {
            facts.none_alive_since = Some(Instant::now());
        }
    }
}

/// A body that does what its script says.
pub(super) struct Scripted {
    world: World,
    steps: VecDeque<Step>,
    ending: Option<Ending>,
    length: Length,
    left: u64,
    knows_its_end: bool,
    wait: Option<Pin<Box<Sleep>>>,
    _guard: BodyGuard,
}

impl Scripted {
    pub(super) fn new(script: &Script, world: World, guard: BodyGuard) -> Self {
        Self {
            _guard: guard,
            world,
            steps: script.steps.clone().into(),
            ending: Some(script.ending),
            length: script.length,
            left: script.total(),
            knows_its_end: script.knows_its_end,
            wait: None,
        }
    }

    fn give(&self, item: Item) {
        self.world.facts().given.push((Instant::now(), item));
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            match self.steps.pop_front() {
                Some(Step::Wait(millis)) => {
                    self.wait = Some(Box::pin(sleep(ms(millis))));
                }
                Some(Step::Spawn(task)) => self.world.start(&task),
                Some(Step::Data(len)) => {
                    self.left -= len as u64;
                    // Each frame says where it stands.
                    let data = Bytes::from(vec![self.steps.len() as u8; len]);
                    self.give(Item::Data(data.clone()));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                None => break,
            }
        }
        let item = match self.ending.take() {
            Some(Ending::Trailers) => {
                self.give(Item::Trailers);
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                Some(Ok(Frame::trailers(trailers)))
            }
            Some(Ending::Error) => {
                self.give(Item::Error);
                Some(Err("planned"))
            }
            Some(Ending::EndMark) => {
                self.give(Item::End);
                None
            }
            None => None,
        };
        Poll::Ready(item)
    }

    fn is_end_stream(&self) -> bool {
        let at_end = matches!(self.ending, None | Some(Ending::EndMark));
        self.knows_its_end && self.steps.is_empty() && self.wait.is_none() && at_end
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Length::Unknown | Length::Header => SizeHint::default(),
            Length::Hint => SizeHint::with_exact(self.left),
            Length::WrongHint(by) => {
                SizeHint::with_exact(self.left.saturating_add_signed(by.into()))
            }
        }
    }
}

/// What a frame is, as an item.
pub(super) fn item(polled: Option<Result<Frame<Bytes>, BodyError>>) -> Item {
    match polled.transpose() {
        Ok(None) => Item::End,
        Err(error) if error.is_required_failed() => Item::Failed,
        Err(_) => Item::Error,
        Ok(Some(frame)) => match frame.into_data() {
            Ok(data) => Item::Data(data),
            Err(_) => Item::Trailers,
        },
    }
}
