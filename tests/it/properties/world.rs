//! The tasks and the body of a plan, and what is known of them from outside of the crate.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tower_task_tracker::Tasks;

use super::plan::{Ending, Length, Script, Step, Task, TaskEnd};

/// What goes over the border of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Data(Bytes),
    Trailers,
    Error,
    End,
}

/// What happened, on the test's own count.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) spawned: usize,
    pub(super) alive: usize,
    /// When the number of tasks alive last became zero.
    pub(super) none_alive_since: Option<Instant>,
    /// When the handler answered, and how many tasks were alive.
    pub(super) answered: Option<(Instant, usize)>,
    /// What the inner body gave, and when.
    pub(super) given: Vec<(Instant, Item)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct World(Arc<Mutex<Facts>>);

impl World {
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().expect("no panic holds this lock")
    }

    /// Starts a task through the free functions, as code without a handle does.
    pub(super) fn start(&self, task: &Task) {
        let alive = Alive::new(self);
        let (world, task) = (self.clone(), task.clone());
        let end = task.end;
        let half = task.takes / 2;
        let handle = tower_task_tracker::named("planned").spawn(async move {
            let _alive = alive;
            sleep(Duration::from_millis(half)).await;
            for child in &task.children {
                world.start(child);
            }
            sleep(Duration::from_millis(task.takes - half)).await;
            if task.end == TaskEnd::Panics {
                // Past the panic hook, which would print thousands of these.
                std::panic::resume_unwind(Box::new("planned"));
            }
        });
        if end == TaskEnd::Aborted {
            handle.abort();
        }
    }
}

impl World {
    /// Starts a task in the request's tokio-util tracker. It is alive like any other, but of its
    /// spawn and its end nobody is told.
    pub(super) fn start_anonymous(&self, takes: u64) {
        let alive = Alive::new(self);
        self.facts().spawned -= 1;
        let tasks = Tasks::current().expect("in a request");
        tasks.tracker().spawn(async move {
            let _alive = alive;
            sleep(Duration::from_millis(takes)).await;
        });
    }
}

/// Counts a task for as long as its future lives.
struct Alive(World);

impl Alive {
    fn new(world: &World) -> Self {
        let mut facts = world.facts();
        facts.spawned += 1;
        facts.alive += 1;
        drop(facts);
        Self(world.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let mut facts = self.0.facts();
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
}

impl Scripted {
    pub(super) fn new(script: &Script, world: World) -> Self {
        Self {
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
                    self.wait = Some(Box::pin(sleep(Duration::from_millis(millis))));
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
pub(super) fn item<E>(polled: Option<Result<Frame<Bytes>, E>>) -> Item {
    match polled.transpose() {
        Ok(None) => Item::End,
        Err(_) => Item::Error,
        Ok(Some(frame)) => match frame.into_data() {
            Ok(data) => Item::Data(data),
            Err(_) => Item::Trailers,
        },
    }
}
